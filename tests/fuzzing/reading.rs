//! Fuzz targets for what a request says: path, parameters, selectors, accepted types, bodies.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::read;
use crate::{
    apiserver::{
        authorize::{DefaultRoles, SharedAuthorizer},
        kinds::{Kind, builtin},
        request::{self, PatchType},
        selector::{FieldSelector, LabelSelector},
    },
    clock::{Clock, Fixed},
};

/// The built-in kinds.
pub static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let authorizer: SharedAuthorizer = Arc::new(DefaultRoles);
    let clock: Arc<dyn Clock> = Arc::new(Fixed::at(jiff::Timestamp::UNIX_EPOCH));
    builtin::kinds(&authorizer, &clock)
});

/// One of the kinds.
pub fn kind(choice: u8) -> &'static Kind {
    &KINDS[usize::from(choice) % KINDS.len()]
}

/// What the first byte chooses, and the rest.
pub fn choose(bytes: &[u8]) -> (u8, &[u8]) {
    bytes
        .split_first()
        .map_or((0, bytes), |(first, rest)| (*first, rest))
}

/// The path of a request.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(request::Path::Resource(path)) = read(request::path(text)) {
        let named = path.resource.len() + path.namespace.len() + path.name.len() + path.subresource.len();
        assert!(named <= text.len(), "{text:?}");
    }
}

/// The query of a request, and what the verbs ask of it.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(query) = read(request::query(text)) else {
        return;
    };
    let patches = [
        PatchType::Json,
        PatchType::Merge,
        PatchType::Strategic,
        PatchType::Apply,
    ];
    for patch in patches {
        let _ = read(query.validate_patch(patch));
    }
    let _ = read(query.validate_create());
    let _ = read(query.validate_update());
    let _ = read(query.validate_list());
    let _ = read(query.validate_table());
    let _ = read(request::delete_options(&query, None, &Bytes::new()));
}

/// A label selector, and what it selects.
pub fn label_selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(selector) = read(LabelSelector::parse(text)) else {
        return;
    };
    let labels = [("a", "1"), ("app", "web"), ("b.c/d", "")];
    let _either = selector.matches(labels.into_iter());
    assert!(
        !selector.is_everything() || selector.matches(labels.into_iter()),
        "{text:?}"
    );
}

/// A field selector.
pub fn field_selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(selector) = read(FieldSelector::parse(text)) {
        assert!(selector.terms.len() <= text.len(), "{text:?}");
    }
}

/// An `Accept` header.
pub fn accept(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for custom in [false, true] {
        let _ = read(request::accept(Some(text), custom));
    }
}

fn body(content_type: &str, bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    let rest = Bytes::copy_from_slice(rest);
    let kind = Some(kind(choice)).filter(|_| choice < 128);
    let Some(decoded) = read(request::body(Some(content_type), &rest, kind)) else {
        return;
    };
    // What was read is written and read again, the same.
    let text = Bytes::from(decoded.object.to_string());
    let again = request::body(Some("application/json"), &text, kind).expect("it was read before");
    assert_eq!(again.object, decoded.object);
}

/// A body in JSON, of a kind that the first byte chooses.
pub fn json(bytes: &[u8]) {
    body("application/json", bytes);
}

/// A body in YAML.
pub fn yaml(bytes: &[u8]) {
    body("application/yaml", bytes);
    let (_, rest) = choose(bytes);
    let _ = read(request::patch_body(
        PatchType::Apply,
        &Bytes::copy_from_slice(rest),
    ));
}

/// A body in protobuf with its envelope, and a message without one.
pub fn protobuf(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    let enveloped = Bytes::copy_from_slice(rest);
    let content = Some("application/vnd.kubernetes.protobuf");
    let _ = read(request::body(content, &enveloped, Some(kind(choice))));
    let kind = kind(choice);
    let _ = read(builtin::protobuf::decode(
        &kind.version.to_string(),
        &kind.kind,
        rest,
    ));
}

/// Options of a deletion, in each type of body.
pub fn delete_options(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    let types = [
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
    ];
    let content = types[usize::from(choice) % types.len()];
    let query = request::query("").expect("an empty query is one");
    let _ = read(request::delete_options(
        &query,
        Some(content),
        &Bytes::copy_from_slice(rest),
    ));
}
