//! What a case needs besides the engine: somebody who does things by hand. Two labs implement it, `fake` and `docker`.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt};
use supercargo::{
    engine::{Containers, Engine, Error, Kind, LabelFilter, Networks, Result},
    state::{
        container::{
            ContainerId, ContainerSpec, ContainerView, EnvValue, EnvVar, Limits, PublishedPort, RunState,
        },
        network::{NetworkJoin, NetworkSpec, NetworkView},
    },
};

/// The label that everything of one run carries.
pub const RUN: &str = "supercargo-test.run";
/// Ends well on TERM, badly on USR1 (3), and writes a line to each stream before.
pub const POLITE: &str =
    "trap 'exit 0' TERM; trap 'exit 3' USR1; echo out; echo err >&2; while :; do sleep 1 & wait $!; done";

/// Ends well on TERM, and writes a line when it is sent HUP; a line to each stream before.
pub const LISTENER: &str =
    "trap 'exit 0' TERM; trap 'echo hup' HUP; echo out; echo err >&2; while :; do sleep 1 & wait $!; done";

/// A registry that asks for a login.
pub struct Registry {
    /// `host:port`.
    pub host: String,
    /// An image in it that is not in the engine.
    pub image: String,
    pub username: &'static str,
    pub password: &'static str,
}

/// A place to try an engine in. What is made in it under its label is gone when it is dropped.
pub trait Lab {
    type Engine: Engine;

    async fn open() -> Self;
    fn engine(&self) -> &Self::Engine;
    /// Unlike that of any other run; letters, digits and dashes.
    fn run(&self) -> &str;
    /// The program fails with code 3.
    async fn crash(&self, id: &ContainerId);
    async fn kill(&self, id: &ContainerId);
    async fn pause(&self, id: &ContainerId);
    /// Makes the engine restart it by itself.
    async fn set_restart_policy(&self, id: &ContainerId, policy: &str);
    /// Tells the lab that this container was made with a program that ignores TERM.
    async fn is_stubborn(&self, id: &ContainerId);
    /// Tells the lab that this container has the polite program, and waits until it has written its lines.
    async fn has_spoken(&self, id: &ContainerId);
    /// Waits until this container, made with the listener, has said that it was sent HUP.
    async fn has_heard_hup(&self, id: &ContainerId);
    /// The program makes a symbolic link.
    async fn link(&self, id: &ContainerId, path: &str, target: &str);
    /// Delivers generation `g` with the file `password` into the volume that a holder has mounted there, and tells it.
    async fn fill(&self, holder: &ContainerId, target: &str);
    /// What is mounted there: `tmpfs` or `disk`, owner and permissions.
    async fn shape(&self, id: &ContainerId, target: &str) -> String;
    /// Somebody else's container, running.
    async fn foreign(&self, name: &str) -> ContainerId;
    /// The environment as the program sees it: name and digest of the value.
    async fn env(&self, id: &ContainerId) -> BTreeMap<String, String>;
    /// A port of the host that is free.
    async fn free_port(&self) -> u16;
    /// A process of the host takes that port, or lets go of it.
    async fn occupy(&self, port: u16, held: bool);
    /// Makes sure that no image has this command.
    async fn lose_command(&self, command: &str);
    /// Makes sure that there is nothing at this path of the host.
    async fn lose_path(&self, path: &str);
    async fn registry(&self) -> Registry;
    async fn stop_registry(&self, registry: &Registry);

    fn name(&self, suffix: &str) -> String {
        format!("sc-{}-{suffix}", self.run())
    }

    fn filter(&self) -> LabelFilter {
        LabelFilter {
            key: RUN.into(),
            value: self.run().into(),
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        [(RUN.to_owned(), self.run().to_owned())].into()
    }

    /// A polite container on no network.
    fn spec(&self, suffix: &str) -> ContainerSpec {
        ContainerSpec {
            name: self.name(suffix),
            image: "supercargo-test/busybox:1".into(),
            entrypoint: None,
            cmd: Some(vec!["sh".into(), "-c".into(), POLITE.into()]),
            working_dir: None,
            env: vec![],
            labels: self.labels(),
            hostname: None,
            user: None,
            read_only_rootfs: false,
            no_new_privileges: false,
            privileged: false,
            cap_add: vec![],
            cap_drop: vec![],
            limits: Limits::default(),
            pids: None,
            ports: vec![],
            mounts: vec![],
            network: None,
            dns: vec![],
            restarts: false,
            stop_timeout: 10,
        }
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId> {
        self.engine().create_container(spec, &BTreeMap::new()).await
    }

    async fn running(&self, spec: &ContainerSpec) -> ContainerId {
        let id = self.create(spec).await.unwrap();
        self.engine().start_container(&id).await.unwrap();
        id
    }

    async fn view(&self, id: &ContainerId) -> ContainerView {
        self.engine().inspect_container(id.as_str()).await.unwrap()
    }

    /// Waits until it is in that state.
    async fn becomes(&self, id: &ContainerId, state: RunState) -> ContainerView {
        for _ in 0..200 {
            let view = self.view(id).await;
            if view.state == state {
                return view;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!(
            "{id} did not become {state:?} within 10 s: {:?}",
            self.view(id).await.state
        )
    }

    /// Makes a network on a subnet that is free, of that many bits.
    async fn network(&self, suffix: &str, bits: u32) -> NetworkView {
        let seed = std::process::id();
        for attempt in 0..200u32 {
            let place = next() ^ (seed << 3) ^ (attempt << 7);
            let subnet = format!("10.{}.{}.0/{bits}", 100 + place % 100, (place / 100) % 256);
            let spec = NetworkSpec {
                name: self.name(suffix),
                subnet: subnet.clone(),
                labels: self.labels(),
            };
            match self.engine().create_network(&spec).await {
                Ok(id) => {
                    return NetworkView {
                        id,
                        name: spec.name,
                        subnets: vec![subnet],
                        labels: spec.labels,
                    };
                }
                Err(error) if error.kind == Kind::AddressSpace => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no free subnet in 200 attempts")
    }
}

/// A number that nobody else in this process has.
pub fn next() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
}

pub fn join(network: &NetworkView, aliases: &[&str]) -> Option<NetworkJoin> {
    Some(NetworkJoin {
        name: network.name.clone(),
        aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        address: None,
    })
}

pub fn literal(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.into(),
        value: EnvValue::Literal(value.into()),
    }
}

pub fn published(port: u16) -> PublishedPort {
    PublishedPort {
        container_port: 80,
        protocol: supercargo::state::container::Protocol::Tcp,
        host_ip: "127.0.0.1".into(),
        host_port: port,
    }
}

/// The kind of failure, with the whole error where there is none.
#[track_caller]
pub fn kind_of<T: std::fmt::Debug>(result: std::result::Result<T, Error>) -> Kind {
    result.expect_err("a failure").kind
}

/// The next item of a stream that is open, within 10 s.
pub async fn next_of<T>(stream: &mut (impl Stream<Item = Result<T>> + Unpin)) -> T {
    let next = tokio::time::timeout(std::time::Duration::from_secs(10), stream.next()).await;
    next.expect("an item within 10 s")
        .expect("an open stream")
        .unwrap()
}
