//! What a CRD may say. Owns the findings (`k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation`) but for its
//! schemas, which `schema::parse` judges, and its metadata. Called by every write of a CRD.

use serde_json::{Map, Value};

use super::{facets, is_established, map, text, texts, versions};
use crate::apiserver::{
    field_error::{FieldError, FieldErrorKind},
    kinds::names::{label_1035, subdomain},
    object,
};

type Node = Map<String, Value>;

/// The findings of `definition`, besides those of its metadata. With `old`, what may not change has not.
#[must_use]
pub fn validate(definition: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let empty = Map::new();
    let spec = map(definition.get("spec"), &empty);
    let names = map(spec.get("names"), &empty);
    let mut found = Vec::new();
    let name = object::name(definition);
    if old.is_none()
        && !name.is_empty()
        && name != format!("{}.{}", text(names, "plural"), text(spec, "group"))
    {
        found.push(FieldError::invalid(
            "metadata.name",
            name,
            r#"must be spec.names.plural+"."+spec.group"#,
        ));
    }
    group(spec, &mut found);
    match text(spec, "scope") {
        "" => found.push(FieldError::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => found.push(FieldError::not_supported(
            "spec.scope",
            other,
            &["Cluster", "Namespaced"],
        )),
    }
    all_versions(definition, old, &mut found);
    for field in ["plural", "singular", "kind", "listKind"] {
        if text(names, field).is_empty() {
            found.push(FieldError::required(format!("spec.names.{field}"), ""));
        }
    }
    check_names(names, "spec.names", &mut found);
    facets::check_shared(definition, old, &mut found);
    conversion(spec, &mut found);
    if let Some(old) = old {
        immutable(definition, old, &mut found);
    }
    stored(definition, &mut found);
    approval(definition, old, &mut found);
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        found.push(FieldError::invalid("spec.preserveUnknownFields", true, detail));
    }
    found
}

fn group(spec: &Node, found: &mut Vec<FieldError>) {
    let group = text(spec, "group");
    let wrong = subdomain(group);
    if group.is_empty() {
        found.push(FieldError::required("spec.group", ""));
    } else if !wrong.is_empty() {
        found.push(FieldError::invalid("spec.group", group, wrong.join(",")));
    } else if !group.contains('.') {
        found.push(FieldError::invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        ));
    }
}

fn all_versions(definition: &Value, old: Option<&Value>, found: &mut Vec<FieldError>) {
    let (mut storage, mut names) = (0, Vec::new());
    let shared = facets::shared(definition);
    let root = |version: &Node| {
        version
            .get("schema")
            .and_then(|schema| schema.get("openAPIV3Schema"))
            .cloned()
    };
    for (index, version) in versions(definition).enumerate() {
        if root(version).is_none_or(|root| root.is_null()) {
            found.push(FieldError::required(
                format!("spec.versions[{index}].schema.openAPIV3Schema"),
                "",
            ));
        }
    }
    for (index, version) in versions(definition).enumerate() {
        let at = format!("spec.versions[{index}]");
        let name = text(version, "name");
        storage += usize::from(version.get("storage") == Some(&Value::Bool(true)));
        let wrong = label_1035(name);
        if !wrong.is_empty() {
            found.push(FieldError::invalid(format!("{at}.name"), name, wrong.join(",")));
        }
        names.push(name);
        let before = old.and_then(|old| versions(old).find(|before| text(before, "name") == name));
        let known = before.is_some_and(|before| before.get("schema") == version.get("schema"));
        facets::deprecation(version, &at, found);
        let own = |facet: &str| (!shared.contains(&facet)).then(|| format!("{at}.{facet}"));
        facets::check(version, known, &own, found);
    }
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    let mut whole = |detail: &str| {
        found.push(FieldError {
            kind: FieldErrorKind::Invalid,
            field: "spec.versions".to_owned(),
            value: definition.pointer("/spec/versions").cloned(),
            detail: detail.to_owned(),
        });
    };
    if unique.len() != names.len() {
        whole("must contain unique version names");
    }
    if storage != 1 {
        whole("must have exactly one version marked as storage version");
    }
    // Once there was one version only, and its name had a place of its own.
    if let Some((name, wrong)) = names
        .first()
        .map(|name| (*name, label_1035(name)))
        .filter(|(name, wrong)| !name.is_empty() && !wrong.is_empty())
    {
        found.push(FieldError::invalid("spec.version", name, wrong.join(",")));
    }
}

