//! CRDs as their owners meet them: names that clash, what may change, what is served.

use serde_json::{Value, json};

use super::{
    DefinitionRules, is_established, kinds, prepare_create, prepare_update, set_defaults, status,
    storage_version, validate,
};
use crate::apiserver::kinds::{CellSource, Definition, Rules};

const NOW: &str = "2026-01-01T00:00:00Z";

fn widget() -> Value {
    let mut definition = json!({
        "metadata": {"name": "widgets.example.dev"},
        "spec": {
            "group": "example.dev", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"host": {"type": "string"}}}},
            }}}],
        },
    });
    prepare_create(&mut definition);
    definition
}

fn established() -> Value {
    let mut definition = widget();
    definition["status"] = status(&definition, &[], NOW);
    definition
}

fn details(definition: &Value, old: &Value) -> Vec<String> {
    validate(definition, Some(old))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn defaults_are_filled_in_once() {
    let mut definition = widget();
    assert_eq!(definition["spec"]["names"]["singular"], "widget");
    assert_eq!(definition["spec"]["names"]["listKind"], "WidgetList");
    assert_eq!(definition["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(
        definition["status"],
        json!({
            "conditions": null, "acceptedNames": {"kind": "", "plural": ""}, "storedVersions": ["v1"],
        })
    );
    let before = definition.clone();
    set_defaults(&mut definition);
    assert_eq!(definition, before);
    assert_eq!(validate(&definition, None), []);
}

#[test]
fn a_crd_without_clashes_is_established() {
    let definition = established();
    assert!(is_established(&definition));
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    assert_eq!(conditions[0]["reason"], "NoConflicts");
    assert_eq!(conditions[0]["message"], "no conflicts found");
    assert_eq!(conditions[1]["reason"], "InitialNamesAccepted");
    assert_eq!(
        status(&definition, &[], "2027-01-01T00:00:00Z"),
        definition["status"],
        "nothing changes a second time"
    );
}

#[test]
fn a_name_that_another_crd_has_is_not_accepted_until_it_is_free() {
    let first = established();
    let mut second = widget();
    second["metadata"]["name"] = "gadgets.example.dev".into();
    second["spec"]["names"] = json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList", "shortNames": ["wd"]});
    second["status"] = status(&second, &[&first], NOW);
    assert_eq!(second["status"]["conditions"][0]["reason"], "ShortNamesConflict");
    assert_eq!(
        second["status"]["conditions"][0]["message"],
        "\"wd\" is already in use"
    );
    assert_eq!(second["status"]["conditions"][1]["reason"], "NotAccepted");
    assert_eq!(
        second["status"]["conditions"][1]["message"],
        "not all names are accepted"
    );
    assert_eq!(second["status"]["acceptedNames"]["plural"], "gadgets");
    assert!(kinds(&second).is_empty());
    second["status"] = status(&second, &[], NOW);
    assert!(is_established(&second));
    assert_eq!(kinds(&second).len(), 1);
}

#[test]
fn each_kind_of_name_has_its_conflict() {
    let first = established();
    for (field, reason) in [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
    ] {
        let mut second = widget();
        second["metadata"]["name"] = "gadgets.example.dev".into();
        second["spec"]["names"] =
            json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"});
        second["spec"]["names"][field] = first["spec"]["names"][field].clone();
        assert_eq!(status(&second, &[&first], NOW)["conditions"][0]["reason"], reason);
    }
    let mut elsewhere = widget();
    elsewhere["spec"]["group"] = "other.dev".into();
    assert_eq!(
        status(&elsewhere, &[&first], NOW)["conditions"][0]["reason"],
        "NoConflicts",
        "another group"
    );
}

#[test]
fn what_objects_are_stored_by_cannot_change() {
    let old = established();
    let mut new = old.clone();
    new["spec"]["scope"] = "Cluster".into();
    new["spec"]["names"]["kind"] = "Wodget".into();
    assert_eq!(
        details(&new, &old),
        [
            "spec.scope: Invalid value: \"Cluster\": field is immutable",
            "spec.names.kind: Invalid value: \"Wodget\": field is immutable",
        ]
    );
    let mut not_yet = old.clone();
    not_yet["status"]["conditions"] = json!([]);
    assert_eq!(details(&new, &not_yet), Vec::<String>::new());
}

#[test]
fn a_stored_version_cannot_leave() {
    let old = established();
    let mut new = old.clone();
    new["spec"]["versions"][0]["name"] = "v2".into();
    prepare_update(&mut new, &old);
    assert_eq!(new["status"]["storedVersions"], json!(["v1", "v2"]));
    let told = details(&new, &old);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with(
            "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously"
        ),
        "{told:?}"
    );
}

#[test]
fn webhooks_are_refused_with_the_reason() {
    let mut definition = widget();
    definition["spec"]["conversion"] =
        json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}});
    let told = DefinitionRules.validate(&definition, None);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].to_string().contains("this server calls no webhooks"),
        "{told:?}"
    );
}

