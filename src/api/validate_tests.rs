//! Tests of [`super`]: a table of manifests and the violations that each must give, all at once and by path.
//! Manifests are data here: nothing is looked up and no API server is asked.

use serde_json::{Value, json};

use super::super::violation::ViolationKind;
use super::{Policy, validate};
use crate::api::SecretEnv;

/// A deployment that is right, with `pod` and `container` merged into it.
fn deployment(pod: &Value, container: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "supercargo.dev/v1alpha1",
        "kind": "DockerDeployment",
        "metadata": { "name": "web", "namespace": "shop" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "nginx:1.29" }] },
            },
        },
    });
    merge(
        &mut object["spec"]["template"]["spec"]["containers"][0],
        container,
    );
    merge(&mut object["spec"]["template"]["spec"], pod);
    object
}

fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().expect("an object") {
        into[key] = value.clone();
    }
}

fn violations(object: &Value) -> Vec<String> {
    match validate(object, &Policy::default()) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn refused(object: &Value, path: &str, words: &str) {
    let violations = violations(object);
    assert!(
        violations
            .iter()
            .any(|text| text.starts_with(&format!("{path}: ")) && text.contains(words)),
        "{path} {words}: {violations:#?}"
    );
}

fn with_container(container: Value) -> Value {
    deployment(&json!({}), &container)
}

fn with_pod(pod: Value) -> Value {
    deployment(&pod, &json!({}))
}

const C: &str = "spec.template.spec.containers[0]";

#[test]
fn a_plain_deployment_is_accepted_and_parsed() {
    let object = with_container(
        json!({ "resources": { "limits": { "cpu": 1, "memory": "256Mi" }, "requests": { "cpu": "100m" } } }),
    );
    let validated = validate(&object, &Policy::default()).expect("valid");
    assert_eq!(validated.parsed.cpu_millis, Some(1000));
    assert_eq!(validated.parsed.memory_bytes, Some(256 << 20));
    assert_eq!(validated.parsed.image.to_string(), "docker.io/library/nginx:1.29");
}

#[test]
fn all_violations_come_at_once() {
    let object = deployment(
        &json!({ "affinity": {}, "restartPolicy": "Never", "volumes": [{ "name": "a" }] }),
        &json!({ "image": "Bad Image", "env": [{ "name": "A=B" }], "ports": [{ "containerPort": 0 }] }),
    );
    assert_eq!(violations(&object).len(), 6, "{:#?}", violations(&object));
}

#[test]
fn a_wrong_type_is_named_by_its_path() {
    refused(
        &with_container(json!({ "ports": [{ "containerPort": "http" }] })),
        &format!("{C}.ports[0].containerPort"),
        "invalid type",
    );
}

#[test]
fn a_second_container_is_refused_by_path() {
    let object =
        with_pod(json!({ "containers": [{ "name": "a", "image": "a" }, { "name": "b", "image": "b" }] }));
    refused(&object, "spec.template.spec.containers[1]", "not supported yet");
}

#[test]
fn what_secret_env_means_where_it_is_absent_is_the_operators_to_say() {
    let protects = Policy {
        secret_env: SecretEnv::Protected,
        ..Policy::default()
    };
    let meant = |written: Value, policy: &Policy| {
        let mut object = with_pod(json!({}));
        object["spec"]["secretEnv"] = written;
        validate(&object, policy).unwrap().deployment.spec.secret_env
    };
    assert_eq!(meant(Value::Null, &Policy::default()), Some(SecretEnv::Plain));
    assert_eq!(meant(Value::Null, &protects), Some(SecretEnv::Protected));
    assert_eq!(meant(json!("Plain"), &protects), Some(SecretEnv::Plain));
    assert_eq!(
        meant(json!("Protected"), &Policy::default()),
        Some(SecretEnv::Protected)
    );
}

#[test]
fn nobody_mounts_where_the_operators_own_mounts_stand() {
    let mount = |path: &str, read_only: bool| {
        let mut object = with_pod(json!({
            "volumes": [{ "name": "v", "emptyDir": {} }],
            "containers": [{ "name": "a", "image": "a",
                "env": [{ "name": "P", "valueFrom": { "secretKeyRef": { "name": "db", "key": "p" } } }],
                "volumeMounts": [{ "name": "v", "mountPath": path, "readOnly": read_only }] }],
        }));
        object["spec"]["secretEnv"] = json!("Protected");
        object
    };
    let at = format!("{C}.volumeMounts[0].mountPath");
    for own in ["/run/supercargo", "/run/supercargo/env", "/run//supercargo/bin/"] {
        refused(&mount(own, false), &at, "the operator's own");
    }
    refused(&mount("/run", true), &at, "can only be read");
    for fine in ["/run", "/run/supercargoes"] {
        assert!(
            validate(&mount(fine, false), &Policy::default()).is_ok(),
            "{fine}"
        );
    }
    let mut plain = mount("/run", true);
    plain["spec"]["secretEnv"] = json!("Plain");
    assert!(validate(&plain, &Policy::default()).is_ok());
}

#[test]
fn a_selector_must_match_the_template() {
    let mut object = with_pod(json!({}));
    object["spec"]["selector"]["matchLabels"]["app"] = json!("other");
    refused(&object, "spec.selector", "must match");
}

#[test]
fn rolling_update_excludes_recreate() {
    let mut object = with_pod(json!({}));
    object["spec"]["strategy"] = json!({ "type": "Recreate", "rollingUpdate": { "maxSurge": 1 } });
    refused(&object, "spec.strategy.rollingUpdate", "Recreate");
    object["spec"]["strategy"] = json!({ "rollingUpdate": { "maxSurge": "0%", "maxUnavailable": 0 } });
    refused(&object, "spec.strategy.rollingUpdate", "both be 0");
    object["spec"]["strategy"] = json!({ "rollingUpdate": { "maxSurge": "half" } });
    refused(&object, "spec.strategy.rollingUpdate.maxSurge", "25%");
}

#[test]
fn our_prefix_is_ours() {
    let mut object = with_pod(json!({}));
    object["spec"]["template"]["metadata"]["labels"]["supercargo.dev/uid"] = json!("1");
    object["spec"]["template"]["metadata"]["annotations"] = json!({ "supercargo.dev/restartedAt": "now" });
    assert_eq!(violations(&object).len(), 1);
    refused(
        &object,
        "spec.template.metadata.labels[supercargo.dev/uid]",
        "operator only",
    );
}

#[test]
fn a_secret_in_argv_is_refused_by_path() {
    let env = json!([
        { "name": "PASSWORD", "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } } },
        { "name": "PLAIN", "value": "x" },
        { "name": "URL", "value": "postgres://app:$(PASSWORD)@db" },
    ]);
    let object = with_container(
        json!({ "env": env, "command": ["run", "$(PLAIN)"], "args": ["$$(PASSWORD)", "-p=$(PASSWORD)"] }),
    );
    refused(&object, &format!("{C}.args[1]"), "$(PASSWORD) is a secret");
    refused(&object, &format!("{C}.env[2].value"), "$(PASSWORD) is a secret");
    assert_eq!(violations(&object).len(), 2);
}

#[test]
fn environment_is_checked() {
    let secret = json!({ "secretKeyRef": { "name": "db", "key": "k" } });
    let object = with_container(json!({
        "env": [
            { "name": "A", "value": "1", "valueFrom": secret },
            { "name": "A" },
            { "name": "B\u{0}" },
            { "name": "C", "valueFrom": {} },
            { "name": "D", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } },
            { "name": "E", "value": "a\u{0}b" },
            { "name": "F", "valueFrom": { "secretKeyRef": { "name": "Bad_Name", "key": "a/b" } } },
        ],
        "envFrom": [{ "prefix": "=" }],
    }));
    refused(&object, &format!("{C}.env[0]"), "both value and valueFrom");
    refused(&object, &format!("{C}.env[1].name"), "twice");
    refused(&object, &format!("{C}.env[2].name"), "without =");
    refused(&object, &format!("{C}.env[3].valueFrom"), "exactly one");
    refused(
        &object,
        &format!("{C}.env[4].valueFrom.fieldRef.fieldPath"),
        "not supported",
    );
    refused(&object, &format!("{C}.env[5].value"), "NUL");
    refused(
        &object,
        &format!("{C}.env[6].valueFrom.secretKeyRef.key"),
        "not a key",
    );
    refused(
        &object,
        &format!("{C}.env[6].valueFrom.secretKeyRef.name"),
        "not a name",
    );
    refused(&object, &format!("{C}.envFrom[0]"), "exactly one");
    refused(&object, &format!("{C}.envFrom[0].prefix"), "cannot begin");
}

#[test]
fn impossible_and_double_ports_are_refused() {
    let object = with_container(json!({ "ports": [
        { "containerPort": 70000 },
        { "containerPort": 80, "hostPort": 8080 },
        { "containerPort": 81, "hostPort": 8080, "hostIP": "127.0.0.1" },
        { "containerPort": 82, "hostPort": 8080, "protocol": "UDP" },
        { "containerPort": 83, "hostIP": "localhost" },
    ]}));
    refused(&object, &format!("{C}.ports[0].containerPort"), "1 to 65535");
    refused(&object, &format!("{C}.ports[2].hostPort"), "published twice");
    refused(&object, &format!("{C}.ports[4].hostIP"), "not an IP address");
    assert_eq!(violations(&object).len(), 3);
}

#[test]
fn limits_are_checked_with_a_next_step() {
    let limits = json!({ "cpu": "lots", "memory": "500m", "nvidia.com/gpu": 1 });
    let object = with_container(json!({ "resources": { "limits": limits } }));
    refused(
        &object,
        &format!("{C}.resources.limits.cpu"),
        "\"lots\" is not a quantity",
    );
    refused(&object, &format!("{C}.resources.limits.memory"), "write 500Mi");
    refused(
        &object,
        &format!("{C}.resources.limits.nvidia.com/gpu"),
        "not supported",
    );
}

#[test]
fn mounts_need_their_volume_and_a_plain_path() {
    let object = deployment(
        &json!({ "volumes": [{ "name": "data", "emptyDir": {} }] }),
        &json!({ "volumeMounts": [
            { "name": "data", "mountPath": "/data" },
            { "name": "data", "mountPath": "/data/" },
            { "name": "other", "mountPath": "/x" },
            { "name": "data", "mountPath": "relative" },
            { "name": "data", "mountPath": "/" },
            { "name": "data", "mountPath": "/a/../b" },
        ]}),
    );
    refused(&object, &format!("{C}.volumeMounts[1].mountPath"), "twice");
    refused(&object, &format!("{C}.volumeMounts[2].name"), "not a volume");
    refused(&object, &format!("{C}.volumeMounts[3].mountPath"), "absolute");
    refused(&object, &format!("{C}.volumeMounts[4].mountPath"), "root");
    refused(&object, &format!("{C}.volumeMounts[5].mountPath"), "..");
    assert_eq!(violations(&object).len(), 5);
}

#[test]
fn a_size_limit_is_only_for_memory() {
    let volumes = |empty_dir: Value| with_pod(json!({ "volumes": [{ "name": "a", "emptyDir": empty_dir }] }));
    let path = "spec.template.spec.volumes[0].emptyDir.sizeLimit";
    refused(&volumes(json!({ "sizeLimit": "1Gi" })), path, "medium Memory");
    refused(
        &volumes(json!({ "medium": "Memory", "sizeLimit": "0" })),
        path,
        "above 0",
    );
    let validated = validate(
        &volumes(json!({ "medium": "Memory", "sizeLimit": "1Mi" })),
        &Policy::default(),
    );
    assert_eq!(validated.expect("valid").parsed.tmpfs_bytes["a"], 1 << 20);
}

fn host_path(path: &str, allowed: &[&str]) -> Vec<(ViolationKind, String)> {
    let object = with_pod(json!({ "volumes": [{ "name": "a", "hostPath": { "path": path } }] }));
    let allow_host_paths = allowed.iter().map(|prefix| (*prefix).to_owned()).collect();
    let result = validate(
        &object,
        &Policy {
            allow_host_paths,
            ..Policy::default()
        },
    );
    result
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|violation| (violation.kind, violation.message))
        .collect()
}

