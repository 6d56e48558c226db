//! A git repository and a server for it: the smart protocol over HTTP, which is all that Flux can read from a local one, by
//! git's own `http-backend` as a CGI program. Reading only. The server ends with the test.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::run;

/// A request longer than this is none of git's.
const LONGEST_BODY: usize = 1 << 20;

pub struct Repository {
    /// Where files are written and committed.
    pub work: PathBuf,
    pub url: String,
}

impl Repository {
    /// An empty one below the directory.
    pub fn start(dir: &Path) -> Self {
        let root = dir.join("git");
        let work = root.join("shop");
        std::fs::create_dir_all(&work).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/shop/.git", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let root = root.clone();
                // A client that went away is its own loss.
                std::thread::spawn(move || drop(answer(stream, &root)));
            }
        });
        let made = Self { work, url };
        made.git(&["init", "--quiet", "--initial-branch=main"]);
        made
    }

    /// Writes a file, or removes it, without a commit.
    pub fn write(&self, name: &str, content: Option<&str>) {
        let path = self.work.join(name);
        match content {
            Some(content) => std::fs::write(path, content).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
    }

    /// Commits what was written; the revision, as Flux calls it.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.revision()
    }

    /// The last commit, as Flux calls it.
    pub fn revision(&self) -> String {
        format!("main@sha1:{}", self.git(&["rev-parse", "HEAD"]).trim())
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        let said = run(author(command.args(args).current_dir(&self.work)), b"");
        assert!(said.ok, "git {args:?}: {}", said.err);
        said.out
    }
}

/// Git as it is for everybody, whoever runs the tests.
pub fn author(command: &mut Command) -> &mut Command {
    for (variable, value) in [("NAME", "tests"), ("EMAIL", "tests@example.invalid")] {
        command
            .env(format!("GIT_AUTHOR_{variable}"), value)
            .env(format!("GIT_COMMITTER_{variable}"), value);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
}

fn answer(mut stream: TcpStream, root: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let body = if header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        chunks(&mut reader)?
    } else {
        let length = header("content-length")
            .parse()
            .unwrap_or(0usize)
            .min(LONGEST_BODY);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        body
    };
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"));
    let out = output(&mut command, &body)?;
    let split = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(0);
    let (head, body) = (
        String::from_utf8_lossy(&out[..split]),
        &out[(split + 4).min(out.len())..],
    );
    let status = head.lines().find_map(|line| line.strip_prefix("Status: "));
    write!(
        stream,
        "HTTP/1.1 {}\r\n{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        status.unwrap_or("200 OK"),
        body.len()
    )?;
    stream.write_all(body)
}

fn chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16)
            .unwrap_or(0)
            .min(LONGEST_BODY);
        // What ends the chunk is read with it.
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

fn output(command: &mut Command, stdin: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::process::Stdio;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut pipe = child.stdin.take().expect("it was asked for");
    let bytes = stdin.to_vec();
    let feeder = std::thread::spawn(move || pipe.write_all(&bytes));
    let done = child.wait_with_output()?;
    // It may have read less than all.
    drop(feeder.join());
    Ok(done.stdout)
}
