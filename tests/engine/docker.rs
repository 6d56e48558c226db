//! The lab of a real Docker engine: started by `tests/scripts/docker`, worked by hand with the docker client. Everything
//! carries the run's label and is removed by it when the lab is dropped, also by a failed test; what a killed run left
//! behind is removed by the next one.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use supercargo::{
    engine::{
        Kind, Limited, Op,
        bollard::{Docker, Endpoint},
        fake::Fake,
    },
    state::container::{ContainerId, RunState},
};

use super::lab::{Lab, RUN, Registry, next};

/// The repository of images that are made of this build.
const HOLDER: &str = "supercargo-test/holder";

type Nothing = fn(Op, Result<(), Kind>, Duration);

pub struct DockerLab {
    engine: Limited<Docker, Nothing>,
    run: String,
    held: Mutex<BTreeMap<u16, TcpListener>>,
    registry: Mutex<Option<(Child, tempfile::TempDir)>>,
}

/// Runs a program and answers what it said; a failure is the test's, with its words.
fn sh(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn script(name: &str, args: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scripts")
        .join(name);
    sh(&path.to_string_lossy(), args)
}

/// Once per process: an engine, the image, and nothing left of runs that are over.
pub fn prepare() -> Docker {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        script("image", &[]);
        let format = format!("{{{{.Label {RUN:?}}}}}");
        let filter = format!("label={RUN}");
        for list in [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"]] {
            let labels = sh(
                "docker",
                &[list, &["--filter", &filter, "--format", &format]].concat(),
            );
            labels.lines().filter(|run| !is_alive(run)).for_each(clean);
        }
    });
    let host = docker_host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    Docker::connect(&Endpoint::parse(&host, None, true).unwrap()).unwrap()
}

/// Whether the process that made this run id still is.
fn is_alive(run: &str) -> bool {
    run.split('-')
        .nth(1)
        .is_some_and(|pid| Path::new("/proc").join(pid).exists())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests use the engine that the developer's docker client uses"
)]
fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty())
}

