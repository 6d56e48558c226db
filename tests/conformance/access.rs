//! Who may: anonymous, bad tokens, roles, reviews, impersonation, tokens of service accounts (behaviours 106 to 112).

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    cases,
    client::{Answer, Ask, SOON},
    session::{MERGE_PATCH, Session},
};

cases![
    who_shows_nothing_may_do_little,
    a_missing_right_is_forbidden_and_a_grant_works_at_once,
    reviews_answer_everybody,
    impersonation_needs_a_right_of_its_own,
    everybody_may_look_at_the_api_and_ask_about_themselves,
    nobody_grants_more_than_they_have,
    service_accounts_get_tokens,
    names_restrict_reading_one_but_not_listing,
    a_binding_keeps_its_role,
];

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// A service account and a token of it.
async fn account(session: &Session, name: &str) -> String {
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
    session
        .quietly(Ask::new("POST", &session.core("serviceaccounts")).json(&account))
        .await
        .is(201);
    let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 3600 } });
    let path = session.core(&format!("serviceaccounts/{name}/token"));
    let answer = session
        .quietly(Ask::new("POST", &path).json(&request))
        .await
        .is(201);
    answer.body["status"]["token"].as_str().unwrap().to_owned()
}

async fn grant(session: &Session, name: &str, rules: Value) {
    let path = |plural: &str| format!("/apis/{RBAC}/namespaces/{}/{plural}", session.namespace);
    let role = json!({ "apiVersion": RBAC, "kind": "Role", "metadata": { "name": name }, "rules": rules });
    session
        .quietly(Ask::new("POST", &path("roles")).json(&role))
        .await
        .is(201);
    let binding = json!({
        "apiVersion": RBAC, "kind": "RoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": session.namespace }],
    });
    session
        .quietly(Ask::new("POST", &path("rolebindings")).json(&binding))
        .await
        .is(201);
}

async fn until_allowed(session: &Session, ask: &Ask) -> Answer {
    let end = Instant::now() + SOON;
    loop {
        let answer = session.server.nobody.send(ask).await;
        if answer.code != 403 {
            return answer;
        }
        assert!(Instant::now() < end, "the grant has no effect: {}", answer.body);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

// Behaviour 106.
async fn who_shows_nothing_may_do_little(session: &Session) {
    session
        .send_bare(Ask::new("GET", &session.core("secrets")))
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(Ask::new("GET", &session.gadgets("")))
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(Ask::new("POST", &session.core("configmaps")).json(&session.config_map("a", json!({}))))
        .await
        .refuses(403, "Forbidden");
    for path in ["/version", "/healthz", "/livez", "/readyz"] {
        let answer = session.server.nobody.send(&Ask::new("GET", path)).await;
        session.note(path, &answer.code.into());
        assert_eq!(answer.code, 200, "{path}");
    }
    session.send_bare(Ask::new("GET", "/api")).await;
    session
        .send_bare(Ask::new("GET", &session.core("secrets")).bearer("nonsense"))
        .await
        .refuses(401, "Unauthorized");
    session
        .send_bare(Ask::new("GET", "/version").bearer("nonsense"))
        .await
        .refuses(401, "Unauthorized");
}

// Behaviour 107.
async fn a_missing_right_is_forbidden_and_a_grant_works_at_once(session: &Session) {
    let token = account(session, "a").await;
    let list = Ask::new("GET", &session.gadgets("")).bearer(&token);
    let refused = session.server.nobody.send(&list).await.refuses(403, "Forbidden");
    let text = refused.body["message"].as_str().unwrap();
    assert!(
        text.contains("cannot list resource \"gadgets\" in API group"),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("in the namespace \"{}\"", session.namespace)),
        "{text}"
    );
    session.note("refused", &refused.body);
    grant(
        session,
        "a",
        json!([{ "apiGroups": [session.group], "resources": ["gadgets"], "verbs": ["list"] }]),
    )
    .await;
    until_allowed(session, &list).await.is(200);
    session
        .send_bare(Ask::new("GET", &session.gadgets("?watch=true")).bearer(&token))
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(Ask::new("GET", &session.gadgets("/a")).bearer(&token))
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(Ask::new("GET", &session.gadgets("/a/status")).bearer(&token))
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(Ask::new("GET", "/api/v1/namespaces").bearer(&token))
        .await
        .refuses(403, "Forbidden");
}

// Behaviour 108.
async fn reviews_answer_everybody(session: &Session) {
    let token = account(session, "a").await;
    let base = "/apis/authorization.k8s.io/v1";
    let review = |verb: &str| {
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": { "namespace": session.namespace, "verb": verb, "group": session.group, "resource": "gadgets" } },
        })
    };
    let path = format!("{base}/selfsubjectaccessreviews");
    let denied = session
        .server
        .nobody
        .send(&Ask::new("POST", &path).bearer(&token).json(&review("get")))
        .await
        .is(201);
    assert_eq!(denied.body["status"]["allowed"], false);
    grant(
        session,
        "a",
        json!([{ "apiGroups": [session.group], "resources": ["gadgets"], "verbs": ["list"] }]),
    )
    .await;
    until_allowed(session, &Ask::new("GET", &session.gadgets("")).bearer(&token))
        .await
        .is(200);
    let allowed = session
        .server
        .nobody
        .send(&Ask::new("POST", &path).bearer(&token).json(&review("list")))
        .await
        .is(201);
    assert_eq!(allowed.body["status"]["allowed"], true);
    let rules = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": { "namespace": session.namespace } });
    let found = session
        .server
        .nobody
        .send(
            &Ask::new("POST", &format!("{base}/selfsubjectrulesreviews"))
                .bearer(&token)
                .json(&rules),
        )
        .await
        .is(201);
    let ours = found.body["status"]["resourceRules"]
        .as_array()
        .unwrap()
        .iter()
        .any(|rule| rule["resources"] == json!(["gadgets"]));
    assert!(ours, "{}", found.body);
    let me = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let found = session
        .server
        .nobody
        .send(
            &Ask::new("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews")
                .bearer(&token)
                .json(&me),
        )
        .await
        .is(201);
    let user = &found.body["status"]["userInfo"];
    assert_eq!(
        user["username"],
        format!("system:serviceaccount:{}:a", session.namespace)
    );
    session.note("groups", &user["groups"]);
    session.post(&path, &json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {} })).await.refuses(422, "Invalid");
    let other = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": { "user": format!("system:serviceaccount:{}:a", session.namespace), "resourceAttributes": { "namespace": session.namespace, "verb": "list", "group": session.group, "resource": "gadgets" } },
    });
    let found = session
        .quietly(Ask::new("POST", &format!("{base}/subjectaccessreviews")).json(&other))
        .await
        .is(201);
    assert_eq!(found.body["status"]["allowed"], true);
    session
        .send_bare(
            Ask::new("POST", &format!("{base}/subjectaccessreviews"))
                .bearer(&token)
                .json(&other),
        )
        .await
        .refuses(403, "Forbidden");
}

