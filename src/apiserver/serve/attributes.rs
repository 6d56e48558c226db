//! What a request asks for, in the words of authorization: the verb of a method and a path, as a Kubernetes API server
//! reads them (`k8s.io/apiserver/pkg/endpoints/request`). Pure; allows and refuses nothing. Called by `handler`.

use http::Method;

use crate::apiserver::{
    authorize::Attributes,
    request::{Path, ResourcePath},
};

/// The methods that mean something for a resource.
#[must_use]
pub fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE
    )
}

/// Whether the answer goes on until somebody ends it. The first parameter of the name counts, as in Go.
#[must_use]
pub fn is_watch(method: &Method, query: &str) -> bool {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "watch");
    let yes = |value: &str| matches!(value, "true" | "1" | "t" | "T" | "TRUE" | "True");
    *method == Method::GET && asked.is_some_and(|(_, value)| yes(&value))
}

/// What is asked for.
#[must_use]
pub fn of(method: &Method, path: &Path, watch: bool) -> Attributes {
    match path {
        Path::Other(path) => Attributes {
            verb: method.as_str().to_ascii_lowercase(),
            path: path.clone(),
            ..Attributes::default()
        },
        Path::Resource(path) => of_resource(method, path, watch),
    }
}

fn of_resource(method: &Method, path: &ResourcePath, watch: bool) -> Attributes {
    let collection = path.name.is_empty();
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE => "delete",
        _ if watch => "watch",
        _ if collection => "list",
        _ => "get",
    };
    // A namespace is in itself.
    let itself = path.namespace.is_empty() && path.version.group.is_empty() && path.resource == "namespaces";
    Attributes {
        verb: verb.to_owned(),
        group: path.version.group.to_string(),
        version: path.version.version.to_string(),
        resource: path.resource.clone(),
        subresource: path.subresource.clone(),
        namespace: if itself {
            path.name.clone()
        } else {
            path.namespace.clone()
        },
        name: path.name.clone(),
        path: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::names::GroupVersion;

    fn verb(method: &Method, name: &str, watch: bool) -> String {
        let path = ResourcePath {
            version: GroupVersion::new("", "v1"),
            namespace: "a".to_owned(),
            resource: "secrets".to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
        };
        of(method, &Path::Resource(path), watch).verb
    }

    #[test]
    fn a_method_means_another_verb_for_a_collection() {
        assert_eq!(verb(&Method::GET, "", false), "list");
        assert_eq!(verb(&Method::GET, "x", false), "get");
        assert_eq!(verb(&Method::GET, "", true), "watch");
        assert_eq!(verb(&Method::DELETE, "", false), "deletecollection");
        assert_eq!(verb(&Method::DELETE, "x", false), "delete");
        assert_eq!(verb(&Method::POST, "", false), "create");
        assert_eq!(verb(&Method::PUT, "x", false), "update");
        assert_eq!(verb(&Method::PATCH, "x", false), "patch");
    }

    #[test]
    fn a_namespace_is_in_itself_and_a_path_keeps_its_method() {
        let path = ResourcePath {
            version: GroupVersion::new("", "v1"),
            namespace: String::new(),
            resource: "namespaces".to_owned(),
            name: "x".to_owned(),
            subresource: String::new(),
        };
        assert_eq!(of(&Method::GET, &Path::Resource(path), false).namespace, "x");
        let asked = of(&Method::GET, &Path::Other("/nope".to_owned()), false);
        assert_eq!((asked.verb.as_str(), asked.path.as_str()), ("get", "/nope"));
    }

    #[test]
    fn only_a_get_that_says_true_watches() {
        assert!(is_watch(&Method::GET, "limit=1&watch=true"));
        assert!(is_watch(&Method::GET, "watch=1&watch=false"));
        assert!(!is_watch(&Method::GET, "watch=false&watch=1"));
        assert!(!is_watch(&Method::GET, "watch=yes"));
        assert!(!is_watch(&Method::GET, ""));
        assert!(!is_watch(&Method::POST, "watch=true"));
    }
}
