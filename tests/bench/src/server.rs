//! A server under measurement: started, asked until it is ready, stopped. Owns its process, its directory and what
//! `/proc` says about it. Ours and the peer differ here only in how they are started.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::client::{Access, Http};

/// How long a start may take before it is a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// The identity of the control plane that is measured: containers of others on the same host are not its own.
const INSTANCE: &str = "0be4c400-0000-4000-8000-000000000001";

/// Which program.
#[derive(Clone)]
pub enum Program {
    /// `supercargo`, whose verb `standalone` is measured.
    Ours(PathBuf),
    /// The program that runs a kube-apiserver.
    Peer(PathBuf),
}

impl Program {
    pub fn path(&self) -> &Path {
        match self {
            Self::Ours(path) | Self::Peer(path) => path,
        }
    }
}

/// A directory with a store, and the process when there is one.
pub struct Server {
    program: Program,
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
    instance: String,
    /// Further flags of ours.
    flags: Vec<String>,
}

impl Server {
    /// Nothing runs yet; `dir` is made.
    pub fn new(program: &Program, dir: PathBuf) -> Result<Self> {
        // Somebody else's containers on this host do not matter where none are made.
        Self::with(program, dir, INSTANCE, Vec::new())
    }

    /// The same, with an identity of its own and further flags of ours.
    pub fn with(program: &Program, dir: PathBuf, instance: &str, flags: Vec<String>) -> Result<Self> {
        fs::create_dir_all(&dir)?;
        // Free now; whoever takes it meanwhile makes the start fail, with a message.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self {
            program: program.clone(),
            dir,
            port,
            child: None,
            instance: instance.to_owned(),
            flags,
        })
    }

    pub fn kubeconfig(&self) -> PathBuf {
        match self.program {
            Program::Ours(_) => self.dir.join("data/kubeconfig"),
            Program::Peer(_) => self.dir.join("kubeconfig"),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program.path());
        let data = self.dir.join("data");
        match self.program {
            Program::Ours(_) => {
                command.arg("standalone").arg("--data-dir").arg(data);
                command.arg("--listen").arg(format!("127.0.0.1:{}", self.port));
                command.args(["--instance", &self.instance]).args(&self.flags);
            }
            Program::Peer(_) => {
                command
                    .arg("--data-dir")
                    .arg(data)
                    .arg("--kubeconfig")
                    .arg(self.kubeconfig());
                command.args(["--port", &self.port.to_string(), "--exit-with-parent"]);
            }
        }
        command
    }

    /// Starts it, and answers with the time from exec until `/readyz` says 200 over a new connection.
    pub async fn start(&mut self) -> Result<Duration> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))?;
        let mut command = self.command();
        end_with_parent(&mut command);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Read before the start: a second start keeps the certificates, and the peer writes its file late.
        let mut access = Access::read(&self.kubeconfig()).ok();
        let started = Instant::now();
        self.child = Some(
            command
                .spawn()
                .with_context(|| format!("{} does not start", self.program.path().display()))?,
        );
        loop {
            if started.elapsed() > PATIENCE {
                bail!(
                    "not ready after {} s; its log is {}",
                    PATIENCE.as_secs(),
                    self.dir.join("log").display()
                );
            }
            if let Some(status) = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten())
            {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                bail!(
                    "it ended with {status}: {}",
                    log.lines().last().unwrap_or_default()
                );
            }
            if access.is_none() {
                access = Access::read(&self.kubeconfig()).ok();
            }
            if let Some(access) = &access
                && is_ready(access).await
            {
                return Ok(started.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How to reach it.
    pub fn access(&self) -> Result<Access> {
        Access::read(&self.kubeconfig())
    }

    /// Ends it with SIGTERM, and waits.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let pid = i32::try_from(child.id())?;
        // SAFETY: a signal to a child that was not waited for, so that the number is still its.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        child.wait()?;
        Ok(())
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("it does not run")?.id())
    }

    /// A number of `/proc/PID/status`; memory is in KiB.
    pub fn status(&self, field: &str) -> Result<u64> {
        status(self.pid()?, field)
    }
}

/// A number of `/proc/PID/status`; memory is in KiB.
pub fn status(pid: u32, field: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("{field} is not in /proc/{pid}/status"))
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.stop();
    }
}

/// Also when this program is killed, no server stays behind.
pub fn end_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec there is one system call, which touches no memory.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        })
    };
}

async fn is_ready(access: &Access) -> bool {
    let Ok(mut connection) = access.connect(Http::One).await else {
        return false;
    };
    let asked = connection
        .send(hyper::Method::GET, "/readyz", "", bytes::Bytes::new())
        .await;
    asked.is_ok_and(|answer| answer.status() == 200)
}
