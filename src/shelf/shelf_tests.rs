//! Directories on a real tmpfs: rotations under a reader, states that a kill leaves, repairs, and what is noticed.

use std::{
    collections::BTreeSet,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use zeroize::Zeroizing;

use super::*;
use crate::{
    clock::{Clock, System},
    delivery::{
        check::{Unlike, check},
        parcel::File as Sent,
    },
    seal::Plaintext,
};

/// What happens to a directory behind the back of deliveries.
type Change = fn(&Path);

/// A directory on a tmpfs that goes away.
fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("/dev/shm is needed, and is a tmpfs on every Linux")
}

fn key() -> DigestKey {
    DigestKey::from_bytes(Zeroizing::new([9; 32]))
}

fn sent(path: &str, mode: u32, text: &str) -> Sent {
    Sent {
        path: path.to_owned(),
        mode,
        bytes: Plaintext::new(text.as_bytes().to_vec()),
    }
}

fn load(at: &Path, order: Order) -> Load {
    Load {
        directory: at.to_str().unwrap().to_owned(),
        order,
    }
}

/// Files with mode 0400.
fn files(at: &Path, generation: &str, files: &[(&str, &str)]) -> Load {
    let files = files.iter().map(|(path, text)| sent(path, 0o400, text)).collect();
    let generation = generation.to_owned();
    load(at, Order::Place { generation, files })
}

fn run(load: &Load) -> Result<Shelf> {
    carry_out(load, &key(), System.now(), None)
}

/// What the operator thinks of the directory after `load`, as whoever runs this test.
fn judge(load: &Load, shelf: &Shelf) -> std::result::Result<(), Unlike> {
    check(load, &key(), shelf.user.uid, shelf.user.gid, shelf)
}

/// Carries it out, and it has to be like what was sent.
fn done(load: &Load) -> Shelf {
    let shelf = run(load).unwrap();
    assert_eq!(judge(load, &shelf), Ok(()));
    shelf
}

fn names(at: &Path) -> BTreeSet<String> {
    read(at).unwrap().0.into_keys().collect()
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn files_are_there_under_their_paths_with_their_modes_and_the_receipt_says_so() {
    let dir = memory();
    let at = dir.path();
    let order = Order::Place {
        generation: "g1".to_owned(),
        files: vec![
            sent("user", 0o444, "app"),
            sent("tls/private/key", 0o400, "k"),
            sent("tls/crt", 0o440, ""),
            sent(".hidden", 0o600, "h"),
        ],
    };
    let shelf = done(&load(at, order));
    assert_eq!(shelf.generation.as_deref(), Some("g1"));
    assert!(shelf.tmpfs);
    assert_eq!(shelf.told, None);
    let paths: Vec<_> = shelf
        .files
        .iter()
        .map(|f| (f.path.as_str(), f.mode, f.size))
        .collect();
    let wanted = [
        (".hidden", 0o600, 1),
        ("tls/crt", 0o440, 0),
        ("tls/private/key", 0o400, 1),
        ("user", 0o444, 3),
    ];
    assert_eq!(paths, wanted);
    assert_eq!(text(at.join("user")), "app");
    assert_eq!(text(at.join("tls/private/key")), "k");
    assert_eq!(fs::read_link(at.join("tls")).unwrap(), Path::new("..data/tls"));
    assert_eq!(fs::read_link(at.join("..data")).unwrap(), Path::new("..g1.1"));
    assert_eq!(mode(at.join("..data/")), 0o755);
    assert_eq!(mode(at.join("tls/")), 0o750);
    assert_eq!(mode(at.join("tls/private")), 0o700);
    let all = ["..data", "..g1.1", ".hidden", "tls", "user"];
    assert_eq!(names(at), all.map(str::to_owned).into());
}

#[test]
fn a_directory_that_is_on_a_disk_is_named_as_such_and_gets_no_file() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir_in(here).unwrap();
    let order = files(dir.path(), "g1", &[("a", "1")]);
    let shelf = run(&order).unwrap();
    assert!(
        !shelf.tmpfs,
        "{} is on a tmpfs: this test needs a disk",
        here.display()
    );
    assert_eq!(judge(&order, &shelf), Err(Unlike::NotTmpfs));
    assert_eq!(names(dir.path()), BTreeSet::new());
}

