//! What the built-in kinds do, in sentences; the words and results are those a Kubernetes API server gave for the same.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::{decode, kinds};
use crate::{
    apiserver::{
        authorize::{AUTHENTICATED, DISCOVERY, DefaultRoles, PUBLIC, SharedAuthorizer, User},
        kinds::{CellSource, Kind},
        names::GroupVersion,
        object,
    },
    clock::{Clock, Fixed},
};

fn all() -> Vec<Kind> {
    let authorizer: SharedAuthorizer = Arc::new(DefaultRoles);
    let clock: Arc<dyn Clock> = Arc::new(Fixed::at("2024-01-02T03:04:05Z".parse().unwrap()));
    kinds(&authorizer, &clock)
}

fn kind(api_version: &str, name: &str) -> Kind {
    let version = GroupVersion::parse(api_version).unwrap();
    let mut all = all().into_iter();
    all.find(|kind| kind.version == version && &*kind.kind == name)
        .unwrap()
}

fn findings(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<String> {
    kind.rules
        .validate(object, old)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn config_map(mut more: Value) -> Vec<String> {
    object::set_meta(&mut more, "name", "c");
    findings(&kind("v1", "ConfigMap"), &more, None)
}

fn secret(more: &Value) -> Vec<String> {
    findings(&kind("v1", "Secret"), more, None)
}

const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

#[test]
fn the_kinds_are_named_and_scoped_as_kubernetes_does() {
    let listed: Vec<String> = all()
        .iter()
        .map(|kind| {
            format!(
                "{} {} {} {}",
                kind.resource,
                kind.singular,
                kind.namespaced,
                kind.verbs.len()
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            "configmaps configmap true 8",
            "secrets secret true 8",
            "namespaces namespace false 7",
            "serviceaccounts serviceaccount true 8",
            "leases.coordination.k8s.io lease true 8",
            "controllerrevisions.apps controllerrevision true 8",
            "events event true 8",
            "events.events.k8s.io event true 8",
            "customresourcedefinitions.apiextensions.k8s.io customresourcedefinition false 8",
            "selfsubjectaccessreviews.authorization.k8s.io selfsubjectaccessreview false 1",
            "subjectaccessreviews.authorization.k8s.io subjectaccessreview false 1",
            "localsubjectaccessreviews.authorization.k8s.io localsubjectaccessreview true 1",
            "selfsubjectrulesreviews.authorization.k8s.io selfsubjectrulesreview false 1",
            "selfsubjectreviews.authentication.k8s.io selfsubjectreview false 1",
        ]
    );
}

#[test]
fn only_secrets_are_sealed_and_both_groups_of_events_share_a_store() {
    let sealed: Vec<String> = all()
        .iter()
        .filter(|kind| kind.sealed)
        .map(|kind| kind.kind.to_string())
        .collect();
    assert_eq!(sealed, ["Secret"]);
    assert_eq!(
        kind("events.k8s.io/v1", "Event").stored_as,
        kind("v1", "Event").stored_as
    );
}

#[test]
fn keys_of_config_maps_are_words() {
    assert_eq!(
        config_map(json!({"data": {"": "z", "..": "y", "a b": "x"}})),
        [
            format!("data[]: Invalid value: \"\": {KEY}"),
            "data[..]: Invalid value: \"..\": must not be '..'".to_owned(),
            format!("data[a b]: Invalid value: \"a b\": {KEY}"),
        ]
    );
    assert_eq!(
        config_map(json!({"data": {"..x": "y"}})),
        ["data[..x]: Invalid value: \"..x\": must not start with '..'"]
    );
}

#[test]
fn a_key_is_in_data_or_in_binary_data() {
    assert_eq!(
        config_map(json!({"data": {"a": "x"}, "binaryData": {"a": "eA==", "b/": "eA=="}})),
        [
            "data[a]: Invalid value: \"a\": duplicate of key present in binaryData".to_owned(),
            format!("binaryData[b/]: Invalid value: \"b/\": {KEY}"),
        ]
    );
}

#[test]
fn the_values_have_a_mebibyte_together() {
    let most = "x".repeat(1024 * 1024);
    assert!(config_map(json!({"data": {"a": most}})).is_empty());
    assert_eq!(
        config_map(json!({"data": {"a": most, "b": "x"}})),
        ["[]: Too long: may not be more than 1048576 bytes"]
    );
    // Four characters are three bytes.
    let encoded = "eHh4".repeat(349_525);
    assert!(secret(&json!({"data": {"a": encoded, "b": "eA=="}})).is_empty());
    assert_eq!(
        secret(&json!({"data": {"a": encoded, "b": "eHg="}})),
        ["data: Too long: may not be more than 1048576 bytes"]
    );
}

#[test]
fn what_is_immutable_does_not_change_and_stays_immutable() {
    let old = json!({"immutable": true, "data": {"a": "b"}});
    let kind = kind("v1", "ConfigMap");
    let why = "Forbidden: field is immutable when `immutable` is set";
    let changed = json!({"immutable": true, "data": {"a": "c"}, "binaryData": {"b": "eA=="}});
    assert_eq!(
        findings(&kind, &changed, Some(&old)),
        [format!("data: {why}"), format!("binaryData: {why}")]
    );
    assert_eq!(
        findings(&kind, &json!({"data": {"a": "b"}}), Some(&old)),
        [format!("immutable: {why}")]
    );
    assert!(findings(&kind, &old, Some(&old)).is_empty());
}

#[test]
fn string_data_is_merged_and_the_type_is_opaque() {
    let mut object = json!({"stringData": {"a": "x"}, "data": {"a": "eQ==", "b": "eQ=="}});
    kind("v1", "Secret").rules.prepare_create(&mut object);
    assert_eq!(
        object,
        json!({"data": {"a": "eA==", "b": "eQ=="}, "type": "Opaque"})
    );
}

#[test]
fn the_type_of_a_secret_is_kept_when_absent_and_never_changes() {
    let kind = kind("v1", "Secret");
    let old = json!({"type": "t"});
    let mut new = json!({"data": {}});
    kind.rules.prepare_update(&mut new, &old);
    assert_eq!(new["type"], "t");
    assert_eq!(
        findings(&kind, &json!({"type": "other"}), Some(&old)),
        ["type: Invalid value: \"other\": field is immutable"]
    );
}

#[test]
fn types_of_secrets_require_their_keys() {
    for (of, missing) in [
        ("kubernetes.io/tls", &["data[tls.crt]", "data[tls.key]"][..]),
        ("kubernetes.io/basic-auth", &["data[username]", "data[password]"]),
        ("kubernetes.io/ssh-auth", &["data[ssh-privatekey]"]),
        ("kubernetes.io/dockercfg", &["data[.dockercfg]"]),
        ("kubernetes.io/dockerconfigjson", &["data[.dockerconfigjson]"]),
        (
            "kubernetes.io/service-account-token",
            &["metadata.annotations[kubernetes.io/service-account.name]"],
        ),
        ("bootstrap.kubernetes.io/token", &[]),
    ] {
        let wanted: Vec<String> = missing
            .iter()
            .map(|field| format!("{field}: Required value"))
            .collect();
        assert_eq!(secret(&json!({"type": of})), wanted, "{of}");
    }
    assert!(secret(&json!({"type": "kubernetes.io/basic-auth", "data": {"password": ""}})).is_empty());
    assert_eq!(
        secret(&json!({"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}})).len(),
        1
    );
}

#[test]
fn a_finding_in_a_secret_shows_nothing_of_it() {
    // `hunter2` is no JSON.
    let object =
        json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "aHVudGVyMg=="}});
    let found = secret(&object);
    assert_eq!(
        found,
        ["data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": must be a JSON object"]
    );
    let valid = json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}});
    assert!(secret(&valid).is_empty());
}

#[test]
fn bad_base64_cannot_be_decoded() {
    let mut object = json!({"data": {"a": "!!"}});
    let why = decode(&kind("v1", "Secret"), &mut object).unwrap_err();
    assert_eq!(why, "illegal base64 data at input byte 0");
}

#[test]
fn a_namespace_is_active_labelled_and_held_by_the_server() {
    let kind = kind("v1", "Namespace");
    let mut object = json!({"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "zz"}}, "spec": {"finalizers": ["x/y"]}});
    kind.rules.prepare_create(&mut object);
    assert_eq!(
        object,
        json!({
            "metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}},
            "spec": {"finalizers": ["x/y", "kubernetes"]}, "status": {"phase": "Active"},
        })
    );
    let mut new = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["a/b"]}});
    kind.rules.prepare_update(&mut new, &object);
    assert_eq!(new["spec"], object["spec"]);
    assert_eq!(new["metadata"]["labels"], object["metadata"]["labels"]);
}

