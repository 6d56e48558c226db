//! Where a path leads. Owns percent-decoding and the split into version, namespace, resource, name and subresource, as
//! a Kubernetes API server reads them (`k8s.io/apiserver/pkg/endpoints/request`). Looks nothing up.
//! Not served: the deprecated `/watch/` prefix, superseded by `?watch=true`; it leads to 404 like any unknown path.
//! Called by `serve` for every request.

use percent_encoding::percent_decode_str;

use super::{Path, ResourcePath};
use crate::apiserver::{
    names::GroupVersion,
    status::{Result, Status},
};

/// Splits a path. It is decoded first and split afterwards, so that an encoded slash is a slash, as upstream has it.
///
/// # Errors
/// 400 for what is not UTF-8 after percent-decoding, or names an object `.`, `..` or with a `%`.
pub fn path(path: &str) -> Result<Path> {
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Status::bad_request("the path is not valid UTF-8"))?;
    // A path that does not start with exactly one slash leads nowhere; slashes at its end are nothing.
    let inner = decoded
        .strip_prefix('/')
        .filter(|rest| !rest.starts_with('/'))
        .unwrap_or_default();
    let parts: Vec<&str> = inner.trim_end_matches('/').split('/').collect();
    let (version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => (GroupVersion::new("", version), rest),
        ["apis", group, version, rest @ ..] if !group.is_empty() => (GroupVersion::new(group, version), rest),
        _ => return Ok(Path::Other(path.to_owned())),
    };
    if matches!(rest, [] | ["watch" | "proxy", ..]) {
        return Ok(Path::Other(path.to_owned()));
    }
    let (namespace, rest) = match rest {
        // The namespace itself, which is cluster-scoped.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize", ..] => ("", rest),
        ["namespaces", name, rest @ ..] => (*name, rest),
        rest => ("", rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, "", String::new()),
        [resource, name, rest @ ..] => (*resource, *name, rest.join("/")),
        [] => return Ok(Path::Other(path.to_owned())),
    };
    name_is_a_segment(name)?;
    Ok(Path::Resource(ResourcePath {
        version,
        namespace: namespace.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        subresource,
    }))
}

fn name_is_a_segment(name: &str) -> Result<()> {
    let fault = match name {
        "." => "may not be '.'",
        ".." => "may not be '..'",
        name if name.contains('%') => "may not contain '%'",
        _ => return Ok(()),
    };
    Err(Status::bad_request(format!(
        "Name parameter invalid: {name:?}: {fault}"
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> Option<[String; 5]> {
        match path(text).unwrap() {
            Path::Resource(found) => Some([
                found.version.to_string(),
                found.namespace,
                found.resource,
                found.name,
                found.subresource,
            ]),
            Path::Other(same) => {
                assert_eq!(same, text);
                None
            }
        }
    }

    #[test]
    fn resource_paths_are_split() {
        for (text, expected) in [
            ("/api/v1/pods", ["v1", "", "pods", "", ""]),
            ("/api/v1/namespaces", ["v1", "", "namespaces", "", ""]),
            ("/api/v1/namespaces/x", ["v1", "", "namespaces", "x", ""]),
            ("/api/v1/namespaces/x/", ["v1", "", "namespaces", "x", ""]),
            (
                "/api/v1/namespaces/x/status",
                ["v1", "", "namespaces", "x", "status"],
            ),
            (
                "/api/v1/namespaces/x/finalize",
                ["v1", "", "namespaces", "x", "finalize"],
            ),
            ("/api/v1/namespaces/x/pods", ["v1", "x", "pods", "", ""]),
            // Which is nowhere, and not all namespaces.
            (
                "/api/v1/namespaces/x/namespaces",
                ["v1", "x", "namespaces", "", ""],
            ),
            ("/api/v1/namespaces/x/pods//", ["v1", "x", "pods", "", ""]),
            ("/api/v1/namespaces//pods", ["v1", "", "pods", "", ""]),
            ("/api/v1/namespaces/x/pods/y/log", ["v1", "x", "pods", "y", "log"]),
            ("/api/v1/namespaces/x/pods/y/a/b", ["v1", "x", "pods", "y", "a/b"]),
            (
                "/api/v1/namespaces/namespaces/pods",
                ["v1", "namespaces", "pods", "", ""],
            ),
            (
                "/api/v1//namespaces/x/pods",
                ["v1", "", "", "namespaces", "x/pods"],
            ),
            ("/apis/a.b/v2/things/n", ["a.b/v2", "", "things", "n", ""]),
            (
                "/apis/a.b/v2/namespaces/x/things/n/status",
                ["a.b/v2", "x", "things", "n", "status"],
            ),
            (
                "/apis/a.b/v2/namespaces/x%2Dy/things/n%2ecrt",
                ["a.b/v2", "x-y", "things", "n.crt", ""],
            ),
            ("/apis/a.b/v2/things/a%2fb", ["a.b/v2", "", "things", "a", "b"]),
        ] {
            assert_eq!(parts(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_left_as_it_is() {
        for text in [
            "",
            "/",
            "/api",
            "/api/v1",
            "/api/v1/",
            "/apis",
            "/apis/g",
            "/apis/g/v1",
            "/apis/g/v1/",
            "/healthz",
            "/version/",
            "//api/v1/pods",
            "api/v1/pods",
            "/openapi/v3/apis/a/b/c",
            "/apis//v1/pods",
            "/api/v1/watch/pods",
            "/apis/g/v1/watch/namespaces/x/things",
            "/api/v1/watch",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_no_path_segment_is_refused() {
        for (text, message) in [
            (
                "/api/v1/namespaces/x/configmaps/..",
                r#"Name parameter invalid: "..": may not be '..'"#,
            ),
            (
                "/api/v1/namespaces/.",
                r#"Name parameter invalid: ".": may not be '.'"#,
            ),
            (
                "/api/v1/namespaces/x/configmaps/a%25b",
                r#"Name parameter invalid: "a%b": may not contain '%'"#,
            ),
        ] {
            let status = path(text).unwrap_err();
            assert_eq!((status.code, status.message.as_str()), (400, message));
        }
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        assert_eq!(
            path("/api/v1/namespaces/x/configmaps/a%ff").unwrap_err().code,
            400
        );
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(text in "(/|api|apis|namespaces|v1|status|x|%2f|%|\\.|\u{e9}){0,12}") {
            let _ = path(&text);
        }
    }
}