// Behaviour 109.
async fn impersonation_needs_a_right_of_its_own(session: &Session) {
    let token = account(session, "a").await;
    let list = Ask::new("GET", &session.core("secrets"));
    let as_a = list.clone().header(
        "impersonate-user",
        &format!("system:serviceaccount:{}:a", session.namespace),
    );
    session.send(as_a).await.refuses(403, "Forbidden");
    session
        .send_bare(list.clone().bearer(&token).header("impersonate-user", "admin"))
        .await
        .refuses(403, "Forbidden");
    session
        .send(
            list.clone()
                .header("impersonate-user", "somebody")
                .header("impersonate-group", "system:masters"),
        )
        .await
        .is(200);
    session
        .send(list.header("impersonate-group", "system:masters"))
        .await;
}

// Behaviours 108 and 109.
async fn everybody_may_look_at_the_api_and_ask_about_themselves(session: &Session) {
    let as_joe = |ask: Ask| ask.header("impersonate-user", "joe");
    // What they answer differs by what is served, and by whom.
    for path in [
        "/api",
        "/apis",
        "/apis/coordination.k8s.io/v1",
        "/openapi/v3",
        "/version",
    ] {
        session.quietly(as_joe(Ask::new("GET", path))).await.is(200);
    }
    let may = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": { "namespace": session.namespace, "verb": "list", "resource": "secrets" } },
    });
    let base = "/apis/authorization.k8s.io/v1";
    let reviews = format!("{base}/selfsubjectaccessreviews");
    let answer = session
        .send(as_joe(Ask::new("POST", &reviews).json(&may)))
        .await
        .is(201);
    assert_eq!(answer.body["status"]["allowed"], false);
    let me = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = session
        .send(as_joe(Ask::new("POST", path).json(&me)))
        .await
        .is(201);
    assert_eq!(answer.body["status"]["userInfo"]["username"], "joe");
    for closed in ["/metrics", "/", "/api/v1/namespaces"] {
        session
            .send(as_joe(Ask::new("GET", closed)))
            .await
            .refuses(403, "Forbidden");
    }
    let other = format!("{base}/subjectaccessreviews");
    session
        .send(as_joe(Ask::new("POST", &other).json(&may)))
        .await
        .refuses(403, "Forbidden");
}