#[test]
fn a_change_keeps_links_that_stay_makes_new_ones_and_removes_stale_ones() {
    let dir = memory();
    let at = dir.path();
    done(&files(at, "g1", &[("a", "1"), ("b/x", "1"), ("c", "1")]));
    let inode = || fs::symlink_metadata(at.join("a")).unwrap().ino();
    let before = inode();
    done(&files(at, "g2", &[("a", "2"), ("b/y", "2"), ("d", "2")]));
    assert_eq!(inode(), before, "the link is the same one");
    assert_eq!(text(at.join("a")), "2");
    assert_eq!(text(at.join("b/y")), "2");
    assert!(!at.join("b/x").exists());
    let all = ["..data", "..g1.1", "..g2.2", "a", "b", "d"];
    assert_eq!(names(at), all.map(str::to_owned).into());
    // Nothing is a state, too.
    let shelf = done(&files(at, "g3", &[]));
    assert_eq!((shelf.generation.as_deref(), shelf.files), (Some("g3"), vec![]));
    assert_eq!(
        names(at),
        ["..data", "..g1.1", "..g2.2", "..g3.3"].map(str::to_owned).into()
    );
}

#[test]
fn the_current_generation_and_the_two_before_it_are_kept() {
    let dir = memory();
    let at = dir.path();
    for number in 1..=12 {
        done(&files(at, &format!("g{number}"), &[("a", &number.to_string())]));
    }
    let all = ["..data", "..g10.10", "..g11.11", "..g12.12", "a"];
    assert_eq!(names(at), all.map(str::to_owned).into());
    assert_eq!(text(at.join("a")), "12");
}

#[test]
fn damage_is_noticed_by_name_and_the_same_generation_again_repairs_it() {
    let dir = memory();
    let at = dir.path();
    let order = files(
        at,
        "g1",
        &[("a", "hunter2"), ("b/c", "hunter3"), ("d", "hunter4")],
    );
    let look = load(at, Order::Look);
    let path = || "b/c".to_owned();
    let damages: [(&str, Change, Unlike); 7] = [
        (
            "bytes",
            |at| write_over(&at.join("b/c"), "hunter9"),
            Unlike::Content { path: path() },
        ),
        (
            "size",
            |at| write_over(&at.join("b/c"), "hunter33"),
            Unlike::Size { path: path() },
        ),
        (
            "file",
            |at| fs::remove_file(at.join("b/c")).unwrap(),
            Unlike::Missing { path: path() },
        ),
        (
            "link",
            |at| fs::remove_file(at.join("b")).unwrap(),
            Unlike::Missing { path: path() },
        ),
        (
            "mode",
            |at| fs::set_permissions(at.join("b/c"), Permissions::from_mode(0o404)).unwrap(),
            Unlike::Mode { path: path() },
        ),
        (
            "more",
            |at| write_over(&at.join("b/more"), ""),
            Unlike::Unexpected,
        ),
        (
            "data",
            |at| fs::remove_dir_all(at.join(fs::read_link(at.join("..data")).unwrap())).unwrap(),
            Unlike::Generation,
        ),
    ];
    done(&order);
    for (number, (what, damage, said)) in damages.into_iter().enumerate() {
        damage(at);
        let shelf = run(&look).unwrap();
        assert_eq!(judge(&order, &shelf), Err(said), "{what}");
        done(&order);
        let data = fs::read_link(at.join("..data")).unwrap();
        assert_eq!(data, Path::new(&format!("..g1.{}", number + 2)), "{what}");
    }
    let shelf = run(&look).unwrap();
    let other = check(&order, &key(), shelf.user.uid + 1, shelf.user.gid, &shelf);
    assert_eq!(other, Err(Unlike::Owner { path: "a".to_owned() }));
}

