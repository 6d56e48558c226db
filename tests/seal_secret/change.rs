//! `secret set` and `secret edit`: only what is named changes, nothing old is shown, and what is typed into an editor is on no
//! disk and gone afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use supercargo::seal::{Envelope, Ring, WrittenBy};
use supercargo::secrets::keyring_file;

use super::{Cluster, SECRET, publish, run};

/// A cluster with a secret `db` of two keys, `password` and, for the whole namespace, `token`.
fn with_secret() -> (Cluster, Ring) {
    let cluster = Cluster::start("change");
    let ring_path = cluster.dir.path().join("ring");
    cluster.ok(&["keys", "init", "--keyring", ring_path.to_str().unwrap()], b"");
    let ring = keyring_file::read(&ring_path).unwrap();
    publish(&cluster, &ring);
    cluster.ok(&["secret", "create", "db", "--key", "password"], b"first");
    let wide = ["secret", "set", "db", "--key", "token", "--scope", "namespace"];
    assert_eq!(
        cluster.ok(&wide, b"wide"),
        "dockersecret.supercargo.dev/db configured\n"
    );
    (cluster, ring)
}

fn data(cluster: &Cluster) -> Value {
    let found = cluster.kubectl(&["-n", &cluster.namespace, "get", "dsec", "db", "-o", "json"], "");
    let object: Value = serde_json::from_str(&found).unwrap();
    object["spec"]["encryptedData"].clone()
}

/// What is sealed under a key, and in which scope.
fn opened(cluster: &Cluster, ring: &Ring, key: &str) -> (String, &'static str) {
    let envelope: Envelope = data(cluster)[key].as_str().unwrap().parse().unwrap();
    let context = envelope.context_at(&cluster.namespace, "db", key).unwrap();
    let value = ring.open(&envelope, &context, WrittenBy::User).unwrap();
    let value = String::from_utf8(value.expose().to_vec()).unwrap();
    (value, envelope.scope().kind().word())
}

fn refused(cluster: &Cluster, args: &[&str], why: &str) {
    let before = data(cluster);
    let (ok, _, err) = cluster.supercargo(args, SECRET.as_bytes());
    assert!(!ok && err.contains(why), "{args:?}: {err}");
    assert_eq!(data(cluster), before, "{args:?}");
}

#[test]
fn setting_a_value_changes_its_key_alone_and_keeps_its_scope() {
    let (cluster, ring) = with_secret();
    let before = data(&cluster);
    cluster.ok(&["secret", "set", "db", "--key", "token"], b"wider");
    assert_eq!(data(&cluster)["password"], before["password"], "byte for byte");
    assert_eq!(opened(&cluster, &ring, "token"), ("wider".into(), "namespace"));
    assert_eq!(opened(&cluster, &ring, "password"), ("first".into(), "strict"));

    std::fs::write(cluster.dir.path().join("more.env"), "A=1\nB=2\n").unwrap();
    let several = [
        "secret",
        "set",
        "db",
        "--from-env-file",
        "more.env",
        "--remove",
        "token",
    ];
    cluster.ok(&several, b"");
    let keys: Vec<String> = data(&cluster).as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["A", "B", "password"]);

    let user = json!({"apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
        "metadata": {"name": "web", "namespace": cluster.namespace},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "i", "env": [
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]}]}}}});
    cluster.kubectl(&["create", "-f", "-"], &user.to_string());
    let flux = "kustomize.toolkit.fluxcd.io/name=apps";
    let of = "kustomize.toolkit.fluxcd.io/namespace=flux";
    cluster.kubectl(&["-n", &cluster.namespace, "label", "dsec", "db", flux, of], "");
    let (ok, _, err) = cluster.supercargo(&["secret", "set", "db", "--key", "password"], b"second");
    assert!(ok && err.contains("used by DockerDeployment"), "{err}");
    assert!(err.contains("managed by Flux (Kustomization flux/apps)"), "{err}");
    assert_eq!(opened(&cluster, &ring, "password").0, "second");

    refused(&cluster, &["secret", "set", "db"], "nothing to set");
    refused(
        &cluster,
        &["secret", "set", "db", "--remove", "C"],
        "it has A, B, password",
    );
    refused(
        &cluster,
        &["secret", "set", "db", "--key", "A", "--remove", "A"],
        "set and removed",
    );
    refused(
        &cluster,
        &["secret", "set", "nobody", "--key", "A"],
        "secret create",
    );
    refused(
        &cluster,
        &["secret", "set", "db", "--key", "a b"],
        "a key has 1 to 253",
    );
    cluster.kubectl(
        &[
            "-n",
            &cluster.namespace,
            "patch",
            "dsec",
            "db",
            "--type=merge",
            "-p",
            r#"{"spec":{"immutable":true}}"#,
        ],
        "",
    );
    refused(&cluster, &["secret", "set", "db", "--key", "A"], "is immutable");
    refused(&cluster, &["secret", "edit", "db"], "is immutable");
}

