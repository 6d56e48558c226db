//! What end-to-end cases stand on: one real kube-apiserver for all of them, real kubectl, real Docker, and per case a
//! namespace, an operator process and a recording socket between that operator and Docker. Everything carries this
//! run's instance and is removed by it, also after a failure. Waits are level-triggered and bounded.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

pub mod canary;
pub mod case;
pub mod controller;
pub mod proxy;

pub const INSTANCE: &str = "supercargo.dev/instance";
pub const IMAGE: &str = "supercargo-test/busybox:1";
pub const IMAGE_2: &str = "supercargo-test/busybox:2";
/// A bound for what takes a second: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(60);

pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs one of `tests/scripts`; its first line of output.
pub fn script(name: &str, args: &[&str]) -> String {
    let path = project().join("tests/scripts").join(name);
    let out = Command::new(&path).args(args).output();
    let out = out.unwrap_or_else(|e| panic!("{} does not run: {e}", path.display()));
    assert!(
        out.status.success(),
        "{}: {}",
        path.display(),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// What a command said.
pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

pub fn run(command: &mut Command, stdin: &[u8]) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{:?} does not start: {e}", command.get_program()));
    let mut pipe = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    let feeder = std::thread::spawn(move || {
        let _ = pipe.write_all(&bytes);
    });
    let done = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Said {
        ok: done.status.success(),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Asks until there is an answer. The last refusal is shown when the time is over.
pub fn until<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + bound;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => assert!(
                Instant::now() < end,
                "waited {} s for {what}: {why}",
                bound.as_secs()
            ),
        }
        std::thread::sleep(Duration::from_millis(80));
    }
}

/// `Ok` when `found` is `wanted`.
pub fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Result<(), String> {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("it is {found:?}, not yet {wanted:?}"))
    }
}

pub fn docker(args: &[&str]) -> Said {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", format!("unix://{}", socket().display()));
    run(command.args(args), b"")
}

/// Runs `docker`, which must succeed.
pub fn docker_ok(args: &[&str]) -> String {
    let said = docker(args);
    assert!(said.ok, "docker {args:?}: {}", said.err);
    said.out.trim().to_owned()
}

/// The engine's socket.
#[expect(clippy::disallowed_methods, reason = "Docker's own variable")]
pub fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").ok().filter(|h| !h.is_empty());
    let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let path = host.strip_prefix("unix://");
    path.unwrap_or_else(|| panic!("these tests need a unix socket in DOCKER_HOST, and it is {host}"))
        .into()
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

/// A random word of 24 letters and digits.
pub fn word() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut bytes = [0u8; 24];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    bytes
        .iter()
        .map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()]))
        .collect()
}

/// A port that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// What all cases share.
pub struct World {
    pub dir: tempfile::TempDir,
    pub kubeconfig: PathBuf,
    pub kubectl: String,
    pub instance: String,
    pub docker_root: PathBuf,
    server: Mutex<Option<Child>>,
    port: u16,
}

static WORLD: OnceLock<World> = OnceLock::new();

pub fn world() -> &'static World {
    WORLD.get().expect("the world is made first")
}

impl World {
    /// Starts everything. To be called by the main thread: the server ends with the thread that started it.
    pub fn start() {
        script("docker", &[]);
        script("image", &[]);
        script("registry", &[]);
        let dir = tempfile::Builder::new()
            .prefix("supercargo-e2e")
            .tempdir()
            .unwrap();
        let kubectl = script("kubectl", &[]);
        let port = free_port();
        let kubeconfig = given_kubeconfig().unwrap_or_else(|| dir.path().join("kubeconfig"));
        let docker_root = docker_ok(&["info", "--format", "{{.DockerRootDir}}"]).into();
        let mut world = Self {
            dir,
            kubeconfig,
            kubectl,
            instance: String::new(),
            docker_root,
            server: Mutex::default(),
            port,
        };
        world.start_server();
        let uid = world.kubectl(&[
            "get",
            "namespace",
            "kube-system",
            "-o",
            "jsonpath={.metadata.uid}",
        ]);
        world.instance = uid.out;
        let crds = project().join("crds");
        for args in [
            &["apply", "--server-side", "-f", crds.to_str().unwrap()][..],
            &[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=60s",
            ],
            &["create", "namespace", "supercargo-system"],
        ] {
            let said = world.kubectl(args);
            assert!(said.ok, "kubectl {args:?}: {}", said.err);
        }
        assert!(WORLD.set(world).is_ok());
    }

    pub fn has_own_server(&self) -> bool {
        given_kubeconfig().is_none()
    }

    /// Starts the API server, on the same port and with the same objects as before.
    pub fn start_server(&self) {
        if !self.has_own_server() {
            return;
        }
        let _ = std::fs::remove_file(&self.kubeconfig);
        let log = std::fs::File::create(self.dir.path().join("oracle.log")).unwrap();
        let child = Command::new(script("oracle", &[]))
            .arg("--exit-with-parent")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .arg("--port")
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.server.lock().unwrap() = Some(child);
        until("the API server", Duration::from_secs(180), || {
            let ended = self.server.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the API server ended: {}", self.server_log());
            if self.kubeconfig.exists() {
                Ok(())
            } else {
                Err("no kubeconfig".to_owned())
            }
        });
    }

    pub fn stop_server(&self) {
        if let Some(mut child) = self.server.lock().unwrap().take() {
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

    pub fn server_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("oracle.log")).unwrap_or_default()
    }

    pub fn kubectl(&self, args: &[&str]) -> Said {
        self.kubectl_in(args, "")
    }

    pub fn kubectl_in(&self, args: &[&str], stdin: &str) -> Said {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(self.dir.path().join("discovery"));
        run(command.args(args), stdin.as_bytes())
    }

    /// Names of what is ours of one kind: `ps`, `network ls` or `volume ls`.
    pub fn ours(&self, kind: &str) -> Vec<String> {
        let filter = format!("label={INSTANCE}={}", self.instance);
        let mut args: Vec<&str> = kind.split(' ').collect();
        args.extend(["-q", "--filter", &filter]);
        if kind == "ps" {
            args.push("-a");
        }
        docker(&args).out.split_whitespace().map(str::to_owned).collect()
    }

    /// Removes everything that carries this run's instance, and the server. Says what would not go.
    pub fn end(&self) -> Vec<String> {
        for id in self.ours("ps") {
            docker(&["rm", "-fv", &id]);
        }
        for id in self.ours("network ls") {
            docker(&["network", "rm", &id]);
        }
        for id in self.ours("volume ls") {
            docker(&["volume", "rm", "-f", &id]);
        }
        self.stop_server();
        ["ps", "network ls", "volume ls"]
            .iter()
            .flat_map(|kind| self.ours(kind))
            .collect()
    }
}
