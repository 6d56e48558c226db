//! An operator process: the real binary, its log in a file, its metrics on a free port. Ends with its owner.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{SOON, run, until, world};

pub struct Controller {
    child: Child,
    pub log: PathBuf,
    address: String,
}

impl Controller {
    /// Starts an operator for one namespace; `log` grows over restarts.
    pub fn start(namespace: &str, socket: &Path, log: &Path, flags: &[String]) -> Self {
        let before = std::fs::metadata(log).map_or(0, |m| m.len());
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_supercargo"))
            .args([
                "controller",
                "--metrics-addr",
                "127.0.0.1:0",
                "--namespace",
                namespace,
            ])
            .arg("--docker-host")
            .arg(format!("unix://{}", socket.display()))
            .args(flags)
            .env("KUBECONFIG", &world().kubeconfig)
            .env_remove("DOCKER_HOST")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut made = Self {
            child,
            log: log.to_owned(),
            address: String::new(),
        };
        made.address = until("the operator's start", SOON, || {
            if let Some(status) = made.child.try_wait().unwrap() {
                panic!("the operator ended with {status}: {}", tail(log));
            }
            let text = std::fs::read(log).unwrap_or_default();
            let text =
                String::from_utf8_lossy(text.get(usize::try_from(before).unwrap()..).unwrap_or_default())
                    .into_owned();
            let started = text
                .lines()
                .find(|line| line.contains("the operator starts"))
                .map(str::to_owned);
            let address = started
                .as_deref()
                .and_then(|l| l.split("metrics=").nth(1))
                .and_then(|l| l.split(' ').next());
            address
                .map(|a| a.trim().to_owned())
                .ok_or_else(|| "it has not said that it starts".to_owned())
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

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and its end within the time that it promises.
    pub fn stop(mut self) {
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
