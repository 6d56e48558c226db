//! The one kube-apiserver of a run in cluster form: ours, which can be stopped and started, or that of `TEST_KUBECONFIG`.
//! Owns its start with our resources, its end, and who it is. `standalone` needs none of this.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{free_port, project, run, script, until};

pub struct Cluster {
    pub kubeconfig: PathBuf,
    pub instance: String,
    dir: PathBuf,
    port: u16,
    child: Mutex<Option<Child>>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told which cluster to use"
)]
fn given_kubeconfig() -> Option<PathBuf> {
    std::env::var("TEST_KUBECONFIG")
        .ok()
        .filter(|k| !k.is_empty())
        .map(PathBuf::from)
}

impl Cluster {
    pub fn start(dir: &Path, kubectl: &str) -> Self {
        let mut cluster = Self {
            kubeconfig: given_kubeconfig().unwrap_or_else(|| dir.join("kubeconfig")),
            instance: String::new(),
            dir: dir.to_owned(),
            port: free_port(),
            child: Mutex::default(),
        };
        cluster.go();
        let crds = project().join("crds");
        let ask = |args: &[&str]| {
            let mut command = Command::new(kubectl);
            let said = run(
                command.arg("--kubeconfig").arg(&cluster.kubeconfig).args(args),
                b"",
            );
            assert!(said.ok, "kubectl {args:?}: {}", said.err);
            said.out
        };
        ask(&["apply", "--server-side", "-f", crds.to_str().unwrap()]);
        ask(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ]);
        ask(&["create", "namespace", "supercargo-system"]);
        let uid = [
            "get",
            "namespace",
            "kube-system",
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        cluster.instance = ask(&uid);
        cluster
    }

    pub fn is_ours(&self) -> bool {
        given_kubeconfig().is_none()
    }

    /// Starts the API server, on the same port and with the same objects as before.
    pub fn go(&self) {
        if !self.is_ours() {
            return;
        }
        let _ = std::fs::remove_file(&self.kubeconfig);
        let log = std::fs::File::create(self.dir.join("oracle.log")).unwrap();
        let child = Command::new(script("oracle", &[]))
            .arg("--exit-with-parent")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--data-dir")
            .arg(self.dir.join("data"))
            .arg("--port")
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        until("the API server", Duration::from_secs(180), || {
            let ended = self.child.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the API server ended: {}", self.log());
            if self.kubeconfig.exists() {
                Ok(())
            } else {
                Err("no kubeconfig".to_owned())
            }
        });
    }

    pub fn stop(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = run(Command::new("kill").arg(child.id().to_string()), b"");
            let end = Instant::now() + Duration::from_secs(20);
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > end {
                    let _ = child.kill();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("oracle.log")).unwrap_or_default()
    }
}