#[test]
fn a_host_path_needs_an_allowed_prefix_at_a_boundary() {
    for (path, allowed) in [
        ("/data", "/data"),
        ("/data/a", "/data/"),
        ("//data/./a", "/data"),
        ("/x", "/"),
    ] {
        assert_eq!(host_path(path, &[allowed]), [], "{path} below {allowed}");
    }
    for (path, allowed) in [
        ("/database", "/data"),
        ("/", "/data"),
        ("/etc", ""),
        ("/etc", "etc"),
        ("/etc", "/data/../etc"),
    ] {
        let found = host_path(path, &[allowed]);
        assert_eq!(found.len(), 1, "{path} {allowed}");
        assert_eq!(found[0].0, ViolationKind::PolicyViolation);
    }
    assert_eq!(
        host_path("/data/../etc", &["/data"])[0].0,
        ViolationKind::InvalidSpec
    );
    assert_eq!(host_path("data", &["/"])[0].0, ViolationKind::InvalidSpec);
}

#[test]
fn privileges_need_permission() {
    let context = json!({ "privileged": true, "capabilities": { "add": ["NET_ADMIN", "CAP_SYS_TIME", "lower"], "drop": ["ALL"] } });
    let object = with_container(json!({ "securityContext": context }));
    let refused_by_default = validate(&object, &Policy::default()).expect_err("violations");
    assert_eq!(
        refused_by_default
            .iter()
            .filter(|v| v.kind == ViolationKind::PolicyViolation)
            .count(),
        3
    );
    assert!(
        refused_by_default[0]
            .message
            .contains("--allow-capability NET_ADMIN")
    );
    let policy = Policy {
        allow_privileged: true,
        allow_capabilities: vec!["NET_ADMIN".into(), "SYS_TIME".into()],
        ..Policy::default()
    };
    let still_refused = validate(&object, &policy).expect_err("a violation");
    assert_eq!(still_refused.len(), 1);
    assert!(still_refused[0].message.contains("\"lower\" is not a capability"));
}

