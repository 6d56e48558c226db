//! The lab of the fake engine. Fails where it must: time is paused and nothing runs.

use std::{collections::BTreeMap, sync::Arc};

use supercargo::{
    clock::Fixed,
    delivery::parcel::{Load, Order, Parcel},
    engine::{Error, Kind, Limited, Op, Result, fake::Fake},
    state::container::ContainerId,
};

use super::{
    delivery::deliver,
    fake_holder::{file, parcel, placed},
    lab::{Lab, Registry, next},
};

type Nothing = fn(Op, std::result::Result<(), Kind>, std::time::Duration);

pub struct FakeLab {
    fake: Fake,
    engine: Limited<Fake, Nothing>,
    run: String,
}

impl FakeLab {
    pub fn with_clock() -> (Self, Fixed) {
        let clock = Fixed::at("2026-01-02T03:04:05Z".parse().unwrap());
        let fake = Fake::new(Arc::new(clock.clone()));
        let image = "supercargo-test/busybox:1";
        fake.add_image(image);
        fake.add_image_file(image, "/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
        let engine = Limited::new(fake.clone(), 4, (|_, _, _| {}) as Nothing);
        let run = format!("fake-{}", next());
        (Self { fake, engine, run }, clock)
    }

    pub fn fake(&self) -> Fake {
        self.fake.clone()
    }
}

impl Lab for FakeLab {
    type Engine = Limited<Fake, Nothing>;

    async fn open() -> Self {
        Self::with_clock().0
    }

    fn engine(&self) -> &Self::Engine {
        &self.engine
    }

    fn run(&self) -> &str {
        &self.run
    }

    async fn crash(&self, id: &ContainerId) {
        self.fake.crash(id, 3);
    }

    async fn kill(&self, id: &ContainerId) {
        self.fake.kill(id);
    }

    async fn pause(&self, id: &ContainerId) {
        self.fake.docker_pause(id);
    }

    async fn set_restart_policy(&self, id: &ContainerId, policy: &str) {
        self.fake.set_restart_policy_by_hand(id, policy);
    }

    async fn is_stubborn(&self, id: &ContainerId) {
        self.fake.ignore_term(id);
    }

    async fn has_spoken(&self, id: &ContainerId) {
        self.fake.print(id, "out");
        self.fake.print_error(id, "err");
    }

    async fn has_heard_hup(&self, id: &ContainerId) {
        assert_eq!(self.fake.signals(id), [1]);
    }

    async fn link(&self, id: &ContainerId, path: &str, target: &str) {
        self.fake.make_link(id, path, target);
    }

    async fn fill(&self, holder: &ContainerId, _: &str) {
        let told = Order::Told {
            generation: "g".to_owned(),
        };
        let parcel = parcel(vec![placed("g", vec![file("password", b"x")]), told]);
        let (receipt, said) = deliver(&self.engine, holder, &parcel).await.unwrap();
        assert!(receipt.is_some(), "{said}");
    }

    async fn shape(&self, id: &ContainerId, target: &str) -> String {
        let look = Parcel {
            loads: vec![Load {
                directory: target.to_owned(),
                order: Order::Look,
            }],
            ..parcel(vec![])
        };
        let (receipt, said) = deliver(&self.engine, id, &look).await.unwrap();
        let receipt = receipt.unwrap_or_else(|| panic!("{said}"));
        let shelf = &receipt.shelves[0];
        let kind = if shelf.tmpfs { "tmpfs" } else { "disk" };
        format!("{kind} {}:{} {:o}", shelf.user.uid, shelf.user.gid, shelf.mode)
    }

    async fn foreign(&self, name: &str) -> ContainerId {
        self.fake.add_foreign_container(name, BTreeMap::new()).unwrap()
    }

    async fn env(&self, id: &ContainerId) -> BTreeMap<String, String> {
        self.fake.env_of(id.as_str())
    }

    async fn free_port(&self) -> u16 {
        18080
    }

    async fn occupy(&self, port: u16, held: bool) {
        if held {
            self.fake.occupy_host_port(port)
        } else {
            self.fake.free_host_port(port)
        }
    }

    async fn lose_command(&self, command: &str) {
        self.fake.lose_command(command);
    }

    async fn lose_path(&self, path: &str) {
        self.fake.lose_host_path(path);
    }

    async fn registry(&self) -> Registry {
        let image = "127.0.0.1:5000/private/denied:1".to_owned();
        self.fake
            .add_registry_image(&image, Some(("supercargo", b"correct horse")));
        Registry {
            host: "127.0.0.1:5000".into(),
            image,
            username: "supercargo",
            password: "correct horse",
        }
    }

    async fn stop_registry(&self, registry: &Registry) {
        self.fake.set_registry_down(&registry.host, true);
    }
}

fn fake() -> Fake {
    Fake::new(Arc::new(Fixed::at("2026-01-02T03:04:05Z".parse().unwrap())))
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_ends_its_streams_and_keeps_what_it_has() {
    use futures::StreamExt;
    use supercargo::engine::{Containers, Daemon, LabelFilter};

    let fake = fake();
    let filter = LabelFilter {
        key: "k".into(),
        value: "v".into(),
    };
    let id = fake
        .add_foreign_container("a", [("k".into(), "v".into())].into())
        .unwrap();
    let mut events = fake.events(&filter).await.unwrap();
    fake.disconnect();
    assert!(events.next().await.is_none());
    let gone: Result<_> = fake.list_containers(&filter).await;
    assert!(matches!(
        gone,
        Err(Error {
            kind: Kind::Unreachable,
            ..
        })
    ));
    fake.reconnect();
    let found = fake.list_containers(&filter).await.unwrap();
    assert_eq!(found.into_iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn changing_calls_are_logged_and_all_are_counted() {
    use supercargo::engine::{Daemon, Volumes};

    let fake = fake();
    fake.ping().await.unwrap();
    fake.remove_volume("v").await.unwrap();
    assert_eq!(fake.count(Op::Ping), 1);
    let calls = fake.calls();
    assert_eq!(
        (calls.len(), calls[0].op, calls[0].subject.as_str()),
        (1, Op::RemoveVolume, "v")
    );
}

#[test]
fn two_ways_to_the_same_end_leave_the_same_world() {
    let (one, two) = (fake(), fake());
    for (fake, names) in [(&one, ["a", "b"]), (&two, ["b", "a"])] {
        for name in names {
            fake.add_foreign_container(name, BTreeMap::new()).unwrap();
        }
    }
    assert_eq!(one.world(), two.world());
    one.kill(&one.containers()[0].id);
    assert_ne!(one.world(), two.world());
}
