//! Owns reading and changing the ring for the verbs of `keys` and `reseal`, in its file or in its Secret: whole or not at
//! all, and never over somebody else's change. A file is changed under a lock, the Secret by its resource version, again
//! from the start when another was faster. What is changed is the caller's. Called by `keys*` and `reseal`.

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, api::PostParams};

use super::ring_source::RingArgs;
use super::{Failure, block_on, connect};
use crate::api::keys::FIELD_MANAGER;
use crate::seal::Ring;
use crate::secrets::{keyring, keyring_file};

/// How often a change is made again because another came in between.
const TRIES: usize = 8;

impl RingArgs {
    /// Where the ring is, in words.
    pub(super) fn place(&self) -> String {
        match &self.keyring {
            Some(path) => path.display().to_string(),
            None => format!("Secret {}/{}", self.operator_namespace, self.keyring_secret),
        }
    }

    /// The ring.
    pub(super) fn load(&self) -> Result<Ring, Failure> {
        if let Some(path) = &self.keyring {
            return Ok(keyring_file::read(path)?);
        }
        block_on(async {
            let secret = self.get(&self.secrets().await?).await?.ok_or_else(|| {
                anyhow!(
                    "the key ring ({}) does not exist; give --operator-namespace or --keyring FILE, or restore it with `supercargo keys restore`",
                    self.place()
                )
            })?;
            take(secret).map(|(ring, _)| ring)
        })
    }

    /// Changes the ring and returns it as it is then. `change` may be called again, with a newer ring.
    pub(super) fn change<T>(
        &self,
        mut change: impl FnMut(&mut Ring) -> Result<T, Failure>,
    ) -> Result<(Ring, T), Failure> {
        if let Some(path) = &self.keyring {
            return keyring_file::update(path, change);
        }
        block_on(async {
            let secrets = self.secrets().await?;
            for _ in 0..TRIES {
                let found = self.get(&secrets).await?;
                let found = found.ok_or_else(|| anyhow!("the key ring ({}) does not exist", self.place()))?;
                let (mut ring, mut secret) = take(found)?;
                let before = ring.to_text();
                let outcome = change(&mut ring)?;
                if *ring.to_text() == *before {
                    return Ok((ring, outcome));
                }
                secret
                    .data
                    .get_or_insert_default()
                    .append(&mut keyring::to_secret_data(&ring));
                // The resource version is that of what was read: the API server refuses it when there is a newer one.
                let written = secrets
                    .replace(&self.keyring_secret, &PostParams::default(), &secret)
                    .await;
                forget(secret);
                match written {
                    Ok(written) => {
                        forget(written);
                        return Ok((ring, outcome));
                    }
                    Err(kube::Error::Api(status)) if status.is_conflict() => {}
                    Err(error) => return Err(self.unwritable(&error)),
                }
            }
            Err(anyhow!(
                "the key ring ({}) is changed by others all the time; nothing was changed: try again",
                self.place()
            )
            .into())
        })
    }

    /// Puts a ring where there is none; `false` when there is one.
    pub(super) fn create(&self, ring: &Ring) -> Result<bool, Failure> {
        if let Some(path) = &self.keyring {
            return match keyring_file::create(path, ring) {
                Ok(()) => Ok(true),
                Err(keyring::KeyringError::Exists { .. }) => Ok(false),
                Err(error) => Err(error.into()),
            };
        }
        block_on(async {
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(self.keyring_secret.clone()),
                    ..ObjectMeta::default()
                },
                data: Some(keyring::to_secret_data(ring)),
                type_: Some(keyring::KEYRING_SECRET_TYPE.to_owned()),
                ..Secret::default()
            };
            let params = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            let made = self.secrets().await?.create(&params, &secret).await;
            forget(secret);
            match made {
                Ok(made) => {
                    forget(made);
                    Ok(true)
                }
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
                Err(error) => Err(self.unwritable(&error)),
            }
        })
    }

    async fn secrets(&self) -> Result<Api<Secret>, Failure> {
        let client = Client::try_default()
            .await
            .context("no cluster to ask; give --keyring FILE")?;
        Ok(Api::namespaced(client, &self.operator_namespace))
    }

    async fn get(&self, secrets: &Api<Secret>) -> Result<Option<Secret>, Failure> {
        secrets.get_opt(&self.keyring_secret).await.map_err(|error| {
            let why = connect::told(&error);
            let place = self.place();
            anyhow!(
                "the key ring ({place}) cannot be read: {why}; give --operator-namespace, or --keyring FILE"
            )
            .into()
        })
    }

    /// The API server's words for a refused write are not repeated: they may quote the Secret.
    fn unwritable(&self, error: &kube::Error) -> Failure {
        let why = match error {
            kube::Error::Api(status) => format!("{} ({})", status.reason, status.code),
            _ => "the API server did not answer".to_owned(),
        };
        anyhow!(
            "the key ring ({}) cannot be written: {why}; nothing was changed: ask for the rights to create and update that Secret",
            self.place()
        )
        .into()
    }
}

/// The ring of a Secret, and the Secret without its old bytes.
fn take(mut secret: Secret) -> Result<(Ring, Secret), Failure> {
    let mut data = secret.data.take().unwrap_or_default();
    let ring = keyring::from_secret_data(&data);
    if let Some(text) = data.get_mut(keyring::KEYRING_SECRET_KEY) {
        zeroize::Zeroize::zeroize(&mut text.0);
    }
    secret.data = Some(data);
    Ok((ring?, secret))
}

fn forget(secret: Secret) {
    if let Some(mut data) = secret.data {
        keyring::wipe(&mut data);
    }
}