#[test]
fn the_hosts_credentials_need_the_operators_permission() {
    let object = with_pod(json!({ "useHostCredentials": true }));
    let refused = validate(&object, &Policy::default()).expect_err("a violation");
    assert_eq!(refused[0].kind, ViolationKind::PolicyViolation);
    assert!(refused[0].message.contains("--allow-host-credentials"));
    let policy = Policy {
        allow_host_credentials: true,
        ..Policy::default()
    };
    assert!(validate(&object, &policy).is_ok());
    let unused = with_pod(json!({ "useHostCredentials": false }));
    assert!(validate(&unused, &Policy::default()).is_ok());
}

#[test]
fn a_group_needs_a_user() {
    refused(
        &with_container(json!({ "securityContext": { "runAsGroup": 5 } })),
        &format!("{C}.securityContext.runAsGroup"),
        "runAsUser",
    );
}

#[test]
fn volumes_have_exactly_one_source() {
    let object = with_pod(json!({ "volumes": [
        { "name": "none" },
        { "name": "two", "emptyDir": {}, "dockerVolume": { "name": "d" } },
        { "name": "claim", "persistentVolumeClaim": { "claimName": "x" } },
        { "name": "none", "emptyDir": {} },
    ]}));
    refused(&object, "spec.template.spec.volumes[0]", "no source");
    refused(&object, "spec.template.spec.volumes[1]", "more than one source");
    refused(
        &object,
        "spec.template.spec.volumes[2].persistentVolumeClaim",
        "use dockerVolume",
    );
    refused(&object, "spec.template.spec.volumes[3].name", "twice");
}