/// An editor that keeps what it is shown as `shown.N` and where, and then runs some lines of shell on the file `$1`.
fn editor(dir: &Path, lines: &str) -> PathBuf {
    let path = dir.join("editor");
    let script = format!(
        "#!/bin/sh\nset -e\ncd {}\nn=$(ls shown.* 2>/dev/null | wc -l)\ncp \"$1\" shown.$n\necho \"$1\" >where\n\
         stat -c %a \"$1\" \"$(dirname \"$1\")\" >modes\n{lines}\n",
        dir.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs `secret edit` with such an editor; whether it ended well, what it said on stdout and stderr, and what was shown.
fn edit(cluster: &Cluster, lines: &str) -> (bool, String, String, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let editor = editor(dir.path(), lines);
    let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
    command
        .args(["secret", "edit", "db"])
        .current_dir(cluster.dir.path());
    command
        .env("KUBECONFIG", &cluster.server.kubeconfig)
        .env("SUPERCARGO_NAMESPACE", &cluster.namespace)
        .env("SUPERCARGO_OPERATOR_NAMESPACE", &cluster.namespace)
        .env("KUBE_EDITOR", editor)
        .env("EDITOR", "false");
    let (ok, out, err) = run(&mut command, b"");
    assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");
    let place = std::fs::read_to_string(dir.path().join("where")).unwrap();
    let desk = Path::new(place.trim()).parent().unwrap();
    assert!(!desk.exists(), "{} is left", desk.display());
    let kind = Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(desk.parent().unwrap())
        .output();
    assert_eq!(String::from_utf8(kind.unwrap().stdout).unwrap().trim(), "tmpfs");
    let modes = std::fs::read_to_string(dir.path().join("modes")).unwrap();
    assert_eq!(modes, "600\n700\n");
    let shown = (0..).map_while(|n| std::fs::read_to_string(dir.path().join(format!("shown.{n}"))).ok());
    (ok, out, err, shown.collect())
}

#[test]
fn an_editor_is_shown_keys_and_no_value_and_what_is_written_is_sealed() {
    let (cluster, ring) = with_secret();
    let before = data(&cluster);
    let (ok, _, err, shown) = edit(&cluster, "");
    assert!(ok && err.contains("is as it was"), "{err}");
    assert!(shown[0].ends_with("password:\ntoken:\n"), "{shown:?}");
    assert!(!shown[0].contains("first") && !shown[0].contains("wide") && !shown[0].contains("sc1."));
    assert_eq!(data(&cluster), before);

    // As vi does: another file in its place, and one left beside it.
    let lines = format!(
        "sed 's/^token:/token: {SECRET}/' \"$1\" >\"$1.new\"; printf 'pem: |\\n  one\\n  two\\n' >>\"$1.new\"; cp \"$1\" \"$1~\"; mv \"$1.new\" \"$1\""
    );
    let (ok, out, err, _) = edit(&cluster, &lines);
    assert!(ok, "{err}");
    assert_eq!(out, "dockersecret.supercargo.dev/db edited\n");
    assert_eq!(data(&cluster)["password"], before["password"]);
    assert_eq!(opened(&cluster, &ring, "token"), (SECRET.into(), "namespace"));
    assert_eq!(opened(&cluster, &ring, "pem"), ("one\ntwo\n".into(), "strict"));
}

#[test]
fn what_cannot_be_read_is_shown_again_with_the_reason_and_nothing_typed_is_lost() {
    let (cluster, ring) = with_secret();
    let lines = format!(
        "if [ $n = 0 ]; then echo 'extra: {SECRET}' >>\"$1\"; echo 'password: 12345' >>\"$1\"; sed -i '/^password:$/d' \"$1\"\n\
         else sed -i 's/^password: 12345/password: \"12345\"/' \"$1\"; fi"
    );
    let (ok, _, err, shown) = edit(&cluster, &lines);
    assert!(ok, "{err}");
    assert!(
        shown[1].starts_with("# NOT READ: key \"password\": the value is not text"),
        "{}",
        shown[1]
    );
    assert!(shown[1].contains(&format!("extra: {SECRET}")));
    assert_eq!(opened(&cluster, &ring, "password").0, "12345");
    assert_eq!(opened(&cluster, &ring, "extra").0, SECRET);

    let before = data(&cluster);
    let (ok, _, err, shown) = edit(&cluster, "[ $n != 0 ] || echo 'password: 1' >\"$1\"");
    assert!(
        !ok && err.contains("put it in quotes") && err.contains("is as it was"),
        "{err}"
    );
    assert_eq!(shown.len(), 2, "left as it is, it is given up");
    let (ok, _, err, _) = edit(&cluster, "echo 'password: x' >\"$1\"; exit 3");
    assert!(!ok && err.contains("nothing was changed"), "{err}");
    let (ok, _, err, _) = edit(
        &cluster,
        "kill -TERM $PPID; echo 'password: x' >\"$1\"; exec sleep 100",
    );
    assert!(!ok && err.contains("ended while the editor ran"), "{err}");
    assert_eq!(data(&cluster), before);
}
