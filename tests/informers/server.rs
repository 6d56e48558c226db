//! The embedded server as a process: started, killed without warning, and started again on the same port.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::PATIENCE;

pub struct Server {
    pub port: u16,
    dir: tempfile::TempDir,
    child: Child,
}

impl Server {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("supercargo-informers")
            .tempdir()
            .unwrap();
        // Of its own choice it would have another port after the restart.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = spawn(&dir, port);
        let mut server = Self { port, dir, child };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.dir.path().join("data/kubeconfig").exists()
            || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err()
        {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < end,
                "the server is not there: {}",
                std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.dir, self.port);
        self.wait();
    }

    /// The administrator's kubeconfig, with another port.
    pub fn kubeconfig_for(&self, port: u16) -> PathBuf {
        let text = std::fs::read_to_string(self.dir.path().join("data/kubeconfig")).unwrap();
        let (own, other) = (format!(":{}", self.port), format!(":{port}"));
        assert!(text.contains(&own), "the kubeconfig names no port");
        let path = self.dir.path().join(format!("kubeconfig-{port}"));
        std::fs::write(&path, text.replace(&own, &other)).unwrap();
        path
    }

    pub async fn client(&self, port: u16) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig_for(port)).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &tempfile::TempDir, port: u16) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir.path().join("log"))
        .unwrap();
    Command::new(env!("CARGO_BIN_EXE_supercargo"))
        .arg("standalone")
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .arg("--listen")
        .arg(format!("127.0.0.1:{port}"))
        // Whatever other control planes have on this host is not its business.
        .args(["--instance", "1f0c7a94-53d2-4be6-8a07-d94e6b2c7f18"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}