#[test]
fn finalizers_of_a_namespace_are_qualified() {
    let object = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["x", "kubernetes"]}, "status": {"phase": "Active"}});
    let why = "Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified";
    assert_eq!(
        findings(&kind("v1", "Namespace"), &object, None),
        [format!("spec.finalizers: {why}")]
    );
    assert_eq!(
        findings(&kind("v1", "Namespace"), &object, Some(&object)),
        [format!("spec.finalizers[0]: {why}")]
    );
}

#[test]
fn the_phase_follows_the_deletion() {
    let kind = kind("v1", "Namespace");
    let object = json!({"status": {"phase": "Terminating"}});
    assert_eq!(
        findings(&kind, &object, Some(&object)),
        [
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
        ]
    );
    let mut held = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}});
    assert!(kind.rules.begin_delete(&mut held, "now").unwrap());
    assert_eq!(held["status"]["phase"], "Terminating");
    assert!(kind.rules.holds(&held));
    assert!(!kind.rules.holds(&json!({"spec": {"finalizers": []}})));
}

#[test]
fn namespaces_of_the_server_are_not_deleted() {
    let kind = kind("v1", "Namespace");
    let status = kind
        .rules
        .begin_delete(&mut json!({"metadata": {"name": "default"}}), "now")
        .unwrap_err();
    assert_eq!(
        (status.code, &*status.message),
        (
            403,
            "namespaces \"default\" is forbidden: this namespace may not be deleted"
        )
    );
}

