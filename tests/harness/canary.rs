//! The canary search: after each case its random values are looked for, in five encodings, wherever the program or the
//! engine could have left them. Environment variables of kind `Plain` are kept by the engine itself while the container
//! exists; those places are listed here, and any other is a failure.

use std::{path::Path, process::Command};

use base64ct::{Base64, Base64Url, Encoding};
use serde_json::Value;

use super::{case::Case, docker, run, world};

/// Where the engine keeps the environment of a container that exists (Docker 20.10 and containerd 1.6), besides
/// `docker inspect`.
const KEPT_BY_THE_ENGINE: [(&str, &str); 3] = [
    ("/containers/", "/config.v2.json"),
    ("/io.containerd.runtime.v2.task/moby/", "/config.json"),
    ("/io.containerd.metadata.v1.bolt/", "meta.db"),
];

/// What stays after the container is gone: containerd's database (bbolt) frees the pages of what it deletes without
/// wiping them, and writes over them as other containers come and go. Only root can read it.
const FREED_BY_THE_ENGINE: (&str, &str) = KEPT_BY_THE_ENGINE[2];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The containers exist.
    Running,
    /// They are gone, and so is every place that the engine kept the value in, but for freed pages.
    Removed,
}

/// Raw (which also finds it inside JSON and shell quotes), base64 at each of its three alignments, base64url, hex, and
/// URL-encoded to the last character.
pub fn encodings(core: &str) -> Vec<String> {
    let mut all = vec![core.to_owned()];
    for skip in 0..3 {
        let piece = &core.as_bytes()[skip..];
        let piece = &piece[..piece.len() / 3 * 3];
        all.extend([Base64::encode_string(piece), Base64Url::encode_string(piece)]);
    }
    let hex: String = core.bytes().map(|b| format!("{b:02x}")).collect();
    all.extend([hex.to_uppercase(), hex]);
    let percent: String = core.bytes().map(|b| format!("%{b:02X}")).collect();
    all.extend([percent.to_lowercase(), percent]);
    all.sort();
    all.dedup();
    all
}

/// Fails with every place where a value is and must not be. Shows places, never values.
pub fn search(case: &Case, values: &[String], when: When) {
    if values.is_empty() {
        return;
    }
    let patterns: Vec<String> = values.iter().flat_map(|v| encodings(v)).collect();
    let mut hits = Vec::new();
    let mut look = |place: String, text: &str| {
        if patterns.iter().any(|p| text.contains(p.as_str())) {
            hits.push(place);
        }
    };
    for kinds in [
        "dockerdeployments,dockersecrets",
        "events.events.k8s.io,events",
        "configmaps,secrets",
    ] {
        let said = case.ask(&["get", kinds, "-A", "-o", "json"], "");
        assert!(said.ok, "kubectl get {kinds}: {}", said.err);
        look(format!("kubectl get {kinds}"), &said.out);
    }
    if let Some(operator) = case.operator().as_ref() {
        for path in ["/metrics", "/healthz", "/readyz"] {
            look(path.to_owned(), &operator.get(path).unwrap());
        }
        let pid = operator.pid();
        look(
            "the operator's environment".to_owned(),
            &bytes(Path::new(&format!("/proc/{pid}/environ"))),
        );
    }
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let file = process.path().join("cmdline");
        look(file.display().to_string(), &bytes(&file));
    }
    let ids = world().ours("ps");
    if !ids.is_empty() {
        let mut args = vec!["inspect"];
        args.extend(ids.iter().map(String::as_str));
        let mut inspected: Value = serde_json::from_str(&docker(&args).out).unwrap_or_default();
        for container in inspected.as_array_mut().into_iter().flatten() {
            // What `Plain` means: here it may be read. Labels, mounts, arguments and all else may not show it.
            if when == When::Running {
                container["Config"]["Env"].take();
            }
        }
        look("docker inspect".to_owned(), &inspected.to_string());
    }
    hits.extend(search_files(case, &patterns, when));
    hits.sort();
    hits.dedup();
    assert!(
        hits.is_empty(),
        "the plaintext of a secret is in: {}",
        hits.join(", ")
    );
}

/// Fails with every file where a value is and must not be, whatever the API may show.
pub fn search_at_rest(case: &Case, values: &[String], when: When) {
    if values.is_empty() {
        return;
    }
    let patterns: Vec<String> = values.iter().flat_map(|v| encodings(v)).collect();
    let hits = search_files(case, &patterns, when);
    assert!(
        hits.is_empty(),
        "the plaintext of a secret is in: {}",
        hits.join(", ")
    );
}

fn bytes(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// That the search is not blind: it sees the value where the engine keeps it.
pub fn sees(value: &str) {
    let places = files(None, &encodings(value));
    let kept = |(inside, end): &(&str, &str)| places.iter().any(|p| p.contains(inside) && p.ends_with(end));
    assert!(
        KEPT_BY_THE_ENGINE[..2].iter().all(kept),
        "the search does not find what the engine keeps: {places:?}"
    );
}

/// Files below the run's directory (etcd or the stores of standalone, all logs, sealed manifests), Docker's root and the
/// runtime's state; all files of the case's own engine.
fn files(own: Option<std::path::PathBuf>, patterns: &[String]) -> Vec<String> {
    let roots: Vec<_> = std::iter::once(world().docker_root.clone()).chain(own).collect();
    let mut places = vec![world().dir.path().to_owned()];
    places.extend(roots.iter().cloned());
    places.extend(
        [
            "/run/docker",
            "/run/containerd",
            "/var/lib/containerd",
            "/var/log",
        ]
        .map(Into::into),
    );
    places.retain(|p| p.exists());
    let said = run(
        Command::new("grep")
            .args(["-rlaF", "-D", "skip", "-f", "-"])
            .args(&places)
            .env("LC_ALL", "C"),
        patterns.join("\n").as_bytes(),
    );
    // Delivered files, while somebody has them: in memory, as the kernel says.
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let memory: Vec<String> = mounts
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let below = |root: &std::path::PathBuf| fields[1].starts_with(root.to_str().unwrap());
            let held = roots.iter().any(below) && fields[1].ends_with("/_data");
            (held && fields[2] == "tmpfs").then(|| format!("{}/", fields[1]))
        })
        .collect();
    let in_memory = |path: &&str| memory.iter().any(|mount| path.starts_with(mount.as_str()));
    said.out
        .lines()
        .filter(|path| !in_memory(path))
        .map(str::to_owned)
        .collect()
}

/// Those that may not be there.
fn search_files(case: &Case, patterns: &[String], when: When) -> Vec<String> {
    let permitted: &[(&str, &str)] = match when {
        When::Running => &KEPT_BY_THE_ENGINE,
        When::Removed => &[FREED_BY_THE_ENGINE],
    };
    let kept = |path: &String| {
        permitted
            .iter()
            .any(|(inside, end)| path.contains(inside) && path.ends_with(end))
    };
    files(case.engine_root(), patterns)
        .into_iter()
        .filter(|path| !kept(path))
        .collect()
}
