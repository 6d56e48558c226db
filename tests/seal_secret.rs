//! The verbs `secret` and `keys` against an API server with our CRDs: sealed on the client, refused while in use. No
//! controller looks at it. The server is a standalone, with `E2E_ON=cluster` a real kube-apiserver; `TEST_KUBECONFIG`
//! overrides it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

#[path = "harness/apiserver.rs"]
mod apiserver;
#[path = "seal_secret/change.rs"]
mod change;
#[path = "seal_secret/keys.rs"]
mod keys;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use apiserver::ApiServer;
use supercargo::seal::{Envelope, WrittenBy};
use supercargo::secrets::keyring_public::PublicKeys;
use supercargo::secrets::{keyring, keyring_file};

const SECRET: &str = "hunter2-do-not-show";

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scripts")
        .join(name);
    let out = Command::new(&path).output().unwrap();
    assert!(
        out.status.success(),
        "{}: {}",
        path.display(),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// An API server and a namespace of our own on it.
struct Cluster {
    // Ends before its directory goes.
    server: ApiServer,
    dir: tempfile::TempDir,
    namespace: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.server.is_ours() {
            self.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"], "");
        }
    }
}

impl Cluster {
    fn start(word: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{word}-{}-{number}", std::process::id());
        let cluster = Self {
            server: ApiServer::start(dir.path()),
            dir,
            namespace,
        };
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        cluster.kubectl(&["apply", "--server-side", "-f", crds.to_str().unwrap()], "");
        cluster.kubectl(
            &[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=60s",
            ],
            "",
        );
        cluster.kubectl(&["create", "namespace", &cluster.namespace], "");
        cluster
    }

    fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        let mut command = Command::new(script("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(&self.server.kubeconfig)
            .args(args);
        let (ok, out, err) = run(&mut command, stdin.as_bytes());
        assert!(ok, "kubectl {args:?}: {err}");
        out
    }

    fn supercargo(&self, args: &[&str], stdin: &[u8]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("KUBECONFIG", &self.server.kubeconfig);
        command
            .env("SUPERCARGO_NAMESPACE", &self.namespace)
            .env("SUPERCARGO_OPERATOR_NAMESPACE", &self.namespace);
        let (ok, out, err) = run(&mut command, stdin);
        assert!(
            !out.contains(SECRET) && !err.contains(SECRET),
            "{args:?} shows plaintext: {out}{err}"
        );
        (ok, out, err)
    }

    fn ok(&self, args: &[&str], stdin: &[u8]) -> String {
        let (ok, out, err) = self.supercargo(args, stdin);
        assert!(ok, "{args:?}: {err}");
        out
    }
}

fn run(command: &mut Command, stdin: &[u8]) -> (bool, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let done = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

#[test]
fn a_secret_is_created_sealed_described_without_its_value_and_not_deleted_while_in_use() {
    let cluster = Cluster::start("seal");
    let ring_path = cluster.dir.path().join("ring");
    cluster.ok(&["keys", "init", "--keyring", ring_path.to_str().unwrap()], b"");
    let ring = keyring_file::read(&ring_path).unwrap();
    let (_, _, err) = cluster.supercargo(
        &["secret", "create", "db", "--key", "password"],
        SECRET.as_bytes(),
    );
    assert!(
        err.contains("supercargo-public-keys cannot be read") && err.contains("--public-key"),
        "{err}"
    );

    publish(&cluster, &ring);
    assert!(
        cluster
            .ok(&["keys", "public"], b"")
            .contains(&ring.primary().to_string())
    );
    assert!(cluster.ok(&["keys", "list"], b"").contains("primary"));

    let created = cluster.ok(
        &["secret", "create", "db", "--key", "password"],
        SECRET.as_bytes(),
    );
    assert_eq!(created, "dockersecret.supercargo.dev/db created\n");
    let stored = cluster.kubectl(
        &[
            "-n",
            &cluster.namespace,
            "get",
            "dsec",
            "db",
            "-o",
            "jsonpath={.spec.encryptedData.password}",
        ],
        "",
    );
    let envelope: Envelope = stored.parse().unwrap();
    let context = envelope.context_at(&cluster.namespace, "db", "password").unwrap();
    assert_eq!(
        ring.open(&envelope, &context, WrittenBy::User).unwrap().expose(),
        SECRET.as_bytes()
    );
    let (again, _, err) = cluster.supercargo(&["secret", "create", "db", "--key", "password"], b"x");
    assert!(!again && err.contains("already exists"), "{err}");

    assert!(cluster.ok(&["secret", "list"], b"").contains("db"));
    for (format, expected) in [
        ("name", "dockersecret.supercargo.dev/db\n"),
        ("json", "\"db\""),
        ("yaml", "name: db"),
    ] {
        assert!(
            cluster
                .ok(&["secret", "list", "-A", "-o", format], b"")
                .contains(expected),
            "{format}"
        );
    }
    let described = cluster.ok(&["secret", "describe", "db"], b"");
    for expected in [
        "password",
        "strict",
        "not looked at yet",
        "Used by:     nobody",
        &ring.primary().to_string(),
    ] {
        assert!(described.contains(expected), "{expected}: {described}");
    }
    use_and_delete(&cluster);
}

fn publish(cluster: &Cluster, ring: &supercargo::seal::Ring) {
    let meta = |name: &str| serde_json::json!({"name": name, "namespace": cluster.namespace});
    let map = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("supercargo-public-keys"),
        "data": PublicKeys::of(ring).unwrap().to_config_map()});
    let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta("supercargo-keyring"),
        "data": keyring::to_secret_data(ring)});
    cluster.kubectl(&["create", "-f", "-"], &map.to_string());
    cluster.kubectl(&["create", "-f", "-"], &secret.to_string());
}

fn use_and_delete(cluster: &Cluster) {
    let user = serde_json::json!({"apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
        "metadata": {"name": "web", "namespace": cluster.namespace},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "i", "env": [
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]}]}}}});
    cluster.kubectl(&["create", "-f", "-"], &user.to_string());
    let (gone, _, err) = cluster.supercargo(&["secret", "delete", "db"], b"");
    assert!(
        !gone && err.contains(&format!("DockerDeployment {}/web", cluster.namespace)),
        "{err}"
    );
    assert_eq!(
        cluster.ok(&["secret", "delete", "db", "--force"], b""),
        "dockersecret.supercargo.dev/db deleted\n"
    );
    let (found, _, err) = cluster.supercargo(&["secret", "describe", "db"], b"");
    assert!(!found && err.contains("not found"), "{err}");
}
