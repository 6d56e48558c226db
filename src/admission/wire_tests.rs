//! Tests of [`super`], and of the whole way from the bytes of a request to those of its answer.

use serde_json::{Value, json};

use super::*;
use crate::{
    admission::{deletion::Facts, review},
    api::{
        DockerSecret,
        validate::{Policy, validate},
        validate_secret,
        violation::Violation,
    },
};

fn deployment(container: &Value) -> Value {
    json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    })
}

fn request(operation: &str, resource: &str, new: Option<&Value>, old: Option<&Value>) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": KIND,
        "request": {
            "uid": "705ab4f5", "operation": operation,
            "kind": {"group": "supercargo.dev", "version": "v1alpha1", "kind": "X"},
            "resource": {"group": "supercargo.dev", "version": "v1alpha1", "resource": resource},
            "name": "web", "namespace": "shop", "object": new, "oldObject": old, "dryRun": false,
            "userInfo": {"username": "jane", "groups": ["system:authenticated"]}, "options": null,
        },
    })
}

fn ask(request: &Value, policy: &Policy) -> Value {
    let read = read(request.to_string().as_bytes()).unwrap();
    let verdict = review(&read.review(), &Facts::default(), policy);
    let mut answered = answer(&read.uid, &verdict);
    assert_eq!(
        (&answered["apiVersion"], &answered["kind"]),
        (&json!(API_VERSION), &json!(KIND))
    );
    answered["response"].take()
}

fn create(object: &Value) -> Value {
    ask(
        &request("CREATE", "dockerdeployments", Some(object), None),
        &Policy::default(),
    )
}

#[test]
fn what_is_right_is_admitted_with_warnings() {
    let object = deployment(
        &json!({"name": "app", "image": "busybox", "ports": [{"containerPort": 80, "hostPort": 80}]}),
    );
    let response = create(&object);
    assert_eq!(
        (&response["uid"], &response["allowed"]),
        (&json!("705ab4f5"), &json!(true))
    );
    assert!(response.get("status").is_none());
    assert_eq!(response["warnings"].as_array().unwrap().len(), 1);
    let plain = create(&deployment(&json!({"name": "app", "image": "busybox"})));
    assert!(plain.get("warnings").is_none());
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_field_and_without_values() {
    let object = deployment(&json!({
        "name": "app", "image": "x y z", "workingDir": "here", "lifecycle": {"preStop": {}},
        "securityContext": {"privileged": true},
        "env": [{"name": "A=B", "value": "hunter2"}],
    }));
    let response = create(&object);
    assert_eq!(response["allowed"], false);
    let status = &response["status"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(422), &json!("Invalid"))
    );
    assert_eq!(status["details"]["kind"], "DockerDeployment");
    let path = "spec.template.spec.containers[0]";
    let causes = status["details"]["causes"].as_array().unwrap();
    let fields: Vec<&str> = causes
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    for field in [
        "env[0].name",
        "image",
        "lifecycle",
        "securityContext.privileged",
        "workingDir",
    ] {
        assert!(
            fields.contains(&format!("{path}.{field}").as_str()),
            "{field}: {fields:?}"
        );
    }
    let of = |field: &str| {
        causes
            .iter()
            .find(|cause| cause["field"] == format!("{path}.{field}"))
            .unwrap()
    };
    assert_eq!(of("image")["reason"], "FieldValueInvalid");
    assert_eq!(of("securityContext.privileged")["reason"], "FieldValueForbidden");
    assert!(!response.to_string().contains("hunter2"));
}

#[test]
fn what_only_policy_forbids_is_403_and_a_flag_permits_it() {
    let object =
        deployment(&json!({"name": "app", "image": "busybox", "securityContext": {"privileged": true}}));
    let status = &create(&object)["status"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(403), &json!("Forbidden"))
    );
    assert_eq!(status["details"]["kind"], "dockerdeployments");
    let allows = Policy {
        allow_privileged: true,
        ..Policy::default()
    };
    let response = ask(
        &request("CREATE", "dockerdeployments", Some(&object), None),
        &allows,
    );
    assert_eq!(response["allowed"], true);
}

