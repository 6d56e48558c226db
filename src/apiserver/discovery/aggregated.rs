//! Discovery in one answer: `APIGroupDiscoveryList` of `apidiscovery.k8s.io/v2`, which clients ask for since 1.27.
//! Owns the JSON and nothing of what is in it. `v2beta1` is gone upstream and is not spoken here either.
//! Called by the answering function of this folder.

use serde_json::{Value, json};

use super::groups::{Group, Resource, Subresource};

/// The list of these groups.
pub fn list<'a>(groups: impl Iterator<Item = &'a Group<'a>>) -> Value {
    let items: Vec<_> = groups.map(group).collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn group(group: &Group<'_>) -> Value {
    let versions: Vec<_> = group
        .versions
        .iter()
        .map(|version| {
            let resources: Vec<_> = version.resources.iter().map(resource).collect();
            json!({ "version": version.name, "resources": resources, "freshness": "Current" })
        })
        .collect();
    let metadata = if group.name.is_empty() {
        json!({})
    } else {
        json!({ "name": group.name })
    };
    json!({ "metadata": metadata, "versions": versions })
}

fn resource(resource: &Resource<'_>) -> Value {
    let kind = resource.kind;
    let mut entry = json!({
        "resource": &*kind.resource.resource,
        "responseKind": response(resource, &kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": &*kind.singular,
        "verbs": kind.verbs,
    });
    for (name, values) in [
        ("shortNames", &kind.short_names),
        ("categories", &kind.categories),
    ] {
        if !values.is_empty() {
            entry[name] = values.clone().into();
        }
    }
    if !resource.subresources.is_empty() {
        let below: Vec<_> = resource
            .subresources
            .iter()
            .map(|sub| below(resource, sub))
            .collect();
        entry["subresources"] = below.into();
    }
    entry
}

fn below(resource: &Resource<'_>, sub: &Subresource<'_>) -> Value {
    let kind = match sub.other {
        Some((group, version, kind)) => json!({ "group": group, "version": version, "kind": kind }),
        None => response(resource, sub.kind),
    };
    json!({ "subresource": sub.name, "responseKind": kind, "verbs": sub.verbs })
}

fn response(resource: &Resource<'_>, kind: &str) -> Value {
    let version = &resource.kind.version;
    json!({ "group": &*version.group, "version": &*version.version, "kind": kind })
}
