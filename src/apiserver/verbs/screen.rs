//! What stands between a decoded body and the rules: whether it is of the right type, whether it knows only known fields,
//! and, for built-in kinds, whether it could be decoded at all. Owns the words of decoding errors.
//! Pure. Called by `prepare` for every write. No value of a body is echoed: it may be a secret.

use serde_json::Value;

use super::{
    super::{
        field_error::{FieldError, FieldErrorKind},
        kinds::{Kind, builtin},
        schema,
        status::{Result, Status},
    },
    FieldValidation,
    prepare::Origin,
};

/// 400 or 422 unless `object` is of the kind and version of the endpoint; built-in kinds may leave both out.
pub(super) fn check_type(object: &mut Value, kind: &Kind, origin: Origin) -> Result<()> {
    let Some(fields) = object.as_object_mut() else {
        return Err(unrecognized(kind, "the body is no object"));
    };
    let version = kind.version.to_string();
    let said = |fields: &serde_json::Map<String, Value>, field: &str| {
        fields
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (said_version, said_kind) = (said(fields, "apiVersion"), said(fields, "kind"));
    if said_version == version && said_kind == *kind.kind {
        return Ok(());
    }
    if origin != Origin::Patch && !kind.custom {
        let version_fits = said_version.is_empty() || said_version == version;
        if version_fits && (said_kind.is_empty() || said_kind == *kind.kind) {
            fields.insert("apiVersion".to_owned(), version.into());
            fields.insert("kind".to_owned(), (&*kind.kind).into());
            return Ok(());
        }
        return Err(undecodable(
            kind,
            &said_kind,
            &said_version,
            &format!("no kind {said_kind:?} is registered for version {said_version:?}"),
        ));
    }
    Err(mistyped(kind, object, &said_version, &said_kind, origin))
}

fn mistyped(kind: &Kind, object: &Value, said_version: &str, said_kind: &str, origin: Origin) -> Status {
    let version = kind.version.to_string();
    if origin == Origin::Patch && !kind.custom {
        let why = format!("no kind {said_kind:?} is registered for version {said_version:?}");
        return unpatchable(&why);
    }
    if said_kind.is_empty() {
        return match origin {
            Origin::Patch => unpatchable("Object 'Kind' is missing"),
            Origin::Body => unrecognized(kind, "Object 'Kind' is missing"),
        };
    }
    if origin == Origin::Body && said_version != version {
        return Status::bad_request(format!(
            "the API version in the data ({said_version}) does not match the expected API version ({version})"
        ));
    }
    let mut findings = Vec::new();
    for (field, said, expected) in [
        ("apiVersion", said_version, &*version),
        ("kind", said_kind, &kind.kind),
    ] {
        if said != expected {
            findings.push(FieldError::invalid(field, said, format!("must be {expected}")));
        }
    }
    let name = super::super::object::name(object);
    Status::invalid(&kind.version.group, said_kind, name, &findings)
}

/// Brings an object of a built-in kind into its typed form; 400 or 422 for what no Go type can hold.
pub(super) fn decode(object: &mut Value, kind: &Kind, origin: Origin) -> Result<()> {
    builtin::decode(kind, object).map_err(|why| match origin {
        Origin::Patch => unpatchable(&why),
        Origin::Body => undecodable(kind, &kind.kind, &kind.version.to_string(), &why),
    })
}

/// Takes unknown fields away. The answer is warnings, or a refusal where `validation` is strict.
pub(super) fn prune(
    object: &mut Value,
    duplicates: &[String],
    kind: &Kind,
    validation: FieldValidation,
    origin: Origin,
) -> Result<Vec<String>> {
    let mut unknown = schema::prune(object, &kind.schema);
    if !kind.custom {
        // Only of a custom resource the metadata is decoded first.
        unknown.sort();
    }
    if validation == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let mut remarks = duplicates.to_vec();
    remarks.extend(unknown.iter().map(|path| format!("unknown field \"{path}\"")));
    if validation == FieldValidation::Warn || remarks.is_empty() {
        return Ok(remarks);
    }
    let why = format!("strict decoding error: {}", remarks.join(", "));
    Err(match origin {
        Origin::Patch => unpatchable(&why),
        Origin::Body => undecodable(kind, &kind.kind, &kind.version.to_string(), &why),
    })
}

/// What the schema of a built-in kind has against an object. The real server decodes these kinds into types, so a value
/// of a wrong type is no finding about a field but a body that cannot be read.
pub(super) fn check_decodes(findings: &[FieldError], kind: &Kind, origin: Origin) -> Result<()> {
    let wrong = findings
        .iter()
        .find(|finding| finding.kind != FieldErrorKind::Required);
    let Some(finding) = wrong.filter(|_| !kind.custom) else {
        return Ok(());
    };
    // The detail of a finding may show the value, which of a sealed kind nobody is to see.
    let why = if kind.sealed {
        format!("{}: the value is not of the type of this field", finding.field)
    } else {
        format!("{}: {}", finding.field, finding.detail)
    };
    Err(match origin {
        Origin::Patch => unpatchable(&why),
        Origin::Body => undecodable(kind, &kind.kind, &kind.version.to_string(), &why),
    })
}

/// 422 for a patch whose outcome is no object of the kind. The real server echoes the object.
pub(super) fn unpatchable(why: &str) -> Status {
    let finding = FieldError {
        kind: FieldErrorKind::Invalid,
        field: "patch".to_owned(),
        value: None,
        detail: why.to_owned(),
    };
    Status::invalid("", "", "", &[finding])
}

fn undecodable(kind: &Kind, said_kind: &str, said_version: &str, why: &str) -> Status {
    let version = said_version.rsplit('/').next().unwrap_or_default();
    Status::bad_request(format!(
        "{said_kind} in version {version:?} cannot be handled as a {}: {why}",
        kind.kind
    ))
}

fn unrecognized(kind: &Kind, why: &str) -> Status {
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {why}",
        kind.kind
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::verbs::fixture;

    #[test]
    fn a_value_of_a_sealed_kind_is_in_no_error() {
        let mut kind = fixture::config_maps();
        let finding = FieldError::invalid(
            "data.a",
            "hunter2",
            "data.a in body must be of type byte: \"hunter2\"",
        );
        let said = |kind: &Kind, origin| {
            check_decodes(std::slice::from_ref(&finding), kind, origin)
                .unwrap_err()
                .to_json()
                .to_string()
        };
        assert!(said(&kind, Origin::Body).contains("hunter2"));
        kind.sealed = true;
        for origin in [Origin::Body, Origin::Patch] {
            assert!(!said(&kind, origin).contains("hunter2"));
        }
    }
}