#[test]
fn an_object_of_older_rules_can_be_labelled_and_let_go() {
    let old = deployment(&json!({"name": "app", "image": "x y z"}));
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    let update = |new: &Value| {
        let asked = request("UPDATE", "dockerdeployments", Some(new), Some(&old));
        ask(&asked, &Policy::default())["allowed"].clone()
    };
    assert_eq!(update(&new), true);
    new["spec"]["replicas"] = json!(2);
    assert_eq!(update(&new), false);
    new["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(update(&new), true);
}

#[test]
fn other_resources_subresources_and_operations_pass() {
    let bad = deployment(&json!({"name": "app", "image": "x y z"}));
    for (field, value) in [
        (
            "resource",
            json!({"group": "apps", "version": "v1", "resource": "dockerdeployments"}),
        ),
        (
            "resource",
            json!({"group": "supercargo.dev", "version": "v1alpha1", "resource": "others"}),
        ),
        ("subResource", json!("status")),
        ("operation", json!("CONNECT")),
    ] {
        let mut asked = request("CREATE", "dockerdeployments", Some(&bad), None);
        asked["request"][field] = value;
        assert_eq!(ask(&asked, &Policy::default())["allowed"], true, "{field}");
    }
}

#[test]
fn what_is_no_review_is_told_by_place_and_not_by_content() {
    let good = request("CREATE", "dockerdeployments", Some(&deployment(&json!({}))), None);
    let without = |pointer: &str, value: Value| {
        let mut asked = good.clone();
        *asked.pointer_mut(pointer).unwrap() = value;
        asked.to_string()
    };
    for (body, place) in [
        (String::new(), "no JSON"),
        ("{\"hunter2".to_owned(), "no JSON"),
        ("[]".to_owned(), "missing or of the wrong type"),
        ("\"hunter2\"".to_owned(), "missing or of the wrong type"),
        (format!("{good} hunter2"), "something follows"),
        (without("/kind", json!("hunter2")), "apiVersion or kind"),
        (
            without("/apiVersion", json!("admission.k8s.io/v1beta1")),
            "apiVersion or kind",
        ),
        (without("/request", Value::Null), "request is missing"),
        (without("/request/uid", json!("")), "request.uid is empty"),
        (
            without("/request/uid", json!(["hunter2"])),
            "request.uid is missing or of the wrong type",
        ),
        (
            without("/request/resource", json!("hunter2")),
            "request.resource is missing",
        ),
        (
            without("/request/object", Value::Null),
            "request.object is missing",
        ),
        (
            without("/request/object", json!("hunter2")),
            "request.object is missing",
        ),
        (
            without("/request/operation", json!("DELETE")),
            "request.oldObject is missing",
        ),
        ("{\"a\":".repeat(10_000), "no JSON"),
    ] {
        let told = read(body.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(place), "{place}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

/// A small generator, so that the same objects come on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// All paths of a document, deepest last.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            places(
                value,
                &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                into,
            )
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, value)| places(value, &format!("{at}/{n}"), into)),
        _ => {}
    }
}

/// One to three places of the object are something else.
fn disturb(numbers: &mut Numbers, object: &mut Value) {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(70_000),
        json!("x"),
        json!("x y z"),
        json!("$(PASSWORD)"),
        json!([]),
        json!({}),
        json!({"unknown": 1}),
        json!({"privileged": true}),
        json!([{"name": "other", "image": "busybox"}]),
        json!({"sc": "sc1.x"}),
        json!({"a b": "plain"}),
    ];
    for _ in 0..=numbers.below(3) {
        let mut all = Vec::new();
        places(&object["spec"], "/spec", &mut all);
        let place = &all[numbers.below(all.len())];
        *object.pointer_mut(place).unwrap() = values[numbers.below(values.len())].clone();
    }
}

/// A deployment and a secret that are right, with much in them that can become wrong.
fn right() -> (Value, Value) {
    let mut deployment = deployment(&json!({
        "name": "app", "image": "busybox:1", "command": ["sh"], "workingDir": "/",
        "env": [{"name": "A", "value": "b"}, {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}],
        "ports": [{"containerPort": 80, "hostPort": 80}], "securityContext": {"runAsUser": 1},
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }));
    deployment["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "tmp", "emptyDir": {"medium": "Memory"}}]);
    deployment["spec"]["replicas"] = json!(2);
    let secret = json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"encryptedData": {"password": "sc1.x.y"}, "allowedConsumers": {"selector": {"matchLabels": {"a": "b"}}}},
    });
    (deployment, secret)
}

/// What the guard of a reconcile finds; nothing when it cannot read a secret.
fn guard(resource: &str, object: &Value, policy: &Policy) -> Option<Vec<Violation>> {
    let found = if resource == "dockersecrets" {
        let secret: DockerSecret = serde_json::from_value(object.clone()).ok()?;
        validate_secret::validate_secret(&secret).err()
    } else {
        validate(object, policy).err()
    };
    Some(found.unwrap_or_default())
}

#[test]
fn the_webhook_refuses_exactly_what_the_guard_refuses() {
    let (deployment, secret) = right();
    let policies = [
        Policy::default(),
        Policy {
            allow_privileged: true,
            allow_host_paths: vec!["/".to_owned()],
            allow_capabilities: vec!["ALL".to_owned()],
            allow_host_credentials: true,
            ..Policy::default()
        },
    ];
    let mut numbers = Numbers(0x0AD3);
    let (mut refused, mut admitted) = (0, 0);
    for round in 0..4_000 {
        let (resource, mut object) = match round % 4 {
            0 => ("dockersecrets", secret.clone()),
            _ => ("dockerdeployments", deployment.clone()),
        };
        if round > 3 {
            disturb(&mut numbers, &mut object);
        }
        let policy = &policies[round % 2];
        let Some(violations) = guard(resource, &object, policy) else {
            continue;
        };
        let old = json!({"metadata": {"name": "web"}, "spec": {"other": 1}});
        for (operation, old) in [("CREATE", None), ("UPDATE", Some(&old))] {
            let response = ask(&request(operation, resource, Some(&object), old), policy);
            assert_eq!(response["allowed"], violations.is_empty(), "{object}");
            let causes = &response["status"]["details"]["causes"];
            let causes: Vec<&Value> = causes.as_array().into_iter().flatten().collect();
            assert_eq!(causes.len(), violations.len());
            for (violation, cause) in violations.iter().zip(causes) {
                assert_eq!(cause["field"], violation.path);
                assert!(cause["message"].as_str().unwrap().ends_with(&violation.message));
            }
        }
        *(if violations.is_empty() {
            &mut admitted
        } else {
            &mut refused
        }) += 1;
    }
    assert!(
        refused > 500 && admitted > 100,
        "{refused} refused, {admitted} admitted"
    );
}
