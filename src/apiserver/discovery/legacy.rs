//! Discovery in the form that every client reads: `APIVersions`, `APIGroupList`, `APIGroup`, `APIResourceList`.
//! Owns the JSON and nothing of what is in it.
//! Called by the answering function of this folder.

use serde_json::{Map, Value, json};

use super::groups::{Group, Resource, Subresource, Version, storage_version_hash};
use crate::apiserver::names::GroupVersion;

/// `/api`.
pub fn core(groups: &[Group<'_>], address: &str) -> Value {
    let core = groups.iter().find(|group| group.name.is_empty());
    let versions: Vec<_> = core
        .into_iter()
        .flat_map(|core| &core.versions)
        .map(|version| version.name)
        .collect();
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }],
    })
}

/// `/apis`.
pub fn groups(groups: &[Group<'_>]) -> Value {
    let named: Vec<_> = groups
        .iter()
        .filter(|group| !group.name.is_empty())
        .map(entry)
        .collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": named })
}

/// `/apis/{group}`.
pub fn group(group: &Group<'_>) -> Value {
    let mut answer = entry(group);
    answer["kind"] = "APIGroup".into();
    answer["apiVersion"] = "v1".into();
    answer
}

fn entry(group: &Group<'_>) -> Value {
    let versions: Vec<_> = group
        .versions
        .iter()
        .map(|version| json!({ "groupVersion": format!("{}/{}", group.name, version.name), "version": version.name }))
        .collect();
    json!({ "name": group.name, "preferredVersion": versions.first(), "versions": versions })
}

/// `/apis/{group}/{version}`.
pub fn resources(of: &GroupVersion, version: &Version<'_>) -> Value {
    let mut resources = Vec::new();
    for resource in &version.resources {
        resources.push(main(resource));
        resources.extend(resource.subresources.iter().map(|sub| below(resource, sub)));
    }
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": of.to_string(), "resources": resources })
}

fn main(resource: &Resource<'_>) -> Value {
    let kind = resource.kind;
    let mut map = Map::new();
    map.insert("name".to_owned(), (&*kind.resource.resource).into());
    map.insert("singularName".to_owned(), (&*kind.singular).into());
    map.insert("namespaced".to_owned(), kind.namespaced.into());
    map.insert("kind".to_owned(), (&*kind.kind).into());
    map.insert("verbs".to_owned(), kind.verbs.into());
    for (name, values) in [
        ("shortNames", &kind.short_names),
        ("categories", &kind.categories),
    ] {
        if !values.is_empty() {
            map.insert(name.to_owned(), values.clone().into());
        }
    }
    if let Some(hash) = storage_version_hash(kind) {
        map.insert("storageVersionHash".to_owned(), hash.into());
    }
    map.into()
}

fn below(resource: &Resource<'_>, sub: &Subresource<'_>) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.kind.resource.resource, sub.name),
        "singularName": "",
        "namespaced": resource.kind.namespaced,
        "kind": sub.kind,
        "verbs": sub.verbs,
    });
    if let Some((group, version, kind)) = sub.other {
        entry["group"] = group.into();
        entry["version"] = version.into();
        entry["kind"] = kind.into();
    }
    entry
}
