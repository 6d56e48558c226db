//! The key ring, watched live: from a file or from one named Secret. A ring that appears or changes opens at once what
//! waited for it; one that is missing holds and says so. Makes the first ring of a cluster, and never a second one.
//! Keeps the ConfigMap of public keys as the ring says, and warns of foreign edits. The form at rest is `secrets`'.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;

use super::{context::Ring as Current, describe::describe, keys::Sealed};
use crate::{
    api::keys::{FIELD_MANAGER, PUBLIC_KEYS_CONFIG_MAP},
    clock::Clock,
    seal::{Ring, SystemEntropy},
    secrets::{
        keyring::{
            AtStart, KEYRING_SECRET_KEY, KEYRING_SECRET_TYPE, at_start, from_secret_data, to_secret_data,
            wipe,
        },
        keyring_file, keyring_public,
        open::Opener,
    },
};

/// How often a file is looked at; a look is one `stat`.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait after a failed write.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the ring is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of the operator's, mode 0600.
    File(PathBuf),
    /// A Secret of the operator's namespace, by its name.
    Secret(String),
}

/// Keeps the ring current.
pub struct Keeper {
    /// Where it is.
    pub place: Place,
    /// The operator's namespace.
    pub namespace: String,
    /// Client of the API server.
    pub client: Client,
    /// The ring that reconciles use.
    pub current: Arc<Current>,
    /// All sealed secrets: a ring is not made while they name keys.
    pub sealed: Arc<Sealed>,
    /// Whether a ring may be made although they do.
    pub new_cluster: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Called after every change.
    pub changed: Box<dyn Fn() + Send + Sync>,
}

