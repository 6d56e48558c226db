//! Owns where the public key comes from: `--public-key FILE`, else the pinned `.supercargo-keys` of the working
//! directory or a parent, else the ConfigMap of the operator. It says which on stderr, and `--expect-kid` has the
//! last word: sealing to an attacker's key is total loss. Called by `seal`, `secret create`, `verify`, `keys public`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

use super::{Failure, block_on};
use crate::api::keys::PUBLIC_KEYS_CONFIG_MAP;
use crate::seal::{Kid, PublicKey};
use crate::secrets::keyring::OPERATOR_NAMESPACE;
use crate::secrets::keyring_public::{PINNED_FILE, PublicKeys};

/// Flags that choose the key to seal to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct KeyArgs {
    /// File with public keys, one scpub1... to a line; the first is sealed to. Without it: .supercargo-keys in the
    /// working directory or its parents, else the ConfigMap supercargo-public-keys
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Refuse to seal to any other key than this one
    #[arg(long, value_name = "KID")]
    expect_kid: Option<String>,
    /// Namespace of the operator, for its ConfigMap
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    operator_namespace: String,
}

impl KeyArgs {
    /// The key to seal to. Prints its kid and source to stderr.
    pub(super) fn choose(&self) -> Result<PublicKey, Failure> {
        let expected: Option<Kid> = match &self.expect_kid {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Failure::Usage(format!(
                    "--expect-kid {text:?} is not a key id: 16 lower-case hex digits"
                ))
            })?),
        };
        let (keys, source) = match local(self.public_key.as_deref())? {
            Some(found) => found,
            None => (
                from_api(&self.operator_namespace)?,
                format!("ConfigMap {}/{PUBLIC_KEYS_CONFIG_MAP}", self.operator_namespace),
            ),
        };
        let key = keys.seal_to();
        if let Some(expected) = expected.filter(|kid| *kid != key.kid()) {
            return Err(anyhow!(
                "{source} says to seal to key {}, --expect-kid says {expected}; nothing was sealed: find out which is right",
                key.kid()
            )
            .into());
        }
        eprintln!("sealing to key {} (from {source})", key.kid());
        Ok(key.clone())
    }
}

/// The keys of `--public-key` or of the pinned file, and where they are from; `None` when there is neither.
pub(super) fn local(named: Option<&Path>) -> Result<Option<(PublicKeys, String)>, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => match pinned()? {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let place = path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the public keys {place} cannot be read; give a file with --public-key"))?;
    Ok(Some((PublicKeys::from_pinned(&place, &text)?, place)))
}

/// The keys that the operator publishes.
pub(super) fn from_api(namespace: &str) -> Result<PublicKeys, Failure> {
    let next = "give --public-key FILE, or pin the keys in .supercargo-keys (`supercargo keys public`)";
    block_on(async {
        let client = Client::try_default()
            .await
            .with_context(|| format!("no public key, and no cluster to ask; {next}"))?;
        let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
        let map = maps.get(PUBLIC_KEYS_CONFIG_MAP).await.with_context(|| {
            format!("the ConfigMap {namespace}/{PUBLIC_KEYS_CONFIG_MAP} cannot be read; {next}")
        })?;
        Ok(PublicKeys::from_config_map(&map.data.unwrap_or_default())?)
    })
}

/// The pinned file. One that anybody could have put there, in `/tmp` for example, is refused: it decides who can
/// read what is sealed.
fn pinned() -> Result<Option<PathBuf>, Failure> {
    let here = std::env::current_dir().context("the working directory is gone")?;
    let Some(path) = here
        .ancestors()
        .map(|dir| dir.join(PINNED_FILE))
        .find(|path| path.is_file())
    else {
        return Ok(None);
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    let open_to_all = std::fs::metadata(directory).is_ok_and(|found| found.mode() & 0o002 != 0);
    if open_to_all {
        let place = path.display();
        return Err(anyhow!(
            "{place} lies in a directory that anybody may write to; move it, or name it with --public-key"
        )
        .into());
    }
    Ok(Some(path))
}
