//! The verbs `seal`, `verify`, `reseal` and `keys` as people run them: the real binary, its streams and exit codes.
//! No plaintext may ever stand in stderr, and none is ever given in an argument.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may"
)]

#[path = "seal_cli/audit.rs"]
mod audit;
#[path = "seal_cli/keys.rs"]
mod keys;
#[path = "seal_cli/reseal.rs"]
mod reseal;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use supercargo::api::DockerSecret;
use supercargo::seal::{Envelope, Ring, WrittenBy};
use supercargo::secrets::keyring_file;

const SECRET: &str = "hunter2-do-not-show";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// A directory with a ring in `ring`, and its public keys pinned.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let made = place.ok(&["keys", "init", "--keyring", "ring"], b"");
        assert!(made.starts_with("scpub1."));
        place.write(".supercargo-keys", &made);
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Ran {
        assert!(
            args.iter().all(|a| !a.contains(SECRET)),
            "plaintext in an argument"
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_supercargo"))
            .args(args)
            .current_dir(self.path())
            .env("KUBECONFIG", "/nonexistent")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A verb that refuses its flags does not read its input.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let done = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran {
            code: done.status.code().unwrap_or(-1),
            out: text(done.stdout),
            err: text(done.stderr),
        };
        for leaked in [&ran.out, &ran.err] {
            assert!(!leaked.contains(SECRET), "{args:?} shows plaintext: {leaked}");
            assert!(!leaked.contains("panicked"), "{args:?}: {leaked}");
        }
        ran
    }

    fn ok(&self, args: &[&str], stdin: &[u8]) -> String {
        let ran = self.run(args, stdin);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        ran.out
    }

    fn open(&self, envelope: &str, namespace: &str, name: &str, key: &str) -> Vec<u8> {
        let envelope: Envelope = envelope.parse().unwrap();
        let context = envelope.context_at(namespace, name, key).unwrap();
        let mut ring: Ring = keyring_file::read(&self.path().join("ring")).unwrap();
        ring.set_cluster_scope(true);
        ring.open(&envelope, &context, WrittenBy::User)
            .unwrap()
            .expose()
            .to_vec()
    }

    fn secret(&self, manifest: &str) -> DockerSecret {
        serde_saphyr::from_str(manifest).unwrap()
    }
}

const DB: [&str; 4] = ["--name", "db", "--namespace", "shop"];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    ["seal"].iter().chain(&DB).chain(args).copied().collect()
}

#[test]
fn a_value_from_stdin_keeps_every_byte() {
    let place = Place::new();
    for value in [
        &b"hunter2-do-not-show"[..],
        b"with newline\n",
        b"\0\xFF binary",
        b"many\nlines\r\n\n",
    ] {
        let line = place.ok(&with(&["--key", "password", "--raw"]), value);
        assert_eq!(line.lines().count(), 1);
        assert_eq!(place.open(line.trim_end(), "shop", "db", "password"), value);
    }
}

#[test]
fn a_manifest_from_files_an_env_file_and_stdin_verifies_and_opens() {
    let place = Place::new();
    place.write("cert.pem", "-----BEGIN-----\nx\n");
    place.write("app.env", format!("# c\nTOKEN={SECRET}\nEMPTY=\n"));
    let args = with(&[
        "--key",
        "password",
        "--from-file",
        "cert.pem",
        "--from-file",
        "tls.key=cert.pem",
        "--from-env-file",
        "app.env",
    ]);
    let manifest = place.ok(&args, b"hunter2");
    let secret = place.secret(&manifest);
    let keys: Vec<_> = secret.spec.encrypted_data.keys().map(String::as_str).collect();
    assert_eq!(keys, ["EMPTY", "TOKEN", "cert.pem", "password", "tls.key"]);
    let open = |key: &str| place.open(&secret.spec.encrypted_data[key], "shop", "db", key);
    assert_eq!(open("TOKEN"), SECRET.as_bytes());
    assert_eq!(open("EMPTY"), b"");
    assert_eq!(open("tls.key"), b"-----BEGIN-----\nx\n");
    place.write("db.yaml", &manifest);
    assert_eq!(place.ok(&["verify", "db.yaml"], b""), "");
    assert_eq!(place.ok(&["verify"], manifest.as_bytes()), "");
    assert_eq!(place.ok(&["verify", "."], b""), "");
}

#[test]
fn scopes_travel_as_far_as_they_say() {
    let place = Place::new();
    let args = [
        "seal",
        "--scope",
        "namespace",
        "--namespace",
        "shop",
        "--key",
        "k",
        "--raw",
    ];
    let line = place.ok(&args, b"v");
    assert_eq!(place.open(line.trim(), "shop", "anything", "k"), b"v");
    let line = place.ok(&["seal", "--scope", "cluster", "--key", "k", "--raw"], b"v");
    assert_eq!(place.open(line.trim(), "other", "anything", "k"), b"v");
}

