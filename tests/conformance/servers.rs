//! The two servers as the cases see them: their clients, and the namespaces of cases on them.

use std::{path::Path, sync::Arc};

use serde_json::json;

use crate::{
    client::{Ask, from_kubeconfig},
    pair::Pair,
    session::{Server, Session},
};

/// Both servers.
pub struct Servers {
    pub subject: Arc<Server>,
    pub oracle: Arc<Server>,
    /// Both are one server, which proves the cases and nothing else.
    pub same: bool,
}

impl Servers {
    pub fn of(pair: &Pair) -> Self {
        let server = |name, path: &Path| {
            let (admin, nobody) = from_kubeconfig(path);
            Arc::new(Server { name, admin, nobody })
        };
        Self {
            subject: server("ours", &pair.ours),
            oracle: server("theirs", &pair.theirs),
            same: pair.ours == pair.theirs,
        }
    }
}

/// The namespace of a case.
pub async fn make_namespace(session: &Session) {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": session.namespace } });
    let answer = session
        .quietly(Ask::new("POST", "/api/v1/namespaces").json(&namespace))
        .await;
    assert_eq!(answer.code, 201, "{}", answer.body);
}

/// Not before all cases are over: emptying many namespaces keeps the controllers from those that cases look at.
pub async fn remove_namespace(server: &Server, namespace: &str) {
    server
        .admin
        .send(&Ask::new("DELETE", &format!("/api/v1/namespaces/{namespace}")))
        .await;
}