impl Keeper {
    /// Watches until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let keep = async {
            match self.place.clone() {
                Place::File(path) => self.file(path).await,
                Place::Secret(name) => self.secret(&name).await,
            }
        };
        tokio::select! {
            () = keep => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn file(&self, path: PathBuf) {
        let mut seen: Option<(SystemTime, u64, u32)> = None;
        let mut first = true;
        loop {
            let now = stamp(&path);
            if first || now != seen {
                (first, seen) = (false, now);
                match keyring_file::read(&path) {
                    Ok(ring) => self.use_ring(ring).await,
                    Err(error) => self.hold(&error.to_string()),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn secret(&self, name: &str) {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        self.make_first(&api, name).await;
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = watcher(api.clone(), config).default_backoff().boxed();
        let mut present = false;
        loop {
            match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => present = false,
                Ok(Some(watcher::Event::InitApply(secret) | watcher::Event::Apply(secret))) => {
                    present = true;
                    self.take(secret).await;
                }
                Ok(Some(watcher::Event::InitDone)) if present => {}
                Ok(Some(watcher::Event::InitDone | watcher::Event::Delete(_))) => {
                    self.hold(&self.absent(name))
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(
                        error = describe(&error),
                        secret = name,
                        "the key ring's Secret cannot be watched; what is known of it stays"
                    );
                }
            }
        }
    }

    fn absent(&self, name: &str) -> String {
        format!(
            "the key ring (Secret {}/{name}) does not exist; restore it from its backup, or start the operator with \
             --new-cluster to make a new one",
            self.namespace
        )
    }

    async fn take(&self, secret: Secret) {
        let mut data = secret.data.unwrap_or_default();
        match from_secret_data(&data) {
            Ok(ring) => self.use_ring(ring).await,
            Err(error) => self.hold(&error.to_string()),
        }
        wipe(&mut data);
    }

    /// Makes the first ring of a cluster, unless there is one or its loss would go unnoticed.
    async fn make_first(&self, api: &Api<Secret>, name: &str) {
        loop {
            match self.try_first(api, name).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(
                        error = describe(&error),
                        secret = name,
                        "the key ring cannot be read or made; it is tried again"
                    );
                    self.hold(&format!(
                        "the key ring (Secret {}/{name}) cannot be read: {}",
                        self.namespace,
                        describe(&error)
                    ));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn try_first(&self, api: &Api<Secret>, name: &str) -> kube::Result<()> {
        if api.get_opt(name).await?.is_some() {
            return Ok(());
        }
        self.sealed.wait().await;
        match at_start(None, &self.sealed.kids(), self.new_cluster) {
            AtStart::Use { .. } => Ok(()),
            AtStart::Hold { unknown } => {
                let kids: Vec<String> = unknown.iter().map(ToString::to_string).collect();
                self.hold(&format!(
                    "{} (sealed values name {})",
                    self.absent(name),
                    kids.join(", ")
                ));
                Ok(())
            }
            AtStart::Mint => self.mint(api, name).await,
        }
    }

    async fn mint(&self, api: &Api<Secret>, name: &str) -> kube::Result<()> {
        let Ok(ring) = Ring::generate(self.clock.now(), &mut SystemEntropy) else {
            self.hold("the system gave no random bytes; the key ring is made when it does");
            return Ok(());
        };
        let mut secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(to_secret_data(&ring)),
            type_: Some(KEYRING_SECRET_TYPE.to_owned()),
            ..Secret::default()
        };
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let made = api.create(&params, &secret).await;
        if let Some(data) = &mut secret.data {
            wipe(data);
        }
        match made {
            Ok(made) => {
                if let Some(mut data) = made.data {
                    wipe(&mut data);
                }
                tracing::info!(
                    kid = %ring.primary(),
                    secret = format!("{}/{name}", self.namespace),
                    key = KEYRING_SECRET_KEY,
                    "made the first key ring; back this Secret up: without it no sealed value can be opened"
                );
                Ok(())
            }
            // Another replica was faster; the watch brings its ring.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn hold(&self, why: &str) {
        tracing::warn!(why, "no key ring: sealed values hold, what runs goes on");
        self.current.replace(Opener::without_ring(why));
        (self.changed)();
    }

    async fn use_ring(&self, ring: Ring) {
        let ring = Arc::new(ring);
        if let Ok(known) = self.current.opener().ring()
            && **known == *ring
        {
            return;
        }
        tracing::info!(kid = %ring.primary(), "the key ring is loaded");
        self.current.replace(Opener::new(Arc::clone(&ring)));
        (self.changed)();
    }
}

/// Keeps the ConfigMap of public keys as the ring says.
pub async fn keep_public_keys(
    client: Client,
    namespace: String,
    current: Arc<Current>,
    mut changes: watch::Receiver<u64>,
) {
    let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={PUBLIC_KEYS_CONFIG_MAP}"));
    let mut events = watcher(api.clone(), config).default_backoff().boxed();
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut listed = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                // Until the list is there, nothing is known of it: to write now would be to write without a reason.
                Some(Ok(watcher::Event::Init)) => (found, listed) = (None, false),
                Some(Ok(watcher::Event::InitApply(map) | watcher::Event::Apply(map))) => found = Some(map.data.unwrap_or_default()),
                Some(Ok(watcher::Event::Delete(_))) => found = None,
                Some(Ok(watcher::Event::InitDone)) => listed = true,
                Some(Err(error)) => tracing::debug!(%error, "the ConfigMap of public keys cannot be watched"),
                None => return,
            },
            changed = changes.changed() => if changed.is_err() { return },
        }
        if listed {
            repair(&api, &current, found.as_ref()).await;
        }
    }
}

async fn repair(api: &Api<ConfigMap>, current: &Current, found: Option<&BTreeMap<String, String>>) {
    let opener = current.opener();
    let Ok(ring) = opener.ring() else { return };
    let Some(drift) = keyring_public::drift(ring, found) else {
        return;
    };
    let Some(keys) = keyring_public::PublicKeys::of(ring) else {
        return;
    };
    if found.is_some() {
        tracing::warn!(
            ?drift,
            "the ConfigMap {PUBLIC_KEYS_CONFIG_MAP} was changed by somebody else; it is put right: check who may write it"
        );
    }
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(PUBLIC_KEYS_CONFIG_MAP.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(keys.to_config_map()),
        ..ConfigMap::default()
    };
    // Merged away first: what a stranger added is not in ours and would stay.
    let removal = strangers(found, &map);
    if !removal.is_empty() {
        let patch = serde_json::json!({ "data": removal });
        if let Err(error) = api
            .patch(
                PUBLIC_KEYS_CONFIG_MAP,
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .await
        {
            tracing::warn!(
                error = describe(&error),
                "the ConfigMap of public keys could not be put right"
            );
        }
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    if let Err(error) = api
        .patch(PUBLIC_KEYS_CONFIG_MAP, &params, &Patch::Apply(&map))
        .await
    {
        tracing::warn!(
            error = describe(&error),
            "the ConfigMap of public keys could not be written"
        );
    }
}

/// The keys of the ConfigMap that are not ours, each with the null that removes it.
fn strangers(found: Option<&BTreeMap<String, String>>, ours: &ConfigMap) -> BTreeMap<String, Option<String>> {
    let known = |key: &String| ours.data.as_ref().is_some_and(|data| data.contains_key(key));
    found
        .into_iter()
        .flatten()
        .filter(|(key, _)| !known(key))
        .map(|(key, _)| (key.clone(), None))
        .collect()
}

#[cfg(unix)]
fn stamp(path: &std::path::Path) -> Option<(SystemTime, u64, u32)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.ino(), meta.mode()))
}