#[test]
fn a_schema_that_was_accepted_is_not_judged_again() {
    let mut old = established();
    old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({});
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(details(&new, &old), Vec::<String>::new());
}

#[test]
fn a_kind_is_served_as_its_crd_says() {
    let mut definition = established();
    definition["spec"]["versions"][0]["subresources"] = json!({"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}});
    definition["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".spec.host"}]);
    let second = json!({"name": "v2", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}, "additionalPrinterColumns": [{"name": "Host", "type": "string", "jsonPath": ".spec.host", "priority": 1}]});
    let third = json!({"name": "v3", "served": false, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}});
    definition["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .extend([second, third]);
    let served = kinds(&definition);
    assert_eq!(served.len(), 2);
    let (one, two) = (&served[0], &served[1]);
    assert_eq!(one.version.to_string(), "example.dev/v1");
    assert_eq!(two.storage_version.to_string(), "example.dev/v1");
    assert_eq!(
        (&*one.kind, &*one.list_kind, &*one.singular),
        ("Widget", "WidgetList", "widget")
    );
    assert_eq!(
        (one.short_names.join(","), one.categories.join(",")),
        ("wd".to_owned(), "all".to_owned())
    );
    assert!(
        one.status && one.namespaced && one.custom && one.counts_generations && !one.unconditional_update
    );
    assert!(!two.status && two.scale.is_none());
    assert_eq!(one.scale.as_ref().unwrap().spec_replicas, ".spec.replicas");
    assert_eq!(one.selectable, ["spec.host"]);
    assert_eq!((one.columns.len(), one.columns[0].name.as_str()), (1, "Age"));
    assert!(matches!(&two.columns[0].source, CellSource::Path(path) if path == ".spec.host"));
    assert_eq!((two.columns.len(), two.columns[0].priority), (1, 1));
    assert!(matches!(&one.definition, Definition::Custom(_)));
    assert!(
        one.schema.properties["metadata"]
            .properties
            .contains_key("labels")
    );
    assert_eq!(storage_version(&definition), Some("v1"));
}

#[test]
fn our_own_crds_have_no_finding() {
    for text in [
        include_str!("../../../../crds/dockerdeployments.yaml"),
        include_str!("../../../../crds/dockersecrets.yaml"),
    ] {
        let mut definition: Value = serde_saphyr::from_str(text).unwrap();
        prepare_create(&mut definition);
        let told: Vec<String> = validate(&definition, None)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told, Vec::<String>::new());
        definition["status"] = status(&definition, &[], NOW);
        assert_eq!(kinds(&definition).len(), 1);
    }
}

#[test]
fn crds_of_any_shape_are_answered() {
    for odd in [
        json!(null),
        json!([]),
        json!({"spec": []}),
        json!({"spec": {"versions": [1, {}], "names": 5}}),
        json!({"status": 1, "spec": {"versions": {}}}),
    ] {
        let mut definition = odd;
        prepare_create(&mut definition);
        let _ = validate(&definition, Some(&json!({})));
        let _ = status(&definition, &[&json!(3)], NOW);
        assert!(kinds(&definition).is_empty());
        prepare_update(&mut definition, &json!({"status": 4}));
    }
}
