//! Media types: the content type of a body and the `Accept` header. Owns which are served and the words of 406 and 415.
//! Answers are JSON or YAML; Kubernetes protobuf is read, never written, which every client's `Accept` allows for.
//! Called by `verbs` and by `body`.

use std::collections::BTreeMap;

use super::{Accept, Shape};
use crate::apiserver::status::{Result, Status};

/// The media types of objects, as the real server lists them.
pub const OBJECT_TYPES: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
/// The media types of a watch, as the real server lists them.
pub const WATCH_TYPES: [&str; 2] = [
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];

/// Type and subtype of a content type in lower case; `None` when it is none, or its parameters are not `name=value` as RFC
/// 9110 5.6.6 has it, or say two things of one name. A semicolon may be last.
pub(super) fn media_type(header: &str) -> Option<String> {
    let (essence, mut rest) = header.split_at(header.find(';').unwrap_or(header.len()));
    let essence = essence.trim().to_ascii_lowercase();
    let mut known = BTreeMap::new();
    while !matches!(rest.trim(), "" | ";") {
        let (name, value, after) = parameter(rest)?;
        let before = known.insert(name.to_ascii_lowercase(), value);
        if before.is_some_and(|before| before != value) {
            return None;
        }
        rest = after;
    }
    essence.contains('/').then_some(essence)
}

/// `; name=value` at the start of a text: both, and what comes after. Quotes are left out of the value.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = token(text.trim_start().strip_prefix(';')?.trim_start())?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, after) = token(rest)?;
        return Some((name, value, after));
    };
    let mut escaped = false;
    let end = quoted.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some((name, &quoted[..end], &quoted[end + 1..]))
}

