//! Kinds for tests of discovery and OpenAPI.

use std::sync::Arc;

use serde_json::json;

use crate::apiserver::{
    kinds::{Definition, Kind, Kinds, NoRules},
    names::{GroupResource, GroupVersion},
};

/// Every verb.
pub const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// A kind of `group/version` without anything that is optional.
pub fn kind(group: &str, version: &str, word: &str, plural: &str) -> Kind {
    let version = GroupVersion::new(group, version);
    let resource = GroupResource::new(group, plural);
    Kind {
        kind: word.into(),
        list_kind: format!("{word}List").into(),
        singular: word.to_lowercase().into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        verbs: ALL,
        status: false,
        scale: None,
        stored_as: resource.clone(),
        storage_version: version.clone(),
        schema: Arc::default(),
        definition: Definition::Custom(Arc::new(json!({ "type": "object" }))),
        columns: Vec::new(),
        selectable: Vec::new(),
        counts_generations: true,
        unconditional_update: false,
        create_on_update: false,
        fills_defaults: false,
        sealed: false,
        custom: true,
        rules: Arc::new(NoRules),
        version,
        resource,
    }
}

/// The same, built in.
pub fn built_in(group: &str, version: &str, word: &str, plural: &str, definition: &'static str) -> Kind {
    Kind {
        custom: false,
        definition: Definition::BuiltIn(definition),
        ..kind(group, version, word, plural)
    }
}

/// What is served when there are these.
pub fn kinds(all: impl IntoIterator<Item = Kind>) -> Kinds {
    Kinds::new(all.into_iter().map(Arc::new), 1)
}