#[test]
fn a_core_secret_is_converted_without_its_annotations() {
    let place = Place::new();
    place.write(
        "core.yaml",
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: tls\n  namespace: shop\n  labels: {{app: web}}\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{SECRET}'\ntype: kubernetes.io/tls\ndata:\n  tls.crt: aHVudGVyMg==\nstringData:\n  tls.key: |\n    {SECRET}\n    two\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: b, namespace: shop}}\ndata: {{k: /w==}}\n"
        ),
    );
    let out = place.ok(&["seal", "-f", "core.yaml"], b"");
    let (first, second) = out.split_once("---\n").unwrap();
    let secret = place.secret(first);
    assert_eq!(
        place.open(&secret.spec.encrypted_data["tls.crt"], "shop", "tls", "tls.crt"),
        b"hunter2"
    );
    let key = place.open(&secret.spec.encrypted_data["tls.key"], "shop", "tls", "tls.key");
    assert_eq!(key, format!("{SECRET}\ntwo\n").as_bytes());
    assert_eq!(secret.metadata.labels.unwrap()["app"], "web");
    assert!(first.contains("type: kubernetes.io/tls") && !first.contains("annotations"));
    let secret = place.secret(second);
    assert_eq!(
        place.open(&secret.spec.encrypted_data["k"], "shop", "b", "k"),
        b"\xFF"
    );
    assert_eq!(place.ok(&["verify"], out.as_bytes()), "");
}

#[test]
fn into_changes_one_line_and_leaves_the_rest_byte_identical() {
    let place = Place::new();
    let old = place
        .ok(&with(&["--key", "a"]), b"1")
        .replace("spec:", "# a comment\nspec:");
    place.write("db.yaml", &old);
    assert_eq!(place.ok(&["seal", "--into", "db.yaml", "--key", "b"], b"2"), "");
    let two = place.read("db.yaml");
    assert!(
        two.starts_with(&old) && two.lines().count() == old.lines().count() + 1,
        "{two}"
    );
    place.ok(&["seal", "--into", "db.yaml", "--key", "a"], b"3");
    let three = place.read("db.yaml");
    let changed = two.lines().zip(three.lines()).filter(|(a, b)| a != b).count();
    assert_eq!((changed, two.lines().count()), (1, three.lines().count()));
    let secret = place.secret(&three);
    assert_eq!(
        place.open(&secret.spec.encrypted_data["a"], "shop", "db", "a"),
        b"3"
    );
    assert_eq!(place.ok(&["verify", "db.yaml"], b""), "");
    assert_eq!(
        std::fs::read_dir(place.path()).unwrap().count(),
        3,
        "nothing is left beside it"
    );
}

#[test]
fn the_key_and_its_source_are_said_and_expect_kid_has_the_last_word() {
    let place = Place::new();
    let ran = place.run(&with(&["--key", "k", "--raw"]), b"v");
    let kid = ran.out.split('.').nth(2).unwrap().to_owned();
    assert!(
        ran.err.contains(&kid) && ran.err.contains(".supercargo-keys"),
        "{}",
        ran.err
    );
    assert_eq!(
        place
            .run(&with(&["--key", "k", "--raw", "--expect-kid", &kid]), b"v")
            .code,
        0
    );
    let refused = place.run(
        &with(&["--key", "k", "--raw", "--expect-kid", "0123456789abcdef"]),
        b"v",
    );
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains(&kid), "{}", refused.err);
    std::fs::create_dir_all(place.path().join("deep/er")).unwrap();
    let below = Command::new(env!("CARGO_BIN_EXE_supercargo"))
        .args(["seal", "--from-file", "k=/dev/null", "--raw"])
        .args(DB)
        .current_dir(place.path().join("deep/er"))
        .output()
        .unwrap();
    assert!(
        below.status.success(),
        "the pinned file of a parent directory counts"
    );
}

