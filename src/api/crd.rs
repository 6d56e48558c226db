//! The CRDs, made from the Rust types, the table of fields and the CEL rules, in one canonical form.
//! Owns what happens to a generated schema: noise out, refused fields and rules in, the two defaults. Describes no field itself.
//! Called by `supercargo crds`, by the golden test, and by whoever installs the CRDs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::deployment::DockerDeployment;
use super::fields::{Field, Shape, TABLES, Table, Treatment};
use super::rules::{
    DEPLOYMENT_RULES, EXACTLY_ONE, FILE_RULES, PROBE_RULES, Rule, SECRET_RULES, SECRET_TABLES, acceptance,
};
use super::secret::DockerSecret;
use super::status::UNOBSERVED;

/// The CRDs could not be made: a mistake in a type, a table or a rule, never of a user.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// A type cannot be written as JSON or read back.
    #[error("the schema of a resource cannot be written")]
    Json(#[from] serde_json::Error),
    /// A table or rule names a place that no type has.
    #[error("{0:?} is not in the schema")]
    NoSuchPlace(String),
    /// YAML cannot be written.
    #[error("a resource cannot be written as YAML: {0}")]
    Yaml(String),
}

/// Every CRD of ours, in the order of installation.
///
/// # Errors
/// Only by a mistake in this program, which a test would find.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    let documents = [deployment()?, secret()?];
    Ok(documents
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<_, _>>()?)
}

/// Every CRD of ours by its name, with a checksum of its file in `crds/`: tells one version from another without making it
/// of the types. The texts themselves are not in the program.
pub const CHECKSUMS: [(&str, u64); 2] = [
    (
        "dockerdeployments.supercargo.dev",
        checksum(include_bytes!("../../crds/dockerdeployments.yaml")),
    ),
    (
        "dockersecrets.supercargo.dev",
        checksum(include_bytes!("../../crds/dockersecrets.yaml")),
    ),
];

/// FNV-1a: nobody gains by two texts of one sum, and the compiler can work it out.
const fn checksum(text: &[u8]) -> u64 {
    let (mut sum, mut rest) = (0xcbf2_9ce4_8422_2325_u64, text);
    while let [byte, more @ ..] = rest {
        sum = (sum ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = more;
    }
    sum
}

/// Every CRD of ours as a file: its name and its canonical YAML.
///
/// # Errors
/// Only by a mistake in this program, which a test would find.
pub fn files() -> Result<Vec<(&'static str, String)>, CrdError> {
    [
        ("dockerdeployments.yaml", deployment()?),
        ("dockersecrets.yaml", secret()?),
    ]
    .into_iter()
    .map(|(name, document)| Ok((name, yaml(&document)?)))
    .collect()
}

fn yaml(document: &Value) -> Result<String, CrdError> {
    let text = serde_saphyr::to_string(document).map_err(|error| CrdError::Yaml(error.to_string()))?;
    Ok(format!(
        "# Generated from src/api by `make generate`; edits are lost.\n{}\n",
        text.trim_end()
    ))
}

fn deployment() -> Result<Value, CrdError> {
    let mut document = serde_json::to_value(DockerDeployment::crd())?;
    let schema = schema_of(&mut document)?;
    inject(schema, TABLES)?;
    for (at, message) in EXACTLY_ONE {
        let table = TABLES
            .iter()
            .find(|table| table.at == *at)
            .ok_or_else(|| missing(at))?;
        let present: Vec<String> = table
            .fields
            .iter()
            .filter(|field| field.name != "name")
            .map(|field| format!("has(self.{})", field.name))
            .collect();
        let rule = format!("[{}].exists_one(present, present)", present.join(", "));
        add_rule(place(schema, at)?, "", &rule, message, "FieldValueInvalid");
    }
    add_rules(schema, DEPLOYMENT_RULES)?;
    add_rules(schema, FILE_RULES)?;
    add_rules(schema, PROBE_RULES.as_flattened())?;
    place(schema, "spec.replicas")?["default"] = json!(1);
    Ok(document)
}

fn secret() -> Result<Value, CrdError> {
    let mut document = serde_json::to_value(DockerSecret::crd())?;
    let schema = schema_of(&mut document)?;
    // A rule says it with a sentence; a missing required field would keep every other rule from being checked.
    if let Some(root) = schema.as_object_mut() {
        root.remove("required");
    }
    inject(schema, SECRET_TABLES)?;
    add_rules(schema, SECRET_RULES)?;
    Ok(document)
}

/// The schema within a CRD, without noise and with the default of its status.
fn schema_of(document: &mut Value) -> Result<&mut Value, CrdError> {
    remove_noise(document);
    let schema = document
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .ok_or_else(|| missing("openAPIV3Schema"))?;
    clean(schema);
    place(schema, "spec")?["description"] = json!("What is wanted.");
    let status = place(schema, "status")?;
    // A fresh object is in progress before anybody has seen it: without this, clients take it for done.
    status["default"] = json!({ "observedGeneration": UNOBSERVED });
    Ok(schema)
}

/// Removes what says nothing and writes numbers as the API server does: clients that compare a CRD with what they applied would see a difference for ever.
fn remove_noise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| {
                remove_noise(value);
                !(value.is_null() || value.as_array().is_some_and(Vec::is_empty))
            });
        }
        Value::Array(items) => items.iter_mut().for_each(remove_noise),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().and_then(whole) {
                *number = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The whole number that a bound such as `65535.0` is: the API server writes it so, too.
fn whole(number: f64) -> Option<i64> {
    format!("{number:.0}")
        .parse::<i64>()
        .ok()
        .filter(|_| number.fract() == 0.0)
}

/// Takes from a schema what the Rust types put there for themselves: nullability, defaults, titles.
fn clean(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for key in ["nullable", "default", "title"] {
        map.remove(key);
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(clean);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(key) {
            clean(child);
        }
    }
}

fn missing(at: &str) -> CrdError {
    CrdError::NoSuchPlace(at.to_owned())
}

/// The schema at a place, in the syntax of [`Table::at`].
fn place<'a>(schema: &'a mut Value, at: &str) -> Result<&'a mut Value, CrdError> {
    let mut here = schema;
    for step in at.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]");
        here = here
            .get_mut("properties")
            .and_then(|properties| properties.get_mut(name))
            .ok_or_else(|| missing(at))?;
        if step.ends_with("[]") {
            here = here.get_mut("items").ok_or_else(|| missing(at))?;
        }
    }
    Ok(here)
}