#[test]
fn the_data_of_a_controller_revision_is_an_object_and_stays() {
    let kind = kind("apps/v1", "ControllerRevision");
    let of = |data: Value, number: i64| json!({"data": data, "revision": number});
    assert_eq!(findings(&kind, &of(json!({}), 0), None), [""; 0]);
    for (data, why) in [
        (json!(null), "data is mandatory"),
        (json!([1]), "data must be a valid JSON object"),
        (json!("x"), "data must be a valid JSON object"),
    ] {
        assert_eq!(
            findings(&kind, &of(data, -1), None),
            [
                "revision: Invalid value: -1: must be greater than or equal to 0".to_owned(),
                format!("data: Required value: {why}"),
            ]
        );
    }
    let old = of(json!({"a": 1}), 1);
    assert_eq!(findings(&kind, &of(json!({"a": 1}), 7), Some(&old)), [""; 0]);
    assert_eq!(
        findings(&kind, &of(json!({"a": 2}), 1), Some(&old)),
        ["data: Invalid value: \"<value omitted>\": field is immutable"]
    );
}

#[test]
fn a_controller_revision_shows_whose_it_is() {
    let columns = kind("apps/v1", "ControllerRevision").columns;
    let CellSource::Computed(cell) = &columns[0].source else {
        panic!("{columns:?}")
    };
    let owned = |owners: Value| cell(&json!({"metadata": {"ownerReferences": owners}}));
    let web = |version: &str, kind: &str, controller: bool| json!({"apiVersion": version, "kind": kind, "name": "web", "controller": controller});
    assert_eq!(
        owned(json!([
            web("v1", "ConfigMap", false),
            web("supercargo.dev/v1alpha1", "DockerDeployment", true)
        ])),
        "dockerdeployment.supercargo.dev/web"
    );
    assert_eq!(owned(json!([web("v1", "ConfigMap", true)])), "configmap/web");
    assert_eq!(owned(json!([web("v1", "ConfigMap", false)])), "<none>");
}

#[test]
fn a_lease_lasts_and_does_not_go_back() {
    let kind = kind("coordination.k8s.io/v1", "Lease");
    assert_eq!(
        findings(
            &kind,
            &json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
            None
        ),
        [
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ]
    );
    let mut object = json!({"spec": {"strategy": "Foo", "preferredHolder": "x", "holderIdentity": "h"}});
    kind.rules.prepare_create(&mut object);
    assert_eq!(object, json!({"spec": {"holderIdentity": "h"}}));
}