/// Also where a mode forbids it, and not through a link's directory that is missing.
fn write_over(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
}

#[test]
fn whatever_a_killed_delivery_left_the_old_files_stay_and_the_next_one_heals_it() {
    // Each is a state between two calls of a delivery of `g2` after one of `g1`.
    let states: [(&str, Change); 4] = [
        ("while it wrote", |at| {
            fs::create_dir_all(at.join("..new.2/b")).unwrap();
            fs::write(at.join("..new.2/a"), "hal").unwrap();
        }),
        ("before the name", |at| {
            fs::create_dir(at.join("..new.2")).unwrap();
            symlink("..g2.2", at.join("..data_tmp")).unwrap();
            fs::create_dir(at.join("..links_tmp")).unwrap();
            symlink("..data/n", at.join("..links_tmp/n")).unwrap();
        }),
        ("between name and exchange", |at| {
            fs::create_dir(at.join("..g2.2")).unwrap();
            fs::write(at.join("..g2.2/a"), "2").unwrap();
            symlink("..g2.2", at.join("..data_tmp")).unwrap();
            fs::create_dir(at.join("..links_tmp")).unwrap();
        }),
        ("while it told", |at| {
            symlink("g1", at.join("..told_tmp")).unwrap()
        }),
    ];
    for (when, make) in states {
        let dir = memory();
        let at = dir.path();
        let old = files(at, "g1", &[("a", "1"), ("old", "1")]);
        done(&old);
        make(at);
        let shelf = run(&load(at, Order::Look)).unwrap();
        assert_eq!(judge(&old, &shelf), Ok(()), "{when}");
        make(at);
        let new = files(at, "g2", &[("a", "2"), ("n", "2")]);
        done(&new);
        let data = fs::read_link(at.join("..data"))
            .unwrap()
            .into_os_string()
            .into_string()
            .unwrap();
        assert!(data == "..g2.2" || data == "..g2.3", "{when}: {data}");
        let all = ["..data", "..g1.1", &data, "a", "n"];
        assert_eq!(names(at), all.map(str::to_owned).into(), "{when}");
    }
}

#[test]
fn a_kill_after_the_exchange_is_seen_in_the_receipt_and_healed() {
    let dir = memory();
    let at = dir.path();
    done(&files(at, "g1", &[("a", "1"), ("old", "1")]));
    // As after the exchange, before the links.
    let new = files(at, "g2", &[("a", "2"), ("n", "2")]);
    done(&new);
    fs::create_dir(at.join("..links_tmp")).unwrap();
    fs::rename(at.join("n"), at.join("..links_tmp/n")).unwrap();
    symlink("..data/old", at.join("old")).unwrap();
    let shelf = run(&load(at, Order::Look)).unwrap();
    assert_eq!(judge(&new, &shelf), Err(Unlike::Missing { path: "n".to_owned() }));
    done(&new);
    let all = ["..data", "..g1.1", "..g2.2", "..g2.3", "a", "n"];
    assert_eq!(names(at), all.map(str::to_owned).into());
}

#[test]
fn what_fails_says_where_and_leaves_the_old_files_as_they_were() {
    let dir = memory();
    let at = dir.path();
    let old = files(at, "g1", &[("a", "1")]);
    done(&old);
    let before = names(at);
    let long = "n".repeat(300);
    let said = run(&files(at, "g2", &[("a", "hunter2"), (&long, "hunter2")])).unwrap_err();
    let said = format!("{said:#}");
    assert!(
        said.contains("cannot write file nnn") && !said.contains("hunter2"),
        "{said}"
    );
    assert_eq!(names(at), before);
    assert_eq!(judge(&old, &run(&load(at, Order::Look)).unwrap()), Ok(()));
    let said = format!(
        "{:#}",
        run(&load(Path::new("/nowhere/at/all"), Order::Look)).unwrap_err()
    );
    assert!(said.contains("/nowhere/at/all: No such file"), "{said}");
}

