//! The verbs of a holder as an exec runs them: the real binary, a parcel on stdin, the receipt on stdout, files on a tmpfs.
//! What needs a file system of its own (full, or nowhere else to write) has a mount namespace, which goes with the process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use supercargo::{
    delivery::{
        check::{Unlike, check},
        parcel::{File, Load, Order, Parcel},
        receipt::{Receipt, Shelf},
    },
    seal::{DigestKey, Plaintext, SystemEntropy},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_supercargo");
const CANARY: &str = "hunter2-do-not-show";
const SOON: Duration = Duration::from_secs(20);

fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("/dev/shm is needed, and is a tmpfs on every Linux")
}

fn file(path: &str, mode: u32, bytes: &[u8]) -> File {
    File {
        path: path.to_owned(),
        mode,
        bytes: Plaintext::new(bytes.to_vec()),
    }
}

fn place(at: &Path, generation: &str, files: Vec<File>) -> Load {
    let generation = generation.to_owned();
    load(at, Order::Place { generation, files })
}

fn load(at: &Path, order: Order) -> Load {
    Load {
        directory: at.to_str().unwrap().to_owned(),
        order,
    }
}

fn parcel(loads: Vec<Load>) -> Parcel {
    Parcel {
        key: DigestKey::new(&mut SystemEntropy).unwrap(),
        loads,
    }
}

/// `deliver`, with nothing of this process's environment.
fn deliver() -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("deliver").env_clear();
    command
}

