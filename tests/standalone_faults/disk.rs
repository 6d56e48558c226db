//! A full disk: a small tmpfs in a mount namespace of its own, so that nothing is left behind. Needs to be root, or a kernel
//! that gives users namespaces.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use super::{
    process::{SOON, Standalone},
    wire::{Answer, Wire},
};

const OBJECTS: &str = "/api/v1/namespaces/default/configmaps";

/// A process that holds the namespace in which the small disk is mounted.
struct SmallDisk {
    holder: Child,
    root: PathBuf,
    dir: PathBuf,
}

impl SmallDisk {
    fn mount(dir: &Path) -> Self {
        let dir = dir.join("disk");
        fs::create_dir(&dir).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=8m,mode=700 none '{0}' && touch '{0}/mounted' && exec sleep 600",
            dir.display()
        );
        let holder = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "--kill-child",
                "sh",
                "-c",
                &script,
            ])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare of util-linux is needed: apt-get install util-linux");
        let root = PathBuf::from(format!("/proc/{}/root", holder.id()));
        let mut disk = Self { holder, root, dir };
        let end = Instant::now() + SOON;
        while !disk.seen().join("mounted").exists() {
            let ended = disk.holder.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < end,
                "no mount namespace can be made: run this as root, or permit it with sysctl kernel.unprivileged_userns_clone=1 \
                 (and kernel.apparmor_restrict_unprivileged_userns=0)"
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        disk
    }

    /// The disk as this process sees it.
    fn seen(&self) -> PathBuf {
        self.root.join(self.dir.strip_prefix("/").unwrap())
    }

    fn enter(&self) -> Vec<String> {
        let id = self.holder.id().to_string();
        [
            "nsenter",
            "--preserve-credentials",
            "--user",
            "--mount",
            "--target",
            &id,
        ]
        .map(str::to_owned)
        .into()
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.seen().join("fill")).unwrap();
        while std::io::Write::write(&mut file, &[b'x'; 4096]).is_ok_and(|count| count > 0) {}
    }

    fn free(&self) {
        fs::remove_file(self.seen().join("fill")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone_is_fine = self.holder.kill();
        let _gone_is_fine = self.holder.wait();
    }
}

fn object(name: &str, size: usize) -> Value {
    json!({"metadata": {"name": name}, "data": {"v": "x".repeat(size)}})
}

async fn create(wire: &Wire, name: &str, size: usize) -> Answer {
    wire.send("POST", OBJECTS, &object(name, size)).await.unwrap()
}

async fn names(wire: &Wire) -> Vec<String> {
    let list = wire.get(OBJECTS).await.unwrap();
    assert_eq!(list.code, 200, "{}", list.body);
    let items = list.body["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .filter(|name| name != "kube-root-ca.crt")
        .collect()
}

/// Writes until one is refused; the refusal, and how many were taken.
async fn write_until_refused(wire: &Wire, round: &str) -> (Answer, usize) {
    for count in 0..400 {
        let answer = create(wire, &format!("{round}-{count:03}"), 60_000).await;
        if answer.code != 201 {
            return (answer, count);
        }
    }
    panic!("the disk is never full");
}

async fn readyz(wire: &Wire) -> String {
    let answer = wire.get("/readyz?verbose").await.unwrap();
    String::from_utf8_lossy(&answer.raw).into_owned()
}

/// Full, read, free, full, killed, started again, read, free.
pub async fn full() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(dir.path());
    let mut server = Standalone::new(&disk.dir);
    server.before = disk.enter();
    server.seen = disk.seen().join("data");
    let wire = server.start().await;
    let path = format!(
        "{OBJECTS}?watch=true&resourceVersion={}",
        wire.get(OBJECTS).await.unwrap().revision()
    );
    let mut watch = wire.line().await.unwrap().watch(&path).await.unwrap();
    assert_eq!(create(&wire, "before", 10).await.code, 201);
    let mut there = vec!["before".to_owned()];
    for round in ["first", "second"] {
        disk.fill();
        let (refused, taken) = write_until_refused(&wire, round).await;
        assert_eq!(
            (refused.code, refused.body["reason"].as_str()),
            (503, Some("ServiceUnavailable"))
        );
        assert_eq!(refused.body["kind"], "Status");
        assert!(refused.message().contains("free space"), "{}", refused.message());
        there.extend((0..taken).map(|count| format!("{round}-{count:03}")));
        there.sort();
        assert_eq!(names(&wire).await, there);
        assert!(
            readyz(&wire).await.contains("[-]store failed"),
            "{}",
            readyz(&wire).await
        );
        assert_eq!(wire.get("/livez").await.unwrap().code, 200);
        if round == "second" {
            break;
        }
        disk.free();
        assert_eq!(
            create(&wire, "between", 10).await.code,
            201,
            "no restart is needed"
        );
        there.push("between".to_owned());
        assert!(readyz(&wire).await.contains("[+]store ok"));
    }
    there.sort();
    let mut seen = Vec::new();
    while seen.len() < there.len() {
        let event = tokio::time::timeout(SOON, watch.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(event["type"], "ADDED");
        seen.push(event["object"]["metadata"]["name"].as_str().unwrap().to_owned());
    }
    seen.sort();
    assert_eq!(
        seen, there,
        "a watch shows what was acknowledged, and nothing that was refused"
    );
    server.kill();
    let wire = server.start().await;
    assert_eq!(
        names(&wire).await,
        there,
        "a start on a full disk serves what is there"
    );
    disk.free();
    assert_eq!(create(&wire, "last", 10).await.code, 201);
}
