//! An operator process: the real binary, its log in a file, its metrics on a free port. Ends with its owner. In standalone
//! form it is the control plane, too.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{SOON, run, until};

/// How an operator is started.
pub struct Start {
    /// The verb and its flags.
    pub args: Vec<String>,
    pub kubeconfig: Option<PathBuf>,
    /// Grows over restarts.
    pub log: PathBuf,
}

pub struct Controller {
    child: Child,
    pub log: PathBuf,
    address: String,
    /// Where the API is, in standalone form.
    pub listen: String,
}

impl Controller {
    pub fn start(start: &Start) -> Self {
        let log = &start.log;
        let before = std::fs::metadata(log).map_or(0, |m| m.len());
        let file = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
        command
            .args(&start.args)
            .env_remove("DOCKER_HOST")
            .env_remove("KUBECONFIG");
        if let Some(kubeconfig) = &start.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut made = Self {
            child,
            log: log.clone(),
            address: String::new(),
            listen: String::new(),
        };
        (made.address, made.listen) = until("the operator's start", SOON, || {
            if let Some(status) = made.child.try_wait().unwrap() {
                panic!("the operator ended with {status}: {}", tail(log));
            }
            let text = std::fs::read(log).unwrap_or_default();
            let text =
                String::from_utf8_lossy(text.get(usize::try_from(before).unwrap()..).unwrap_or_default())
                    .into_owned();
            let field = |key: &str| {
                let line = text.lines().find(|line| line.contains(key))?;
                let value = line.split(key).nth(1)?.split(' ').next()?;
                Some(value.trim().to_owned())
            };
            let address = field("metrics=").ok_or("it has not said where its metrics are")?;
            Ok((address, field("listen=").unwrap_or_default()))
        });
        made
    }

    /// What an endpoint answers.
    pub fn get(&self, path: &str) -> Result<String, String> {
        let mut stream = TcpStream::connect(&self.address).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: tests\r\nConnection: close\r\n\r\n"
        )
        .map_err(|e| e.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// How many reconciles it has done.
    pub fn reconciles(&self) -> Result<u64, String> {
        let text = self.get("/metrics")?;
        let counts = text
            .lines()
            .filter(|l| l.starts_with("supercargo_reconcile_total"));
        Ok(counts
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .map(|f| f as u64)
            .sum())
    }

    /// Waits until it does nothing any more: an operator that never rests fails here.
    pub fn settle(&self) {
        let mut last = u64::MAX;
        let mut since = Instant::now();
        until("the operator to come to rest", SOON, || {
            let now = self.reconciles()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
            if since.elapsed() >= Duration::from_millis(1200) {
                Ok(())
            } else {
                Err(format!("{now} reconciles so far"))
            }
        });
    }

    /// `kill -NAME`.
    pub fn signal(&self, name: &str) {
        let said = run(
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]),
            b"",
        );
        assert!(said.ok, "{}", said.err);
    }

    /// Waits until it ends by itself, with a failure; the last of what it said.
    pub fn end(mut self) -> String {
        until("the operator's end", SOON, || {
            match self.child.try_wait().unwrap() {
                Some(status) if !status.success() => Ok(()),
                Some(_) => panic!("it ended as if all were well: {}", tail(&self.log)),
                None => Err("it runs on".to_owned()),
            }
        });
        tail(&self.log)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and its end within the time that it promises; how long it took.
    pub fn stop(mut self) -> Duration {
        let begun = Instant::now();
        let _ = run(Command::new("kill").arg(self.child.id().to_string()), b"");
        until(
            "the operator's end after SIGTERM",
            Duration::from_secs(45),
            || match self.child.try_wait().unwrap() {
                Some(status) if status.success() => Ok(()),
                Some(status) => panic!(
                    "the operator ended with {status} after SIGTERM: {}",
                    tail(&self.log)
                ),
                None => Err("it runs on".to_owned()),
            },
        );
        begun.elapsed()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
