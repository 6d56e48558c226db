//! What end-to-end cases stand on: real kubectl, real Docker, and per case a namespace, an operator process and a
//! recording socket between that operator and Docker. `E2E_ON` says what answers kubectl: `standalone` (every case has a
//! process of its own) or `cluster` (one real kube-apiserver for all cases). Everything carries an instance of this run
//! and is removed by it, also after a failure. Waits are level-triggered and bounded.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

pub mod canary;
pub mod case;
pub mod cluster;
pub mod controller;
pub mod engine;
pub mod proxy;
pub mod remote;
pub mod rights;

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

/// What answers kubectl, and where the operator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `supercargo standalone`: API server and operator are one process, and every case has its own.
    Standalone,
    /// `supercargo controller` against a kube-apiserver.
    Cluster,
}

/// The form of this run.
#[expect(clippy::disallowed_methods, reason = "a test may be told what to run on")]
pub fn form() -> Form {
    match std::env::var("E2E_ON").ok().as_deref() {
        None | Some("" | "standalone") => Form::Standalone,
        Some("cluster") => Form::Cluster,
        Some(other) => panic!("E2E_ON={other}: it is standalone, which is the default, or cluster"),
    }
}

/// A number that the caller of the tests may choose.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is told by its caller"
)]
pub fn number(variable: &str, default: usize) -> usize {
    let given = std::env::var(variable).ok().filter(|n| !n.is_empty());
    given.map_or(default, |n| {
        n.parse()
            .unwrap_or_else(|_| panic!("{variable}={n} is not a number"))
    })
}

/// What a command said.
pub struct Said {
    pub ok: bool,
    pub code: Option<i32>,
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
        code: done.status.code(),
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
    docker_at(&socket(), args)
}

/// `docker` on the engine of this socket.
pub fn docker_at(socket: &Path, args: &[&str]) -> Said {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
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

/// A uid as Kubernetes makes them.
pub fn uid() -> String {
    let uid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    uid.trim().to_owned()
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
    pub kubectl: String,
    pub docker_root: PathBuf,
    /// What all cases use when each has not its own.
    pub cluster: Option<cluster::Cluster>,
    instances: Mutex<BTreeSet<String>>,
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
        let docker_root = docker_ok(&["info", "--format", "{{.DockerRootDir}}"]).into();
        let cluster = (form() == Form::Cluster).then(|| cluster::Cluster::start(dir.path(), &kubectl));
        let world = Self {
            dir,
            kubectl,
            docker_root,
            cluster,
            instances: Mutex::default(),
        };
        assert!(WORLD.set(world).is_ok());
    }

    /// What carries this instance is removed at the end.
    pub fn remember(&self, instance: &str) {
        self.instances.lock().unwrap().insert(instance.to_owned());
    }

    /// Names of what this run made of one kind: `ps`, `network ls` or `volume ls`.
    pub fn ours(&self, kind: &str) -> Vec<String> {
        let instances = self.instances.lock().unwrap().clone();
        instances
            .iter()
            .flat_map(|instance| labelled(kind, &[&format!("{INSTANCE}={instance}")]))
            .collect()
    }

    /// Removes everything that carries an instance of this run, and the server. Says what would not go, but for networks of
    /// which the engine lost count.
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
        if let Some(cluster) = &self.cluster {
            cluster.stop();
        }
        ["ps", "network ls", "volume ls"]
            .iter()
            .flat_map(|kind| self.ours(kind))
            .filter(|id| !is_miscounted(&socket(), id))
            .collect()
    }
}

/// Whether the engine refuses to remove a network because of endpoints that it does not have. Removes it if it does not.
pub fn is_miscounted(socket: &Path, network: &str) -> bool {
    let used = docker_at(
        socket,
        &["network", "inspect", "--format", "{{len .Containers}}", network],
    );
    let removed = docker_at(socket, &["network", "rm", network]);
    used.ok && used.out.trim() == "0" && !removed.ok && removed.err.contains("has active endpoints")
}

/// What has all of these labels: of kind `ps` (in whatever state), `network ls` or `volume ls`.
pub fn labelled(kind: &str, labels: &[&str]) -> Vec<String> {
    labelled_at(&socket(), kind, labels)
}

/// The same on the engine of this socket.
pub fn labelled_at(socket: &Path, kind: &str, labels: &[&str]) -> Vec<String> {
    let filters: Vec<String> = labels.iter().map(|label| format!("label={label}")).collect();
    let mut args: Vec<&str> = kind.split(' ').collect();
    args.push("-q");
    if kind == "ps" {
        args.extend(["-a", "--no-trunc"]);
    }
    args.extend(filters.iter().flat_map(|filter| ["--filter", filter.as_str()]));
    let said = docker_at(socket, &args);
    assert!(said.ok, "docker {args:?}: {}", said.err);
    let mut found: Vec<String> = said.out.split_whitespace().map(str::to_owned).collect();
    found.sort();
    found
}