#[test]
fn every_wrong_use_says_what_and_what_next() {
    let place = Place::new();
    place.write("big", vec![b'x'; 65_537]);
    place.write("bad.env", format!("A=1\n{SECRET}\n"));
    place.write("sa.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\ntype: kubernetes.io/service-account-token\ndata: {k: eA==}\n");
    place.write(
        "nob64.yaml",
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: b}}\ndata: {{k: '{SECRET}'}}\n"
        ),
    );
    place.write("notyaml.yaml", format!("kind: Secret\ndata: {{k: [{SECRET}\n"));
    place.write(
        "typed.yaml",
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: b}}\nstringData: {SECRET}\n"),
    );
    place.write("flow.yaml", "{kind: DockerSecret, apiVersion: supercargo.dev/v1alpha1, metadata: {name: db, namespace: shop}, spec: {encryptedData: {}}}\n");
    place.write("otherkeys", "scpub1.nonsense\n");
    let flow = with(&["--key", "k", "--into", "flow.yaml"]);
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["seal"], 2, "--key KEY"),
        (
            with(&["--key", "k", "--raw", "--into", "x"]),
            2,
            "cannot be used with",
        ),
        (vec!["seal", "--key", "k", "--raw"], 2, "give --name"),
        (
            vec!["seal", "--key", "k", "--raw", "--name", "x"],
            2,
            "give --namespace",
        ),
        (
            vec!["seal", "--scope", "cluster", "--key", "k"],
            2,
            "needs --name",
        ),
        (with(&["--key", "a b"]), 2, "a key has 1 to 253"),
        (
            with(&["--from-file", "a=big", "--from-file", "a=big"]),
            1,
            "65536",
        ),
        (
            with(&["--from-file", "k=/dev/null", "--key", "k"]),
            2,
            "given twice",
        ),
        (
            with(&[
                "--from-file",
                "a=/dev/null",
                "--from-file",
                "b=/dev/null",
                "--raw",
            ]),
            2,
            "prints one envelope",
        ),
        (with(&["--from-file", "absent"]), 1, "absent cannot be read"),
        (with(&["--from-env-file", "bad.env"]), 1, "line 2"),
        (vec!["seal", "-f", "sa.yaml"], 1, "service-account-token"),
        (vec!["seal", "-f", "nob64.yaml"], 1, "not base64"),
        (vec!["seal", "-f", "notyaml.yaml"], 1, "notyaml.yaml, line"),
        (vec!["seal", "-f", "typed.yaml"], 1, "typed.yaml, line"),
        (flow, 1, "use --raw"),
        (
            with(&["--key", "k", "--public-key", "absent"]),
            1,
            "absent cannot be read",
        ),
        (
            with(&["--key", "k", "--public-key", "otherkeys"]),
            1,
            "otherkeys, line 1",
        ),
        (with(&["--key", "k", "--expect-kid", "x"]), 2, "16 lower-case hex"),
        (with(&["--key", "k", "--scope", "world"]), 2, "invalid value"),
        (vec!["verify", "absent.yaml"], 1, "absent.yaml cannot be read"),
        (vec!["keys", "init", "--keyring", "ring"], 1, "already a file"),
        (
            vec!["keys", "list", "--keyring", "absent"],
            1,
            "no key ring at absent",
        ),
        (vec!["keys", "list", "--keyring", "big"], 1, "others may read"),
        (vec!["keys", "public"], 1, "no cluster to ask"),
        (vec!["secret", "list"], 1, "no cluster to ask"),
        (vec!["nonsense"], 2, "unrecognized subcommand"),
    ];
    for (args, code, expected) in cases {
        let ran = place.run(&args, b"v");
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{args:?}");
    }
    let empty = place.run(&with(&["--key", "k"]), b"");
    assert!(
        empty.code == 1 && empty.err.contains("standard input is empty"),
        "{}",
        empty.err
    );
}

