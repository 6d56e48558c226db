//! The embedded server and a real kube-apiserver, side by side: found or started, and ended. Included by the tests that
//! hold one against the other. `CONFORMANCE_KUBECONFIGS=OURS:THEIRS` names two that run already, and naming one file
//! twice holds a test against itself. Otherwise the embedded server is started from the built binary and the real one
//! from `tests/scripts/oracle`, each with a directory of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Whatever other control planes have on this host is not the embedded server's business.
const INSTANCE: &str = "6f1d3c52-0b7e-4d0b-9a55-1c2f3a4b5c6d";
/// How long a start may take. The first one of the real server follows its build.
const PATIENCE: Duration = Duration::from_secs(200);

/// Two servers that answer. Those that were started end with it.
pub struct Pair {
    /// The kubeconfig of the embedded server.
    pub ours: PathBuf,
    /// The kubeconfig of the real one.
    pub theirs: PathBuf,
    children: Vec<Child>,
    /// Data and logs.
    _dir: Option<tempfile::TempDir>,
}

impl Pair {
    pub fn start() -> Self {
        if let Some((ours, theirs)) = given() {
            return Self {
                ours,
                theirs,
                children: Vec::new(),
                _dir: None,
            };
        }
        let dir = tempfile::Builder::new()
            .prefix("supercargo-pair")
            .tempdir()
            .unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut pair = Self {
            ours: at("embedded/kubeconfig"),
            theirs: at("oracle-kubeconfig"),
            children: Vec::new(),
            _dir: None,
        };
        let mut embedded = Command::new(env!("CARGO_BIN_EXE_supercargo"));
        embedded
            .args(["standalone", "--listen", "127.0.0.1:0", "--instance", INSTANCE])
            .arg("--data-dir")
            .arg(at("embedded"));
        let mut oracle = Command::new(oracle());
        oracle
            .arg("--exit-with-parent")
            .arg("--kubeconfig")
            .arg(&pair.theirs)
            .arg("--data-dir")
            .arg(at("oracle"));
        for (command, log) in [(embedded, "embedded.log"), (oracle, "oracle.log")] {
            pair.children.push(spawn(command, &at(log)));
        }
        let end = Instant::now() + PATIENCE;
        for (child, kubeconfig, log) in [
            (0, pair.ours.clone(), "embedded.log"),
            (1, pair.theirs.clone(), "oracle.log"),
        ] {
            while !kubeconfig.exists() {
                let ended = pair.children[child].try_wait().unwrap();
                assert!(
                    ended.is_none() && Instant::now() < end,
                    "no kubeconfig, but in {log}: {}",
                    std::fs::read_to_string(at(log)).unwrap_or_default()
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        pair._dir = Some(dir);
        pair
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.children.iter_mut().for_each(end);
    }
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

/// The program that runs a real API server.
fn oracle() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/oracle");
    let out = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    let path = String::from_utf8(out.stdout).unwrap();
    assert!(
        out.status.success() && !path.trim().is_empty(),
        "tests/scripts/oracle names no program: unset TEST_KUBECONFIG"
    );
    path.trim().into()
}

fn spawn(mut command: Command, log: &Path) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).unwrap());
    command
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()))
}

fn end(child: &mut Child) {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let end = Instant::now() + Duration::from_secs(10);
    while child.try_wait().ok().flatten().is_none() {
        if Instant::now() > end {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
