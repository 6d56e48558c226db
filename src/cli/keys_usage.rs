//! Owns the question which values are sealed to a key, as far as this machine can find out: DockerSecrets by the API server
//! of that ring, and what a standalone keeps at rest beside the ring's file. Not knowing is an answer of its own, which
//! is never taken for "none". It decides nothing. Called by `keys_change`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::ring_source::RingArgs;
use super::{Failure, block_on, connect};
use crate::api::DockerSecret;
use crate::api::keys::PUBLIC_KEYS_CONFIG_MAP;
use crate::seal::{Envelope, Kid, Ring};
use crate::secrets::keyring_public::PublicKeys;

/// What is known of a key's use.
pub(super) enum Usage {
    /// These values, `namespace/name key "..."`, and no others.
    By(BTreeSet<String>),
    /// It could not be found out.
    Unknown(String),
}

/// The values of DockerSecrets that are sealed to `kid`. With a ring in a file, the API server of the kubeconfig may be
/// anybody's, so it counts only when it publishes a key of that ring.
pub(super) fn of(kid: Kid, ring: &Ring, args: &RingArgs) -> Result<Usage, Failure> {
    block_on(async {
        let Ok(client) = Client::try_default().await else {
            return Ok(Usage::Unknown("there is no API server to ask".to_owned()));
        };
        if args.keyring.is_some()
            && let Err(why) = publishes(&client, &args.operator_namespace, ring).await
        {
            return Ok(Usage::Unknown(why));
        }
        Ok(match sealed_to(&client, kid).await {
            Ok(found) => Usage::By(found),
            Err(error) => Usage::Unknown(format!(
                "DockerSecrets cannot be listed: {}",
                connect::told(&error)
            )),
        })
    })
}

async fn publishes(client: &Client, namespace: &str, ring: &Ring) -> Result<(), String> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = maps.get(PUBLIC_KEYS_CONFIG_MAP).await;
    let map = found.map_err(|error| {
        format!(
            "whose keys the API server publishes is not known: {}",
            connect::told(&error)
        )
    })?;
    let keys = PublicKeys::from_config_map(&map.data.unwrap_or_default()).map_err(|e| e.to_string())?;
    if keys.iter().any(|key| ring.member(key.kid()).is_some()) {
        return Ok(());
    }
    Err("the API server of this kubeconfig publishes other keys than this ring's".to_owned())
}

async fn sealed_to(client: &Client, kid: Kid) -> kube::Result<BTreeSet<String>> {
    let secrets: Api<DockerSecret> = Api::all(client.clone());
    let mut found = BTreeSet::new();
    for secret in secrets.list(&ListParams::default()).await? {
        for (key, text) in &secret.spec.encrypted_data {
            if text.parse::<Envelope>().is_ok_and(|e| e.kid() == kid) {
                let namespace = secret.namespace().unwrap_or_default();
                found.insert(format!("{namespace}/{} key {key:?}", secret.name_any()));
            }
        }
    }
    Ok(found)
}

/// Whether the store of a standalone at `store` has bytes that are sealed to `kid`. Pages that are free again count
/// too, until something is written over them. `false` without a store.
pub(super) fn at_rest(store: &Path, kid: Kid) -> io::Result<bool> {
    let mut file = match File::open(store) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let wanted = format!("sc1.g.{kid}.").into_bytes();
    let mut window = Vec::with_capacity(1 << 16);
    loop {
        let more = Read::take(&mut file, 1 << 16).read_to_end(&mut window)?;
        if window.windows(wanted.len()).any(|at| at == wanted) {
            return Ok(true);
        }
        if more == 0 {
            return Ok(false);
        }
        // What was looked at goes, but for as much as may be the beginning of a find.
        window.drain(..window.len().saturating_sub(wanted.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_rest_are_found_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store.redb");
        let kid: Kid = "0123456789abcdef".parse().unwrap();
        assert!(!at_rest(&store, kid).unwrap(), "no store");
        for lead in [0, 1, 65_530, 65_536, 200_000] {
            let mut bytes = vec![b'x'; lead];
            bytes.extend_from_slice(b"sc1.g.0123456789abcde");
            std::fs::write(&store, &bytes).unwrap();
            assert!(!at_rest(&store, kid).unwrap(), "{lead}");
            bytes.extend_from_slice(b"f.s");
            std::fs::write(&store, &bytes).unwrap();
            assert!(at_rest(&store, kid).unwrap(), "{lead}");
        }
    }
}
