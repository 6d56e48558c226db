//! Parcels read back; whatever else is read is refused, and nothing panics.

use proptest::prelude::*;

use super::*;

fn file(path: &str, mode: u32, bytes: &[u8]) -> File {
    File {
        path: path.to_owned(),
        mode,
        bytes: Plaintext::new(bytes.to_vec()),
    }
}

fn place(files: Vec<File>) -> Load {
    Load {
        directory: "/run/v".to_owned(),
        order: Order::Place {
            generation: "g-1".to_owned(),
            files,
        },
    }
}

fn parcel(loads: Vec<Load>) -> Parcel {
    Parcel {
        key: DigestKey::from_bytes(Zeroizing::new([7; 32])),
        loads,
    }
}

/// What a file with this path and mode is refused for, by the sender and by the reader of its bytes alike.
fn refused(files: Vec<File>) -> Option<&'static str> {
    let parcel = parcel(vec![place(files)]);
    let said = parcel.check();
    let read = Parcel::read(&parcel.to_bytes()).map(drop);
    assert_eq!(said, read);
    match said.err()? {
        Malformed::Load { load: 0, what } | Malformed::File { load: 0, what, .. } => Some(what),
        other => panic!("{other}"),
    }
}

prop_compose! {
    fn names()(name in "[a-zA-Z0-9_äß-][a-zA-Z0-9._ äß-]{0,20}") -> String { name }
}

prop_compose! {
    /// Files in directories `d0`.., and files beside these: no path is below another file.
    fn any_files()(
        seen in prop::collection::btree_map(
            (names(), prop::option::of(0..3u8)),
            (0..=0o377u32, prop::collection::vec(any::<u8>(), 0..200)),
            0..12,
        ),
    ) -> Vec<File> {
        seen.into_iter()
            .map(|((name, below), (mode, bytes))| {
                let path = below.map_or_else(|| format!("f{name}"), |d| format!("d{d}/x/{name}"));
                File { path, mode: mode | 0o400, bytes: Plaintext::new(bytes) }
            })
            .collect()
    }
}

fn any_load() -> impl Strategy<Value = Load> {
    let generation = "[a-mA-Z0-9_-]{1,40}";
    let order = prop_oneof![
        (generation, any_files()).prop_map(|(generation, files)| Order::Place { generation, files }),
        Just(()).prop_map(|()| Order::Look),
        generation.prop_map(|generation| Order::Told { generation }),
    ];
    ("(/[a-z]{1,9}){1,4}", order).prop_map(|(directory, order)| Load { directory, order })
}

prop_compose! {
    fn any_parcel()(
        key in any::<[u8; 32]>(),
        loads in prop::collection::vec(any_load(), 0..5),
    ) -> Parcel {
        Parcel { key: DigestKey::from_bytes(Zeroizing::new(key)), loads }
    }
}

proptest! {
    #[test]
    fn a_parcel_reads_back(parcel in any_parcel()) {
        let bytes = parcel.to_bytes();
        prop_assert_eq!(bytes.len(), parcel.length());
        prop_assert_eq!(bytes.len(), bytes.capacity(), "it grew, and left a copy behind");
        let header = bytes.first_chunk().unwrap();
        prop_assert_eq!(Parcel::announced(header), Ok(bytes.len()));
        prop_assert_eq!(Parcel::read(&bytes), Ok(parcel));
    }

    #[test]
    fn a_parcel_that_is_cut_or_goes_on_is_none(parcel in any_parcel(), at in any::<prop::sample::Index>(), more in 1..9usize) {
        let mut bytes = parcel.to_bytes();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Parcel::read(cut), Err(Malformed::Cut));
        let longer = bytes.len() + more;
        bytes.resize(longer, 0);
        prop_assert_eq!(Parcel::read(&bytes), Err(Malformed::Length));
    }

    #[test]
    fn bytes_that_are_no_parcel_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Parcel::read(&bytes).is_err());
    }

    #[test]
    fn a_parcel_with_bytes_changed_is_refused_or_within_its_bounds(
        parcel in any_parcel(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = parcel.to_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = Parcel::read(&bytes) {
            prop_assert_eq!(read.check(), Ok(()));
            prop_assert_eq!(&*read.to_bytes(), &*bytes, "there is one way to write a parcel");
        }
    }
}

#[test]
fn a_path_that_could_leave_its_directory_or_meet_our_names_is_refused() {
    for path in [
        "", ".", "..", "/a", "a/", "a//b", "a/./b", "a/../b", "../a", "..data", "..data/a", "a/..b", "..a",
        "a\0b",
    ] {
        assert!(refused(vec![file(path, 0o400, b"")]).is_some(), "{path:?}");
    }
    for path in ["a", ".a", "a..", "a/b/.c", "a.b/c..d", "ä ö", &"x".repeat(255)] {
        assert_eq!(refused(vec![file(path, 0o400, b"")]), None, "{path:?}");
    }
    assert!(refused(vec![file(&"x".repeat(256), 0o400, b"")]).is_some());
    assert!(refused(vec![file(&["x"; 33].join("/"), 0o400, b"")]).is_some());
    assert_eq!(refused(vec![file(&["x"; 32].join("/"), 0o400, b"")]), None);
}

