//! What is there before the first request: the namespaces that every client expects. Owns their list, and the uid of
//! `kube-system`, which is the identity of this control plane: whoever restores an instance gives it here.

use serde_json::{Value, json};

use super::{user, writing};
use crate::apiserver::{
    names::Key,
    object,
    status::{Result, Status},
    store::WriteError,
    verbs::Api,
};

const NAMESPACES: [&str; 3] = ["default", "kube-public", "kube-system"];

/// Makes what is missing. `instance` is the uid that `kube-system` gets when it is made here.
///
/// # Errors
/// The store's refusal.
pub async fn run(api: &Api, instance: Option<&str>) -> Result<()> {
    for name in NAMESPACES {
        let uid = instance.filter(|_| name == "kube-system");
        make(api, name, uid).await?;
    }
    Ok(())
}

async fn make(api: &Api, name: &str, uid: Option<&str>) -> Result<()> {
    let of = super::namespaces::resource();
    let key = Key::new(&of, "", name);
    if api.store.get(&key).is_some() {
        return Ok(());
    }
    let Some(kind) = api.kinds.load().stored(&of).cloned() else {
        return Err(Status::internal("namespaces are not served"));
    };
    let by = user();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let Some(uid) = uid else {
        return api.create(&kind, "", namespace, &writing(&by)).await.map(drop);
    };
    // Clients cannot choose a uid; a restored instance must.
    let mut dry = writing(&by);
    dry.dry_run = true;
    let mut made: Value = api.create(&kind, "", namespace, &dry).await?.object;
    object::set_meta(&mut made, "uid", uid);
    match api.store.create(key, made).await {
        Ok(_) | Err(WriteError::Exists(_)) => Ok(()),
        Err(refused) => Err(Status::unavailable(refused.to_string())),
    }
}