#[test]
fn a_service_account_keeps_names_of_secrets_and_is_warned() {
    let kind = kind("v1", "ServiceAccount");
    let mut object = json!({
        "metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "x"}},
        "secrets": [{"name": "a", "kind": "Z"}],
    });
    kind.rules.prepare_create(&mut object);
    assert_eq!(object["secrets"], json!([{"name": "a"}]));
    assert_eq!(
        kind.rules.warnings(&object),
        [
            "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        ]
    );
}

#[test]
fn an_event_is_where_its_object_is() {
    let kind = kind("v1", "Event");
    let event = |of: &str| json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": of}});
    assert_eq!(
        findings(&kind, &event(""), None),
        ["involvedObject.namespace: Invalid value: \"\": does not match event.namespace"]
    );
    assert_eq!(
        findings(&kind, &event("other"), None),
        ["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"]
    );
    assert!(findings(&kind, &event("a"), None).is_empty());
    assert!(findings(&kind, &json!({"metadata": {"namespace": "default"}}), None).is_empty());
}

#[test]
fn an_event_with_a_time_says_who_did_what_and_why() {
    let object = json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "a"}, "eventTime": "2020-01-01T00:00:00.000000Z"});
    let found = findings(&kind("v1", "Event"), &object, None);
    assert_eq!(found[0], "reportingComponent: Required value");
    assert_eq!(
        found[1],
        "reportingComponent: Invalid value: \"\": name part must be non-empty"
    );
    assert_eq!(
        found[3..],
        [
            "reportingInstance: Required value",
            "action: Required value",
            "reason: Required value"
        ]
    );
}

fn new_event(more: &Value) -> Value {
    let mut event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "n1", "namespace": "a"},
        "eventTime": "2020-01-01T00:00:00.000000Z", "reportingController": "x.y/z", "reportingInstance": "i", "action": "A",
        "reason": "R", "type": "Normal", "note": "n", "regarding": {"kind": "Pod", "namespace": "a", "name": "p"},
    });
    for (field, value) in more.as_object().unwrap() {
        event[field] = value.clone();
    }
    let kind = kind("events.k8s.io/v1", "Event");
    decode(&kind, &mut event).unwrap();
    event
}

#[test]
fn an_event_of_the_new_group_is_strict() {
    let kind = kind("events.k8s.io/v1", "Event");
    let found = |more: Value| findings(&kind, &new_event(&more), None);
    assert!(found(json!({})).is_empty());
    assert_eq!(
        found(json!({"type": "Bogus"})),
        ["type: Invalid value: \"\": has invalid value: Bogus"]
    );
    assert_eq!(
        found(json!({"deprecatedCount": 3})),
        ["count: Invalid value: \"\": needs to be unset"]
    );
    assert_eq!(
        found(json!({
            "deprecatedFirstTimestamp": "2020-01-01T00:00:00Z", "deprecatedSource": {"component": "c"},
            "series": {"count": 2, "lastObservedTime": null},
        })),
        [
            "series.lastObservedTime: Required value",
            "firstTimestamp: Invalid value: \"\": needs to be unset",
            "source: Invalid value: \"\": needs to be unset",
        ]
    );
    let mut bare = json!({"metadata": {"namespace": "a"}});
    decode(&kind, &mut bare).unwrap();
    assert_eq!(
        findings(&kind, &bare, None),
        [
            "involvedObject.namespace: Invalid value: \"\": does not match event.namespace",
            "eventTime: Required value",
            "type: Invalid value: \"\": has invalid value: ",
        ]
    );
}

#[test]
fn of_an_event_of_the_new_group_only_the_series_changes() {
    let kind = kind("events.k8s.io/v1", "Event");
    let old = new_event(&json!({"series": {"count": 2, "lastObservedTime": "2020-01-01T00:00:00.000000Z"}}));
    let series =
        new_event(&json!({"series": {"count": 3, "lastObservedTime": "2020-01-01T00:00:00.000000Z"}}));
    assert!(findings(&kind, &series, Some(&old)).is_empty());
    let changed = new_event(&json!({"series": old["series"], "reason": "other", "note": "y"}));
    assert_eq!(
        findings(&kind, &changed, Some(&old)),
        [
            "reason: Invalid value: \"other\": field is immutable",
            "message: Invalid value: \"y\": field is immutable",
        ]
    );
}

