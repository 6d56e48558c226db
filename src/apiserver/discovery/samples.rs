//! Kinds for tests of discovery and OpenAPI.

use std::sync::Arc;

use serde_json::json;

use crate::apiserver::{
    kinds::{Definition, Kind, Kinds},
    names::GroupVersion,
};

/// A kind of `group/version` without anything that is optional.
pub fn kind(group: &str, version: &str, word: &str, plural: &str) -> Kind {
    Kind {
        definition: Definition::Custom(Arc::new(json!({ "type": "object" }))),
        ..Kind::bare(GroupVersion::new(group, version), word, plural)
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
