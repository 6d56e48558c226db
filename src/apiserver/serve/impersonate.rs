//! Acting as somebody else: the `Impersonate-*` headers (`k8s.io/apiserver/pkg/endpoints/filters/impersonation`). Owns
//! their reading and what must be allowed for them; who may is the authorizer's. A header that were passed over would let
//! a request run with more rights than it asked for. Called by `handler` after authentication.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::apiserver::{
    authorize::{AUTHENTICATED, Attributes, Authorizer, Decision, User},
    names::GroupResource,
    status::{Result, Status},
};

use super::identity::{ANONYMOUS, UNAUTHENTICATED};

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Whom the headers name, if they name anybody.
///
/// # Errors
/// 400 for a group, uid or extra without a user, and for what is no text.
pub fn wanted(headers: &HeaderMap) -> Result<Option<User>> {
    let mut user = User::default();
    let mut any = false;
    for (name, value) in headers {
        let Some(rest) = name.as_str().strip_prefix("impersonate-") else {
            continue;
        };
        let value = value
            .to_str()
            .map_err(|_| Status::bad_request(format!("the header {name} is no text")))?
            .to_owned();
        match rest {
            "user" if user.name.is_empty() => user.name = value,
            "user" => return Err(Status::bad_request("the header impersonate-user is given twice")),
            "uid" => user.uid = value,
            "group" => user.groups.push(value),
            _ => {
                let Some(key) = rest.strip_prefix("extra-") else {
                    continue;
                };
                let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                user.extra.entry(key).or_default().push(value);
            }
        }
        any = true;
    }
    if any && user.name.is_empty() {
        return Err(Status::bad_request(
            "requested a group, a uid or extra without impersonating a user name",
        ));
    }
    Ok(any.then(|| with_standard_groups(user)))
}

fn with_standard_groups(mut user: User) -> User {
    if let Some((namespace, _)) = user
        .name
        .strip_prefix(SERVICE_ACCOUNT)
        .and_then(|rest| rest.split_once(':'))
        && user.groups.is_empty()
    {
        user.groups = vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
        ];
    }
    let standard = if user.name == ANONYMOUS {
        UNAUTHENTICATED
    } else {
        AUTHENTICATED
    };
    if !user
        .groups
        .iter()
        .any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED)
    {
        user.groups.push(standard.to_owned());
    }
    user
}

/// Everything that `user` must be allowed in order to act as `wanted`.
fn needed(wanted: &User) -> Vec<Attributes> {
    let need = |group: &str, resource: &str, name: &str| Attributes {
        verb: "impersonate".to_owned(),
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    let account = wanted
        .name
        .strip_prefix(SERVICE_ACCOUNT)
        .and_then(|rest| rest.split_once(':'));
    let mut all = vec![match account {
        Some((namespace, name)) => Attributes {
            namespace: namespace.to_owned(),
            ..need("", "serviceaccounts", name)
        },
        None => need("", "users", &wanted.name),
    }];
    all.extend(wanted.groups.iter().map(|group| need("", "groups", group)));
    if !wanted.uid.is_empty() {
        all.push(need("authentication.k8s.io", "uids", &wanted.uid));
    }
    for (key, values) in &wanted.extra {
        all.extend(values.iter().map(|value| Attributes {
            subresource: key.clone(),
            ..need("authentication.k8s.io", "userextras", value)
        }));
    }
    all
}

/// As whom the request runs: `user`, or whom the headers name if `user` may.
///
/// # Errors
/// 400 for headers that make no sense, 403.
pub fn acting(user: User, headers: &HeaderMap, authorizer: &dyn Authorizer) -> Result<User> {
    let Some(wanted) = wanted(headers)? else {
        return Ok(user);
    };
    for need in needed(&wanted) {
        if authorizer.decide(&user, &need) == Decision::Denied {
            let of = GroupResource::new(&need.group, &need.resource);
            let why = format!("User {:?} {need}", user.name);
            return Err(Status::forbidden(&of, &need.name, why));
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::apiserver::authorize::DefaultRoles;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn a_master_becomes_whom_it_names_and_loses_its_own_rights() {
        let given = headers(&[
            ("impersonate-user", "x"),
            ("impersonate-group", "g"),
            ("impersonate-extra-a%2fb", "c"),
        ]);
        let user = acting(User::master("admin"), &given, &DefaultRoles).unwrap();
        assert_eq!(user.name, "x");
        assert_eq!(user.groups, ["g", "system:authenticated"]);
        assert_eq!(user.extra["a/b"], ["c"]);
    }

    #[test]
    fn nobody_else_may() {
        let plain = User {
            name: "jane".to_owned(),
            ..User::default()
        };
        let refused = acting(plain, &headers(&[("impersonate-user", "x")]), &DefaultRoles).unwrap_err();
        assert_eq!(refused.code, 403);
        assert_eq!(
            refused.message,
            "users \"x\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
        );
    }

    #[test]
    fn a_group_without_a_user_is_refused_and_no_header_changes_nothing() {
        let alone = acting(
            User::master("admin"),
            &headers(&[("impersonate-group", "g")]),
            &DefaultRoles,
        );
        assert_eq!(alone.unwrap_err().code, 400);
        let same = acting(User::master("admin"), &HeaderMap::new(), &DefaultRoles).unwrap();
        assert_eq!(same, User::master("admin"));
    }

    #[test]
    fn a_service_account_gets_its_groups() {
        let given = headers(&[("impersonate-user", "system:serviceaccount:a:b")]);
        let user = acting(User::master("admin"), &given, &DefaultRoles).unwrap();
        assert_eq!(
            user.groups,
            [
                "system:serviceaccounts",
                "system:serviceaccounts:a",
                "system:authenticated"
            ]
        );
    }
}
