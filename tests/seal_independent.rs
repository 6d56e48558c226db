//! The vectors opened by somebody else's code: Python's pyhpke and `cryptography`, in a virtual environment of our
//! cache. Needs python3 with its venv module and, the first time, a package index; says so when it is missing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 2] = ["pyhpke==0.6.5", "cryptography==50.0.2"];

#[expect(clippy::disallowed_methods, reason = "a test may be told where the cache is")]
fn cache() -> PathBuf {
    let named = std::env::var("SUPERCARGO_CACHE")
        .ok()
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    let home = || {
        Path::new(&std::env::var("HOME").expect("HOME or SUPERCARGO_CACHE is set")).join(".cache/supercargo")
    };
    named.unwrap_or_else(home)
}

fn run(what: &str, hint: &str, command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{what}: {e}; {hint}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        out.status.success(),
        "{what}: {}\n{}\n{hint}",
        text(&out.stdout),
        text(&out.stderr)
    );
    text(&out.stdout)
}

/// A virtual environment with the pinned packages, made once and moved into place whole.
fn python() -> PathBuf {
    let ready = cache().join(format!("python-{}", PACKAGES.join("-").replace("==", "-")));
    let python = ready.join("bin/python");
    if python.exists() {
        return python;
    }
    std::fs::create_dir_all(cache()).expect("the cache directory can be made");
    let half = cache().join(format!("python-half-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&half);
    run(
        "making a virtual environment",
        "install python3 and its venv module (Debian, Ubuntu: apt-get install python3 python3-venv)",
        Command::new("python3")
            .args(["-m", "venv", "--copies"])
            .arg(&half),
    );
    run(
        "installing the independent HPKE implementation",
        "a Python package index must be reachable the first time",
        Command::new(half.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet"])
            .args(PACKAGES),
    );
    // Another test run may have been faster: then its copy is used.
    if std::fs::rename(&half, &ready).is_err() {
        let _ = std::fs::remove_dir_all(&half);
    }
    python
}

#[test]
fn an_independent_implementation_opens_every_vector() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut command = Command::new(python());
    command
        .arg(vectors.join("open_with_python.py"))
        .arg(vectors.join("envelopes.json"));
    let said = run(
        "opening the vectors",
        "the format and its vectors have come apart",
        &mut command,
    );
    assert!(said.ends_with("23 of 23 as expected\n"), "{said}");
}