#[test]
fn two_files_in_one_place_and_a_file_below_another_are_refused() {
    let two = |one, other| refused(vec![file(one, 0o400, b"1"), file(other, 0o400, b"2")]);
    assert_eq!(two("a/b", "a/b"), Some("another file has the same path"));
    assert_eq!(two("a", "a/b"), Some("it is below another file"));
    assert_eq!(two("a/b/c/d", "a/b"), Some("it is below another file"));
    assert_eq!(two("a/b", "a/c"), None);
    assert_eq!(two("a", "ab/c"), None);
}

#[test]
fn a_mode_is_of_permissions_and_lets_the_owner_read() {
    for mode in [0o400, 0o444, 0o777, 0o640] {
        assert_eq!(refused(vec![file("a", mode, b"")]), None, "{mode:o}");
    }
    for mode in [0, 0o44, 0o200, 0o1400, 0o4755, 0o100_400, u32::MAX] {
        assert!(refused(vec![file("a", mode, b"")]).is_some(), "{mode:o}");
    }
}

#[test]
fn a_load_is_as_large_as_a_secret_may_be_and_no_larger() {
    let half = vec![1; MAX_LOAD_BYTES / 2];
    let two = |more: &[u8]| {
        refused(vec![
            file("a", 0o400, &half),
            file("b", 0o400, &half),
            file("c", 0o400, more),
        ])
    };
    assert_eq!(two(b""), None);
    assert_eq!(two(b"x"), Some("its files have more than 1 MiB together"));
    let many = |count| refused((0..count).map(|i| file(&format!("f{i}"), 0o400, b"")).collect());
    assert_eq!(many(MAX_FILES), None);
    assert_eq!(many(MAX_FILES + 1), Some("it has more than 4096 files"));
    assert_eq!(many(70_000), Some("it has more than 4096 files"));
}

#[test]
fn a_parcel_that_a_holder_could_not_hold_is_refused_before_it_is_read() {
    let large = || place(vec![file("a", 0o400, &vec![1; MAX_LOAD_BYTES])]);
    let three = parcel(vec![large(), large(), large()]);
    assert_eq!(three.check(), Ok(()));
    let four = parcel(vec![large(), large(), large(), large()]);
    assert_eq!(four.check(), Err(Malformed::TooLarge));
    let header = *four.to_bytes().first_chunk().unwrap();
    assert_eq!(Parcel::announced(&header), Err(Malformed::TooLarge));
    let many = parcel((0..=MAX_LOADS).map(|_| place(vec![])).collect());
    assert_eq!(many.check(), Err(Malformed::TooLarge));
    assert_eq!(Parcel::read(&many.to_bytes()), Err(Malformed::TooLarge));
}

#[test]
fn a_directory_and_a_generation_are_names_that_cannot_surprise() {
    let load = |directory: &str, generation: &str| {
        parcel(vec![Load {
            directory: directory.to_owned(),
            order: Order::Told {
                generation: generation.to_owned(),
            },
        }])
        .check()
        .is_ok()
    };
    assert!(load("/run/secrets/db", "0123abcd-7_X"));
    for directory in [
        "",
        "/",
        "run",
        "/run/",
        "/run//x",
        "/run/../x",
        "/run/./x",
        "/a\0b",
    ] {
        assert!(!load(directory, "g"), "{directory:?}");
    }
    for generation in ["", "new", ".", "a.1", "a/b", "ä", "a b", &"x".repeat(129)] {
        assert!(!load("/run", generation), "{generation:?}");
    }
}

#[test]
fn the_wire_format_is_frozen() {
    let parcel = parcel(vec![
        place(vec![file("a/b", 0o440, b"hi")]),
        Load {
            directory: "/d".to_owned(),
            order: Order::Look,
        },
        Load {
            directory: "/d".to_owned(),
            order: Order::Told {
                generation: "g".to_owned(),
            },
        },
    ]);
    let mut wanted = b"scparcel\x01\x00\x00\x00\x59".to_vec();
    wanted.extend_from_slice(&[7; 32]);
    wanted.extend_from_slice(b"\x00\x03");
    wanted.extend_from_slice(b"\x00\x06/run/v\x01\x00\x03g-1\x00\x01\x00\x03a/b\x01\x20\x00\x00\x00\x02hi");
    wanted.extend_from_slice(b"\x00\x02/d\x02");
    wanted.extend_from_slice(b"\x00\x02/d\x03\x00\x01g");
    assert_eq!(&*parcel.to_bytes(), &wanted);
}

#[test]
fn another_version_is_named_and_nothing_of_a_refused_parcel_is_shown() {
    let mut bytes = parcel(vec![place(vec![file("hunter2", 0o400, b"hunter2")])]).to_bytes();
    bytes[8] = 2;
    assert_eq!(Parcel::read(&bytes), Err(Malformed::Version(2)));
    bytes[8] = 1;
    bytes[0] = b'S';
    assert_eq!(Parcel::read(&bytes), Err(Malformed::Foreign));
    let bad = parcel(vec![place(vec![file("..hunter2", 0o400, b"hunter2")])]);
    assert!(!format!("{}", bad.check().unwrap_err()).contains("hunter2"));
    let shown = format!("{:?}", parcel(vec![place(vec![file("a", 0o400, b"hunter2")])]));
    assert!(!shown.contains("hunter2") && !shown.contains("[7"), "{shown}");
}
