//! Who asks, and whether they may. Owns the [`User`] and the [`Authorizer`] that every request passes; today its rules are
//! those of the roles that every cluster comes with: `system:masters` may do everything, and everybody who proved who
//! they are may look at what the API is and ask what they may.
//! Called by `serve` before a verb runs, and by the review kinds. Authentication is `serve`'s.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// The group that may do everything.
pub const MASTERS: &str = "system:masters";
/// The group of everybody who proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";

/// Who asks (`authentication.k8s.io/v1 UserInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The user name.
    pub name: String,
    /// Empty for a certificate.
    pub uid: String,
    /// Groups, [`AUTHENTICATED`] included.
    pub groups: Vec<String>,
    /// More facts, by key.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A member of [`MASTERS`]: the holder of the admin certificate, and the controllers in this process.
    #[must_use]
    pub fn master(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// `get`, `list`, `create`, ... or the lower-case HTTP method for a path.
    pub verb: String,
    /// Empty for core.
    pub group: String,
    /// The version; `*` for any.
    pub version: String,
    /// The plural; empty for a path that is no resource.
    pub resource: String,
    /// `status`, `scale`; usually empty.
    pub subresource: String,
    /// Empty for cluster scope or all namespaces.
    pub namespace: String,
    /// Empty for a collection.
    pub name: String,
    /// The path, for a request that is about no resource.
    pub path: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// With the reason, as reviews show it.
    Allowed(String),
    /// No rule allows it.
    Denied,
}

/// Answers whether a user may.
pub trait Authorizer: Send + Sync + 'static {
    /// Pure: asked at every request, and by reviews.
    fn decide(&self, user: &User, asked: &Attributes) -> Decision;
}

/// What `system:public-info-viewer` lets everybody read, also without credentials.
pub const PUBLIC: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
/// The paths that `system:discovery` lets every authenticated user read; `/*` stands for all below.
pub const DISCOVERY: [&str; 11] = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];
/// What `system:basic-user` lets every authenticated user create: questions about themselves.
pub const SELF_REVIEWS: [(&str, &[&str]); 2] = [
    (
        "authorization.k8s.io",
        &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    ),
    ("authentication.k8s.io", &["selfsubjectreviews"]),
];

/// The default roles that need no binding by anybody
/// (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings>): `cluster-admin`
/// for members of [`MASTERS`], `system:basic-user` and `system:discovery` for [`AUTHENTICATED`],
/// `system:public-info-viewer` for everybody.
#[derive(Debug, Clone, Copy)]
pub struct DefaultRoles;

impl Authorizer for DefaultRoles {
    fn decide(&self, user: &User, asked: &Attributes) -> Decision {
        let is_in = |wanted: &str| user.groups.iter().any(|group| group == wanted);
        if is_in(MASTERS) {
            return Decision::Allowed(String::new());
        }
        let by =
            |role: &str| Decision::Allowed(format!("allowed by the role {role:?} that every cluster has"));
        if asked.verb == "get" && PUBLIC.contains(&&*asked.path) {
            return by("system:public-info-viewer");
        }
        if !is_in(AUTHENTICATED) {
            return Decision::Denied;
        }
        if is_discovery(asked) {
            return by("system:discovery");
        }
        if is_about_self(asked) {
            return by("system:basic-user");
        }
        Decision::Denied
    }
}

fn is_discovery(asked: &Attributes) -> bool {
    let covers = |known: &&str| match known.strip_suffix('*') {
        Some(above) => asked.path.starts_with(above),
        None => asked.path == **known,
    };
    asked.verb == "get" && asked.resource.is_empty() && DISCOVERY.iter().any(covers)
}

fn is_about_self(asked: &Attributes) -> bool {
    asked.verb == "create"
        && asked.subresource.is_empty()
        && SELF_REVIEWS
            .iter()
            .any(|(group, names)| asked.group == *group && names.contains(&&*asked.resource))
}

/// The authorizer in use.
pub type SharedAuthorizer = Arc<dyn Authorizer>;

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.resource.is_empty() {
            return write!(f, "cannot {} path {:?}", self.verb, self.path);
        }
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        write!(
            f,
            "cannot {} resource \"{}{slash}{}\" in API group {:?}",
            self.verb, self.resource, self.subresource, self.group
        )?;
        if self.namespace.is_empty() {
            f.write_str(" at the cluster scope")
        } else {
            write!(f, " in the namespace {:?}", self.namespace)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(verb: &str, path: &str) -> Attributes {
        Attributes {
            verb: verb.to_owned(),
            path: path.to_owned(),
            ..Attributes::default()
        }
    }

    fn resource(verb: &str, group: &str, resource: &str) -> Attributes {
        Attributes {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            ..Attributes::default()
        }
    }

    fn may(groups: &[&str], asked: &Attributes) -> bool {
        let user = User {
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..User::default()
        };
        matches!(DefaultRoles.decide(&user, asked), Decision::Allowed(_))
    }

    #[test]
    fn masters_may_do_everything() {
        assert!(may(&[MASTERS], &resource("delete", "", "secrets")));
        assert!(may(&[MASTERS], &path("post", "/nowhere")));
    }

    #[test]
    fn everybody_who_proved_who_they_are_may_look_at_the_api_and_ask_about_themselves() {
        let authenticated = [AUTHENTICATED];
        for allowed in [
            path("get", "/api"),
            path("get", "/apis/apps/v1"),
            path("get", "/openapi/v3"),
            resource("create", "authorization.k8s.io", "selfsubjectaccessreviews"),
            resource("create", "authentication.k8s.io", "selfsubjectreviews"),
        ] {
            assert!(may(&authenticated, &allowed), "{allowed}");
            assert!(!may(&[], &allowed), "{allowed}");
        }
        assert!(may(&[], &path("get", "/version")));
        for denied in [
            path("post", "/api"),
            path("get", "/apiary"),
            path("get", "/metrics"),
            path("get", "/version/x"),
            resource("create", "authorization.k8s.io", "subjectaccessreviews"),
            resource("create", "", "selfsubjectreviews"),
            resource("get", "", "secrets"),
            resource("list", "", "namespaces"),
        ] {
            assert!(!may(&authenticated, &denied), "{denied}");
        }
    }
}