#[test]
fn an_event_is_the_same_in_both_groups() {
    let kind_new = kind("events.k8s.io/v1", "Event");
    let new = new_event(&json!({}));
    let mut core = kind_new.rules.stored_form(new.clone());
    assert_eq!(core["apiVersion"], "v1");
    assert_eq!(core["involvedObject"]["name"], "p");
    assert_eq!(
        (&core["message"], &core["reportingComponent"]),
        (&json!("n"), &json!("x.y/z"))
    );
    assert_eq!(
        (&core["source"], &core["firstTimestamp"]),
        (&json!({}), &Value::Null)
    );
    let before = core.clone();
    decode(&kind("v1", "Event"), &mut core).unwrap();
    assert_eq!(core, before, "the stored form is the typed form");
    assert_eq!(kind_new.rules.served_form(core), new);
}

#[test]
fn events_are_selected_by_the_names_of_their_group() {
    let new = new_event(&json!({}));
    let (core_kind, new_kind) = (kind("v1", "Event"), kind("events.k8s.io/v1", "Event"));
    let core = new_kind.rules.stored_form(new.clone());
    for (field, value) in [
        ("involvedObject.name", "p"),
        ("source", "x.y/z"),
        ("reportingComponent", "x.y/z"),
        ("type", "Normal"),
    ] {
        assert_eq!(
            core_kind.rules.selectable(&core, field).as_deref(),
            Some(value),
            "{field}"
        );
    }
    assert_eq!(
        new_kind.rules.selectable(&new, "regarding.name").as_deref(),
        Some("p")
    );
    assert_eq!(
        new_kind.rules.selectable(&new, "reportingController").as_deref(),
        Some("x.y/z")
    );
    for field in [
        "source",
        "involvedObject.name",
        "reportingComponent",
        "note",
        "regarding.bogus",
    ] {
        assert_eq!(new_kind.rules.selectable(&new, field), None, "{field}");
    }
    assert_eq!(core_kind.rules.selectable(&core, "message"), None);
}

fn cells(kind: &Kind, object: &Value) -> Vec<Value> {
    let show = |source: &CellSource| match source {
        CellSource::Computed(compute) => compute(object),
        CellSource::Since(time) => time(object).into(),
        CellSource::Path(path) => path.as_str().into(),
    };
    kind.columns.iter().map(|column| show(&column.source)).collect()
}

#[test]
fn a_row_of_an_event_is_the_same_in_both_groups() {
    let core = json!({
        "metadata": {"name": "e3"}, "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec"}, "reason": "Rz",
        "message": " hi\nthere\n", "type": "Normal", "count": 3, "firstTimestamp": "2020-01-01T00:00:00Z",
        "lastTimestamp": "2020-01-02T00:00:00Z", "source": {"component": "kubelet", "host": "h1"},
    });
    let wanted = vec![
        json!("2020-01-02T00:00:00Z"),
        json!("Normal"),
        json!("Rz"),
        json!("pod/p"),
        json!("spec"),
        json!("kubelet, h1"),
        json!("hi\nthere"),
        json!("2020-01-01T00:00:00Z"),
        json!(3),
        json!("e3"),
    ];
    assert_eq!(cells(&kind("v1", "Event"), &core), wanted);
    let new_kind = kind("events.k8s.io/v1", "Event");
    assert_eq!(cells(&new_kind, &new_kind.rules.served_form(core)), wanted);
}

#[test]
fn rows_of_secrets_show_no_value() {
    let object =
        json!({"type": "Opaque", "data": {"a": "eA==", "b": "eA=="}, "metadata": {"creationTimestamp": "t"}});
    assert_eq!(
        cells(&kind("v1", "Secret"), &object),
        [json!("Opaque"), json!(2), json!("t")]
    );
}

fn review(name: &str, spec: &Value, user: &User) -> Result<Value, String> {
    let group = if name == "SelfSubjectReview" {
        "authentication.k8s.io/v1"
    } else {
        "authorization.k8s.io/v1"
    };
    let object = json!({"apiVersion": group, "kind": name, "metadata": {"namespace": "a"}, "spec": spec});
    let answer = kind(group, name).rules.answer(&object, user).unwrap();
    answer
        .map(|answer| answer["status"].clone())
        .map_err(|status| status.message)
}

