//! `--host-tmpfs`: files in the operator's own directory of the host, on a tmpfs that each case mounts for itself. Needs root,
//! as the operator does there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::files::{PASSWORD, all_read, holders, is_planned, runs, with_volume};
use crate::harness::{
    SOON,
    case::{Case, deployment, from_secret},
    docker_ok, same, until,
};

/// A tmpfs that goes away.
struct Mounted(PathBuf);

impl Mounted {
    fn new(name: &str) -> Self {
        let at = PathBuf::from(format!("/run/supercargo-e2e-{name}-{}", std::process::id()));
        fs::create_dir(&at).expect("/run is the host's and writable: run this as root");
        let mount = [
            "-t",
            "tmpfs",
            "-o",
            "nosuid,nodev,noexec,mode=0700,size=64m",
            "tmpfs",
        ];
        let mounted = Command::new("mount").args(mount).arg(&at).status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a tmpfs cannot be mounted: run this as root"
        );
        Self(at)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }

    /// Directories with files.
    fn volumes(&self) -> Vec<PathBuf> {
        let below = |at: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.is_dir()).collect()
        };
        below(&self.0).iter().flat_map(|root| below(root)).collect()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

/// From birth to death: delivery, rotation, a killed operator, files that somebody took away, and nothing left.
pub fn story() {
    let at = Mounted::new("story");
    let case = Case::start("host-tmpfs", &["--host-tmpfs", at.path()]);
    let (first, second, third) = (case.file_value(), case.file_value(), case.file_value());
    case.secret("db", &[("password", &first)]);
    let volume = json!({"name": "db", "secret": {"secretName": "db"}});
    let manifest = with_volume("web", 2, volume);
    case.apply_json(&manifest);
    case.ready("web");
    all_read(&case, "web", 2, PASSWORD, &first);
    assert_eq!(holders(&case, "web"), Vec::<String>::new());
    let before = runs(&case, "web");
    let one = case.one_of("web");
    let seen = |line: &str| case.exec(&one, line).unwrap();
    assert_eq!(
        seen(&format!("stat -L -c '%a %u %g' {PASSWORD}")).trim(),
        "400 1000 1000"
    );
    assert!(seen("grep ' /run/secrets/db ' /proc/mounts").contains("tmpfs ro,"));
    let refused = case.docker(&["exec", "-u", "0", &one, "touch", "/run/secrets/db/mine"]);
    assert!(!refused.ok && refused.err.contains("ead-only"), "{}", refused.err);
    until("every instance to see it", SOON, || {
        same(case.condition("web", "SecretsDelivered")?.0.as_str(), "True")
    });
    case.settle();
    is_planned(&case, &manifest, &[("password", &second)]);

    case.secret("db", &[("password", &second)]);
    all_read(&case, "web", 2, PASSWORD, &second);
    case.take_operator().kill();
    case.start_operator();
    case.secret("db", &[("password", &third)]);
    all_read(&case, "web", 2, PASSWORD, &third);

    // What somebody took away comes again, when the operator looks.
    let volumes = at.volumes();
    assert_eq!(volumes.len(), 1);
    for entry in fs::read_dir(&volumes[0]).unwrap() {
        let path = entry.unwrap().path();
        let is_link = path.symlink_metadata().unwrap().is_symlink();
        if is_link {
            fs::remove_file(path)
        } else {
            fs::remove_dir_all(path)
        }
        .unwrap();
    }
    case.kubectl(&["annotate", "ddep", "web", "supercargo.dev/reconcile-at=1"]);
    all_read(&case, "web", 2, PASSWORD, &third);
    assert_eq!(runs(&case, "web"), before, "nobody was restarted");

    // As after a reboot: nothing is there, and all have ended.
    case.settle();
    case.take_operator().kill();
    let ids = case.containers("web");
    let mut args = vec!["kill"];
    args.extend(ids.iter().map(String::as_str));
    docker_ok(&args);
    for entry in fs::read_dir(&at.0).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    case.start_operator();
    all_read(&case, "web", 2, PASSWORD, &third);
    assert_eq!(
        case.containers("web"),
        ids,
        "they are the same containers, started again"
    );

    case.settle();
    let again = runs(&case, "web");
    // A directory that is gone is another one afterwards, which only a new start mounts.
    fs::remove_dir_all(&at.volumes()[0]).unwrap();
    case.kubectl(&[
        "annotate",
        "ddep",
        "web",
        "supercargo.dev/reconcile-at=2",
        "--overwrite",
    ]);
    until("both to have been started again", SOON, || {
        let now = runs(&case, "web");
        same(now.len(), 2)?;
        same(
            now.values().any(|run| again.values().any(|before| before == run)),
            false,
        )
    });
    all_read(&case, "web", 2, PASSWORD, &third);

    // Who has variables that no inspection shows has a holder all the same, and its files with it.
    let hidden = case.file_value();
    case.secret("key", &[("session", &hidden)]);
    let mut front = deployment("front", 1, json!([from_secret("SESSION", "key", "session")]));
    front["spec"]["secretEnv"] = json!("Protected");
    case.apply_json(&front);
    case.ready("front");
    let read = "/run/supercargo/bin/supercargo run -- sh -c 'printf %s \"$SESSION\"'";
    assert!(case.exec(&case.one("front"), read).unwrap() == hidden);
    assert_eq!((at.volumes().len(), holders(&case, "front").len()), (1, 1));

    case.kubectl(&["delete", "ddep", "web", "front"]);
    until("nothing to be left", SOON, || same(at.is_empty(), true));
    case.finish();
}

/// A directory on a disk is refused before anything else.
pub fn refused() {
    let case = Case::start("host-tmpfs-disk", &[]);
    let disk = case.dir.join("disk");
    fs::create_dir(&disk).unwrap();
    let said = case.supercargo(&["controller", "--host-tmpfs", disk.to_str().unwrap()], b"");
    assert!(!said.ok, "it was taken");
    assert!(
        said.err.contains("--host-tmpfs: ") && said.err.contains("is not on a tmpfs"),
        "{}",
        said.err
    );
    case.finish();
}
