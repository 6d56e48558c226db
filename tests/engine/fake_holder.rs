//! What runs in a holder of the fake engine: it takes parcels as the real program does, and breaks as a test says.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::{Command, Stdio},
};

use supercargo::{
    delivery::{
        parcel::{File, Load, Order, Parcel},
        receipt::{Receipt, Shelf, User},
    },
    engine::{
        Commands, Containers, Files, Kind, Volumes,
        fake::{Breakage, Fake},
    },
    seal::{DigestKey, Plaintext},
    state::{
        container::{ContainerId, RunState},
        files::FileUser,
    },
};
use tokio::io::AsyncWriteExt;
use zeroize::Zeroizing;

use super::{
    delivery::{TARGET, consumer, deliver, holder, volume},
    fake::FakeLab,
    lab::Lab,
};

struct Bench {
    lab: FakeLab,
    fake: Fake,
    volume: String,
    holder: ContainerId,
    consumer: ContainerId,
}

pub fn key() -> DigestKey {
    DigestKey::from_bytes(Zeroizing::new([7; 32]))
}

pub fn file(path: &str, bytes: &[u8]) -> File {
    File {
        path: path.to_owned(),
        mode: 0o440,
        bytes: Plaintext::new(bytes.to_vec()),
    }
}

pub fn parcel(orders: Vec<Order>) -> Parcel {
    let load = |order| Load {
        directory: TARGET.to_owned(),
        order,
    };
    Parcel {
        key: key(),
        loads: orders.into_iter().map(load).collect(),
    }
}

pub fn placed(generation: &str, files: Vec<File>) -> Order {
    Order::Place {
        generation: generation.to_owned(),
        files,
    }
}

impl Bench {
    async fn open() -> Self {
        let lab = FakeLab::open().await;
        let volume = volume(&lab);
        lab.engine().create_volume(&volume).await.unwrap();
        let mut spec = holder(&lab, "holder", &volume);
        spec.restarts = true;
        let holder = lab.running(&spec).await;
        let consumer = lab.running(&consumer(&lab, "consumer", &volume)).await;
        Self {
            fake: lab.fake(),
            lab,
            volume: volume.name,
            holder,
            consumer,
        }
    }

    async fn deliver(&self, orders: Vec<Order>) -> (Option<Receipt>, String) {
        deliver(self.lab.engine(), &self.holder, &parcel(orders))
            .await
            .unwrap()
    }

    async fn shelf(&self, order: Order) -> Shelf {
        let (receipt, said) = self.deliver(vec![order]).await;
        assert_eq!(said, "");
        receipt.unwrap().shelves.remove(0)
    }

