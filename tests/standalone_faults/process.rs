//! A standalone of its own: a data directory, a port that stays the same over restarts, an engine that is not there and is
//! not needed. Started, killed and started again by the cases.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::wire::Wire;

/// For what takes milliseconds: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(60);

/// Where it keeps what, and how it is started.
pub struct Standalone {
    pub dir: PathBuf,
    pub listen: String,
    /// What is put before the command: `nsenter ...`.
    pub before: Vec<String>,
    /// Where the data directory is from here.
    pub seen: PathBuf,
    child: Option<Child>,
}

#[expect(clippy::disallowed_methods, reason = "a test may be told which binary to use")]
pub fn binary() -> String {
    option_env!("CARGO_BIN_EXE_supercargo")
        .map(str::to_owned)
        .or_else(|| std::env::var("SUPERCARGO_BINARY").ok())
        .expect("this test is one of the package; elsewhere SUPERCARGO_BINARY names the binary")
}

impl Standalone {
    pub fn new(dir: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap().to_string();
        Self {
            dir: dir.join("data"),
            listen,
            before: Vec::new(),
            seen: dir.join("data"),
            child: None,
        }
    }

    pub fn command(&self) -> Command {
        let mut words = self.before.clone();
        words.push(binary());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["standalone", "--data-dir"])
            .arg(&self.dir)
            .args(["--listen", &self.listen, "--docker-host", "unix:///nowhere"])
            .args(["--instance", "1b671a64-40d5-491e-99b0-da01ff1f3341"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn log(&self) -> PathBuf {
        std::env::temp_dir().join(format!("supercargo-{}.log", self.listen.replace(':', "-")))
    }

    /// Starts it and waits until it answers.
    pub async fn start(&mut self) -> Wire {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let mut command = self.command();
        command.stderr(log).process_group(0);
        self.child = Some(command.spawn().unwrap());
        let end = Instant::now() + SOON;
        loop {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            let said = || std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(ended.is_none(), "it ended: {}", said());
            if let Some(wire) = Wire::of(&self.seen.join("kubeconfig"))
                && let Ok(answer) = wire.get("/livez").await
                && answer.code == 200
            {
                return wire;
            }
            assert!(Instant::now() < end, "it does not answer: {}", said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_is_fine = child.kill();
            child.wait().unwrap();
        }
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let text = std::fs::read_to_string(self.log()).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(20).collect();
            eprintln!("the last lines of {}:\n{}", self.log().display(), tail.join("\n"));
        } else {
            let _gone_is_fine = std::fs::remove_file(self.log());
        }
    }
}
