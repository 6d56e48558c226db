//! OpenAPI v2 of everything at once. Owns how a document of version 3 is said in version 2: bodies are parameters,
//! content types belong to operations, definitions lose what version 2 has no words for.
//! Called by the answering function of this folder; `gnostic` makes protobuf of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{definitions, operations, publish};
use crate::apiserver::{
    discovery::{GIT_VERSION, groups},
    kinds::{Kind, Kinds},
};

const JSON_OR_YAML: [&str; 2] = ["application/json", "application/yaml"];

/// The document.
pub fn document(kinds: &Kinds, built_in: &BTreeMap<String, Value>) -> Value {
    let groups = groups(kinds);
    let resources = groups
        .iter()
        .flat_map(|group| &group.versions)
        .flat_map(|version| &version.resources);
    let paths: Value = resources
        .flat_map(operations::paths)
        .collect::<Map<_, _>>()
        .into();
    let all: Vec<&Kind> = kinds.iter().map(AsRef::as_ref).collect();
    let custom: BTreeSet<_> = all
        .iter()
        .filter(|kind| kind.custom)
        .map(|kind| definitions::name(kind))
        .collect();
    let definitions: Map<_, _> = definitions::collect(all.into_iter(), &paths, built_in)
        .into_iter()
        .map(|(name, definition)| {
            let lowered = publish::lower(&definition, custom.contains(&name));
            (name, lowered)
        })
        .collect();
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": GIT_VERSION },
        "paths": lower_paths(paths),
        "definitions": definitions,
        "securityDefinitions": {
            "BearerToken": {
                "description": "A bearer token",
                "type": "apiKey",
                "name": "authorization",
                "in": "header",
            },
        },
        "security": [{ "BearerToken": [] }],
    })
}

fn lower_paths(paths: Value) -> Value {
    let Value::Object(mut paths) = paths else {
        return paths;
    };
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        for (key, value) in item {
            if key == "parameters" {
                parameters(value);
            } else {
                *value = operation(value);
            }
        }
    }
    paths.into()
}

fn parameters(list: &mut Value) {
    for parameter in list
        .as_array_mut()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if let Some(Value::Object(schema)) = parameter.remove("schema") {
            parameter.extend(schema);
        }
    }
}

fn operation(three: &mut Value) -> Value {
    let mut taken = three["parameters"].take();
    parameters(&mut taken);
    let mut all = match taken {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    let body = three["requestBody"].take();
    let content = body["content"].as_object();
    let consumes: Vec<_> = match content {
        Some(content) => content.keys().map(String::as_str).collect(),
        None => JSON_OR_YAML.to_vec(),
    };
    if let Some(schema) = content.and_then(first_schema) {
        let mut parameter = json!({ "name": "body", "in": "body", "schema": schema });
        if body["required"] == true {
            parameter["required"] = true.into();
        }
        all.push(parameter);
    }
    let mut responses = Map::new();
    for (code, response) in three["responses"].as_object().into_iter().flatten() {
        let mut lowered = json!({ "description": response["description"] });
        if let Some(schema) = response["content"].as_object().and_then(first_schema) {
            lowered["schema"] = schema;
        }
        responses.insert(code.clone(), lowered);
    }
    json!({
        "description": three["description"],
        "consumes": consumes,
        "produces": JSON_OR_YAML,
        "schemes": ["https"],
        "tags": three["tags"],
        "operationId": three["operationId"],
        "parameters": all,
        "responses": responses,
        "x-kubernetes-action": three["x-kubernetes-action"],
        "x-kubernetes-group-version-kind": three["x-kubernetes-group-version-kind"],
    })
}

fn first_schema(content: &Map<String, Value>) -> Option<Value> {
    content
        .values()
        .next()
        .map(|media| publish::lower(&media["schema"], false))
}
