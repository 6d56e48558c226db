//! The shell of a `DockerSecret`: looks at every item, at who uses it, and publishes. A secret that is in use keeps a
//! finalizer: deleting it waits for its users, names them, and gives way to force, to users that go as well, and to the
//! end of the namespace.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};

use super::{context::Context, neighbours::Neighbours, references::Named, streams::names};
use crate::{
    api::{
        DockerSecret, GROUP, VERSION,
        condition::Reason,
        expiry,
        keys::{FIELD_MANAGER, FINALIZER, annotation},
        reference::SecretKind,
        secret::ConsumerReference,
        validate_secret::validate_secret,
    },
    engine::Engine,
    status::{
        EventDraft,
        events::clip,
        secret::{SecretFacts, problems, reminder, summarize},
    },
};

/// A secret's reconcile could not find out or could not write.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or is away.
    #[error("could not write to the API server")]
    Kube(#[from] kube::Error),
    /// The object does not turn into JSON.
    #[error("the object cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

/// What the reconcile of secrets needs besides the context.
pub struct SecretContext<E> {
    /// The shared context.
    pub shared: Arc<Context<E>>,
    /// All deployments, to find users.
    pub neighbours: Arc<Neighbours>,
}

/// Publishes what is known of one secret.
///
/// # Errors
/// [`Error`]; it is tried again after a pause.
pub async fn reconcile<E: Engine>(
    secret: Arc<DockerSecret>,
    ctx: Arc<SecretContext<E>>,
) -> Result<Action, Error> {
    let shared = &ctx.shared;
    let users = users(&secret, &ctx.neighbours);
    if secret.metadata.deletion_timestamp.is_some() {
        return delete(&secret, &ctx, &users).await;
    }
    let has = secret.finalizers().iter().any(|f| f == FINALIZER);
    if has == users.is_empty() {
        set_finalizer(&secret, shared, !has).await?;
        return Ok(Action::await_change());
    }
    let opener = shared.ring.opener();
    let items = secret
        .spec
        .encrypted_data
        .keys()
        .map(|key| (key.clone(), opener.look(&secret, key)))
        .collect();
    let facts = SecretFacts {
        secret: &secret,
        items,
        primary: opener.ring().ok().map(|ring| ring.primary().to_string()),
        violations: validate_secret(&secret).err().unwrap_or_default(),
        users: users.into_iter().map(|(user, _)| user).collect(),
        now: shared.clock.now(),
    };
    let status = summarize(&facts);
    for problem in problems(&facts) {
        event(&secret, shared, Reason::DecryptionError, "Open", &problem).await;
    }
    if let Some(draft) = reminder(&facts) {
        let about = reference(&secret);
        shared.events.write(&about, &draft, facts.now).await;
    }
    if secret.status.as_ref() != Some(&status) {
        let patch = serde_json::json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "DockerSecret",
            "metadata": { "uid": secret.metadata.uid },
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match api(&secret, shared)
            .patch_status(&secret.name_any(), &params, &Patch::Apply(patch))
            .await
        {
            Err(kube::Error::Api(refused)) if refused.is_not_found() => {}
            other => {
                other?;
            }
        }
    }
    let next = expiry::next_look(&secret, facts.now).and_then(|wait| Duration::try_from(wait).ok());
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

/// Who references it, of those whom it admits, and whether that one is being deleted itself. Whoever was not asked for
/// consent cannot keep it from being deleted.
fn users(secret: &DockerSecret, neighbours: &Neighbours) -> Vec<(ConsumerReference, bool)> {
    let namespace = secret.metadata.namespace.clone().unwrap_or_default();
    let wanted = Named::Secret(SecretKind::DockerSecret, namespace, secret.name_any());
    let mut users: Vec<(ConsumerReference, bool)> = neighbours
        .deployments()
        .filter(|d| names(d, &wanted, |namespace| secret.admits(namespace)))
        .map(|d| {
            let user = ConsumerReference {
                kind: "DockerDeployment".to_owned(),
                namespace: d.metadata.namespace.clone().unwrap_or_default(),
                name: d.name_any(),
            };
            (user, d.metadata.deletion_timestamp.is_some())
        })
        .collect();
    users.sort();
    users
}

async fn delete<E: Engine>(
    secret: &DockerSecret,
    ctx: &SecretContext<E>,
    users: &[(ConsumerReference, bool)],
) -> Result<Action, Error> {
    if !secret.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(Action::await_change());
    }
    let staying: Vec<String> = users
        .iter()
        .filter(|(_, going)| !going)
        .map(|(user, _)| match secret.metadata.namespace.as_ref() {
            Some(own) if *own == user.namespace => user.name.clone(),
            _ => format!("{}/{}", user.namespace, user.name),
        })
        .collect();
    let forced = secret
        .annotations()
        .get(annotation::FORCE_DELETE)
        .is_some_and(|v| v == "true");
    if staying.is_empty() || forced || namespace_ends(secret, &ctx.shared).await? {
        set_finalizer(secret, &ctx.shared, false).await?;
        return Ok(Action::await_change());
    }
    let note = format!(
        "deletion waits: in use by {}; delete them or take the reference out, or set the annotation {}: \"true\"",
        staying.join(", "),
        annotation::FORCE_DELETE
    );
    event(secret, &ctx.shared, Reason::PolicyViolation, "Delete", &note).await;
    // The namespace may begin to end without telling us.
    Ok(Action::requeue(Duration::from_secs(30)))
}

async fn namespace_ends<E>(secret: &DockerSecret, shared: &Context<E>) -> Result<bool, Error> {
    let namespaces: Api<Namespace> = Api::all(shared.client.clone());
    let name = secret.metadata.namespace.clone().unwrap_or_default();
    match namespaces.get_opt(&name).await {
        Ok(namespace) => Ok(namespace.is_none_or(|n| n.metadata.deletion_timestamp.is_some())),
        // Without the right to read namespaces the safe answer is that it stays.
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn api<E>(secret: &DockerSecret, shared: &Context<E>) -> Api<DockerSecret> {
    Api::namespaced(
        shared.client.clone(),
        secret.metadata.namespace.as_deref().unwrap_or_default(),
    )
}

async fn set_finalizer<E>(secret: &DockerSecret, shared: &Context<E>, on: bool) -> Result<(), Error> {
    let mut finalizers: Vec<String> = secret
        .finalizers()
        .iter()
        .filter(|f| *f != FINALIZER)
        .cloned()
        .collect();
    if on {
        finalizers.push(FINALIZER.to_owned());
    }
    let patch = serde_json::json!({ "metadata": {
        "resourceVersion": secret.metadata.resource_version,
        "uid": secret.metadata.uid,
        "finalizers": finalizers,
    }});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api(secret, shared)
        .patch(&secret.name_any(), &params, &Patch::Merge(patch))
        .await
    {
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(()),
        other => other.map(|_| ()).map_err(Error::from),
    }
}

fn reference(secret: &DockerSecret) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some("DockerSecret".to_owned()),
        namespace: secret.metadata.namespace.clone(),
        name: secret.metadata.name.clone(),
        uid: secret.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

async fn event<E>(
    secret: &DockerSecret,
    shared: &Context<E>,
    reason: Reason,
    action: &'static str,
    note: &str,
) {
    let about = reference(secret);
    let draft = EventDraft {
        reason,
        action,
        note: clip(note.to_owned(), 0),
        related: None,
        key: String::new(),
    };
    shared.events.write(&about, &draft, shared.clock.now()).await;
}
