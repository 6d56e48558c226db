//! What can be done, as OpenAPI v3 says it: the paths of a resource, their operations, parameters and bodies.
//! Owns the names that clients look for: the extensions with group, version, kind and action, and `dryRun`,
//! `fieldManager`, `fieldValidation` and `force`, written out in each operation. Called by the builders of both versions.

use serde_json::{Map, Value, json};

use super::definitions::{META, SCALE, list_name, name, reference};
use crate::apiserver::{
    discovery::{Resource, Subresource},
    kinds::Kind,
};

const ANSWERS: &[&str] = &["application/json", "application/yaml"];
const PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
];

/// Name, type and what it is for.
type Parameter = (&'static str, &'static str, &'static str);

const DRY_RUN: Parameter = ("dryRun", "string", "`All` does everything but the change itself.");
const MANAGER: Parameter = (
    "fieldManager",
    "string",
    "Who owns the fields that are set; an apply needs it.",
);
const VALIDATION: Parameter = (
    "fieldValidation",
    "string",
    "What unknown and duplicate fields lead to: `Ignore` nothing, `Warn` a warning (the default), `Strict` a refusal.",
);
const FORCE: Parameter = (
    "force",
    "boolean",
    "Takes fields that others own. For an apply only.",
);
const READING: &[Parameter] = &[("resourceVersion", "string", "How fresh the answer has to be.")];
const LISTING: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean", "Sends bookmarks in a watch."),
    ("continue", "string", "Where the list before this one ended."),
    ("fieldSelector", "string", "Which objects, by fields."),
    ("labelSelector", "string", "Which objects, by labels."),
    (
        "limit",
        "integer",
        "How many objects at most; `continue` in the answer leads to the rest.",
    ),
    (
        "resourceVersion",
        "string",
        "How fresh the answer has to be, or where a watch begins.",
    ),
    (
        "resourceVersionMatch",
        "string",
        "How `resourceVersion` is meant: `Exact` or `NotOlderThan`.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "Begins a watch with all objects, and a bookmark after them.",
    ),
    ("timeoutSeconds", "integer", "When to end the answer."),
    ("watch", "boolean", "Sends changes as they happen."),
];
const DELETING: &[Parameter] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "How long to wait before the object goes.",
    ),
    (
        "orphanDependents",
        "boolean",
        "The older word for `propagationPolicy`.",
    ),
    (
        "propagationPolicy",
        "string",
        "What happens to dependents: `Background`, `Foreground` or `Orphan`.",
    ),
];
const WRITING: &[Parameter] = &[DRY_RUN, MANAGER, VALIDATION];
const PATCHING: &[Parameter] = &[DRY_RUN, MANAGER, VALIDATION, FORCE];

/// One operation: of what, and how it is called.
struct Operation<'a> {
    kind: &'a Kind,
    below: Option<&'a Subresource<'a>>,
    /// As discovery says it.
    verb: &'static str,
    /// Over all namespaces of a namespaced kind.
    everywhere: bool,
}

/// The paths of a resource.
pub fn paths(resource: &Resource<'_>) -> Vec<(String, Value)> {
    let kind = resource.kind;
    let version = &kind.version;
    let root = if version.group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{version}")
    };
    let plural = &kind.resource.resource;
    let can = |verb: &str| kind.verbs.contains(&verb);
    let operation = |verb| Operation {
        kind,
        below: None,
        verb,
        everywhere: false,
    };
    let some = |verbs: &[&'static str]| -> Vec<_> {
        verbs
            .iter()
            .filter(|verb| can(verb))
            .map(|verb| operation(verb))
            .collect()
    };
    let collection = if kind.namespaced {
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    let item = format!("{collection}/{{name}}");
    let mut paths = vec![
        (collection, some(&["list", "create", "deletecollection"])),
        (item.clone(), some(&["get", "update", "delete", "patch"])),
    ];
    if kind.namespaced && can("list") {
        let all = Operation {
            everywhere: true,
            ..operation("list")
        };
        paths.push((format!("{root}/{plural}"), vec![all]));
    }
    for below in &resource.subresources {
        let operations = below.verbs.iter().map(|verb| Operation {
            below: Some(below),
            ..operation(verb)
        });
        paths.push((format!("{item}/{}", below.name), operations.collect()));
    }
    let paths = paths.into_iter().filter(|(_, operations)| !operations.is_empty());
    paths
        .map(|(path, operations)| (path.clone(), item_of(&path, &operations)))
        .collect()
}

fn item_of(path: &str, operations: &[Operation<'_>]) -> Value {
    let mut item = Map::new();
    let mut parameters = Vec::new();
    for operation in operations {
        item.insert(operation.method().to_owned(), operation.describe());
    }
    let kind = operations
        .first()
        .map_or("object", |operation| &operation.kind.kind);
    for (name, description) in [
        ("name", format!("The name of the {kind}.")),
        ("namespace", "Its namespace.".to_owned()),
    ] {
        if path.contains(&format!("{{{name}}}")) {
            let schema = json!({ "type": "string", "uniqueItems": true });
            parameters
                .push(json!({ "name": name, "in": "path", "description": description, "required": true, "schema": schema }));
        }
    }
    parameters.push(parameter(("pretty", "string", "Indents the answer.")));
    item.insert("parameters".to_owned(), parameters.into());
    item.into()
}

fn parameter((name, kind, description): Parameter) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind, "uniqueItems": true } })
}