/// Removes what carries this run's label.
fn clean(run: &str) {
    let label = format!("label={RUN}={run}");
    let foreign = format!("label={RUN}.foreign={run}");
    let ids = |filter: &str, args: &[&str]| -> Vec<String> {
        let args = [args, &["--quiet", "--filter", filter]].concat();
        let output = Command::new("docker").args(args).stdin(Stdio::null()).output();
        output
            .map(|o| {
                String::from_utf8_lossy(&o.stdout)
                    .lines()
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default()
    };
    let remove = |args: &[&str], ids: Vec<String>| {
        if !ids.is_empty() {
            let _ = Command::new("docker")
                .args(args)
                .args(ids)
                .stdin(Stdio::null())
                .output();
        }
    };
    remove(&["rm", "--force", "--volumes"], ids(&label, &["ps", "--all"]));
    remove(&["rm", "--force", "--volumes"], ids(&foreign, &["ps", "--all"]));
    remove(&["network", "rm"], ids(&label, &["network", "ls"]));
    remove(&["volume", "rm"], ids(&label, &["volume", "ls"]));
    let image = format!("reference={HOLDER}:{run}");
    remove(&["rmi"], ids(&image, &["image", "ls"]));
}

/// Removes the names that this run's registry left in the engine; the image itself is the test image.
fn forget_images(run: &str) {
    let format = "{{.Repository}} {{.Tag}} {{.Digest}}";
    let all = Command::new("docker")
        .args(["image", "ls", "--digests", "--format", format])
        .output();
    let all = all
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    for line in all.lines().filter(|line| line.contains(&format!("/{run}/"))) {
        let [repository, tag, digest] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        for name in [format!("{repository}:{tag}"), format!("{repository}@{digest}")] {
            let _ = Command::new("docker").args(["rmi", &name]).output();
        }
    }
}

impl Drop for DockerLab {
    fn drop(&mut self) {
        clean(&self.run);
        if let Some((mut child, dir)) = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
        {
            let _ = child.kill();
            let _ = child.wait();
            drop(dir);
            forget_images(&self.run);
        }
    }
}

impl DockerLab {
    /// What the image of this run's holders is called.
    pub fn holder_image(&self) -> String {
        format!("{HOLDER}:{}", self.run)
    }

    pub fn docker(&self, args: &[&str]) -> String {
        sh("docker", args)
    }
}

impl Lab for DockerLab {
    type Engine = Limited<Docker, Nothing>;

    async fn open() -> Self {
        let engine = Limited::new(prepare(), 4, (|_, _, _| {}) as Nothing);
        let run = format!("run-{}-{}", std::process::id(), next());
        Self {
            engine,
            run,
            held: Mutex::default(),
            registry: Mutex::default(),
        }
    }

    fn engine(&self) -> &Self::Engine {
        &self.engine
    }

    fn run(&self) -> &str {
        &self.run
    }

    async fn crash(&self, id: &ContainerId) {
        self.has_spoken(id).await;
        sh("docker", &["kill", "--signal", "USR1", id.as_str()]);
    }

    async fn kill(&self, id: &ContainerId) {
        sh("docker", &["kill", id.as_str()]);
    }

    async fn pause(&self, id: &ContainerId) {
        self.has_spoken(id).await;
        sh("docker", &["pause", id.as_str()]);
    }

    async fn set_restart_policy(&self, id: &ContainerId, policy: &str) {
        sh("docker", &["update", "--restart", policy, id.as_str()]);
    }

    async fn is_stubborn(&self, _: &ContainerId) {}

    async fn has_spoken(&self, id: &ContainerId) {
        // The traps are set before the lines are written.
        for _ in 0..200 {
            let state = self.view(id).await;
            let output = Command::new("docker")
                .args(["logs", id.as_str()])
                .output()
                .unwrap();
            if state.state == RunState::Running && !output.stderr.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} wrote nothing within 10 s");
    }

    async fn has_heard_hup(&self, id: &ContainerId) {
        for _ in 0..200 {
            if self.docker(&["logs", id.as_str()]).ends_with("hup") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} heard nothing within 10 s");
    }

    async fn link(&self, id: &ContainerId, path: &str, target: &str) {
        self.docker(&["exec", id.as_str(), "ln", "-s", target, path]);
    }

    async fn fill(&self, holder: &ContainerId, target: &str) {
        let place =
            "mkdir ..g.1 && echo x > ..g.1/password && ln -s ..g.1 ..data && ln -s ..data/password password";
        let script = format!("cd {target} && {place} && ln -s g ..told");
        self.docker(&["exec", holder.as_str(), "sh", "-c", &script]);
    }

    async fn shape(&self, id: &ContainerId, target: &str) -> String {
        let run = |args: &[&str]| self.docker(&[&["exec", id.as_str(), "stat"], args, &[target]].concat());
        let kind = if run(&["-f", "-c", "%t"]) == "1021994" {
            "tmpfs"
        } else {
            "disk"
        };
        format!("{kind} {}", run(&["-c", "%u:%g %a"]))
    }

    async fn foreign(&self, name: &str) -> ContainerId {
        // Labelled as of this run, under a key of its own, so that it is removed and yet not ours.
        let name = self.name(name);
        let label = format!("{RUN}.foreign={}", self.run);
        let image = "supercargo-test/busybox:1";
        let id = sh(
            "docker",
            &[
                "run", "--detach", "--rm", "--label", &label, "--name", &name, image, "sleep", "60",
            ],
        );
        ContainerId::new(id)
    }

    async fn env(&self, id: &ContainerId) -> BTreeMap<String, String> {
        let output = Command::new("docker")
            .args(["exec", id.as_str(), "cat", "/proc/1/environ"])
            .output()
            .unwrap();
        let variables = output
            .stdout
            .split(|byte| *byte == 0)
            .filter(|variable| !variable.is_empty());
        let parts = variables.map(|variable| {
            let at = variable.iter().position(|byte| *byte == b'=').unwrap();
            (
                String::from_utf8(variable[..at].to_vec()).unwrap(),
                Fake::digest(&variable[at + 1..]),
            )
        });
        parts.collect()
    }

    async fn free_port(&self) -> u16 {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    }

    async fn occupy(&self, port: u16, held: bool) {
        let mut ports = self.held.lock().unwrap();
        if held {
            ports.insert(port, TcpListener::bind(("127.0.0.1", port)).unwrap());
        } else {
            ports.remove(&port);
        }
    }

    async fn lose_command(&self, _: &str) {}

    async fn lose_path(&self, path: &str) {
        assert!(!Path::new(path).exists());
    }

    async fn registry(&self) -> Registry {
        script("registry", &[]);
        let port = self.free_port().await;
        let dir = tempfile::tempdir().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/registry");
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(path)
            .args([&port.to_string(), &dir.path().to_string_lossy().into_owned()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let host = format!("127.0.0.1:{port}");
        for _ in 0..200 {
            if std::net::TcpStream::connect(&host).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let registry = Registry {
            image: format!("{host}/{}/denied:1", self.run),
            host,
            username: "supercargo",
            password: "correct horse",
        };
        let config = dir.path().join("client");
        let config = config.to_string_lossy();
        let mut login = Command::new("docker")
            .args([
                "--config",
                &config,
                "login",
                "--username",
                registry.username,
                "--password-stdin",
                &registry.host,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut login.stdin.take().unwrap(), registry.password.as_bytes()).unwrap();
        assert!(
            login.wait().unwrap().success(),
            "no login at the registry of the test: see {}",
            dir.path().display()
        );
        sh("docker", &["tag", "supercargo-test/busybox:1", &registry.image]);
        sh(
            "docker",
            &["--config", &config, "push", "--quiet", &registry.image],
        );
        sh("docker", &["rmi", &registry.image]);
        *self.registry.lock().unwrap() = Some((child, dir));
        registry
    }

    async fn stop_registry(&self, _: &Registry) {
        let mut registry = self.registry.lock().unwrap();
        let (child, _) = registry.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// What the fake has no model of.
mod alone {
    use futures::StreamExt;
    use supercargo::{
        engine::{Commands, Containers, Daemon, LogChunk, Volumes},
        state::container::{ContainerSpec, Mount, MountSource},
    };
    use tokio::io::AsyncWriteExt;

    use super::{super::delivery, *};

    #[tokio::test]
    async fn anonymous_volumes_go_with_the_container() {
        let lab = DockerLab::open().await;
        let mut spec = lab.spec("c");
        spec.mounts = vec![Mount {
            target: "/scratch".into(),
            read_only: false,
            source: MountSource::Anonymous,
        }];
        let id = lab.running(&spec).await;
        let volume = lab.docker(&[
            "inspect",
            "--format",
            "{{range .Mounts}}{{.Name}}{{end}}",
            id.as_str(),
        ]);
        lab.docker(&["volume", "inspect", &volume]);
        lab.engine().remove_container(&id, true).await.unwrap();
        let left = lab.docker(&["volume", "ls", "--quiet", "--filter", &format!("name={volume}")]);
        assert_eq!(left, "");
    }

    #[tokio::test]
    async fn a_volume_in_memory_is_bounded_read_only_for_who_reads_and_copies_nothing_of_the_image() {
        let lab = DockerLab::open().await;
        let mut volume = delivery::volume(&lab);
        volume.memory.as_mut().unwrap().mode = 0o700;
        lab.engine().create_volume(&volume).await.unwrap();
        let at = |mut spec: ContainerSpec| {
            // The image has files there.
            spec.mounts[0].target = "/home".into();
            spec
        };
        let holder = lab.running(&at(delivery::holder(&lab, "holder", &volume))).await;
        let consumer = lab
            .running(&at(delivery::consumer(&lab, "consumer", &volume)))
            .await;
        let run = |id: &ContainerId, script: &str| lab.docker(&["exec", id.as_str(), "sh", "-c", script]);
        assert_eq!(run(&holder, "ls -A /home"), "");
        let write = |path: &str| format!("(echo x > {path}) 2>&1; true");
        assert!(run(&consumer, &write("/home/x")).contains("Read-only file system"));
        assert!(run(&holder, &write("/x")).contains("Read-only file system"));
        let fill = "dd if=/dev/zero of=/home/large bs=64k count=17 2>&1; true";
        assert!(run(&holder, fill).contains("No space left on device"));
        let many = "i=0; while [ $i -lt 300 ] && touch /home/f$i 2>/dev/null; do i=$((i+1)); done; echo $i";
        let made: u32 = run(&holder, many).parse().unwrap();
        assert!((200..256).contains(&made), "{made} files");
    }

    #[tokio::test]
    async fn an_option_that_the_kernel_does_not_know_fails_the_first_start() {
        let lab = DockerLab::open().await;
        let volume = delivery::volume(&lab);
        let label = format!("{RUN}={}", lab.run);
        lab.docker(&[
            "volume",
            "create",
            "--label",
            &label,
            "--opt",
            "type=tmpfs",
            "--opt",
            "device=tmpfs",
            "--opt",
            "o=size=1m,nosuchoption",
            &volume.name,
        ]);
        let id = lab
            .create(&delivery::holder(&lab, "holder", &volume))
            .await
            .unwrap();
        let error = lab.engine().start_container(&id).await.unwrap_err();
        assert_eq!(error.kind, Kind::MountRefused, "{error}");
        assert!(error.message.contains("nosuchoption"), "{error}");
    }

    #[tokio::test]
    async fn noswap_is_refused_as_a_mount_or_is_in_force() {
        let lab = DockerLab::open().await;
        let mut volume = delivery::volume(&lab);
        volume.memory.as_mut().unwrap().noswap = true;
        lab.engine().create_volume(&volume).await.unwrap();
        let id = lab
            .create(&delivery::holder(&lab, "holder", &volume))
            .await
            .unwrap();
        let kernel = lab.engine().info().await.unwrap().kernel;
        let mut numbers = kernel.split('.').map(|n| n.parse::<u32>().unwrap_or_default());
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        match lab.engine().start_container(&id).await {
            Ok(()) => {
                let mounts = lab.docker(&["exec", id.as_str(), "grep", delivery::TARGET, "/proc/mounts"]);
                for option in [
                    "noswap",
                    "nosuid",
                    "nodev",
                    "noexec",
                    "size=1024k",
                    "nr_inodes=256",
                ] {
                    assert!(mounts.contains(option), "{option}: {mounts}");
                }
            }
            Err(error) => {
                assert_eq!(error.kind, Kind::MountRefused, "{error}");
                assert!(version < (6, 4), "{kernel}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn a_container_has_no_more_processes_than_it_may() {
        let lab = DockerLab::open().await;
        let mut spec = lab.spec("c");
        spec.pids = Some(16);
        let id = lab.running(&spec).await;
        let script =
            "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 3 & done 2>&1; true";
        let output = std::process::Command::new("docker")
            .args(["exec", id.as_str(), "sh", "-c", script])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("can't fork"), "{said}");
    }

    #[tokio::test]
    async fn a_command_reads_to_the_end_of_an_input_that_is_shut_and_then_answers() {
        let lab = DockerLab::open().await;
        let id = lab.running(&lab.spec("c")).await;
        let command = ["sh", "-c", "wc -c; echo done >&2"].map(str::to_owned);
        let mut session = lab.engine().attach(&id, &command).await.unwrap();
        session.input.write_all(&vec![7; 3 << 20]).await.unwrap();
        session.input.shutdown().await.unwrap();
        let chunks = async {
            let chunks: Vec<_> = session.output.map(|chunk| chunk.unwrap()).collect().await;
            chunks
        };
        let mut chunks = tokio::time::timeout(Duration::from_secs(20), chunks)
            .await
            .expect("the command ends");
        chunks.sort_by_key(|chunk| matches!(chunk, LogChunk::Stderr(_)));
        assert_eq!(
            chunks,
            [
                LogChunk::Stdout("3145728\n".into()),
                LogChunk::Stderr("done\n".into())
            ]
        );
    }

    #[tokio::test]
    async fn a_spec_reaches_the_program_in_full() {
        let lab = DockerLab::open().await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "from the host").unwrap();
        let mount = |target: &str, read_only, source| Mount {
            target: target.into(),
            read_only,
            source,
        };
        let mut spec = lab.spec("c");
        spec.entrypoint = Some(vec!["sh".into(), "-c".into()]);
        spec.cmd = Some(vec!["sleep 60".into()]);
        spec.working_dir = Some("/home/app".into());
        spec.hostname = Some("host-name".into());
        spec.user = Some("1000:1000".into());
        spec.read_only_rootfs = true;
        spec.no_new_privileges = true;
        spec.cap_drop = vec!["ALL".into()];
        spec.cap_add = vec!["NET_BIND_SERVICE".into()];
        spec.mounts = vec![
            mount(
                "/host",
                true,
                MountSource::HostPath(dir.path().to_string_lossy().into_owned()),
            ),
            mount("/mem", false, MountSource::Tmpfs(Some(1 << 20))),
        ];
        let id = lab.running(&spec).await;
        let run = |command: &str| lab.docker(&["exec", id.as_str(), "sh", "-c", command]);
        assert_eq!(
            run("id -u; id -g; hostname; pwd"),
            "1000\n1000\nhost-name\n/home/app"
        );
        assert_eq!(run("cat /host/f"), "from the host");
        assert_eq!(
            run("touch /x /home/app/x /host/x 2>/dev/null; ls /x /home/app/x /host/x 2>/dev/null; true"),
            ""
        );
        assert_eq!(run("df -k /mem | tail -n 1 | tr -s ' ' | cut -d' ' -f2"), "1024");
        let status = run("grep -E '^(CapBnd|NoNewPrivs):' /proc/1/status | tr -s '\\t' ' '");
        assert_eq!(status, "CapBnd: 0000000000000400\nNoNewPrivs: 1");
    }
}