#[test]
fn reviews_ask_the_authorizer() {
    let (master, joe) = (
        User::master("m"),
        User {
            name: "joe".to_owned(),
            ..User::default()
        },
    );
    let pods = json!({"resourceAttributes": {"verb": "get", "resource": "pods"}});
    assert_eq!(
        review("SelfSubjectAccessReview", &pods, &master),
        Ok(json!({"allowed": true}))
    );
    assert_eq!(
        review("SelfSubjectAccessReview", &pods, &joe),
        Ok(json!({"allowed": false}))
    );
    let mut of = pods.clone();
    of["user"] = "joe".into();
    assert_eq!(
        review("SubjectAccessReview", &of, &master),
        Ok(json!({"allowed": false}))
    );
    of["groups"] = json!(["system:masters"]);
    assert_eq!(
        review("SubjectAccessReview", &of, &joe),
        Ok(json!({"allowed": true}))
    );
}

#[test]
fn reviews_that_ask_nothing_or_two_things_are_refused() {
    let joe = User::default();
    let exactly = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    assert_eq!(
        review("SelfSubjectAccessReview", &json!({}), &joe).unwrap_err(),
        format!(".authorization.k8s.io \"\" is invalid: spec: Invalid value: null: {exactly}")
    );
    let both = json!({"user": "joe", "resourceAttributes": {}, "nonResourceAttributes": {"verb": "get", "path": "/x"}});
    assert_eq!(
        review("SubjectAccessReview", &both, &joe).unwrap_err(),
        format!(
            ".authorization.k8s.io \"\" is invalid: spec: Invalid value: {{\"Path\":\"/x\",\"Verb\":\"get\"}}: {exactly}"
        )
    );
    let anybody = json!({"resourceAttributes": {"verb": "get"}});
    assert_eq!(
        review("SubjectAccessReview", &anybody, &joe).unwrap_err(),
        ".authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least one of user or group must be specified"
    );
    let elsewhere = json!({"user": "joe", "resourceAttributes": {"verb": "get"}});
    assert_eq!(
        review("LocalSubjectAccessReview", &elsewhere, &joe).unwrap_err(),
        ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid value: \"\": must match metadata.namespace"
    );
    assert_eq!(
        review("SelfSubjectRulesReview", &json!({}), &joe).unwrap_err(),
        "no namespace on request"
    );
}

#[test]
fn who_asks_is_told_who_it_is_and_what_it_may() {
    let (master, joe) = (
        User::master("m"),
        User {
            name: "joe".to_owned(),
            ..User::default()
        },
    );
    assert_eq!(
        review("SelfSubjectReview", &Value::Null, &master),
        Ok(json!({"userInfo": {"username": "m", "groups": ["system:masters", "system:authenticated"]}}))
    );
    let rules = review("SelfSubjectRulesReview", &json!({"namespace": "a"}), &master).unwrap();
    assert_eq!(
        rules["resourceRules"][0],
        json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
    );
    assert_eq!(
        rules["nonResourceRules"],
        json!([
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
            {"verbs": ["get"], "nonResourceURLs": DISCOVERY},
            {"verbs": ["get"], "nonResourceURLs": PUBLIC},
        ])
    );
    let none = review("SelfSubjectRulesReview", &json!({"namespace": "a"}), &joe).unwrap();
    assert_eq!(
        none,
        json!({"resourceRules": [], "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": PUBLIC}], "incomplete": false})
    );
    let anybody = User {
        groups: vec![AUTHENTICATED.to_owned()],
        ..joe
    };
    let own = review("SelfSubjectRulesReview", &json!({"namespace": "a"}), &anybody).unwrap();
    assert_eq!(
        own["resourceRules"],
        json!([
            {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
                "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
            {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
        ])
    );
    assert_eq!(
        own["nonResourceRules"],
        json!([
            {"verbs": ["get"], "nonResourceURLs": DISCOVERY},
            {"verbs": ["get"], "nonResourceURLs": PUBLIC},
        ])
    );
}

#[test]
fn rules_are_total_on_objects_that_are_none() {
    for object in [
        json!(null),
        json!(5),
        json!([]),
        json!({"spec": 1, "metadata": [], "data": "x", "status": null, "series": 1}),
    ] {
        for kind in all()
            .iter()
            .filter(|kind| kind.verbs.len() > 1 && &*kind.kind != "CustomResourceDefinition")
        {
            let mut new = object.clone();
            kind.rules.prepare_create(&mut new);
            kind.rules.prepare_update(&mut new, &object);
            kind.rules.validate(&new, Some(&object));
            kind.rules.stored_form(kind.rules.served_form(object.clone()));
            cells(kind, &object);
        }
    }
}
