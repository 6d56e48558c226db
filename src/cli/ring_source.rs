//! Owns how verbs come by the key ring, which most users may not read: from a file, else from its Secret. That it may not
//! be read is an answer here and no error; the verb says what it assumes then. Called by `plan`, `explain` and `doctor`.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use super::{Failure, connect};
use crate::seal::Ring;
use crate::secrets::keyring::{self, KEYRING_SECRET, OPERATOR_NAMESPACE};
use crate::secrets::keyring_file;

/// Flags that say where the ring is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RingArgs {
    /// The key ring in a file. Without it the ring's Secret is tried
    #[arg(long, value_name = "FILE", conflicts_with = "keyring_secret")]
    pub(super) keyring: Option<PathBuf>,
    /// The Secret with the key ring
    #[arg(long, value_name = "NAME", default_value = KEYRING_SECRET)]
    pub(super) keyring_secret: String,
    /// Namespace of the operator
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    pub(super) operator_namespace: String,
}

/// Whether there is a ring to work with.
pub(super) enum Access {
    /// Yes.
    Open(Ring),
    /// It does not exist.
    Absent(String),
    /// It may not be read, or not now.
    Denied(String),
    /// It is there and is none.
    Broken(String),
}

impl RingArgs {
    /// Reads the ring for a verb that can do without. A file that was asked for and cannot be read is an error.
    pub(super) async fn read(&self, client: &Client) -> Result<Result<Ring, String>, Failure> {
        if let Some(path) = &self.keyring {
            return Ok(Ok(keyring_file::read(path)?));
        }
        Ok(match self.ask(client).await {
            Access::Open(ring) => Ok(ring),
            Access::Absent(why) | Access::Denied(why) | Access::Broken(why) => Err(why),
        })
    }

    /// Reads the ring's Secret.
    pub(super) async fn ask(&self, client: &Client) -> Access {
        let (namespace, name) = (&self.operator_namespace, &self.keyring_secret);
        let place = format!("the key ring (Secret {namespace}/{name})");
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        match secrets.get_opt(name).await {
            Ok(Some(secret)) => {
                let mut data = secret.data.unwrap_or_default();
                let ring = keyring::from_secret_data(&data);
                keyring::wipe(&mut data);
                match ring {
                    Ok(ring) => Access::Open(ring),
                    Err(error) => Access::Broken(format!("{:#}", anyhow::Error::from(error))),
                }
            }
            Ok(None) => Access::Absent(format!("{place} does not exist")),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Access::Denied(format!("{place} may not be read by this user"))
            }
            Err(error) => Access::Denied(format!("{place} cannot be read: {}", connect::told(&error))),
        }
    }
}
