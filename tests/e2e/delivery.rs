//! What containers are given besides single variables: images from a private registry, volumes, whole secrets, and the
//! examples as they are written.

use std::process::{Child, Command, Stdio};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::harness::{
    IMAGE, INSTANCE, SOON,
    case::{Case, container, deployment},
    docker, docker_ok, free_port, labelled, project, same, until, world,
};

struct Registry {
    child: Child,
    tag: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        docker(&["rmi", &self.tag]);
    }
}

fn login(address: &str, user: &str, password: &str) -> String {
    let auth = Base64::encode_string(format!("{user}:{password}").as_bytes());
    json!({"auths": {address: {"auth": auth}}}).to_string()
}

pub fn private_registry() {
    let case = Case::start("registry", &[]);
    let port = free_port();
    let child = Command::new(project().join("tests/scripts/registry"))
        .args([
            port.to_string().as_str(),
            case.dir.join("registry").to_str().unwrap(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let address = format!("127.0.0.1:{port}");
    let image = format!("{address}/team/app:1");
    let registry = Registry {
        child,
        tag: image.clone(),
    };
    until("the registry", SOON, || {
        std::net::TcpStream::connect(&address).map_err(|e| e.to_string())
    });
    docker_ok(&["tag", IMAGE, &image]);
    let config = case.dir.join("docker-config");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(
        config.join("config.json"),
        login(&address, "supercargo", "correct horse"),
    )
    .unwrap();
    docker_ok(&["--config", config.to_str().unwrap(), "push", "-q", &image]);
    std::fs::remove_dir_all(&config).unwrap();
    docker_ok(&["rmi", &image]);

    let mut manifest = deployment("app", 1, json!([]));
    container(&mut manifest)["image"] = json!(image);
    // So that each instance asks the registry, as after a change of the tag.
    container(&mut manifest)["imagePullPolicy"] = json!("Always");
    case.apply_json(&manifest);
    let message = case.not_ready("app", "ImagePullError");
    assert!(message.contains("imagePullSecrets"), "{message}");

    manifest["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{"name": "pull"}]);
    case.apply_json(&manifest);
    let message = case.not_ready("app", "SecretResolutionError");
    assert!(message.contains("pull"), "{message}");
    let wrong = crate::harness::word();
    case.watch_for(&wrong);
    let seal = |password: &str, dates: &str| {
        let sealed = case.sealed(
            "pull",
            &[(".dockerconfigjson", &login(&address, "supercargo", password))],
        );
        let spec = format!("spec:\n  type: kubernetes.io/dockerconfigjson\n{dates}");
        case.apply(&sealed.replace("spec:\n", &spec));
    };
    seal(&wrong, "");
    let message = case.not_ready("app", "ImagePullError");
    assert!(message.contains("credentials"), "{message}");
    seal("correct horse", "");
    case.ready("app");
    assert_eq!(
        case.inspect(&case.one("app")).unwrap()["Config"]["Image"],
        json!(image)
    );
    rotated_and_expired(&case, seal);
    case.kubectl(&["delete", "ddep", "app", "--timeout=60s"]);
    drop(registry);
    case.finish();
}

/// The registry knows another password: the old one makes nothing new and stops nothing, and the new one does at once what
/// waited. An end of use does the same without the registry.
fn rotated_and_expired(case: &Case, seal: impl Fn(&str, &str)) {
    let first = case.one("app");
    let scale = |count: &str| case.kubectl(&["scale", "ddep/app", &format!("--replicas={count}")]);
    // bcrypt of "battery staple", as in the script.
    let entry = "supercargo:$2b$04$6LP3j.d0B9Ixkxcm4/ck9.oiyU7.rMOfolARM9cEbrBtqO2V/1DDS\n";
    std::fs::write(case.dir.join("registry/htpasswd"), entry).unwrap();
    scale("2");
    case.not_ready("app", "ImagePullError");
    assert_eq!(case.one("app"), first, "what runs keeps running");
    seal("battery staple", "");
    case.ready("app");
    seal(
        "battery staple",
        "  notAfter: 2020-01-01T00:00:00Z\n  stopUse: true\n",
    );
    scale("3");
    let message = case.not_ready("app", "SecretResolutionError");
    assert!(message.contains("Expired"), "{message}");
    assert_eq!(case.containers("app").len(), 2, "what runs keeps running");
    seal(
        "battery staple",
        "  notAfter: 2999-01-01T00:00:00Z\n  stopUse: true\n",
    );
    case.ready("app");
    let all = case.containers("app");
    assert!(all.len() == 3 && all.contains(&first), "nothing rolls: {all:?}");
}

fn with_volume(name: &str, volume: Value) -> Value {
    let mut manifest = deployment(name, 1, json!([]));
    manifest["spec"]["template"]["spec"]["volumes"] = json!([volume]);
    container(&mut manifest)["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    manifest
}

pub fn volumes() {
    let permitted = world().dir.path().join("permitted");
    std::fs::create_dir(&permitted).unwrap();
    std::fs::write(permitted.join("file"), "from the host").unwrap();
    let case = Case::start("volumes", &["--allow-host-path", permitted.to_str().unwrap()]);
    case.apply_json(&with_volume("scratch", json!({"name": "data", "emptyDir": {}})));
    case.apply_json(&with_volume(
        "memory",
        json!({"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}),
    ));
    case.apply_json(&with_volume(
        "kept",
        json!({"name": "data", "dockerVolume": {"name": "kept"}}),
    ));
    case.apply_json(&with_volume(
        "host",
        json!({"name": "data", "hostPath": {"path": permitted}}),
    ));
    let etc = with_volume("refused", json!({"name": "data", "hostPath": {"path": "/etc"}}));
    let message = case.refused(&etc, "PolicyViolation");
    ["scratch", "memory", "kept", "host"]
        .iter()
        .for_each(|name| case.ready(name));
    assert!(
        message.contains("hostPath") && message.contains("--allow-host-path"),
        "{message}"
    );
    assert!(case.containers("refused").is_empty());
    assert_eq!(
        case.exec(&case.one("host"), "cat /data/file").unwrap(),
        "from the host"
    );
    assert!(
        case.exec(&case.one("memory"), "grep ' /data ' /proc/mounts")
            .unwrap()
            .contains("tmpfs")
    );

    for name in ["scratch", "kept"] {
        case.exec(&case.one(name), "echo written > /data/file").unwrap();
    }
    for name in ["scratch", "kept"] {
        let old = case.one(name);
        docker_ok(&["rm", "-fv", &old]);
        until("a new container", SOON, || {
            let ids = case.containers(name);
            same(ids.len(), 1)?;
            if ids[0] == old {
                Err("the old one".to_owned())
            } else {
                case.exec(&ids[0], "true")
            }
        });
    }
    assert!(
        case.exec(&case.one("scratch"), "cat /data/file").is_err(),
        "emptyDir is as old as its container"
    );
    assert_eq!(case.exec(&case.one("kept"), "cat /data/file").unwrap(), "written");
    // A data volume outlives its deployment, and serves the next one.
    case.kubectl(&["delete", "ddep/kept", "--timeout=60s"]);
    case.apply_json(&with_volume(
        "kept",
        json!({"name": "data", "dockerVolume": {"name": "kept"}}),
    ));
    case.ready("kept");
    assert_eq!(case.exec(&case.one("kept"), "cat /data/file").unwrap(), "written");
    let instance = case.instance.clone();
    case.finish();
    remove_volumes(&instance, "volumes-");
}

fn remove_volumes(instance: &str, prefix: &str) {
    let names = labelled("volume ls", &[&format!("{INSTANCE}={instance}")]);
    for name in names.iter().filter(|n| n.starts_with(prefix)) {
        docker_ok(&["volume", "rm", name]);
    }
}

pub fn env_from() {
    let case = Case::start("envfrom", &[]);
    let (a, b, shared, own) = (case.value(), case.value(), case.value(), case.value());
    case.secret("first", &[("A", &a), ("SHARED", &own)]);
    case.secret("second", &[("B", &b), ("SHARED", &shared)]);
    case.kubectl(&["create", "configmap", "plain", "--from-literal=FROM_MAP=map"]);
    let mut manifest = deployment("web", 1, json!([{"name": "A_COPY", "value": "plain"}]));
    container(&mut manifest)["envFrom"] = json!([{"secretRef": {"name": "first"}}, {"secretRef": {"name": "second"}}, {"prefix": "P_", "configMapRef": {"name": "plain"}}]);
    case.apply_json(&manifest);
    // Nobody could tell which of the two the process would get.
    let message = case.not_ready("web", "SecretResolutionError");
    assert!(
        message.contains("InvalidEnvName") && message.contains("SHARED") && message.contains("prefix"),
        "{message}"
    );
    assert!(case.containers("web").is_empty());
    container(&mut manifest)["envFrom"][1]["prefix"] = json!("S_");
    case.apply_json(&manifest);
    case.ready("web");
    case.all_have("web", 1, "A", &a);
    case.all_have("web", 1, "SHARED", &own);
    case.all_have("web", 1, "S_B", &b);
    case.all_have("web", 1, "S_SHARED", &shared);
    case.all_have("web", 1, "P_FROM_MAP", "map");
    case.finish();
}

/// The commands of `examples/README.md`, and the manifests as they are.
pub fn examples() {
    let case = Case::start("examples", &[]);
    let (session, password) = (case.value(), case.value());
    let (other_password, token, next_token) = (case.file_value(), case.file_value(), case.file_value());
    let hidden = case.file_value();
    case.secret("web", &[("session-key", &session)]);
    case.secret("shop-front", &[("session-key", &hidden)]);
    case.secret("postgres", &[("password", &password)]);
    case.secret("database", &[("password", &other_password)]);
    case.secret("scrape", &[("token", &token)]);
    let dir = project().join("examples");
    for file in ["web", "web-protected", "postgres", "postgres-file", "prometheus"] {
        case.kubectl(&["apply", "-f", dir.join(format!("{file}.yaml")).to_str().unwrap()]);
    }
    let all = ["web", "shop-front", "postgres", "database", "prometheus"];
    all.iter().for_each(|name| case.ready(name));
    case.all_have("web", 2, "SESSION_KEY", &session);
    case.all_have("postgres", 1, "POSTGRES_PASSWORD", &password);
    let front = case.one_of("shop-front");
    let through = "/run/supercargo/bin/supercargo run -- sh -c 'printf %s \"$SESSION_KEY\"'";
    assert!(
        case.exec(&front, through).unwrap() == hidden,
        "the program's own variable"
    );
    assert_eq!(case.exec(&front, "echo $SESSION_KEY").unwrap(), "");
    let client = case.containers("web").remove(0);
    let page = until("the page", SOON, || {
        case.exec(&client, "timeout 5 wget -q -O - http://web:8080/")
    });
    assert_eq!(page, "hello");
    let starts = |name: &str| {
        until("the database to answer", SOON, || {
            case.exec(&client, &format!("sleep 1 | timeout 5 nc {name} 5432"))
        })
        .lines()
        .count()
    };
    assert_eq!((starts("postgres"), starts("database")), (1, 1));
    case.kubectl(&[
        "patch",
        "ddep/postgres",
        "--type=merge",
        "-p",
        r#"{"spec":{"template":{"metadata":{"annotations":{"again":"1"}}}}}"#,
    ]);
    case.ready("postgres");
    assert_eq!(starts("postgres"), 2, "the data outlived the container");
    examples_with_files(&case, &other_password, &token, &next_token);
    let verified = case.supercargo(&["verify", case.dir.join("web.yaml").to_str().unwrap()], b"");
    assert!(verified.ok, "{}{}", verified.out, verified.err);
    let instance = case.instance.clone();
    case.finish();
    remove_volumes(&instance, "examples-");
}

/// The two whose values are files: what is a path and what is not, and a token and a configuration that change under who reads.
fn examples_with_files(case: &Case, password: &str, token: &str, next_token: &str) {
    let reads = |name: &str, path: &str, value: &str| {
        until("the file to be read", SOON, || {
            // Values are compared and never shown.
            same(
                case.exec(&case.one_of(name), &format!("cat {path}"))? == value,
                true,
            )
        });
    };
    reads("database", "$POSTGRES_PASSWORD_FILE", password);
    let monitor = case.one("prometheus");
    let said = |text: &str| {
        until(text, SOON, || {
            let logs = docker(&["logs", &monitor]).out;
            same(logs.contains(text), true)
        });
    };
    reads("prometheus", "/run/secrets/scrape/token", token);
    said("200 OK");
    case.secret("scrape", &[("token", next_token)]);
    reads("prometheus", "/run/secrets/scrape/token", next_token);
    let more = r#"{"data":{"rules.yml":"groups: []"}}"#;
    case.kubectl(&["patch", "configmap/prometheus", "--type=merge", "-p", more]);
    reads("prometheus", "/etc/prometheus/rules.yml", "groups: []");
    said("configuration read");
    assert_eq!(case.one("prometheus"), monitor, "nobody was restarted");
}
