//! The operator's own directory on a real tmpfs and on a disk: what is refused, who owns what, and what is never touched.

use std::os::unix::fs::symlink;

use super::*;

fn memory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in("/dev/shm")
        .expect("/dev/shm is needed, and is a tmpfs on every Linux")
}

fn names(at: &str) -> Vec<String> {
    let entries = fs::read_dir(at).map(|all| {
        all.map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    });
    let mut names: Vec<String> = entries.unwrap_or_default();
    names.sort();
    names
}

fn refusal(path: &Path) -> String {
    HostDirectory(path.to_owned()).verify().unwrap_err().to_string()
}

fn record(root: &str, volumes: &[&str]) -> Record {
    let own = fs::metadata(Path::new(root).parent().unwrap()).unwrap();
    let user = User {
        uid: own.uid(),
        gid: own.gid(),
    };
    let directory = |v: &&str| Directory {
        path: format!("{root}/{v}"),
        user,
        mode: 0o750,
    };
    Record {
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        volumes: volumes
            .iter()
            .map(|v| (format!("{root}/{v}"), (*v).to_owned()))
            .collect(),
        directories: volumes.iter().map(directory).collect(),
        blind: BTreeMap::new(),
    }
}

#[test]
fn a_closed_directory_of_ours_on_a_tmpfs_is_taken_and_left_as_it_was() {
    let dir = memory();
    HostDirectory(dir.path().to_owned()).verify().unwrap();
    assert_eq!(names(dir.path().to_str().unwrap()), [""; 0]);
}

#[test]
fn whatever_else_is_refused_with_what_to_do() {
    let dir = memory();
    let at = dir.path();
    let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert!(
        refusal(disk.path()).contains("is not on a tmpfs"),
        "{}",
        refusal(disk.path())
    );
    assert!(refusal(disk.path()).contains("mount -t tmpfs -o noswap"));
    assert!(refusal(Path::new("files")).contains("is not an absolute path"));
    assert!(refusal(Path::new("/")).contains("is not an absolute path"));
    assert!(refusal(&at.join("../shm")).contains("is not an absolute path"));
    assert!(refusal(&at.join("absent")).contains("cannot be looked at; make it: mount"));
    let link = at.join("link");
    fs::create_dir(at.join("real")).unwrap();
    symlink("real", &link).unwrap();
    assert!(refusal(&link).contains(&format!("where it leads: {}", at.join("real").display())));
    fs::write(at.join("file"), "").unwrap();
    assert!(refusal(&at.join("file")).contains("is no directory"));
    fs::set_permissions(at.join("real"), Permissions::from_mode(0o755)).unwrap();
    assert!(refusal(&at.join("real")).contains("chmod 0700"));
}

#[test]
fn a_set_is_found_with_what_stands_in_it_and_goes_without_a_trace() {
    let dir = memory();
    let host = HostDirectory(dir.path().to_owned());
    let root = host.root("abc123");
    let path = format!("{root}/shop_web_files_1.volumes");
    let set = record(&root, &["one", "two"]);
    host.keep(&root, &path, &set).unwrap();
    symlink("..g.1", format!("{root}/one/..data")).unwrap();
    fs::create_dir(format!("{root}/one/..g.1")).unwrap();
    let found = host.records(&root, "shop_web_files_").unwrap();
    let [one] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((&one.path, &one.record), (&path, &set));
    let standing = [
        (format!("{root}/one"), Some("g".to_owned())),
        (format!("{root}/two"), None),
    ];
    assert_eq!(one.standing, standing.into());
    assert_eq!(
        fs::metadata(format!("{root}/one")).unwrap().mode() & 0o7777,
        0o750
    );
    assert_eq!(host.records(&root, "shop_other_files_").unwrap(), []);
    // Again, nothing is another.
    host.keep(&root, &path, &set).unwrap();
    assert_eq!(host.records(&root, "").unwrap(), found);
    fs::remove_dir(format!("{root}/two")).unwrap();
    assert_eq!(host.missing(&set.directories), [format!("{root}/two")]);
    host.remove_directories(&root, one.record.volumes.keys()).unwrap();
    assert_eq!(host.records(&root, "").unwrap().len(), 1, "it goes last");
    host.remove_record(&root, &path).unwrap();
    assert_eq!(names(dir.path().to_str().unwrap()), [""; 0]);
}

#[test]
fn what_is_not_right_below_the_root_is_neither_made_nor_removed() {
    let dir = memory();
    let host = HostDirectory(dir.path().to_owned());
    let root = host.root("abc123");
    fs::create_dir(dir.path().join("other")).unwrap();
    for bad in [
        "other",
        "abc123",
        "abc123/..",
        "abc123/../other",
        "abc123/a/b",
        "abc123/",
    ] {
        let path = format!("{}/{bad}", dir.path().display());
        let said = host.remove_directories(&root, [&path]).unwrap_err().to_string();
        assert!(said.contains("is not right below"), "{said}");
        let mut far = record(&root, &["x"]);
        far.directories[0].path = path;
        assert!(
            host.keep(&root, &format!("{root}/x.volumes"), &far).is_err(),
            "{bad}"
        );
    }
    assert!(dir.path().join("other").is_dir());
}

#[test]
fn a_file_that_is_no_record_is_nobodys_and_the_root_stays_with_it() {
    let dir = memory();
    let host = HostDirectory(dir.path().to_owned());
    let root = host.root("abc123");
    let path = format!("{root}/x.volumes");
    host.keep(&root, &path, &record(&root, &[])).unwrap();
    fs::write(format!("{root}/theirs.volumes"), "not json").unwrap();
    assert_eq!(host.records(&root, "").unwrap().len(), 1);
    host.remove_record(&root, &path).unwrap();
    assert_eq!(names(&root), ["theirs.volumes"]);
}

#[test]
fn a_sign_is_one_file_and_goes_again() {
    let dir = memory();
    let host = HostDirectory(dir.path().to_owned());
    let root = host.root("abc123");
    let at = host.leave_sign(&root, "x", b"1").unwrap();
    assert_eq!(fs::read(format!("{at}/{SIGN}")).unwrap(), b"1");
    host.remove_sign(&root, "x");
    assert_eq!(names(dir.path().to_str().unwrap()), [""; 0]);
}

#[test]
fn whether_the_directory_can_be_swapped_is_said_by_the_mount_that_it_is_on() {
    let mounts = "21 1 0:1 / / rw - ext4 /dev/a rw\n\
                  22 21 0:2 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=4k\n\
                  23 22 0:3 / /run/files rw - tmpfs tmpfs rw,noswap\n\
                  24 22 0:4 / /run/a\\040b rw - tmpfs tmpfs rw,noswap,size=4k\n\
                  25 22 0:5 / /run/twice rw - tmpfs tmpfs rw,noswap\n\
                  26 22 0:6 / /run/twice rw - tmpfs tmpfs rw\n";
    let cases = [
        ("/run/files", true),
        ("/run/files/below", true),
        ("/run/a b", true),
        ("/run", false),
        ("/run/filesystem", false),
        ("/run/twice", false),
        ("/elsewhere", false),
    ];
    for (path, expected) in cases {
        assert_eq!(has_noswap(mounts, Path::new(path)), expected, "{path}");
    }
}