#[test]
fn what_somebody_did_to_delivered_files_is_found_by_a_look_and_mended_by_a_delivery() {
    let cases: [(Change, Unlike); 9] = [
        (
            |at| fs::write(at.join("..data/a"), "2").unwrap(),
            Unlike::Content { path: "a".to_owned() },
        ),
        (
            |at| fs::write(at.join("..data/a"), "22").unwrap(),
            Unlike::Size { path: "a".to_owned() },
        ),
        (
            |at| fs::set_permissions(at.join("..data/a"), Permissions::from_mode(0o666)).unwrap(),
            Unlike::Mode { path: "a".to_owned() },
        ),
        (
            |at| fs::remove_file(at.join("..data")).unwrap(),
            Unlike::Generation,
        ),
        (
            |at| {
                fs::remove_file(at.join("..data")).unwrap();
                fs::create_dir(at.join("..data")).unwrap();
                fs::write(at.join("..data/a"), "evil").unwrap();
            },
            Unlike::Generation,
        ),
        (
            |at| {
                fs::remove_file(at.join("a")).unwrap();
                fs::write(at.join("a"), "1").unwrap();
            },
            Unlike::Missing { path: "a".to_owned() },
        ),
        (
            |at| {
                fs::remove_file(at.join("t")).unwrap();
                fs::create_dir(at.join("t")).unwrap();
                fs::write(at.join("t/b"), "1").unwrap();
            },
            Unlike::Missing {
                path: "t/b".to_owned(),
            },
        ),
        (|at| fs::write(at.join("more"), "").unwrap(), Unlike::Unexpected),
        (
            |at| fs::write(at.join("..data/more"), "").unwrap(),
            Unlike::Unexpected,
        ),
    ];
    for (harm, unlike) in cases {
        let dir = memory();
        let at = dir.path();
        let wanted = files(at, "g1", &[("a", "1"), ("t/b", "1")]);
        done(&wanted);
        let shelf = run(&load(at, Order::Look)).unwrap();
        assert_eq!(judge(&wanted, &shelf), Ok(()));
        harm(at);
        let shelf = run(&load(at, Order::Look)).unwrap();
        assert_eq!(judge(&wanted, &shelf), Err(unlike.clone()));
        done(&wanted);
        let shelf = run(&load(at, Order::Look)).unwrap();
        assert_eq!(judge(&wanted, &shelf), Ok(()), "after {unlike}");
        assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "1");
        assert!(!at.join("more").exists() && fs::read_link(at.join("..data")).is_ok());
    }
}

#[test]
fn a_look_removes_what_was_replaced_a_minute_ago_and_nothing_else() {
    let dir = memory();
    let at = dir.path();
    for number in 1..=3 {
        done(&files(at, &format!("g{number}"), &[("a", "x")]));
    }
    let made = |name: &str, ago: i64| {
        let when = System.now() - SignedDuration::from_secs(ago);
        File::open(at.join(name))
            .unwrap()
            .set_modified(when.into())
            .unwrap();
    };
    let look = || run(&load(at, Order::Look)).unwrap();
    look();
    assert!(names(at).contains("..g1.1"), "replaced just now");
    // g1 is old, and was replaced less than a minute ago.
    made("..g1.1", 3600);
    made("..g2.2", 50);
    look();
    assert!(names(at).contains("..g1.1"));
    made("..g2.2", 61);
    look();
    assert_eq!(
        names(at),
        ["..data", "..g2.2", "..g3.3", "a"].map(str::to_owned).into()
    );
    made("..g3.3", 3600);
    let shelf = look();
    assert_eq!(names(at), ["..data", "..g3.3", "a"].map(str::to_owned).into());
    assert_eq!(shelf.generation.as_deref(), Some("g3"));
    // What is current stays, however old it is.
    look();
    assert_eq!(text(at.join("a")), "x");
}

