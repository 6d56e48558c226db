//! The two servers: found or started, and ended, with the resources of the test on both. As in the conformance cases,
//! `CONFORMANCE_KUBECONFIGS=OURS:THEIRS` names two that run already.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::clients::Kubectl;

/// Both servers.
pub struct Pair {
    pub ours: PathBuf,
    pub theirs: PathBuf,
    children: Vec<Child>,
    _dir: tempfile::TempDir,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told which servers to use"
)]
fn given() -> Option<(PathBuf, PathBuf)> {
    let given = std::env::var("CONFORMANCE_KUBECONFIGS").ok()?;
    let (ours, theirs) = given.split_once(':')?;
    Some((ours.into(), theirs.into()))
}

impl Pair {
    pub fn start(kubectl: &Kubectl, here: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("supercargo-transcripts")
            .tempdir()
            .unwrap();
        let mut children = Vec::new();
        let (ours, theirs) = given().unwrap_or_else(|| {
            let ours = dir.path().join("embedded/kubeconfig");
            let theirs = dir.path().join("oracle-kubeconfig");
            let mut embedded = Command::new(env!("CARGO_BIN_EXE_supercargo"));
            embedded
                .arg("standalone")
                .arg("--data-dir")
                .arg(dir.path().join("embedded"));
            embedded.args(["--listen", "127.0.0.1:0"]);
            // Whatever other control planes have on this host is not its business.
            embedded.args(["--instance", "6f1d3c52-0b7e-4d0b-9a55-1c2f3a4b5c6e"]);
            let mut oracle = Command::new(oracle());
            oracle.arg("--exit-with-parent").arg("--kubeconfig").arg(&theirs);
            oracle.arg("--data-dir").arg(dir.path().join("oracle"));
            for (command, log) in [(&mut embedded, "embedded.log"), (&mut oracle, "oracle.log")] {
                let log = std::fs::File::create(dir.path().join(log)).unwrap();
                children.push(
                    command
                        .stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(log)
                        .spawn()
                        .unwrap(),
                );
            }
            (ours, theirs)
        });
        let mut pair = Self {
            ours,
            theirs,
            children,
            _dir: dir,
        };
        pair.wait();
        pair.define(kubectl, here);
        pair
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(200);
        for (number, kubeconfig) in [self.ours.clone(), self.theirs.clone()].iter().enumerate() {
            while !kubeconfig.exists() {
                let ended = self
                    .children
                    .get_mut(number)
                    .is_none_or(|child| child.try_wait().unwrap().is_some());
                if ended || Instant::now() > end {
                    self.children.iter_mut().for_each(end_child);
                    panic!("no server made {}", kubeconfig.display());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// The resources of the test on both, and on the real server ours, too.
    fn define(&self, kubectl: &Kubectl, here: &Path) {
        let crds = here.join("../../crds");
        for (kubeconfig, more) in [(&self.ours, None), (&self.theirs, Some(&crds))] {
            let mut files = vec!["-f".into(), here.join("crd.yaml").into_os_string()];
            if let Some(more) = more {
                files.extend(["-f".into(), more.as_os_str().to_owned()]);
            }
            for words in [
                &["apply", "--server-side"][..],
                &["wait", "--for=condition=Established"],
            ] {
                let out = Command::new(&kubectl.path)
                    .arg("--kubeconfig")
                    .arg(kubeconfig)
                    .args(words)
                    .args(&files)
                    .output()
                    .unwrap();
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            }
        }
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
        "tests/scripts/oracle names no program: unset TEST_KUBECONFIG"
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
