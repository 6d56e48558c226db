//! An API server for tests that need no operator, in the form that `E2E_ON` says: a standalone whose operator watches a
//! namespace that nobody has, or a real kube-apiserver. `TEST_KUBECONFIG` names one that runs already. Ends with its owner.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub struct ApiServer {
    pub kubeconfig: PathBuf,
    child: Option<Child>,
}

#[expect(clippy::disallowed_methods, reason = "a test may be told what to run on")]
fn told(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|told| !told.is_empty())
}

fn oracle() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/oracle");
    let out = Command::new(script).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().into()
}

impl ApiServer {
    pub fn start(dir: &Path) -> Self {
        if let Some(given) = told("TEST_KUBECONFIG") {
            return Self {
                kubeconfig: given.into(),
                child: None,
            };
        }
        let data = dir.join("apiserver");
        let (mut command, kubeconfig) = match told("E2E_ON").as_deref() {
            Some("cluster") => {
                let kubeconfig = dir.join("kubeconfig");
                let mut command = Command::new(oracle());
                command
                    .arg("--exit-with-parent")
                    .arg("--data-dir")
                    .arg(data)
                    .arg("--kubeconfig")
                    .arg(&kubeconfig);
                (command, kubeconfig)
            }
            None | Some("standalone") => {
                // Other tests have control planes on this host.
                let uid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
                let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
                command
                    .args(["standalone", "--listen", "127.0.0.1:0", "--namespace", "nobody"])
                    .args(["--instance", uid.trim(), "--data-dir"])
                    .arg(&data);
                (command, data.join("kubeconfig"))
            }
            Some(other) => panic!("E2E_ON={other}: it is standalone, which is the default, or cluster"),
        };
        let log = dir.join("apiserver.log");
        let child = command
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut made = Self {
            kubeconfig,
            child: Some(child),
        };
        let end = Instant::now() + Duration::from_secs(180);
        while !made.is_ready(&log) {
            let ended = made.child.as_mut().unwrap().try_wait().unwrap();
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "the API server ended: {}", said());
            assert!(Instant::now() < end, "the API server is not ready: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        made
    }

    /// Whether it goes with this process.
    pub fn is_ours(&self) -> bool {
        self.child.is_some()
    }

    /// A kube-apiserver writes its kubeconfig when it answers; standalone says so.
    fn is_ready(&self, log: &Path) -> bool {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        self.kubeconfig.exists()
            && (told("E2E_ON").as_deref() == Some("cluster") || said().contains("standalone is up"))
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
