//! A Docker Engine of a case's own, which it may kill and start again while the one that is shared goes on: another
//! dockerd with its own files, and in a network namespace of its own, so that neither sees the other's bridges, rules and
//! address pools. Needs root. Everything of it goes with its owner.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{IMAGE, IMAGE_2, docker_at, docker_ok, remote::Remote, run, until};

/// What becomes of containers while their engine is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveRestore {
    /// They run on, and the next engine finds them.
    On,
    /// They end with it, or at the start of the next one.
    Off,
}

/// Whether an engine that starts has the networks that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Networks {
    Kept,
    Lost,
}

pub struct Engine {
    dir: tempfile::TempDir,
    /// Holds the network namespace while no engine runs.
    namespace: Child,
    daemon: Mutex<Option<Child>>,
    /// How operators reach it, where that is not its socket.
    pub remote: Option<Remote>,
}

/// A process that ends with the thread that starts it.
fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    // The sbin directories are not on the PATH of every shell that may do root's work.
    command.env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command.stdin(Stdio::null());
    command
}

impl Engine {
    /// Runs, and has the test images.
    pub fn start() -> Self {
        Self::begin(|_, _| None)
    }

    /// The same, and operators come over TCP and TLS.
    pub fn start_remote() -> Self {
        Self::begin(|dir, namespace| Some(Remote::new(dir, namespace)))
    }

    fn begin(remote: impl FnOnce(&std::path::Path, u32) -> Option<Remote>) -> Self {
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        assert!(root, "this case starts a dockerd of its own: run it as root");
        let dir = tempfile::Builder::new().prefix("supercargo-engine").tempdir();
        let up = "ip link set lo up && echo up && exec sleep infinity";
        let mut namespace = bound("unshare");
        let mut namespace = namespace.args(["--net", "--", "sh", "-c", up]);
        namespace = namespace.stdout(Stdio::piped());
        let mut namespace = namespace.spawn().unwrap();
        let mut said = [0; 3];
        let out = namespace.stdout.as_mut().unwrap();
        out.read_exact(&mut said)
            .expect("unshare and ip make a network namespace");
        let dir = dir.unwrap();
        let engine = Self {
            remote: remote(dir.path(), namespace.id()),
            dir,
            namespace,
            daemon: Mutex::default(),
        };
        std::fs::write(engine.file("config.json"), "{}").unwrap();
        engine.go(LiveRestore::On);
        let images = engine.file("images.tar");
        let images = images.to_str().unwrap();
        docker_ok(&["save", "-o", images, IMAGE, IMAGE_2]);
        let loaded = docker_at(&engine.socket(), &["load", "-q", "-i", images]);
        assert!(loaded.ok, "{}", loaded.err);
        engine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.file("docker.sock")
    }

