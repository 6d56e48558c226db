//! OpenAPI v3 of one group and version. Owns the document around the paths and the definitions.
//! Not what an operation is, and not how a schema is published.
//! Called by the answering function of this folder.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{definitions, operations};
use crate::apiserver::discovery::{GIT_VERSION, Resource};

/// The document of these resources, all of one group and version.
pub fn document(resources: &[Resource<'_>], built_in: &BTreeMap<String, Value>) -> Value {
    let paths: Value = resources
        .iter()
        .flat_map(operations::paths)
        .collect::<serde_json::Map<_, _>>()
        .into();
    let kinds = resources.iter().map(|resource| resource.kind);
    let mut schemas = definitions::collect(kinds, &paths, built_in);
    let group = resources
        .first()
        .map_or("", |resource| &*resource.kind.version.group);
    schemas.values_mut().for_each(|schema| keep_own(schema, group));
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": GIT_VERSION },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "A bearer token",
                    "name": "authorization",
                    "in": "header",
                },
            },
        },
    })
}

/// Of a definition that is a kind of every group, the kinds of the core group and of this one.
fn keep_own(schema: &mut Value, group: &str) {
    let kinds = schema
        .get_mut("x-kubernetes-group-version-kind")
        .and_then(Value::as_array_mut);
    if let Some(kinds) = kinds.filter(|kinds| kinds.len() > 1) {
        kinds.retain(|kind| kind["group"] == "" || kind["group"] == group);
    }
}
