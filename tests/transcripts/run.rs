//! Runs the commands of a script on one server: in a namespace and a folder of their own, and with a home of their own,
//! because kubectl keeps what it has learned about a server there.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use regex::Regex;

use crate::{clients::Kubectl, commands::Script, mask::mask};

/// A bound for a command that does not end.
const LIMIT: Duration = Duration::from_secs(120);

/// What a command left, without what may differ.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    code: String,
    out: String,
    err: String,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{}---- stderr\n{}---- exit {}\n",
            self.out, self.err, self.code
        )
    }
}

impl Answer {
    /// Takes out what the pattern finds; whether there was any.
    pub fn remove(&mut self, pattern: &Regex) -> bool {
        let found = pattern.is_match(&self.out) || pattern.is_match(&self.err);
        for text in [&mut self.out, &mut self.err] {
            *text = pattern.replace_all(text, "").into_owned();
        }
        found
    }
}

/// Where commands run.
pub struct Place {
    dir: tempfile::TempDir,
    kubeconfig: PathBuf,
    namespace: String,
    path: String,
}

impl Place {
    /// Makes the namespace and lays the files out.
    pub fn make(kubeconfig: &Path, kubectl: &Kubectl, namespace: &str, script: &Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in &script.files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(&kubectl.path, dir.path().join("bin/kubectl")).unwrap();
        let own = dir.path().join("kubeconfig");
        std::fs::copy(kubeconfig, &own).unwrap();
        let place = Self {
            path: format!("{}:{}", dir.path().join("bin").display(), path()),
            kubeconfig: own,
            dir,
            namespace: namespace.to_owned(),
        };
        let made = place.answer(
            "kubectl create namespace $NS && kubectl config set-context --current --namespace=$NS \
             && until_ok kubectl get sa default && until_ok kubectl get cm kube-root-ca.crt",
        );
        assert!(made.code == "0", "no namespace: {}{}", made.out, made.err);
        place
    }

    pub fn leave(&self) {
        self.answer("kubectl delete namespace $NS --wait=false");
    }

    /// Runs a command of bash.
    pub fn answer(&self, command: &str) -> Answer {
        let file = |name| std::fs::File::create(self.dir.path().join(name)).unwrap();
        let mut child = Command::new("bash")
            .args(["-c", command])
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("NS", &self.namespace)
            .env("LC_ALL", "C")
            .env(
                "BASH_ENV",
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/shell.sh"),
            )
            .stdin(Stdio::null())
            .stdout(file(".stdout"))
            .stderr(file(".stderr"))
            .process_group(0)
            .spawn()
            .unwrap();
        let end = Instant::now() + LIMIT;
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.to_string().replace("exit status: ", "");
            }
            if Instant::now() > end {
                // The group, since what hangs is a child of the shell.
                let _ = Command::new("kill")
                    .args(["-9", "--", &format!("-{}", child.id())])
                    .status();
                child.wait().unwrap();
                break format!("none within {LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let read = |name| {
            let bytes = std::fs::read(self.dir.path().join(name)).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            mask(&text.replace(&*self.dir.path().to_string_lossy(), "<dir>"))
        };
        Answer {
            code,
            out: read(".stdout"),
            err: read(".stderr"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the commands need the tools of the machine"
)]
fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// What differs, as `diff` says it.
pub fn difference(ours: &Answer, theirs: &Answer) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (name, answer) in [("ours", ours), ("theirs", theirs)] {
        std::fs::write(dir.path().join(name), answer.to_string()).unwrap();
    }
    let out = Command::new("diff")
        .args(["-U2", "ours", "theirs"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().skip(2).map(|line| format!("{line}\n")).collect()
}