#[test]
fn verify_names_each_problem_on_a_line_of_its_own() {
    let place = Place::new();
    let good = place.ok(&with(&["--key", "password"]), b"v");
    let stranger = Place::new().ok(&with(&["--key", "password"]), b"v");
    let line = good
        .lines()
        .last()
        .unwrap()
        .trim()
        .split_once(": ")
        .unwrap()
        .1
        .to_owned();
    let head = "apiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata: {name: db, namespace: shop}\nspec:\n";
    let value = |key: &str, v: &str| format!("{head}  encryptedData:\n    {key}: {v}\n");
    let cases: Vec<(String, &str)> = vec![
        (
            good.replace("namespace: shop", "namespace: bank"),
            "f.yaml:1 DockerSecret bank/db key \"password\": sealed for another place",
        ),
        (
            good.replace("name: db", "name: db2"),
            "shop/db2 key \"password\": sealed for another place",
        ),
        (
            good.replace("password:", "passwort:"),
            "key \"passwort\": sealed for another place",
        ),
        (good.replace("  namespace: shop\n", ""), "names no namespace"),
        (stranger, "which the pinned file does not name"),
        (
            value("password", SECRET),
            "not a sealed value: it does not begin with sc1.",
        ),
        (value("password", "12345"), "not a sealed value: it is not text"),
        (
            value("password", &line[..line.len() - 4]),
            "not a sealed value: its payload",
        ),
        (
            value("password", &line.replace("sc1.", "sc7.")),
            "envelope version sc7 is not supported",
        ),
        (
            value("password", &line.replace(".x.", ".g.")),
            "suite g is only ever written by the program",
        ),
        (value("'a b'", &line), "the key has other characters"),
        (
            value("password", &format!("sc1.{}", "A".repeat(100_000))),
            "the limit is",
        ),
        (
            format!("{head}  stringData: {{password: {SECRET}}}\n"),
            "are no fields of a DockerSecret",
        ),
        (format!("{head}  encryptedData: [{SECRET}\n"), "f.yaml:1 line"),
        (
            format!(
                "kind: List\napiVersion: v1\nitems:\n- {}",
                good.replace("namespace: shop", "namespace: bank")
                    .replace('\n', "\n  ")
            ),
            "bank/db",
        ),
    ];
    for (text, expected) in cases {
        place.write("f.yaml", &text);
        let ran = place.run(&["verify", "f.yaml"], b"");
        assert_eq!(ran.code, 1, "{expected}: {}{}", ran.out, ran.err);
        assert!(
            ran.out.contains(expected) && ran.out.lines().count() == 1,
            "{expected}: {}",
            ran.out
        );
        assert!(ran.out.contains(';'), "no next step: {}", ran.out);
    }
    place.write(
        "f.yaml",
        format!(
            "kind: ConfigMap\ndata: {{a: b}}\n---\n{good}---\n{}",
            value("a", "x")
        ),
    );
    let ran = place.run(&["verify", "."], b"");
    assert!(
        ran.out.contains("f.yaml:3 DockerSecret shop/db key \"a\""),
        "{}",
        ran.out
    );
    assert_eq!(ran.out.lines().count(), 1);
}

#[test]
fn a_ring_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let ring = place.path().join("ring");
    assert_eq!(
        std::fs::metadata(&ring).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&ring, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = place.run(&["keys", "public", "--keyring", "ring"], b"");
    assert!(ran.code == 1 && ran.err.contains("chmod 600"), "{}", ran.err);
}

#[test]
fn keys_are_listed_in_every_format_and_never_shown_whole() {
    let place = Place::new();
    let kid = place
        .ok(&["keys", "list", "--keyring", "ring", "-o", "name"], b"")
        .trim()
        .to_owned();
    let seed = place
        .read("ring")
        .lines()
        .nth(3)
        .unwrap()
        .rsplit('.')
        .next()
        .unwrap()
        .to_owned();
    for format in ["table", "json", "yaml", "name"] {
        let out = place.ok(&["keys", "list", "--keyring", "ring", "-o", format], b"");
        assert!(out.contains(&kid) && !out.contains(&seed), "{out}");
    }
    let table = place.ok(&["keys", "list", "--keyring", "ring"], b"");
    assert!(table.starts_with("KID") && table.contains("primary"), "{table}");
    assert!(
        place
            .ok(&["keys", "public", "--keyring", "ring"], b"")
            .contains(&format!("scpub1.{kid}."))
    );
}

#[test]
fn flags_may_come_from_the_environment() {
    let place = Place::new();
    let out = Command::new(env!("CARGO_BIN_EXE_supercargo"))
        .args(["keys", "list"])
        .env("SUPERCARGO_KEYRING", place.path().join("ring"))
        .env("SUPERCARGO_OUTPUT", "json")
        .output()
        .unwrap();
    assert!(out.status.success() && out.stdout.starts_with(b"["));
}

#[test]
fn a_large_manifest_is_advised_to_be_applied_on_the_server_side() {
    let place = Place::new();
    place.write("big", vec![b'x'; 60_000]);
    let files: Vec<String> = (0..5).map(|n| format!("k{n}=big")).collect();
    let args: Vec<&str> = files.iter().flat_map(|f| ["--from-file", f.as_str()]).collect();
    let ran = place.run(&with(&args), b"");
    assert!(ran.code == 0 && ran.err.contains("--server-side"), "{}", ran.err);
    let files: Vec<String> = (0..7).map(|n| format!("k{n}=big")).collect();
    let args: Vec<&str> = files.iter().flat_map(|f| ["--from-file", f.as_str()]).collect();
    let ran = place.run(&with(&args), b"");
    assert!(ran.code == 1 && ran.err.contains("524288"), "{}", ran.err);
}

#[test]
fn a_pinned_file_that_anybody_could_have_put_there_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let ran = place.run(&with(&["--key", "k", "--raw"]), b"v");
    assert!(
        ran.code == 1 && ran.err.contains("anybody may write"),
        "{}",
        ran.err
    );
    let named = with(&["--key", "k", "--raw", "--public-key", ".supercargo-keys"]);
    assert_eq!(place.run(&named, b"v").code, 0);
}
