//! The agent on a real Docker: its container as the operator makes it (nothing but the static binary, a read-only root, one
//! capability), sessions through the engine's exec, and other containers that find names through Docker's own resolver.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use supercargo::{
    agent::protocol::{Member, Order, Word},
    clock::{Clock, System},
    state::{
        container::ContainerId,
        probe::{Check, Health, Probe, Probes},
    },
};

/// The label that everything of these tests carries, with the process that made it.
const RUN: &str = "supercargo-test.agent";
const BUSYBOX: &str = "supercargo-test/busybox:1";
/// Whatever takes longer is broken.
const BOUND: Duration = Duration::from_secs(60);

fn run(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr) + &text(&output.stdout))
    }
}

fn docker(args: &[&str]) -> String {
    run(args).unwrap_or_else(|error| panic!("docker {args:?}: {error}"))
}

/// Removes everything with the label of a process.
fn clean(pid: &str) {
    let label = format!("label={RUN}={pid}");
    for (list, remove) in [
        (&["ps", "--all"][..], &["rm", "--force", "--volumes"][..]),
        (&["network", "ls"], &["network", "rm"]),
        (&["image", "ls", "--all"], &["rmi", "--force"]),
    ] {
        let found = run(&[list, &["--quiet", "--filter", &label]].concat()).unwrap_or_default();
        let found: BTreeSet<&str> = found.lines().collect();
        if !found.is_empty() {
            let _ = run(&[remove, &found.into_iter().collect::<Vec<_>>()].concat());
        }
    }
}

/// The archive of the agent's image, once per process: a file system with one file. What dead runs left is removed first.
fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/image");
        assert!(Command::new(script).status().unwrap().success());
        let format = format!("{{{{.Label {RUN:?}}}}}");
        let filter = format!("label={RUN}");
        let runs = docker(&["ps", "--all", "--filter", &filter, "--format", &format]);
        let dead = |run: &&str| !Path::new("/proc").join(run).exists();
        runs.lines()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(dead)
            .for_each(clean);
        let dir = tempfile::tempdir().unwrap();
        let (built, file) = (env!("CARGO_BIN_EXE_supercargo"), dir.path().join("supercargo"));
        // Without the symbols it is half as large; where there is no strip, it is not.
        let strip = Command::new("strip").arg("-o").arg(&file).arg(built).status();
        if !strip.is_ok_and(|status| status.success()) {
            fs::copy(built, &file).unwrap();
        }
        let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent.tar");
        let tar = |to: &Path| {
            Command::new("tar")
                .arg("-C")
                .arg(dir.path())
                .arg("-cf")
                .arg(to)
                .arg("supercargo")
                .status()
        };
        let unfinished = archive.with_extension(std::process::id().to_string());
        assert!(tar(&unfinished).unwrap().success());
        fs::rename(unfinished, &archive).unwrap();
        archive
    })
}

/// A network, an agent on it, and whatever else is started.
struct Lab {
    label: String,
    net: String,
    image: String,
    agent: String,
    address: String,
    started: std::cell::RefCell<Vec<String>>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        for id in self.started.borrow().iter() {
            let _ = run(&["rm", "--force", "--volumes", id]);
        }
        let _ = run(&["network", "rm", &self.net]);
        let _ = run(&["rmi", &self.image]);
    }
}

impl Lab {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let label = format!("{RUN}={}", std::process::id());
        let net = format!(
            "sc-agent-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let change = format!("LABEL {label}");
        let entrypoint = "ENTRYPOINT [\"/supercargo\"]";
        let archive = archive().to_str().unwrap();
        let mut lab = Self {
            image: docker(&["import", "--change", &change, "--change", entrypoint, archive]),
            label,
            net,
            agent: String::new(),
            address: String::new(),
            started: std::cell::RefCell::new(vec![]),
        };
        docker(&["network", "create", "--label", &lab.label, &lab.net]);
        lab.agent = lab.start(&[
            "--read-only",
            "--cap-drop=ALL",
            "--cap-add=NET_BIND_SERVICE",
            "--security-opt=no-new-privileges",
            "--memory=64m",
            "--restart=always",
            &lab.image,
            "agent",
            "--namespace=shop",
        ]);
        lab.address = lab.address_of(&lab.agent);
        lab
    }

    fn start(&self, args: &[&str]) -> String {
        let base = ["run", "--detach", "--network", &self.net, "--label", &self.label];
        let id = docker(&[&base, args].concat());
        self.started.borrow_mut().push(id.clone());
        id
    }

    fn address_of(&self, id: &str) -> String {
        let format = format!(
            "{{{{(index .NetworkSettings.Networks {:?}).IPAddress}}}}",
            self.net
        );
        docker(&["inspect", "--format", &format, id])
    }

    /// A container that finds names through Docker, which asks the agent.
    fn client(&self) -> String {
        self.start(&["--dns", &self.address, BUSYBOX, "sleep", "100000"])
    }

    /// The addresses of a name, as that container sees them.
    fn look(&self, client: &str, name: &str) -> BTreeSet<String> {
        let said = run(&["exec", client, "nslookup", name]).unwrap_or_else(|said| said);
        let mut found = said.lines().skip_while(|line| !line.starts_with("Name:"));
        let addresses = found.by_ref().filter_map(|line| line.strip_prefix("Address: "));
        addresses.map(str::to_owned).collect()
    }

    fn until(&self, client: &str, name: &str, wanted: &[&str]) {
        let wanted: BTreeSet<String> = wanted.iter().map(|address| (*address).to_owned()).collect();
        let began = Instant::now();
        loop {
            let found = self.look(client, name);
            if found == wanted {
                return;
            }
            assert!(began.elapsed() < BOUND, "{name} is {found:?}, not {wanted:?}");
        }
    }