    /// Where everything of it is.
    pub fn root(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Starts it, and waits until it answers. An engine that was killed while it made a network may never start again, as
    /// it cannot read half of one (moby/moby 45057, 20.10.24); its networks are then taken from it, as its makers advise.
    pub fn go(&self, live_restore: LiveRestore) -> Networks {
        let Err(said) = self.try_to_go(live_restore) else {
            return Networks::Kept;
        };
        assert!(said.contains("reservePools"), "dockerd ended: {said}");
        self.lose_networks();
        let again = self.try_to_go(live_restore);
        again.unwrap_or_else(|said| panic!("dockerd ended: {said}"));
        Networks::Lost
    }

    /// Takes from an engine that does not run all that it knows of networks.
    pub fn lose_networks(&self) {
        assert!(self.daemon.lock().unwrap().is_none(), "it runs");
        std::fs::remove_file(self.file("root/network/files/local-kv.db")).unwrap();
    }

    /// Answers with the end of its log if it ends.
    fn try_to_go(&self, live_restore: LiveRestore) -> Result<(), String> {
        // A killed daemon leaves these. Somebody else may have the pids by now, and then no other starts (20.10).
        for stale in ["docker.pid", "exec/containerd/containerd.pid"] {
            let _ = std::fs::remove_file(self.file(stale));
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .unwrap();
        let at = |name: &str| self.file(name).display().to_string();
        let mut command = bound("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.namespace.id()));
        command.args(["--", "dockerd", "--config-file", &at("config.json")]);
        command.args(["--data-root", &at("root"), "--exec-root", &at("exec")]);
        command.args(["--pidfile", &at("docker.pid")]);
        command.args(["--host", &format!("unix://{}", at("docker.sock"))]);
        if live_restore == LiveRestore::On {
            command.arg("--live-restore");
        }
        command.args(self.remote.iter().flat_map(Remote::flags));
        let command = command
            .env_remove("DOCKER_HOST")
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        *self.daemon.lock().unwrap() = Some(command.spawn().unwrap());
        until("the engine to answer, or to end", Duration::from_secs(90), || {
            let mut daemon = self.daemon.lock().unwrap();
            if daemon.as_mut().unwrap().try_wait().unwrap().is_some() {
                *daemon = None;
                return Ok(Err(self.log()));
            }
            self.ask("/_ping").map(|_| Ok(()))
        })
    }

    fn log(&self) -> String {
        super::controller::tail(&self.file("log"))
    }

    /// As a crash does.
    pub fn kill(&self) {
        let mut daemon = self.daemon.lock().unwrap().take().expect("an engine runs");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// As its service manager does.
    pub fn stop(&self) {
        let Some(mut daemon) = self.daemon.lock().unwrap().take() else {
            return;
        };
        let _ = run(Command::new("kill").arg(daemon.id().to_string()), b"");
        let end = Instant::now() + Duration::from_secs(45);
        while daemon.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                let _ = daemon.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it answers to a question, without a client's process.
    pub fn ask(&self, path: &str) -> Result<Value, String> {
        let mut stream = UnixStream::connect(self.socket()).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").map_err(|e| e.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        if !head.lines().next().is_some_and(|line| line.contains(" 200 ")) {
            return Err(answer);
        }
        Ok(serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

impl Engine {
    /// Containers whose processes the runtime keeps, by their ids, and the runtime's process for each.
    fn kept(&self) -> Vec<(String, String)> {
        let ours = self.dir.path().to_str().unwrap().to_owned();
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|one| {
            let line = std::fs::read_to_string(one.path().join("cmdline")).ok()?;
            let words: Vec<&str> = line.split('\0').collect();
            let is_ours = words[0].contains("containerd-shim") && line.contains(&ours);
            let id = words.iter().skip_while(|word| **word != "-id").nth(1)?;
            is_ours.then(|| ((*id).to_owned(), one.file_name().to_string_lossy().into_owned()))
        })
        .collect()
    }

    /// Ends what runs of containers that the engine does not know, since it was killed while it started them (20.10), as
    /// its host's administrator would, with what their runtime keeps of them; answers how many there were.
    pub fn end_forgotten(&self) -> usize {
        let known = docker_at(&self.socket(), &["ps", "-aq", "--no-trunc"]).out;
        let is_forgotten = |id: &str| !known.contains(id);
        for (_, shim) in self.kept().iter().filter(|(id, _)| is_forgotten(id)) {
            end_with_children(shim);
        }
        let bundles = self.file("exec/containerd/daemon/io.containerd.runtime.v2.task/moby");
        let left = || -> Vec<PathBuf> {
            let all = std::fs::read_dir(&bundles).into_iter().flatten().flatten();
            all.filter(|one| is_forgotten(one.file_name().to_str().unwrap()))
                .map(|one| one.path())
                .collect()
        };
        let count = left().len();
        until("what is kept of them to go", Duration::from_secs(20), || {
            for bundle in left() {
                run(Command::new("umount").arg("-l").arg(bundle.join("rootfs")), b"");
                // The runtime may be at it as well.
                let _ = std::fs::remove_dir_all(bundle);
            }
            super::same(left(), Vec::new())
        });
        count
    }
}

/// The runtime's process of a container, and what runs in it.
fn end_with_children(shim: &str) {
    let path = format!("/proc/{shim}/task/{shim}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    for pid in children.split_whitespace().chain([shim]) {
        run(Command::new("kill").args(["-9", pid]), b"");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.daemon.lock().unwrap().is_some() {
            let socket = self.socket();
            let all = docker_at(&socket, &["ps", "-aq", "--no-trunc"]).out;
            for id in all.split_whitespace() {
                docker_at(&socket, &["rm", "-fv", id]);
            }
            self.stop();
        }
        for (_, shim) in self.kept() {
            end_with_children(&shim);
        }
        let _ = self.namespace.kill();
        let _ = self.namespace.wait();
        // It mounts its files onto themselves.
        let mut mounts: Vec<String> = std::fs::read_to_string("/proc/self/mounts")
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
            .filter(|at| at.starts_with(self.dir.path().to_str().unwrap()))
            .collect();
        mounts.reverse();
        for at in mounts {
            run(Command::new("umount").args(["-l", &at]), b"");
        }
    }
}
