//! Tests of [`super`]: who may delete what, and what has to be known for it.

use serde_json::json;

use super::*;
use crate::{admission::review::review, api::validate::Policy};

fn secret() -> Value {
    json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": {}})
}

fn definition(plural: &str) -> Value {
    json!({
        "metadata": {"name": format!("{plural}.supercargo.dev")},
        "spec": {"group": "supercargo.dev", "names": {"plural": plural}},
    })
}

fn deletion<'a>(old: &'a Value, user: &'a str, groups: &'a [String]) -> Review<'a> {
    let definition = old.pointer("/spec/group").is_some();
    Review {
        operation: Operation::Delete,
        group: if definition { "apiextensions.k8s.io" } else { GROUP },
        resource: if definition {
            "customresourcedefinitions"
        } else {
            "dockersecrets"
        },
        subresource: "",
        object: None,
        old: Some(old),
        user,
        groups,
    }
}

fn user(name: &str, going: bool) -> User {
    User {
        name: name.to_owned(),
        going,
    }
}

fn used() -> Facts {
    Facts {
        users: vec![user("api", false), user("old", true), user("web", false)],
        ..Facts::default()
    }
}

/// What a person is told.
fn told(old: &Value, facts: &Facts) -> Option<Refusal> {
    review(&deletion(old, "jane", &[]), facts, &Policy::default()).refusal
}

#[test]
fn a_secret_in_use_is_not_deleted_and_every_user_that_stays_is_named() {
    let refused = told(&secret(), &used()).unwrap();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    assert_eq!(
        refused.message,
        "Operation cannot be fulfilled on dockersecrets.supercargo.dev \"db\": in use by api, web; delete them or take the \
         reference out, or set the annotation supercargo.dev/force-delete: \"true\""
    );
    assert_eq!(refused.to_json()["details"]["kind"], "dockersecrets");
}

#[test]
fn a_secret_goes_without_users_with_going_ones_with_its_namespace_by_force_and_twice() {
    assert_eq!(told(&secret(), &Facts::default()), None);
    let going = Facts {
        users: vec![user("web", true)],
        ..Facts::default()
    };
    assert_eq!(told(&secret(), &going), None);
    let ends = Facts {
        namespace_ends: true,
        ..used()
    };
    assert_eq!(told(&secret(), &ends), None);
    for (field, value) in [
        ("annotations", json!({"supercargo.dev/force-delete": "true"})),
        ("deletionTimestamp", json!("2026-01-01T00:00:00Z")),
    ] {
        let mut old = secret();
        old["metadata"][field] = value;
        assert_eq!(told(&old, &used()), None, "{field}");
        assert_eq!(need(&deletion(&old, "jane", &[])), Need::Nothing);
    }
    let mut almost = secret();
    almost["metadata"]["annotations"] = json!({"supercargo.dev/force-delete": "yes"});
    assert!(told(&almost, &used()).is_some());
}

#[test]
fn programs_are_not_refused_because_the_finalizer_brings_their_deletions_into_order() {
    let accounts = [
        "system:serviceaccounts".to_owned(),
        "system:authenticated".to_owned(),
    ];
    let policy = Policy::default();
    for (user, groups) in [
        (
            "system:serviceaccount:flux-system:kustomize-controller",
            &accounts[..],
        ),
        ("system:kube-controller-manager", &[]),
        ("system:apiserver", &[]),
    ] {
        let old = secret();
        let asked = deletion(&old, user, groups);
        assert_eq!(review(&asked, &used(), &policy), Verdict::default(), "{user}");
        assert_eq!(need(&asked), Need::Nothing, "{user}");
    }
    for (field, mark) in [
        ("labels", "kustomize.toolkit.fluxcd.io/name"),
        ("labels", "helm.toolkit.fluxcd.io/name"),
        ("annotations", "argocd.argoproj.io/tracking-id"),
    ] {
        let mut old = secret();
        old["metadata"][field] = json!({mark: "x"});
        assert_eq!(told(&old, &used()), None, "{mark}");
    }
}

#[test]
fn the_definition_of_one_of_our_kinds_stays_while_there_are_objects_whoever_asks() {
    let some = Facts {
        objects: Some(Objects {
            one: "shop/web".to_owned(),
            others: 3,
        }),
        ..Facts::default()
    };
    let accounts = ["system:serviceaccounts".to_owned()];
    for (plural, kind) in KINDS {
        let old = definition(plural);
        assert_eq!(need(&deletion(&old, "jane", &[])), Need::Objects { plural });
        let refused = review(&deletion(&old, "robot", &accounts), &some, &Policy::default());
        let refused = refused.refusal.unwrap();
        assert_eq!(refused.code, 409);
        assert!(
            refused.message.starts_with(&format!(
                "Operation cannot be fulfilled on customresourcedefinitions.apiextensions.k8s.io \"{plural}.supercargo.dev\": \
                 there are objects of it ({kind} shop/web and 3 more)"
            )),
            "{}",
            refused.message
        );
        assert_eq!(told(&old, &Facts::default()), None, "no object is left");
    }
    let mut forced = definition("dockersecrets");
    forced["metadata"]["annotations"] = json!({"supercargo.dev/force-delete": "true"});
    assert_eq!(told(&forced, &some), None);
}

#[test]
fn other_definitions_and_other_objects_go() {
    let mut other = definition("dockersecrets");
    other["spec"]["group"] = json!("example.com");
    assert_eq!(need(&deletion(&other, "jane", &[])), Need::Nothing);
    assert_eq!(need(&deletion(&definition("things"), "jane", &[])), Need::Nothing);
    let web = json!({"metadata": {"name": "web", "namespace": "shop"}});
    let asked = Review {
        resource: "dockerdeployments",
        ..deletion(&web, "jane", &[])
    };
    assert_eq!(review(&asked, &used(), &Policy::default()), Verdict::default());
}
