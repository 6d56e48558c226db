//! The annotation that asks for a look at everything now: whoever gives it a new value doubts what this process takes for
//! known. What was found in delivered files and in sealed values is forgotten, and the pass that follows looks again.
//! Remembers the last value of each object; decides and writes nothing. Called by [`super::deployment`] before step 1.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use super::{
    deployment::Pass,
    references::{self, Named},
};
use crate::{
    api::{keys::annotation, reference::SecretKind},
    engine::Engine,
    secrets::source::{Lookup, Source},
    state::observed::Observed,
};

/// The last value of the annotation, by the uid of an object.
#[derive(Default)]
pub struct Asked(Mutex<BTreeMap<String, Option<String>>>);

impl Asked {
    /// Whether this value is there and is another one than at the last look. Of an object that is seen for the first time
    /// nothing is known yet, so there is nothing to forget.
    fn anew(&self, uid: &str, value: Option<&str>) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = asked.insert(uid.to_owned(), value.map(str::to_owned));
        value.is_some() && before.is_some_and(|before| before.as_deref() != value)
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl<E: Engine> Pass<'_, E> {
    /// Forgets what is known of an object that asks for it. Twice costs a look more, and never is too late: the next pass
    /// finds what this one has forgotten, whatever becomes of it.
    pub(super) fn refresh_if_asked(&self) {
        let annotations = self.raw.pointer("/metadata/annotations");
        let value = annotations.and_then(|all| all.get(annotation::RECONCILE_AT)?.as_str());
        if !self.ctx.asked.anew(&self.id.owner.uid, value) {
            return;
        }
        let namespace = &self.id.owner.namespace;
        tracing::info!(
            namespace,
            name = self.id.owner.name,
            "asked to look at everything again"
        );
        self.ctx.checks.asked(&self.id.owner.uid, self.ctx.clock.now());
        self.ctx.ring.opener().forget(&self.named_secrets());
        // Without an engine nothing is known, and nothing that was known outlives the connection.
        if let Ok(views) = self.ctx.host.containers(namespace) {
            let seen = Observed::of(&self.id.owner, views, &[], &[], false);
            self.ctx.executor.files().forget_owner(&seen);
        }
    }

    /// The uids of the sealed secrets that the object names.
    fn named_secrets(&self) -> BTreeSet<String> {
        let named = self
            .raw
            .get("spec")
            .map(|spec| references::of(spec, &self.id.owner.namespace))
            .unwrap_or_default();
        let sealed = named.into_iter().filter_map(|named| match named {
            Named::Secret(SecretKind::DockerSecret, namespace, name) => Some((namespace, name)),
            Named::Secret(SecretKind::Secret, ..) | Named::ConfigMap(_) => None,
        });
        sealed
            .filter_map(
                |(namespace, name)| match self.ctx.shelves.docker_secret(&namespace, &name) {
                    Lookup::Found(secret) => secret.metadata.uid.clone(),
                    Lookup::Absent | Lookup::Denied(_) => None,
                },
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_asks_once_and_another_one_asks_again() {
        let asked = Asked::default();
        assert!(!asked.anew("a", None), "seen for the first time");
        assert!(asked.anew("a", Some("1")));
        assert!(!asked.anew("a", Some("1")));
        assert!(asked.anew("a", Some("2")));
        assert!(!asked.anew("a", None), "taken away");
        assert!(asked.anew("a", Some("2")));
        assert!(!asked.anew("b", Some("1")), "there from the first look on");
        asked.forget("a");
        assert!(!asked.anew("a", Some("3")));
    }
}