    async fn data(&self, id: &ContainerId) -> Option<String> {
        let path = format!("{TARGET}/..data");
        self.lab.engine().read_link(id, &path).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_parcel_is_answered_with_what_is_there_now() {
    let bench = Bench::open().await;
    let empty = bench.shelf(Order::Look).await;
    assert_eq!((empty.generation, empty.told, empty.files), (None, None, vec![]));
    let shelf = bench
        .shelf(placed("a", vec![file("tls/key", b"one"), file("b", b"two")]))
        .await;
    assert_eq!(
        (shelf.directory.as_str(), shelf.tmpfs, shelf.mode),
        (TARGET, true, 0o710)
    );
    assert_eq!(shelf.user, User { uid: 1234, gid: 2345 });
    assert_eq!(shelf.generation.as_deref(), Some("a"));
    let paths: Vec<_> = shelf.files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["b", "tls/key"]);
    let seen = &shelf.files[1];
    assert_eq!((seen.mode, seen.uid, seen.gid, seen.size), (0o440, 1234, 2345, 3));
    assert_eq!(seen.digest, key().digest("tls/key", b"one"));
    assert_eq!(bench.data(&bench.consumer).await.as_deref(), Some("..a.1"));
    // The same one again is another directory, and another one follows it.
    bench.shelf(placed("a", vec![file("b", b"two")])).await;
    assert_eq!(bench.data(&bench.consumer).await.as_deref(), Some("..a.2"));
    let told = Order::Told {
        generation: "a".to_owned(),
    };
    let shelf = bench.shelf(told).await;
    assert_eq!(shelf.told.as_deref(), Some("a"));
    let again = bench.shelf(Order::Look).await;
    assert_eq!(again, shelf);
}

#[tokio::test(start_paused = true)]
async fn nothing_shows_the_bytes_that_were_delivered() {
    let bench = Bench::open().await;
    bench.shelf(placed("a", vec![file("f", b"hunter2")])).await;
    let delivered = bench.fake.delivered(&bench.volume).unwrap();
    assert_eq!(delivered.generation.as_deref(), Some("a"));
    assert_eq!(delivered.files["f"], (0o440, Fake::digest(b"hunter2")));
    let world = bench.fake.world();
    assert_eq!(world.delivered[&bench.volume], delivered);
    assert!(!format!("{world:?}").contains("hunter2"));
    let read = bench
        .lab
        .engine()
        .read_file(&bench.consumer, &format!("{TARGET}/f"), 100)
        .await;
    assert_eq!(read.unwrap_err().kind, Kind::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_breaks_as_it_is_told_to() {
    let bench = Bench::open().await;
    bench.shelf(placed("a", vec![file("f", b"one")])).await;
    let files = || vec![file("f", b"two")];
    let generation = || bench.fake.delivered(&bench.volume).unwrap().generation.unwrap();
    for (breakage, says) in [
        (Breakage::CutOff, ""),
        (Breakage::Fails, "error: Input/output error (os error 5)\n"),
    ] {
        bench.fake.break_delivery(Some(breakage));
        let (receipt, said) = bench.deliver(vec![placed("b", files())]).await;
        assert_eq!((receipt, said.as_str()), (None, says), "{breakage:?}");
        assert_eq!(generation(), "a", "nothing has changed");
    }
    bench.fake.break_delivery(Some(Breakage::Lost));
    let (receipt, _) = bench.deliver(vec![placed("b", files())]).await;
    assert_eq!((receipt, generation().as_str()), (None, "b"));
    bench.fake.break_delivery(None);
    let right = bench.shelf(placed("c", files())).await;
    let broken = async |breakage| {
        bench.fake.break_delivery(Some(breakage));
        bench.shelf(placed("c", files())).await
    };
    let shelf = broken(Breakage::WrongDigest).await;
    assert!(shelf.files[0].digest != right.files[0].digest);
    let shelf = broken(Breakage::WrongOwner).await;
    assert_ne!(shelf.files[0].uid, right.files[0].uid);
    bench.fake.break_delivery(Some(Breakage::NotMemory));
    let shelf = bench.shelf(placed("d", files())).await;
    assert!(right.tmpfs && !shelf.tmpfs);
    assert_eq!(generation(), "c", "nothing is put on a disk");
    let shelf = broken(Breakage::Astray).await;
    assert_eq!(shelf, right, "the holder sees nothing of it");
    assert!(bench.data(&bench.holder).await.is_some());
    assert_eq!(bench.data(&bench.consumer).await, None);
    bench.fake.break_delivery(None);
    bench.shelf(placed("d", files())).await;
    assert!(bench.data(&bench.consumer).await.is_some());
}

/// What the program of this build answers, run on this machine.
fn really(parcel: &Parcel) -> Option<Receipt> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_supercargo"))
        .arg("deliver")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&parcel.to_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.success(), !output.stdout.is_empty());
    output
        .status
        .success()
        .then(|| serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_fake_answers_each_parcel_as_the_real_program_does() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("/dev/shm is a tmpfs on every Linux");
    let at = directory.path();
    fs::set_permissions(at, fs::Permissions::from_mode(0o710)).unwrap();
    let of = fs::metadata(at).unwrap();
    let lab = FakeLab::open().await;
    let mut volume = volume(&lab);
    volume.memory.as_mut().unwrap().user = FileUser {
        uid: of.uid(),
        gid: of.gid(),
    };
    lab.engine().create_volume(&volume).await.unwrap();
    let mut spec = holder(&lab, "holder", &volume);
    spec.user = Some(format!("{}:{}", of.uid(), of.gid()));
    spec.mounts[0].target = at.to_str().unwrap().to_owned();
    let id = lab.running(&spec).await;
    let told = |generation: &str| Order::Told {
        generation: generation.to_owned(),
    };
    let steps = [
        vec![Order::Look],
        vec![told("early")],
        vec![placed("a", vec![file("tls/key", b"one"), file("b", b"two")])],
        vec![Order::Look, told("a")],
        vec![placed("a", vec![file("tls/key", b"one"), file("b", b"two")])],
        vec![placed("b", vec![]), Order::Look],
        vec![placed("c", vec![file("..x", b"one")])],
        vec![placed("d", vec![file("x/y/z", b""), file("x/y.z", b"three")])],
        vec![placed("e", vec![file("x", b"no directory any more")]), told("e")],
    ];
    for (number, orders) in steps.into_iter().enumerate() {
        let mut parcel = parcel(orders);
        for load in &mut parcel.loads {
            at.to_str().unwrap().clone_into(&mut load.directory);
        }
        let (answer, said) = deliver(lab.engine(), &id, &parcel).await.unwrap();
        assert_eq!(answer, really(&parcel), "step {number}: {said}");
        for name in ["..data", "..told", "tls", "b", "x", "nothing"] {
            let path = at.join(name);
            let shown = lab.engine().read_link(&id, path.to_str().unwrap()).await.unwrap();
            // As the engine tells it: to the end, and a neighbour by its name alone.
            let real = fs::read_link(&path)
                .ok()
                .map(|text| match fs::read_link(at.join("..data")) {
                    Ok(data) if text.starts_with("..data") => at.join(data).join(name),
                    _ => text,
                });
            assert_eq!(
                shown,
                real.map(|path| path.to_str().unwrap().to_owned()),
                "{name} after step {number}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_takes_room_until_somebody_looks_a_minute_later() {
    let (lab, clock) = FakeLab::with_clock();
    let volume = volume(&lab);
    lab.engine().create_volume(&volume).await.unwrap();
    let id = lab.running(&holder(&lab, "holder", &volume)).await;
    let large = || placed("a", vec![file("f", &[1; 300 << 10])]);
    let fits = async |order| {
        let (receipt, said) = deliver(lab.engine(), &id, &parcel(vec![order])).await.unwrap();
        assert!(receipt.is_some() || said.contains("No space left"), "{said}");
        receipt.is_some()
    };
    for _ in 0..3 {
        assert!(fits(large()).await);
    }
    assert!(fits(Order::Look).await && !fits(large()).await, "too early");
    clock.advance(jiff::SignedDuration::from_secs(60));
    assert!(!fits(large()).await, "nobody has looked");
    assert!(fits(Order::Look).await && fits(large()).await);
}

#[tokio::test(start_paused = true)]
async fn a_parcel_that_is_cut_or_foreign_changes_nothing() {
    let bench = Bench::open().await;
    let whole = parcel(vec![placed("a", vec![file("f", b"one")])]).to_bytes();
    for bytes in [
        &whole[..0],
        &whole[..20],
        &whole[..whole.len() - 1],
        b"hello, holder",
    ] {
        let command = ["/supercargo".to_owned(), "deliver".to_owned()];
        let mut session = bench.fake.attach(&bench.holder, &command).await.unwrap();
        session.input.write_all(bytes).await.unwrap();
        session.input.shutdown().await.unwrap();
        let said: Vec<_> = futures::StreamExt::collect(session.output).await;
        assert!(
            matches!(&said[..], [Ok(supercargo::engine::LogChunk::Stderr(_))]),
            "{said:?}"
        );
        assert_eq!(bench.data(&bench.holder).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_writes_and_only_as_much_as_there_is_room_for() {
    let bench = Bench::open().await;
    let large = || placed("a", vec![file("f", &[1; 300 << 10])]);
    // The volume has room for three generations of this size, and four are there while one takes another's place.
    for _ in 0..3 {
        bench.shelf(large()).await;
    }
    let (receipt, said) = bench.deliver(vec![large()]).await;
    assert!(receipt.is_none() && said.contains("No space left"), "{said}");
    assert_eq!(bench.data(&bench.consumer).await.as_deref(), Some("..a.3"));
    let small = parcel(vec![placed("b", vec![])]);
    let (receipt, said) = deliver(&bench.fake, &bench.consumer, &small).await.unwrap();
    assert!(receipt.is_none() && said.contains("Read-only"), "{said}");
    let volume = bench.fake.volume(&bench.volume).unwrap();
    let mut stranger = holder(&bench.lab, "stranger", &volume);
    stranger.user = Some("1:1".to_owned());
    let stranger = bench.lab.running(&stranger).await;
    let (receipt, said) = deliver(&bench.fake, &stranger, &small).await.unwrap();
    assert!(receipt.is_none() && said.contains("Permission denied"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_engine_empties_what_is_in_memory_and_starts_the_holder_alone() {
    let bench = Bench::open().await;
    bench.shelf(placed("a", vec![file("f", b"one")])).await;
    bench.fake.restart_engine_without_live_restore();
    assert_eq!(bench.lab.view(&bench.holder).await.state, RunState::Running);
    assert_eq!(bench.lab.view(&bench.consumer).await.state, RunState::Exited);
    assert_eq!(bench.data(&bench.holder).await, None);
    bench.shelf(placed("a", vec![file("f", b"one")])).await;
    bench.fake.empty_volume(&bench.volume);
    assert_eq!(bench.shelf(Order::Look).await.generation, None);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_does_not_know_noswap_refuses_the_mount() {
    let lab = FakeLab::open().await;
    let mut volume = volume(&lab);
    volume.memory.as_mut().unwrap().noswap = true;
    lab.engine().create_volume(&volume).await.unwrap();
    let id = lab.create(&holder(&lab, "holder", &volume)).await.unwrap();
    lab.fake().set_kernel("6.1.0-18-amd64");
    let error = lab.engine().start_container(&id).await.unwrap_err();
    assert_eq!(error.kind, Kind::MountRefused);
    lab.fake().set_kernel("6.4.0");
    lab.engine().start_container(&id).await.unwrap();
}
