//! Which kubectl to run: the oldest and the newest of those that tests/scripts/kubectls names.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A program, and the Y of its version 1.Y.
#[derive(Clone)]
pub struct Kubectl {
    pub minor: u32,
    pub path: PathBuf,
}

/// Two of different minor versions, or no test.
pub fn oldest_and_newest() -> [Kubectl; 2] {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/kubectls");
    let out = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(
        out.status.success(),
        "tests/scripts/kubectls failed: see its message above"
    );
    let mut all: Vec<Kubectl> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let (minor, path) = line.split_once(' ').expect("lines are MINOR PATH");
            Kubectl {
                minor: minor.parse().unwrap(),
                path: path.into(),
            }
        })
        .collect();
    all.sort_by_key(|kubectl| kubectl.minor);
    let (oldest, newest) = (all.first().unwrap().clone(), all.last().unwrap().clone());
    assert!(
        oldest.minor < newest.minor,
        "only kubectl 1.{} is here, and two minor versions are needed: install an older one beside it as kubectl.1.Y",
        oldest.minor
    );
    [oldest, newest]
}