fn start(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Gives it `bytes` and the end of them.
fn run(command: &mut Command, bytes: &[u8]) -> Output {
    let mut child = start(command);
    // It may end before it has read them all.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains(CANARY), "{said}");
    said
}

fn receipt(output: &Output) -> Receipt {
    assert!(output.status.success(), "{}", said(output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains(CANARY), "{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    assert_eq!(output.stdout, b"", "a failure has no receipt");
    said(output)
}

/// What the operator thinks of a shelf, whose directory is its user's.
fn judge(parcel: &Parcel, number: usize, shelf: &Shelf) -> Result<(), Unlike> {
    let (uid, gid) = (shelf.user.uid, shelf.user.gid);
    check(&parcel.loads[number], &parcel.key, uid, gid, shelf)
}

/// All names below a directory; for a file what stands in it, for a link where it leads.
fn snapshot(at: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = entry.file_name().into_string().unwrap();
        if kind.is_symlink() {
            found.insert(name, fs::read_link(&path).unwrap().display().to_string());
        } else if kind.is_dir() {
            let below = snapshot(&path).into_iter();
            found.extend(below.map(|(path, text)| (format!("{name}/{path}"), text)));
        } else {
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn loads_are_carried_out_in_order_and_each_has_its_shelf() {
    let (one, other) = (memory(), memory());
    let told = Order::Told {
        generation: "g1".to_owned(),
    };
    let parcel = parcel(vec![
        place(
            one.path(),
            "g1",
            vec![file("a", 0o400, CANARY.as_bytes()), file("b/c", 0o440, b"\0\xff")],
        ),
        place(other.path(), "h1", vec![]),
        load(one.path(), told),
        load(other.path(), Order::Look),
    ]);
    let receipt = receipt(&run(&mut deliver(), &parcel.to_bytes()));
    let shelves: Vec<_> = receipt.shelves.iter().enumerate().collect();
    assert_eq!(shelves.len(), 4);
    for (number, shelf) in shelves {
        assert_eq!(judge(&parcel, number, shelf), Ok(()), "{number}");
    }
    assert_eq!(receipt.shelves[0].told, None);
    assert_eq!(receipt.shelves[2].told.as_deref(), Some("g1"));
    assert_eq!(receipt.shelves[3].generation.as_deref(), Some("h1"));
    assert_eq!(fs::read(one.path().join("a")).unwrap(), CANARY.as_bytes());
    assert_eq!(fs::read(one.path().join("b/c")).unwrap(), b"\0\xff");
}

#[test]
fn a_parcel_that_is_cut_anywhere_changes_nothing() {
    let dir = memory();
    let old = parcel(vec![place(dir.path(), "g1", vec![file("a", 0o400, b"1")])]);
    receipt(&run(&mut deliver(), &old.to_bytes()));
    let before = snapshot(dir.path());
    let new = parcel(vec![
        place(
            dir.path(),
            "g2",
            vec![file("a", 0o400, CANARY.as_bytes()), file("b", 0o400, b"2")],
        ),
        load(dir.path(), Order::Look),
    ]);
    let bytes = new.to_bytes();
    for cut in [0, 5, 13, 50, bytes.len() / 2, bytes.len() - 1] {
        let said = failed(&run(&mut deliver(), &bytes[..cut]));
        assert!(said.contains("the parcel is cut"), "{cut}: {said}");
        assert_eq!(snapshot(dir.path()), before, "{cut}");
    }
    let said = failed(&run(
        &mut deliver(),
        format!("{{\"password\":\"{CANARY}\"}}").as_bytes(),
    ));
    assert!(said.contains("not a parcel"), "{said}");
    let bad = parcel(vec![
        place(dir.path(), "g2", vec![file("a", 0o400, b"2")]),
        place(dir.path(), "g3", vec![file(&format!("../{CANARY}"), 0o400, b"3")]),
    ]);
    let said = failed(&run(&mut deliver(), &bad.to_bytes()));
    assert!(said.contains("file 0 of load 1"), "{said}");
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn the_end_of_the_stream_is_not_waited_for() {
    let dir = memory();
    let parcel = parcel(vec![place(dir.path(), "g1", vec![file("a", 0o400, b"1")])]);
    let mut child = start(&mut deliver());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&parcel.to_bytes()).unwrap();
    let mut answer = String::new();
    child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    assert!(child.wait().unwrap().success());
    // Open until here.
    drop(stdin);
    let receipt: Receipt = serde_json::from_str(&answer).unwrap();
    assert_eq!(judge(&parcel, 0, &receipt.shelves[0]), Ok(()));
}

#[test]
fn a_mode_is_what_was_asked_for_whatever_the_umask_is() {
    for umask in ["000", "077", "777"] {
        let dir = memory();
        let files = vec![
            file("a", 0o444, b"1"),
            file("b/c", 0o400, b"2"),
            file("d/e", 0o664, b"3"),
        ];
        let parcel = parcel(vec![place(dir.path(), "g1", files)]);
        let mut command = Command::new("sh");
        command.args(["-c", "umask $0 && exec \"$1\" deliver", umask, PROGRAM]);
        let receipt = receipt(&run(&mut command, &parcel.to_bytes()));
        assert_eq!(judge(&parcel, 0, &receipt.shelves[0]), Ok(()), "umask {umask}");
        let mode = |path| fs::metadata(dir.path().join(path)).unwrap().mode() & 0o7777;
        let modes = ["a", "b/", "b/c", "d/", "..data/"].map(mode);
        assert_eq!(modes, [0o444, 0o700, 0o400, 0o755, 0o755], "umask {umask}");
    }
}

#[test]
fn the_first_load_that_fails_ends_it_and_there_is_no_receipt() {
    let dir = memory();
    let parcel = parcel(vec![
        place(dir.path(), "g1", vec![file("a", 0o400, b"1")]),
        load(Path::new("/nowhere"), Order::Look),
        place(dir.path(), "g2", vec![file("a", 0o400, b"2")]),
    ]);
    let said = failed(&run(&mut deliver(), &parcel.to_bytes()));
    assert!(said.contains("/nowhere: No such file or directory"), "{said}");
    assert_eq!(
        fs::read_link(dir.path().join("..data")).unwrap(),
        Path::new("..g1.1")
    );
}

/// A shell with mounts of its own, whose first argument is `at` and whose second is the program.
fn with_mounts(at: &Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-euc", script, "sh"])
        .arg(at)
        .arg(PROGRAM);
    command
}

/// Three parcels for one small tmpfs: one that fits, one that does not, and a look. They come on one stdin, since each
/// `deliver` reads no more than its own.
fn fill(mount: &str, large: Vec<File>) {
    let dir = memory();
    let at = dir.path();
    let old = parcel(vec![place(at, "g1", vec![file("a", 0o400, CANARY.as_bytes())])]);
    let new = parcel(vec![place(at, "g2", large)]);
    let look = parcel(vec![load(at, Order::Look)]);
    let script = format!(
        "mount -t tmpfs -o {mount} tmpfs \"$1\"; \"$2\" deliver >&2; \
         if \"$2\" deliver; then exit 9; fi; ls -A \"$1\" >&2; \"$2\" deliver"
    );
    let mut bytes = old.to_bytes();
    bytes.extend_from_slice(&new.to_bytes());
    bytes.extend_from_slice(&look.to_bytes());
    let output = run(&mut with_mounts(at, &script), &bytes);
    let said = said(&output);
    assert!(said.contains("No space left on device"), "{mount}: {said}");
    let left: Vec<_> = said.lines().rev().take(3).collect();
    assert_eq!(left, ["a", "..g1.1", "..data"], "{mount}: {said}");
    let shelf = &receipt(&output).shelves[0];
    assert!(shelf.tmpfs);
    assert_eq!(
        check(&old.loads[0], &old.key, 0, 0, shelf),
        Err(Unlike::Content { path: "a".to_owned() })
    );
    let again = Parcel {
        key: look.key,
        loads: old.loads,
    };
    assert_eq!(judge(&again, 0, shelf), Ok(()), "{mount}");
}

#[test]
fn a_full_file_system_keeps_the_old_files_and_nothing_of_the_new_ones() {
    fill(
        "size=64k",
        vec![file("a", 0o400, b"2"), file("large", 0o400, &[b'x'; 100_000])],
    );
}

#[test]
fn a_file_system_without_inodes_keeps_the_old_files_too_wherever_it_ends() {
    // The old ones have 5 with the root, and had 6 for a moment. The new ones need 9 more: a directory, three files, `..data_tmp`,
    // a directory for links, and three links.
    for inodes in 6..14 {
        let names = ["b", "c", "d"].map(|name| file(name, 0o400, b"2"));
        fill(&format!("size=1m,nr_inodes={inodes}"), names.into());
    }
}

#[test]
fn any_user_without_capabilities_delivers_where_nothing_else_can_be_written() {
    let dir = memory();
    let parcel = parcel(vec![
        place(
            dir.path(),
            "g1",
            vec![file("a", 0o400, b"1"), file("b/c", 0o400, b"2")],
        ),
        place(dir.path(), "g2", vec![file("a", 0o400, b"3")]),
    ]);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = deliver();
    command.current_dir("/");
    // A test that is not root is already such a user.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        chown(dir.path(), Some(54_321), Some(54_322)).unwrap();
        command.uid(54_321).gid(54_322);
    }
    let receipt = receipt(&run(&mut command, &parcel.to_bytes()));
    for number in [0, 1] {
        assert_eq!(judge(&parcel, number, &receipt.shelves[number]), Ok(()));
    }
    assert_eq!(receipt.shelves[0].mode, 0o700);
    // As in a container with `--read-only`: nothing at all but the volume can be written.
    let script = "mount --rbind / /mnt; mount -o remount,bind,ro /mnt; mount -t tmpfs tmpfs \"/mnt$1\"; \
                  exec chroot /mnt \"$2\" deliver";
    let output = run(&mut with_mounts(dir.path(), script), &parcel.to_bytes());
    assert_eq!(self::receipt(&output).shelves.len(), 2);
}

/// Whether a delivery to `at` has come as far as `round` asks: so many of its seven directories are begun, or it is current.
fn far_enough(at: &Path, round: u64) -> bool {
    if round.is_multiple_of(8) {
        let data = fs::read_link(at.join("..data")).unwrap_or_default();
        return data.to_string_lossy().starts_with(&format!("..g{round}."));
    }
    let names = fs::read_dir(at).unwrap().map(|e| e.unwrap().path());
    let unfinished = names.filter(|path| path.to_string_lossy().contains("/..new."));
    let begun = unfinished
        .filter_map(|path| fs::read_dir(path).ok())
        .flatten()
        .count();
    u64::try_from(begun).unwrap() >= round % 8
}

#[test]
fn a_kill_at_any_moment_leaves_all_old_or_all_new_files() {
    let dir = memory();
    let at = dir.path();
    let files = |text: &str| {
        (0..700)
            .map(|n| file(&format!("d{}/f{n}", n % 7), 0o400, text.as_bytes()))
            .collect()
    };
    let (mut last, mut cut) = (0, 0);
    for round in 1..=40u64 {
        let new = parcel(vec![place(at, &format!("g{round}"), files(&round.to_string()))]);
        // Its receipt is longer than a pipe that nobody reads.
        let mut child = deliver()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&new.to_bytes()).unwrap();
        while !far_enough(at, round) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        cut += u32::from(child.wait().unwrap().signal().is_some());
        let Ok(data) = fs::read_dir(at.join("..data")) else {
            assert_eq!(last, 0, "{round}: what was current is gone");
            continue;
        };
        let texts: Vec<String> = data
            .flat_map(|below| fs::read_dir(below.unwrap().path()).unwrap())
            .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        assert_eq!(texts.len(), 700, "{round}");
        assert!(
            texts.iter().all(|text| *text == texts[0]),
            "{round}: of two generations"
        );
        let now = texts[0].parse().unwrap();
        assert!(now == last || now == round, "{round}: {now} after {last}");
        last = now;
    }
    assert!(
        cut > 5 && last > 0,
        "{cut} of 40 were killed, and {last} was the last to be current"
    );
    let end = parcel(vec![place(at, "end", files("end"))]);
    let receipt = receipt(&run(&mut deliver(), &end.to_bytes()));
    assert_eq!(judge(&end, 0, &receipt.shelves[0]), Ok(()));
    let names = fs::read_dir(at)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let ours: Vec<_> = names.filter(|name| name.starts_with("..")).collect();
    let whole = |name: &String| !name.contains("new") && !name.contains("tmp");
    assert!(ours.len() <= 4 && ours.iter().all(whole), "{ours:?}");
}

fn signal(child: &Child, name: &str) {
    let killed = Command::new("sh")
        .args(["-c", "kill -s $0 $1", name, &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
}

#[test]
fn a_holder_does_nothing_until_it_is_told_to_end_and_ends_well() {
    for name in ["TERM", "INT"] {
        let mut child = Command::new(PROGRAM)
            .arg("hold")
            .env_clear()
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // Ready when it has handlers: the mask of caught signals is no longer empty of both.
        let end = Instant::now() + SOON;
        let caught = |status: &str| {
            let mask = status
                .lines()
                .find_map(|line| line.strip_prefix("SigCgt:"))
                .unwrap()
                .trim();
            u64::from_str_radix(mask, 16).unwrap() & 0x4002 == 0x4002
        };
        let status = format!("/proc/{}/status", child.id());
        while !caught(&fs::read_to_string(&status).unwrap()) {
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < end);
            std::thread::yield_now();
        }
        let status = fs::read_to_string(&status).unwrap();
        assert!(status.contains("\nThreads:\t1\n"), "{status}");
        for line in status
            .lines()
            .filter(|line| line.starts_with("RssAnon") || line.starts_with("VmRSS"))
        {
            println!("{line}");
        }
        signal(&child, name);
        let ended = child.wait().unwrap();
        assert_eq!((ended.code(), ended.signal()), (Some(0), None), "{name}");
    }
}