    /// What the operator does: the engine's exec.
    fn session(&self) -> Session {
        let mut child = Command::new("docker")
            .args([
                "exec",
                "--interactive",
                &self.agent,
                "/supercargo",
                "agent",
                "session",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut session = Session {
            writer: child.stdin.take(),
            child,
            lines,
            sequence: 0,
        };
        assert!(
            matches!(session.hear(), Some(Word::Hello { .. })),
            "the agent speaks"
        );
        session
    }
}

struct Session {
    child: Child,
    writer: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    sequence: u64,
}

impl Session {
    fn hear(&mut self) -> Option<Word> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    fn say(&mut self, order: &Order) {
        let line = serde_json::to_string(order).unwrap();
        writeln!(self.writer.as_mut().unwrap(), "{line}").unwrap();
    }

    fn set(&mut self, deployment: &str, members: &[Member]) {
        self.sequence += 1;
        self.say(&Order::Set {
            deployment: deployment.to_owned(),
            sequence: self.sequence,
            members: members.to_vec(),
        });
        let number = self.sequence;
        let applied = |word| matches!(word, Word::Applied { sequence, .. } if sequence == number);
        while !applied(self.hear().expect("the session goes on")) {}
        self.say(&Order::Only {
            deployments: [deployment.to_owned()].into(),
        });
    }

    /// Ends it as the death of an operator does; its exit code.
    fn end(mut self) -> i32 {
        drop(self.writer.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

fn member(id: &str, address: &str, probes: Probes) -> Member {
    let started_at = System.now();
    Member {
        container: ContainerId::new(id),
        started_at,
        address: address.parse().unwrap(),
        serving: true,
        gate: true,
        known: Health::beginning(&probes, Some(started_at)),
        probes,
    }
}

fn readiness() -> Probes {
    Probes {
        readiness: Some(Probe {
            check: Check::Http {
                tls: false,
                port: 80,
                path: "/ready".to_owned(),
                headers: vec![],
            },
            initial_delay_seconds: 0,
            period_seconds: 1,
            timeout_seconds: 1,
            success_threshold: 1,
            failure_threshold: 1,
        }),
        ..Probes::default()
    }
}

#[test]
fn names_follow_readiness_through_dockers_resolver() {
    let lab = Lab::new();
    let client = lab.client();
    let serve = "mkdir /www/x; touch /www/ready; exec httpd -f -p 80 -h /www";
    let app = lab.start(&[BUSYBOX, "sh", "-c", serve]);
    let (at, other) = (lab.address_of(&app), "192.0.2.9");
    let mut session = lab.session();
    let members = [
        member(&app, &at, readiness()),
        member("f".repeat(64).as_str(), other, Probes::default()),
    ];
    session.set("web", &members);
    lab.until(&client, "web", &[&at, other]);
    lab.until(&client, "web.shop.svc.cluster.local", &[&at, other]);
    docker(&["exec", &app, "rm", "/www/ready"]);
    lab.until(&client, "web", &[other]);
    docker(&["exec", &app, "touch", "/www/ready"]);
    lab.until(&client, "web", &[&at, other]);
    // Nobody in between keeps an answer: right after the word, the next lookup is another.
    let mut leaving = members.clone();
    leaving[0].serving = false;
    session.set("web", &leaving);
    assert_eq!(lab.look(&client, "web"), [other.to_owned()].into());
}

#[test]
fn names_of_others_are_found_through_the_agent() {
    // Gone after the agent that is on its network, too.
    let elsewhere = Lab::new();
    let lab = Lab::new();
    let client = lab.client();
    docker(&["network", "connect", &elsewhere.net, &lab.agent]);
    let stranger = elsewhere.start(&["--network-alias", "stranger", BUSYBOX, "sleep", "100000"]);
    let mut session = lab.session();
    session.set("web", &[]);
    // Docker knows this name in the agent's networks alone, so that the way is client, Docker, agent, Docker.
    lab.until(&client, "stranger", &[&elsewhere.address_of(&stranger)]);
}

#[test]
fn a_killed_agent_comes_back_and_knows_its_names_when_it_is_told() {
    let lab = Lab::new();
    let client = lab.client();
    let mut session = lab.session();
    let members = [member("f".repeat(64).as_str(), "192.0.2.9", Probes::default())];
    session.set("web", &members);
    lab.until(&client, "web", &["192.0.2.9"]);
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &lab.agent]);
    let killed = Instant::now();
    // As the kernel does it when memory runs out; `docker kill` would keep it from being restarted.
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
    while session.hear().is_some() {}
    session.end();
    let runs = || {
        docker(&[
            "inspect",
            "--format",
            "{{.State.Running}} {{.State.Pid}}",
            &lab.agent,
        ])
    };
    while !runs().starts_with("true") || runs().ends_with(&format!(" {pid}")) {
        assert!(killed.elapsed() < BOUND, "Docker does not restart it: {}", runs());
    }
    lab.session().set("web", &members);
    println!("killed, restarted and told again after {:?}", killed.elapsed());
    lab.until(&client, "web", &["192.0.2.9"]);
    println!("looked up again after {:?}", killed.elapsed());
}

#[test]
fn an_agent_ends_at_once_when_asked_to_and_a_session_with_its_operator() {
    let lab = Lab::new();
    let mut session = lab.session();
    session.set("web", &[]);
    assert_eq!(session.end(), 0, "when the operator is gone");
    let began = Instant::now();
    docker(&["stop", "--time", "30", &lab.agent]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(
        docker(&["inspect", "--format", "{{.State.ExitCode}}", &lab.agent]),
        "0"
    );
    assert_eq!(docker(&["logs", &lab.agent]), "", "nothing to say");
}