// Behaviour 110.
async fn nobody_grants_more_than_they_have(session: &Session) {
    let token = account(session, "a").await;
    let roles = format!("/apis/{RBAC}/namespaces/{}/roles", session.namespace);
    let rules = json!([
        { "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "list"] },
        { "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] },
    ]);
    grant(session, "a", rules).await;
    until_allowed(session, &Ask::new("GET", &roles).bearer(&token))
        .await
        .is(200);
    let role = |name: &str, verb: &str| {
        json!({
            "apiVersion": RBAC, "kind": "Role", "metadata": { "name": name },
            "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": [verb] }],
        })
    };
    session
        .send_bare(
            Ask::new("POST", &roles)
                .bearer(&token)
                .json(&role("more", "delete")),
        )
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(Ask::new("POST", &roles).bearer(&token).json(&role("same", "get")))
        .await
        .is(201);
    let binding = json!({
        "apiVersion": RBAC, "kind": "RoleBinding", "metadata": { "name": "up" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "a", "namespace": session.namespace }],
    });
    let bindings = roles.replace("/roles", "/rolebindings");
    session
        .send_bare(Ask::new("POST", &bindings).bearer(&token).json(&binding))
        .await
        .refuses(403, "Forbidden");
}

// Behaviour 111.
async fn service_accounts_get_tokens(session: &Session) {
    let token = account(session, "a").await;
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": token } });
    let found = session
        .quietly(Ask::new("POST", "/apis/authentication.k8s.io/v1/tokenreviews").json(&review))
        .await
        .is(201);
    assert_eq!(found.body["status"]["authenticated"], true);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": { "name": "t", "annotations": { "kubernetes.io/service-account.name": "a" } },
    });
    session
        .quietly(Ask::new("POST", &session.core("secrets")).json(&secret))
        .await
        .is(201);
    let filled = session
        .until("the token", &session.core("secrets/t"), |answer| {
            answer.body["data"]["token"].is_string()
        })
        .await;
    let mut keys: Vec<_> = filled.body["data"].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["ca.crt", "namespace", "token"]);
    let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 60 } });
    session
        .post(&session.core("serviceaccounts/a/token"), &request)
        .await
        .refuses(422, "Invalid");
    session
        .post(&session.core("serviceaccounts/none/token"), &json!({}))
        .await;
    session
        .quietly(Ask::new("DELETE", &session.core("serviceaccounts/a")))
        .await
        .is(200);
    let end = Instant::now() + SOON;
    let ask = Ask::new("GET", &session.core("secrets")).bearer(&token);
    while session.server.nobody.send(&ask).await.code != 401 {
        assert!(Instant::now() < end, "a token of a deleted account still works");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

// Behaviour 112.
async fn names_restrict_reading_one_but_not_listing(session: &Session) {
    let token = account(session, "a").await;
    let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get", "list", "create"] }]);
    grant(session, "a", rules).await;
    for name in ["mine", "other"] {
        session
            .quietly(Ask::new("POST", &session.core("configmaps")).json(&session.config_map(name, json!({}))))
            .await
            .is(201);
    }
    until_allowed(
        session,
        &Ask::new("GET", &session.core("configmaps/mine")).bearer(&token),
    )
    .await
    .is(200);
    session
        .send_bare(Ask::new("GET", &session.core("configmaps/other")).bearer(&token))
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(Ask::new("GET", &session.core("configmaps")).bearer(&token))
        .await
        .refuses(403, "Forbidden");
    session
        .send_bare(
            Ask::new(
                "GET",
                &session.core("configmaps?fieldSelector=metadata.name%3Dmine"),
            )
            .bearer(&token),
        )
        .await
        .is(200);
    let new = session.config_map("new", json!({}));
    session
        .send_bare(
            Ask::new("POST", &session.core("configmaps"))
                .bearer(&token)
                .json(&new),
        )
        .await
        .refuses(403, "Forbidden");
}

// Behaviour 49.
async fn a_binding_keeps_its_role(session: &Session) {
    let bindings = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
        session.namespace
    );
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "a" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" }, "subjects": [],
    });
    session.post(&bindings, &binding).await.is(201);
    let other = json!({ "roleRef": { "name": "edit" } });
    session
        .patch(MERGE_PATCH, &format!("{bindings}/a"), &other)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "roleRef");
}