#[test]
fn what_was_told_is_noted_and_is_no_file() {
    let dir = memory();
    let at = dir.path();
    let tell = |generation: &str| {
        load(
            at,
            Order::Told {
                generation: generation.to_owned(),
            },
        )
    };
    done(&files(at, "g1", &[("a", "1")]));
    assert_eq!(done(&tell("g0")).told.as_deref(), Some("g0"));
    let shelf = done(&tell("g1"));
    assert_eq!((shelf.told.as_deref(), shelf.files.len()), (Some("g1"), 1));
    let shelf = done(&files(at, "g2", &[("a", "2")]));
    assert_eq!(shelf.told.as_deref(), Some("g1"), "until they are told again");
}

#[test]
fn two_deliveries_to_one_directory_take_turns_and_none_waits_for_ever() {
    let dir = memory();
    let at = dir.path();
    let held = lock(at, TURN).unwrap();
    let said = lock(at, Duration::from_millis(30)).unwrap_err();
    assert!(said.to_string().contains("try again"), "{said}");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            done(&files(at, "g1", &[("a", "1")]));
            assert!(ended.load(Ordering::SeqCst), "it did not wait");
        });
        assert_eq!(names(at), BTreeSet::new());
        ended.store(true, Ordering::SeqCst);
        drop(held);
        waiting.join().unwrap();
    });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..10 {
                    done(&files(
                        at,
                        &format!("g{thread}-{round}"),
                        &[("a", &format!("{thread}{round}"))],
                    ));
                }
            });
        }
    });
    assert_eq!(read(at).unwrap().next(), 42);
}

fn open_below(directory: &OwnedFd, name: &str) -> io::Result<String> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, rustix::fs::Mode::empty())?;
    io::read_to_string(File::from(file))
}

/// What is guaranteed: who opens `..data` once and reads below what was opened sees files of one generation, and all of them, as
/// long as fewer than three rotations pass meanwhile (and a minute, if the operator looks). Who takes the path anew for
/// each file finds each whole and none absent, and two of them perhaps of two generations. So the writer here waits
/// until the reader has begun anew after each rotation, as rotations of an operator are far apart.
#[test]
fn a_reader_sees_all_old_or_all_new_files_during_two_hundred_rotations() {
    let dir = memory();
    let at = dir.path();
    let rotate = |number: u64| {
        done(&files(
            at,
            &format!("g{number}"),
            &[("a", &number.to_string()), ("b/c", &number.to_string())],
        ))
    };
    rotate(0);
    let (reads, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::SeqCst) {
                let data: OwnedFd = File::open(at.join("..data"))
                    .expect("..data is always there")
                    .into();
                let one = open_below(&data, "a").expect("a is always there");
                let other = open_below(&data, "b/c").expect("b/c is always there");
                assert_eq!(one, other, "of two generations");
                let number: u64 = one.parse().expect("never half of a file");
                assert!(
                    seen.last().is_none_or(|last| *last <= number),
                    "back to an older one"
                );
                seen.insert(number);
                // By the paths that a program is told.
                let by_path = text(at.join("a")).parse::<u64>().unwrap();
                let later = text(at.join("b/c")).parse::<u64>().unwrap();
                assert!(number <= by_path && by_path <= later);
                reads.fetch_add(1, Ordering::SeqCst);
            }
            seen
        });
        for number in 1..=200 {
            rotate(number);
            let before = reads.load(Ordering::SeqCst);
            while reads.load(Ordering::SeqCst) == before && !reader.is_finished() {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(
        seen.len() > 50,
        "the reader saw {} of 200 generations",
        seen.len()
    );
}
