//! Informers in other languages, as processes: a line to one of them asks what it holds.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::{Informer, Set, writer::NAMESPACE};

/// The program of client-go, and a Python that has the client.
pub struct Programs {
    go: String,
    python: String,
}

pub fn programs() -> Programs {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/informers");
    let out = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(
        out.status.success(),
        "tests/scripts/informers failed: see its message above"
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let (go, python) = text.trim().split_once('\n').expect("it prints two lines");
    Programs {
        go: go.to_owned(),
        python: python.to_owned(),
    }
}

pub struct Other {
    name: &'static str,
    child: Child,
    out: BufReader<ChildStdout>,
}

pub fn start(programs: &Programs, kubeconfig: &Path) -> Vec<Box<dyn Informer>> {
    let mut python = Command::new(&programs.python);
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/informer.py"));
    let both = [
        ("client-go", Command::new(&programs.go)),
        ("the Python client", python),
    ];
    both.into_iter()
        .map(|(name, mut command)| {
            let mut child = command
                .arg(kubeconfig)
                .arg(NAMESPACE)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                // What it says of each broken connection.
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            Box::new(Other { name, child, out }) as Box<dyn Informer>
        })
        .collect()
}

impl Informer for Other {
    fn name(&self) -> &str {
        self.name
    }

    fn held(&mut self) -> Set {
        self.child.stdin.as_mut().unwrap().write_all(b"?\n").unwrap();
        let mut set = Set::new();
        loop {
            let mut line = String::new();
            let read = self.out.read_line(&mut line).unwrap();
            assert!(read > 0, "{} has ended", self.name);
            match line.trim_end().split_once(' ') {
                Some((name, version)) => set.insert(name.to_owned(), version.to_owned()),
                None => return set,
            };
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