fn token(text: &str) -> Option<(&str, &str)> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !inside(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// One clause of an `Accept` header.
#[derive(Debug, Clone, Copy)]
struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
    parameters: &'a str,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (range, parameters) = text.split_once(';').unwrap_or((text, ""));
        let (kind, subtype) = match range.trim_matches(' ') {
            "*" => ("*", "*"),
            range => range
                .split_once('/')
                .filter(|(_, sub)| !sub.is_empty() && !sub.contains('/'))?,
        };
        let mut clause = Self {
            kind: kind.trim_matches(' '),
            subtype: subtype.trim_matches(' '),
            quality: 1.0,
            parameters,
        };
        if let Some(quality) = clause.parameter("q") {
            clause.quality = quality.parse().unwrap_or(0.0);
        }
        Some(clause)
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').rev().find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            (key.trim_matches(' ') == name && !value.is_empty()).then(|| value.trim_matches(' '))
        })
    }

    /// Better first: by quality, then what names more.
    fn rank(&self) -> (f32, bool, bool) {
        (-self.quality, self.kind == "*", self.subtype == "*")
    }

    /// The shape asked for; `None` when it is not served, so that the clause does not count.
    fn shape(&self) -> Option<Shape> {
        if !matches!(self.parameter("stream"), None | Some("watch")) {
            return None;
        }
        match (self.parameter("as"), self.parameter("g"), self.parameter("v")) {
            (None, None, None) => Some(Shape::Whole),
            (Some(shape), Some("meta.k8s.io"), Some("v1" | "v1beta1")) => match shape {
                "Table" => Some(Shape::Table),
                "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Shape::Metadata),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether YAML is what this clause chooses; `None` when it names neither JSON nor YAML.
    fn yaml(&self) -> Option<bool> {
        match (self.kind, self.subtype) {
            ("application", "json" | "*") | ("*", "*") => Some(false),
            ("application", "yaml") => Some(true),
            _ => None,
        }
    }
}

/// Chooses what to answer with: the best clause that can be served. `accept` is the header, absent or empty is anything.
/// Built-in and custom kinds are answered alike, since neither goes out as protobuf.
///
/// # Errors
/// 406.
pub fn accept(accept: Option<&str>, _custom: bool) -> Result<Accept> {
    let header = accept.unwrap_or_default();
    if header.is_empty() {
        return Ok(Accept {
            shape: Shape::Whole,
            yaml: false,
        });
    }
    let mut clauses: Vec<Clause<'_>> = header.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|a, b| {
        let (a, b) = (a.rank(), b.rank());
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2))
    });
    clauses
        .iter()
        .find_map(|clause| {
            Some(Accept {
                yaml: clause.yaml()?,
                shape: clause.shape()?,
            })
        })
        .ok_or_else(|| Status::not_acceptable(&OBJECT_TYPES))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(header: &str) -> Option<(Shape, bool)> {
        accept(Some(header), true)
            .ok()
            .map(|found| (found.shape, found.yaml))
    }

    #[test]
    fn the_best_clause_that_is_served_counts() {
        let json = Some((Shape::Whole, false));
        let yaml = Some((Shape::Whole, true));
        let table = Some((Shape::Table, false));
        let metadata = Some((Shape::Metadata, false));
        for (header, expected) in [
            ("", json),
            ("application/json", json),
            ("*/*", json),
            ("*", json),
            ("application/*", json),
            ("application/yaml", yaml),
            ("application/yaml, application/json", yaml),
            ("application/json,application/yaml", json),
            ("*/*,application/yaml", yaml),
            ("application/*,application/yaml", yaml),
            ("application/json;q=0.1,application/yaml;q=0.9", yaml),
            ("text/html, application/xhtml+xml, */*;q=0.8", json),
            ("application/vnd.kubernetes.protobuf,application/json", json),
            ("application/vnd.kubernetes.protobuf, */*", json),
            ("application/json;charset=utf-8", json),
            ("application/json;stream=watch", json),
            ("application/cbor,application/json", json),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", table),
            ("application/json; as=Table; v=v1; g=meta.k8s.io", table),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                table,
            ),
            ("*/*;as=Table;v=v1;g=meta.k8s.io", table),
            (
                "application/json;as=Table;v=v2;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                table,
            ),
            (
                "application/yaml;as=Table;v=v1;g=meta.k8s.io",
                Some((Shape::Table, true)),
            ),
            (
                "application/json;as=Foo;v=v1;g=meta.k8s.io,application/json",
                json,
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
                json,
            ),
            (
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
                metadata,
            ),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
                metadata,
            ),
        ] {
            assert_eq!(chosen(header), expected, "{header}");
        }
        assert_eq!(accept(None, true).unwrap().shape, Shape::Whole);
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for header in [
            "text/html",
            "text/*",
            "foo",
            "APPLICATION/JSON",
            "application/cbor",
            "application/vnd.kubernetes.protobuf",
            "application/json;as=Table",
            "application/json;as=Table;g=meta.k8s.io",
            "application/json;as=Foo;v=v1;g=meta.k8s.io",
            "application/json;as=\"Table\";v=v1;g=meta.k8s.io",
            "application/json;v=v1",
            "application/json;stream=foo",
        ] {
            let status = accept(Some(header), true).unwrap_err();
            assert_eq!(
                (status.code, status.message.as_str()),
                (
                    406,
                    "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
                ),
                "{header}"
            );
        }
    }

    #[test]
    fn content_types_are_read_without_their_parameters() {
        assert_eq!(
            media_type("Application/JSON; charset=utf-8").as_deref(),
            Some("application/json")
        );
        assert_eq!(
            media_type("application/json;").as_deref(),
            Some("application/json")
        );
        for read in [
            "; a=b;",
            "; a=\"b;\\\"\"",
            ";a=b;a=b",
            "; a= b",
            ";a =b;charset=x",
        ] {
            let read = format!("application/json{read}");
            assert_eq!(media_type(&read).as_deref(), Some("application/json"), "{read}");
        }
        for refused in [
            ";x", ";;", "; ;", ";a=", ";=b", ";a=\"b", ";a=b c", ";a=b;a=c", ";a=b/c",
        ] {
            let refused = format!("application/json{refused}");
            assert_eq!(media_type(&refused), None, "{refused}");
        }
        assert_eq!(media_type("garbage"), None);
    }

    proptest! {
        #[test]
        fn any_header_is_answered(header in "(application|json|yaml|\\*|/|;|,|=|q|as|0.1| |é){0,16}") {
            let _ = accept(Some(&header), false);
            let _ = media_type(&header);
        }
    }
}