fn check_names(names: &Node, at: &str, found: &mut Vec<FieldError>) {
    for field in ["plural", "singular", "kind", "listKind"] {
        let name = text(names, field);
        let mixed = field.ends_with("ind");
        let wrong = if mixed {
            label_1035(&name.to_lowercase())
        } else {
            label_1035(name)
        };
        if name.is_empty() || wrong.is_empty() {
            continue;
        }
        let prefix = if mixed {
            "may have mixed case, but should otherwise match: "
        } else {
            ""
        };
        found.push(FieldError::invalid(
            format!("{at}.{field}"),
            name,
            format!("{prefix}{}", wrong.join(",")),
        ));
    }
    list_names(names, "shortNames", at, found);
    let kind = text(names, "kind");
    if !kind.is_empty() && kind == text(names, "listKind") {
        found.push(FieldError::invalid(
            format!("{at}.listKind"),
            kind,
            "kind and listKind may not be the same",
        ));
    }
    list_names(names, "categories", at, found);
}

fn list_names(names: &Node, field: &str, at: &str, found: &mut Vec<FieldError>) {
    for (index, name) in texts(names, field).iter().enumerate() {
        let wrong = label_1035(name);
        if !wrong.is_empty() {
            found.push(FieldError::invalid(
                format!("{at}.{field}[{index}]"),
                name.as_str(),
                wrong.join(","),
            ));
        }
    }
}

fn conversion(spec: &Node, found: &mut Vec<FieldError>) {
    let Some(conversion) = spec.get("conversion").and_then(Value::as_object) else {
        return;
    };
    match text(conversion, "strategy") {
        "" => found.push(FieldError::required("spec.conversion.strategy", "")),
        "None" => {
            if conversion
                .get("webhook")
                .is_some_and(|webhook| !webhook.is_null())
            {
                let detail = "should not be set when strategy is not set to Webhook";
                found.push(FieldError::forbidden(
                    "spec.conversion.webhookClientConfig",
                    detail,
                ));
            }
        }
        "Webhook" => {
            let detail = "this server calls no webhooks: use the strategy None, with versions that differ in their names only";
            found.push(FieldError::invalid("spec.conversion.strategy", "Webhook", detail));
        }
        other => {
            found.push(FieldError::not_supported(
                "spec.conversion.strategy",
                other,
                &["None", "Webhook"],
            ));
        }
    }
}

fn immutable(definition: &Value, old: &Value, found: &mut Vec<FieldError>) {
    let once_established = ["/spec/scope", "/spec/names/kind"]
        .into_iter()
        .filter(|_| is_established(old));
    for pointer in once_established.chain(["/spec/group", "/spec/names/plural"]) {
        let (now, before) = (definition.pointer(pointer), old.pointer(pointer));
        if now != before {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            let shown = now.cloned().unwrap_or_else(|| "".into());
            found.push(FieldError::invalid(field, shown, "field is immutable"));
        }
    }
}

/// What was stored in a version can only be read while the version is there.
fn stored(definition: &Value, found: &mut Vec<FieldError>) {
    let at = "status.storedVersions";
    let stored: Vec<&str> = (definition
        .pointer("/status/storedVersions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten())
    .filter_map(Value::as_str)
    .collect();
    if stored.is_empty() {
        found.push(FieldError::invalid(
            at,
            Value::Null,
            "must have at least one stored version",
        ));
        return;
    }
    let names: Vec<&str> = versions(definition)
        .map(|version| text(version, "name"))
        .collect();
    for version in versions(definition).filter(|version| version.get("storage") == Some(&Value::Bool(true))) {
        let name = text(version, "name");
        if !stored.contains(&name) {
            let detail = format!("must have the storage version {name}");
            found.push(FieldError::invalid(at, stored.clone(), detail));
        }
    }
    for (index, name) in stored
        .iter()
        .enumerate()
        .filter(|(_, name)| !names.contains(name))
    {
        let detail = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        );
        found.push(FieldError::invalid(format!("{at}[{index}]"), *name, detail));
    }
}

/// Groups of the Kubernetes community need the address of their approval.
fn approval(definition: &Value, old: Option<&Value>, found: &mut Vec<FieldError>) {
    const ANNOTATION: &str = "api-approved.kubernetes.io";
    let group = definition
        .pointer("/spec/group")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let guarded = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group == *domain || group.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')));
    let said = |of: &Value| {
        object::annotations(of)
            .find(|(key, _)| *key == ANNOTATION)
            .map(|(_, value)| value.to_owned())
    };
    let now = said(definition);
    if !guarded || old.is_some_and(|old| said(old) == now) {
        return;
    }
    let field = format!("metadata.annotations[{ANNOTATION}]");
    match now.as_deref() {
        None | Some("") => {
            let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111";
            found.push(FieldError::required(field, detail));
        }
        Some(said)
            if said.starts_with("https://")
                || said.starts_with("http://")
                || said.starts_with("unapproved") => {}
        Some(said) => {
            let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111";
            found.push(FieldError::invalid(field, said, detail));
        }
    }
}
