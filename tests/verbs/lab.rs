//! What the tests of verbs work in: the real binary, an API server with our CRDs, the real engine, and containers
//! that carry our labels. Everything that it makes is removed when it goes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::apiserver::ApiServer;

pub const IMAGE: &str = "supercargo-test/busybox:1";

/// What a run of the binary came to.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The binary in a directory, with an environment of its own.
pub fn binary(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
    command.current_dir(dir).stdin(Stdio::null());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", dir);
    command
}

pub fn run(command: &mut Command, stdin: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let out = child.wait_with_output().unwrap();
    Ran {
        code: out.status.code(),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

fn script(name: &str, args: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scripts")
        .join(name);
    let ran = run(Command::new(&path).args(args), b"");
    assert_eq!(ran.code, Some(0), "{name}: {}", ran.err);
    ran.out.trim().to_owned()
}

/// An API server, an engine, and a namespace of our own on both.
pub struct Lab {
    // Ends before its directory goes.
    server: ApiServer,
    pub dir: tempfile::TempDir,
    pub namespace: String,
    pub uid: String,
    kubectl: String,
}

impl Lab {
    pub fn start(name: &str) -> Self {
        script("image", &[]);
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::start(dir.path());
        let mut lab = Self {
            namespace: format!("verbs-{name}-{}", std::process::id()),
            uid: String::new(),
            kubectl: script("kubectl", &[]),
            dir,
            server,
        };
        let crds = lab.supercargo(&["crds"]);
        assert_eq!(crds.code, Some(0), "{}", crds.err);
        lab.kubectl(&["apply", "--server-side", "-f", "-"], &crds.out);
        let established = [
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ];
        lab.kubectl(&established, "");
        lab.kubectl(&["create", "namespace", &lab.namespace], "");
        let uid = lab.kubectl(
            &[
                "get",
                "namespace",
                "kube-system",
                "-o",
                "jsonpath={.metadata.uid}",
            ],
            "",
        );
        lab.uid = uid;
        lab
    }

    pub fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.server.kubeconfig)
            .args(args);
        let ran = run(&mut command, stdin.as_bytes());
        assert_eq!(ran.code, Some(0), "kubectl {args:?}: {}", ran.err);
        ran.out
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = binary(self.dir.path());
        command
            .args(args)
            .env("KUBECONFIG", &self.server.kubeconfig)
            .env("SUPERCARGO_OPERATOR_NAMESPACE", &self.namespace);
        command
    }

    pub fn supercargo(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args), b"")
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A key ring in a file, and a DockerSecret sealed with it.
    pub fn sealed(&self, name: &str, value: &str) -> String {
        if !self.dir.path().join("ring").exists() {
            let made = self.supercargo(&["keys", "init", "--keyring", "ring"]);
            assert_eq!(made.code, Some(0), "{}", made.err);
            self.file("pub", &made.out);
        }
        let args = [
            "seal",
            "--public-key",
            "pub",
            "--name",
            name,
            "-n",
            &self.namespace,
            "--key",
            "password",
        ];
        let ran = run(&mut self.command(&args), value.as_bytes());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    }

    /// A container with the labels of a replica, which runs a script.
    pub fn container(&self, name: &str, deployment: &str, replica: u32, does: &str) -> Container {
        let label = |key: &str, value: &str| format!("--label=supercargo.dev/{key}={value}");
        let full = format!("{}-{name}", self.namespace);
        let labels = [
            label("instance", &self.uid),
            label("namespace", &self.namespace),
            label("deployment", deployment),
            label("uid", "nobody"),
            label("replica", &replica.to_string()),
        ];
        docker(&["rm", "-f", "-v", &full]);
        let mut args = vec!["run", "-d", "--network=none", "--name", &full];
        args.extend(labels.iter().map(String::as_str));
        args.extend([IMAGE, "sh", "-c", does]);
        let ran = docker(&args);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        Container(full)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.server.is_ours() {
            self.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"], "");
        }
    }
}

/// A container that goes with its owner.
pub struct Container(pub String);

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.0]);
    }
}

pub fn docker(args: &[&str]) -> Ran {
    run(Command::new("docker").args(args), b"")
}

/// A verb that runs on, and the lines of its stdout as they come.
pub struct Running {
    pub child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (to, lines) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line that contains the text.
    pub fn expect(&self, text: &str) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?} came"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Whatever has come and was not read.
    pub fn rest(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Waits until it ends by itself; answers its exit code.
    pub fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Ends it as Ctrl-C does; answers its exit code.
    pub fn interrupt(mut self) -> Option<i32> {
        let kill = run(
            Command::new("kill").args(["-INT", &self.child.id().to_string()]),
            b"",
        );
        assert_eq!(kill.code, Some(0), "{}", kill.err);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