/// Declares what the tables refuse or ignore, with the rules that refuse it.
///
/// Refused objects keep unknown fields: what is below them need not be described, since nothing of it is ever stored.
fn inject(schema: &mut Value, tables: &[Table]) -> Result<(), CrdError> {
    for table in tables {
        let object = place(schema, table.at)?;
        for field in table.fields {
            let Some(declaration) = declare(field) else {
                continue;
            };
            object["properties"][field.name] = declaration;
            if let (Some(rule), Some(message)) = (acceptance(field), field.refusal()) {
                add_rule(object, field.name, &rule, &message, "FieldValueForbidden");
            }
        }
    }
    Ok(())
}

fn declare(field: &Field) -> Option<Value> {
    let shape = match field.treatment {
        Treatment::Used | Treatment::Ours => return None,
        Treatment::Nested => {
            return Some(
                json!({ "description": "Accepted only as far as it asks for nothing special.", "type": "object" }),
            );
        }
        Treatment::Ignored(shape)
        | Treatment::Only(shape, ..)
        | Treatment::Refused(shape, _)
        | Treatment::ToCome(shape, _) => shape,
    };
    let mut declaration = match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Int => json!({ "type": "integer", "format": "int64" }),
        Shape::Text => json!({ "type": "string", "maxLength": 1024 }),
        Shape::Object => json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true }),
        Shape::Objects => list(json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })),
        Shape::Texts => list(json!({ "type": "string", "maxLength": 1024 })),
        Shape::Ints => list(json!({ "type": "integer", "format": "int64" })),
        Shape::Map => map(json!({ "type": "string", "maxLength": 1024 })),
        Shape::Quantities => map(json!({ "x-kubernetes-int-or-string": true, "maxLength": 32 })),
    };
    declaration["description"] = json!(match field.refusal() {
        Some(refusal) => format!("Refused: {refusal}."),
        None => "Accepted and without effect.".to_owned(),
    });
    if field.name == "creationTimestamp" {
        // Generated manifests carry `creationTimestamp: null` in the template; server-side apply refuses a null elsewhere.
        declaration["nullable"] = json!(true);
    }
    Some(declaration)
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "maxItems": 64, "items": items, "x-kubernetes-list-type": "atomic" })
}

fn map(values: Value) -> Value {
    json!({ "type": "object", "maxProperties": 64, "additionalProperties": values })
}

fn add_rules(schema: &mut Value, rules: &[Rule]) -> Result<(), CrdError> {
    for rule in rules {
        add_rule(
            place(schema, rule.at)?,
            rule.field,
            rule.rule,
            rule.message,
            "FieldValueInvalid",
        );
    }
    Ok(())
}

fn add_rule(object: &mut Value, field: &str, rule: &str, message: &str, reason: &str) {
    let mut entry = json!({ "rule": rule, "message": message });
    if reason != "FieldValueInvalid" {
        entry["reason"] = json!(reason);
    }
    if !field.is_empty() {
        entry["fieldPath"] = json!(format!(".{field}"));
    }
    match object.get_mut("x-kubernetes-validations") {
        Some(Value::Array(rules)) => rules.push(entry),
        _ => object["x-kubernetes-validations"] = json!([entry]),
    }
}
