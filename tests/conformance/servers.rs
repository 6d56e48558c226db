//! The two servers: found or started, and ended. `CONFORMANCE_KUBECONFIGS=OURS:THEIRS` names two that run already, and
//! naming one file twice holds the cases themselves against it. Otherwise the embedded server is started from the built
//! binary and the real one from `tests/scripts/oracle`, each with a directory of its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    client::{Ask, from_kubeconfig},
    session::{Server, Session},
};

/// Both servers.
pub struct Pair {
    subject: Arc<Server>,
    oracle: Arc<Server>,
    same: bool,
    children: Vec<Child>,
    _dir: Option<tempfile::TempDir>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told which servers to use"
)]
fn given() -> Option<(PathBuf, PathBuf)> {
    let given = std::env::var("CONFORMANCE_KUBECONFIGS")
        .ok()
        .filter(|given| !given.is_empty())?;
    let (ours, theirs) = given
        .split_once(':')
        .expect("CONFORMANCE_KUBECONFIGS is OURS:THEIRS");
    Some((ours.into(), theirs.into()))
}

impl Pair {
    pub fn start() -> Self {
        if let Some((ours, theirs)) = given() {
            let same = ours == theirs;
            return Self::of(&ours, &theirs, same, Vec::new(), None);
        }
        let dir = tempfile::Builder::new()
            .prefix("supercargo-conformance")
            .tempdir()
            .unwrap();
        let theirs = dir.path().join("oracle-kubeconfig");
        let ours = dir.path().join("embedded/kubeconfig");
        let log = |name: &str| std::fs::File::create(dir.path().join(name)).unwrap();
        let start = |command: &mut Command, name: &str| {
            let command = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log(name));
            command
                .spawn()
                .unwrap_or_else(|e| panic!("{:?}: {e}", command.get_program()))
        };
        let mut oracle = Command::new(oracle());
        oracle
            .arg("--exit-with-parent")
            .arg("--kubeconfig")
            .arg(&theirs)
            .arg("--data-dir")
            .arg(dir.path().join("oracle"));
        let binary = env!("CARGO_BIN_EXE_supercargo");
        let mut embedded = Command::new(binary);
        embedded
            .arg("standalone")
            .arg("--data-dir")
            .arg(dir.path().join("embedded"))
            .args(["--listen", "127.0.0.1:0"])
            // Whatever other control planes have on this host is not its business.
            .args(["--instance", "6f1d3c52-0b7e-4d0b-9a55-1c2f3a4b5c6d"]);
        let mut children = vec![
            start(&mut embedded, "embedded.log"),
            start(&mut oracle, "oracle.log"),
        ];
        for (child, kubeconfig, name) in [(0, &ours, "embedded.log"), (1, &theirs, "oracle.log")] {
            let end = Instant::now() + Duration::from_secs(200);
            while !kubeconfig.exists() {
                let log = || std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
                let ended = children[child].try_wait().unwrap();
                if ended.is_some() || Instant::now() > end {
                    children.iter_mut().for_each(end_child);
                    panic!("no kubeconfig from {name}: {}", log());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Self::of(&ours, &theirs, false, children, Some(dir))
    }

    fn of(
        ours: &Path,
        theirs: &Path,
        same: bool,
        children: Vec<Child>,
        dir: Option<tempfile::TempDir>,
    ) -> Self {
        let server = |name, path: &Path| {
            let (admin, nobody) = from_kubeconfig(path);
            Arc::new(Server { name, admin, nobody })
        };
        Self {
            subject: server("ours", ours),
            oracle: server("theirs", theirs),
            same,
            children,
            _dir: dir,
        }
    }

    pub fn subject(&self) -> Arc<Server> {
        self.subject.clone()
    }

    pub fn oracle(&self) -> Arc<Server> {
        self.oracle.clone()
    }

    /// Both are one server, which proves the cases and nothing else.
    pub fn same(&self) -> bool {
        self.same
    }

    pub fn stop(mut self) {
        self.children.iter_mut().for_each(end_child);
    }
}

/// The program that runs a real API server.
fn oracle() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/oracle");
    let out = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    let path = String::from_utf8(out.stdout).unwrap();
    assert!(
        out.status.success() && !path.trim().is_empty(),
        "tests/scripts/oracle names no program"
    );
    path.trim().into()
}

fn end_child(child: &mut Child) {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let end = Instant::now() + Duration::from_secs(10);
    while child.try_wait().ok().flatten().is_none() {
        if Instant::now() > end {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The namespace of a case.
pub async fn make_namespace(session: &Session) {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": session.namespace } });
    let answer = session
        .quietly(Ask::new("POST", "/api/v1/namespaces").json(&namespace))
        .await;
    assert_eq!(answer.code, 201, "{}", answer.body);
}

/// Not before all cases are over: emptying many namespaces keeps the controllers from those that cases look at.
pub async fn remove_namespace(server: &Server, namespace: &str) {
    server
        .admin
        .send(&Ask::new("DELETE", &format!("/api/v1/namespaces/{namespace}")))
        .await;
}