fn content(types: &[&str], definition: &str) -> Value {
    types
        .iter()
        .map(|media| ((*media).to_owned(), json!({ "schema": reference(definition) })))
        .collect::<Map<_, _>>()
        .into()
}

impl Operation<'_> {
    fn method(&self) -> &'static str {
        match self.verb {
            "create" => "post",
            "update" => "put",
            "patch" => "patch",
            "delete" | "deletecollection" => "delete",
            _ => "get",
        }
    }

    fn action(&self) -> &'static str {
        match self.verb {
            "create" => "post",
            "update" => "put",
            other => other,
        }
    }

    fn describe(&self) -> Value {
        let parameters = match self.verb {
            "get" => READING,
            "list" | "deletecollection" => LISTING,
            "create" | "update" => WRITING,
            "patch" => PATCHING,
            _ => DELETING,
        };
        let parameters: Vec<_> = parameters.iter().map(|known| parameter(*known)).collect();
        let mut operation = json!({
            "tags": [self.tag()],
            "description": self.description(),
            "operationId": self.id(),
            "parameters": parameters,
            "responses": self.responses(),
            "x-kubernetes-action": self.action(),
            "x-kubernetes-group-version-kind": self.gvk(),
        });
        if let Some(body) = self.body() {
            operation["requestBody"] = body;
        }
        operation
    }

    /// What goes in and comes out: the object, or what stands for it below.
    fn object(&self) -> String {
        match self.below.map(|below| below.name) {
            Some("scale") => SCALE.to_owned(),
            _ => name(self.kind),
        }
    }

    fn responses(&self) -> Value {
        let definition = match self.verb {
            "list" => list_name(self.kind),
            "delete" | "deletecollection" => format!("{META}Status"),
            _ => self.object(),
        };
        let codes: &[(&str, &str)] = match self.verb {
            "create" => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            "update" | "patch" => &[("200", "OK"), ("201", "Created")],
            "delete" => &[("200", "OK"), ("202", "Accepted")],
            _ => &[("200", "OK")],
        };
        let answer = |text: &str| json!({ "description": text, "content": content(ANSWERS, &definition) });
        let mut responses: Map<_, _> = codes
            .iter()
            .map(|(code, text)| ((*code).to_owned(), answer(text)))
            .collect();
        responses.insert("401".to_owned(), json!({ "description": "Unauthorized" }));
        responses.into()
    }

    fn body(&self) -> Option<Value> {
        let mut types = ANSWERS.to_vec();
        if !self.kind.custom {
            types.push("application/vnd.kubernetes.protobuf");
        }
        match self.verb {
            "create" | "update" => {
                Some(json!({ "content": content(&types, &self.object()), "required": true }))
            }
            "patch" => {
                let mut types = PATCHES.to_vec();
                if !self.kind.custom {
                    types.push("application/strategic-merge-patch+json");
                }
                Some(json!({ "content": content(&types, &format!("{META}Patch")), "required": true }))
            }
            "delete" | "deletecollection" => {
                Some(json!({ "content": content(&types, &format!("{META}DeleteOptions")) }))
            }
            _ => None,
        }
    }

    fn gvk(&self) -> Value {
        let version = &self.kind.version;
        match self.below.and_then(|below| below.other) {
            // Clients look for the operations of a custom resource by its own kind, also for `/scale`.
            Some((group, version, kind)) if !self.kind.custom => {
                json!({ "group": group, "version": version, "kind": kind })
            }
            _ => json!({ "group": &*version.group, "version": &*version.version, "kind": &*self.kind.kind }),
        }
    }

    fn description(&self) -> String {
        let kind = &self.kind.kind;
        let of = self
            .below
            .map(|below| format!("{} of ", below.name))
            .unwrap_or_default();
        match self.verb {
            "list" => format!("list objects of kind {kind}"),
            "deletecollection" => format!("delete objects of kind {kind}"),
            "get" => format!("read {of}the specified {kind}"),
            "update" => format!("replace {of}the specified {kind}"),
            "patch" => format!("partially update {of}the specified {kind}"),
            "create" if self.below.is_none() => format!("create an object of kind {kind}"),
            verb => format!("{verb} {of}the specified {kind}"),
        }
    }

    /// `supercargoDev_v1alpha1`.
    fn tag(&self) -> String {
        let mut group = camel(&self.kind.version.group);
        if let Some(first) = group.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        format!("{group}_{}", self.kind.version.version)
    }

    /// `readSupercargoDevV1alpha1NamespacedDockerHostStatus`: unique within the server.
    fn id(&self) -> String {
        let verb = match self.verb {
            "get" => "read",
            "update" => "replace",
            "deletecollection" => "delete",
            other => other,
        };
        let version = &self.kind.version;
        let collection = if self.verb == "deletecollection" {
            "Collection"
        } else {
            ""
        };
        let namespaced = if self.kind.namespaced && !self.everywhere {
            "Namespaced"
        } else {
            ""
        };
        let below = self.below.map(|below| capital(below.name)).unwrap_or_default();
        let everywhere = if self.everywhere { "ForAllNamespaces" } else { "" };
        let (group, version, kind) = (camel(&version.group), capital(&version.version), &self.kind.kind);
        format!("{verb}{group}{version}{collection}{namespaced}{kind}{below}{everywhere}")
    }
}

/// `example.dev` is `ExampleDev`; the groups of Kubernetes go without their domain.
fn camel(group: &str) -> String {
    if group.is_empty() {
        return "Core".to_owned();
    }
    let short = group.strip_suffix(".k8s.io").unwrap_or(group);
    short.split(['.', '-']).map(capital).collect()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect()
}
