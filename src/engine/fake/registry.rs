//! Images of the fake engine, and the registries that it pulls from: which references there are, which ask for a login,
//! which registries do not answer. Part of `world`'s rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::world::digest;
use crate::{
    engine::{Error, Kind, Op, RegistryCredential, Result},
    state::image::{ImageTag, ImageView},
};

#[derive(Default)]
pub(super) struct Registry {
    local: BTreeMap<String, ImageView>,
    /// When the local ones came.
    since: BTreeMap<String, Timestamp>,
    remote: BTreeMap<String, Remote>,
    /// Hosts that do not answer.
    pub(super) down: BTreeSet<String>,
}

struct Remote {
    image: ImageView,
    /// The user's name and the digest of the password.
    login: Option<(String, String)>,
}

impl Registry {
    pub(super) fn local(&self, reference: &str) -> Option<&ImageView> {
        let wanted = normal(reference);
        let by_id = || self.local.values().find(|image| image.id == reference);
        let by_digest = || {
            self.local
                .values()
                .find(|image| image.repo_digests.contains(&wanted))
        };
        self.local.get(&wanted).or_else(by_id).or_else(by_digest)
    }

    pub(super) fn add_local(&mut self, reference: &str, image: ImageView, now: Timestamp) {
        self.local.insert(normal(reference), image);
        self.since.insert(normal(reference), now);
    }

    /// The names of local images in a repository.
    pub(super) fn tags(&self, repository: &str) -> Vec<ImageTag> {
        let within = |name: &&String| name.rsplit_once(':').is_some_and(|(r, _)| r == repository);
        let tag = |name: &String| ImageTag {
            reference: name.clone(),
            created: self.since.get(name).copied().unwrap_or_default(),
        };
        self.local.keys().filter(within).map(tag).collect()
    }

    pub(super) fn remove_local(&mut self, reference: &str) {
        self.local.remove(&normal(reference));
    }

    pub(super) fn references(&self) -> BTreeSet<String> {
        self.local.keys().cloned().collect()
    }

    pub(super) fn add_remote(&mut self, reference: &str, login: Option<(&str, &[u8])>) {
        let login = login.map(|(user, password)| (user.to_owned(), digest(password)));
        self.remote.insert(
            normal(reference),
            Remote {
                image: image(reference),
                login,
            },
        );
    }

    pub(super) fn pull(&mut self, reference: &str, credential: Option<&RegistryCredential>) -> Result<()> {
        let refuse = |kind, message: String| Err(Error::new(Op::PullImage, reference, kind, message));
        let name = normal(reference);
        let repository = name.split(['@']).next().unwrap_or_default();
        if reference.is_empty() || repository.contains(|c: char| c.is_ascii_uppercase() || c.is_whitespace())
        {
            return refuse(Kind::Invalid, "invalid reference format".into());
        }
        let host = name.split('/').next().unwrap_or_default();
        if self.down.contains(host) {
            return refuse(
                Kind::RegistryUnavailable,
                format!("Get \"http://{host}/v2/\": dial tcp: connect: connection refused"),
            );
        }
        // A digest that is there is not fetched, so no login is looked at.
        if name.contains('@') && self.local(&name).is_some() {
            return Ok(());
        }
        let by_digest = |remote: &&Remote| remote.image.repo_digests.contains(&name);
        let Some(remote) = self
            .remote
            .get(&name)
            .or_else(|| self.remote.values().find(by_digest))
        else {
            return refuse(
                Kind::ImageNotFound,
                format!("manifest for {name} not found: manifest unknown"),
            );
        };
        let refused = match (&remote.login, credential) {
            (None, _) => None,
            (Some(_), None) => Some("no basic auth credentials"),
            (Some((user, password)), Some(given)) => {
                let right = given.username == *user && digest(given.password.expose()) == *password;
                (!right).then_some("the registry refused the credential that was given")
            }
        };
        if let Some(message) = refused {
            return refuse(Kind::RegistryDenied, message.into());
        }
        let image = remote.image.clone();
        self.local.insert(name, image);
        Ok(())
    }
}

/// An image that is a function of its reference.
pub(super) fn image(reference: &str) -> ImageView {
    let name = normal(reference);
    let repository = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => &name,
    };
    let content = digest(name.as_bytes());
    ImageView {
        id: format!("sha256:{}", digest(content.as_bytes())),
        repo_digests: vec![format!("{repository}@sha256:{content}")],
        entrypoint: Vec::new(),
        cmd: vec!["sh".to_owned()],
        user: String::new(),
    }
}

/// With a tag, and without what stands for the default registry.
fn normal(reference: &str) -> String {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let last = short.rsplit('/').next().unwrap_or(short);
    if last.contains([':', '@']) {
        short.to_owned()
    } else {
        format!("{short}:latest")
    }
}
