//! Fuzz targets for what a CRD says and does to objects: schema, pruning, defaults, validation, CEL, columns.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::apiserver::{
    kinds::{CellSource, Column, Kind, custom},
    schema,
    table::{Include, Printer},
};

/// An established CRD with a field of every sort.
pub fn thing_definition() -> Value {
    let mut definition: Value =
        serde_json::from_str(include_str!("thing.json")).expect("the definition of a test is JSON");
    custom::set_defaults(&mut definition);
    custom::prepare_create(&mut definition);
    definition["status"] = json!({
        "acceptedNames": definition["spec"]["names"], "storedVersions": ["v1"],
        "conditions": [{"type": "Established", "status": "True"}, {"type": "NamesAccepted", "status": "True"}],
    });
    definition
}

/// The kind of it.
pub static THING: LazyLock<Kind> = LazyLock::new(|| {
    let mut kinds = custom::kinds(&thing_definition());
    kinds.pop().expect("it is established")
});

/// The first line, and the others if they are an object.
fn halves(bytes: &[u8]) -> Option<(&str, Value)> {
    let (first, rest) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let object: Value = serde_json::from_str(rest).ok()?;
    Some((first, object)).filter(|(_, object)| object.is_object())
}

/// A schema on the first line, an object in the others.
pub fn schema(bytes: &[u8]) {
    let Some((first, mut object)) = halves(bytes) else {
        return;
    };
    let Ok(source) = serde_json::from_str::<Value>(first) else {
        return;
    };
    // One that another server accepted is read as far as it goes.
    let lax = schema::read(&source);
    let _ = schema::validate(&object, None, &lax);
    let schema = match schema::parse(&source, "spec.validation") {
        Ok(schema) => schema,
        Err(findings) => {
            assert!(!findings.is_empty(), "a refusal says why");
            let mut copy = object.clone();
            let _ = schema::prune(&mut copy, &lax);
            schema::default(&mut copy, &lax);
            return;
        }
    };
    let old = object.clone();
    let _ = schema::prune(&mut object, &schema);
    assert!(
        schema::prune(&mut object, &schema).is_empty(),
        "pruned twice: {source} {object}"
    );
    schema::default(&mut object, &schema);
    let once = object.clone();
    schema::default(&mut object, &schema);
    assert_eq!(once, object, "defaulted twice: {source}");
    let _ = schema::validate(&object, None, &schema);
    let _ = schema::validate(&object, Some(&old), &schema);
}

/// A CEL rule on the first line, an object in the others.
pub fn cel(bytes: &[u8]) {
    let Some((rule, object)) = halves(bytes) else {
        return;
    };
    let mut definition = thing_definition();
    let at = "/spec/versions/0/schema/openAPIV3Schema";
    let source = definition.pointer_mut(at).expect("it has a schema");
    let rules = json!([{"rule": rule, "message": "no"}, {"rule": "true", "messageExpression": rule}]);
    source["x-kubernetes-validations"] = rules.clone();
    if let Some(spec) = source.pointer_mut("/properties/spec") {
        spec["x-kubernetes-validations"] = rules;
    }
    if let Ok(schema) = schema::parse(source, "spec") {
        let _ = schema::validate(&object, None, &schema);
        let _ = schema::validate(&object, Some(&object), &schema);
    }
}

/// A printer column's path on the first line, an object in the others.
pub fn columns(bytes: &[u8]) {
    let Some((path, object)) = halves(bytes) else {
        return;
    };
    let mut kind = THING.clone();
    let types = ["string", "integer", "number", "boolean", "date"];
    kind.columns = types
        .map(|of| Column {
            name: "X".to_owned(),
            kind: of.to_owned(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            source: CellSource::Path(path.to_owned()),
        })
        .into();
    let row = Printer::new(&kind).row(&kind, &object, Include::Metadata, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(
        row["cells"].as_array().map(Vec::len),
        Some(types.len() + 1),
        "{row}"
    );
}

/// A CRD.
pub fn definition(bytes: &[u8]) {
    let Ok(mut definition) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if !definition.is_object() {
        return;
    }
    let old = definition.clone();
    custom::set_defaults(&mut definition);
    custom::prepare_create(&mut definition);
    let _ = custom::validate(&definition, None);
    custom::prepare_update(&mut definition, &old);
    let _ = custom::validate(&definition, Some(&old));
    let _ = custom::warnings(&definition);
    let _ = custom::storage_version(&definition);
    let others = [&old];
    let _ = custom::accepted(&definition, &others);
    let status = custom::status(&definition, &[], "2026-01-01T00:00:00Z");
    definition["status"] = status;
    definition["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    for kind in custom::kinds(&definition) {
        let _ = Printer::new(&kind).row(&kind, &old, Include::None, jiff::Timestamp::UNIX_EPOCH);
    }
}
