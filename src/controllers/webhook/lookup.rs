//! The facts of a deletion, asked of the API server at the moment they are needed: deletions are rare, a replica that
//! stands by has no watches, and a cache may not know the deployment that was made a moment ago. Decides nothing.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, PartialObjectMeta},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use crate::{
    admission::{
        Facts, Need, Objects, User,
        deletion::{self, KINDS},
        references::wanted,
    },
    api::{DockerSecret, GROUP, VERSION, reference::SecretKind},
    controllers::{
        describe::describe,
        object::resource,
        references::{self, Named},
    },
};

/// Objects of one page. They are read one page after another, and only their references are kept.
const PAGE: u32 = 250;

/// Finds facts.
pub(super) trait Lookup: Send + Sync + 'static {
    /// The facts, or why they are not known.
    fn facts(&self, need: Need<'_>) -> impl Future<Output = Result<Facts, String>> + Send;
}

/// Those of a cluster.
pub(super) struct Cluster(pub(super) Client);

impl Lookup for Cluster {
    async fn facts(&self, need: Need<'_>) -> Result<Facts, String> {
        let found = match need {
            Need::Nothing => Ok(Facts::default()),
            Need::Users {
                namespace,
                secret,
                object,
            } => {
                let wanted = Named::Secret(SecretKind::DockerSecret, namespace.to_owned(), secret.to_owned());
                self.users(namespace, &wanted, deletion::admitted(object)).await
            }
            Need::Keys { object } => self.keys(object).await,
            Need::Objects { plural } => self.objects(plural).await,
        };
        found.map_err(|error| describe(&error))
    }
}

impl Cluster {
    async fn users(&self, namespace: &str, wanted: &Named, admitted: Vec<&str>) -> kube::Result<Facts> {
        let mut users = Vec::new();
        for at in admitted {
            match self.users_in(at, wanted).await {
                Ok(found) => users.extend(found.into_iter().map(|mut user| {
                    if at != namespace {
                        user.name = format!("{at}/{}", user.name);
                    }
                    user
                })),
                // Where this operator has no rights it runs nothing either.
                Err(kube::Error::Api(status)) if status.is_forbidden() && at != namespace => {}
                Err(error) => return Err(error),
            }
        }
        // Asked only when the answer matters.
        let namespace_ends = users.iter().any(|user| !user.going) && self.ends(namespace).await?;
        Ok(Facts {
            users,
            namespace_ends,
            ..Facts::default()
        })
    }

    async fn users_in(&self, namespace: &str, wanted: &Named) -> kube::Result<Vec<User>> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.0.clone(), namespace, &resource());
        let mut users = Vec::new();
        let mut how = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&how).await?;
            users.extend(page.items.iter().filter_map(|deployment| {
                let named = references::of(deployment.data.get("spec")?, namespace);
                named.contains(wanted).then(|| User {
                    name: deployment.name_any(),
                    going: deployment.metadata.deletion_timestamp.is_some(),
                })
            }));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => how = how.continue_token(&token),
                None => return Ok(users),
            }
        }
    }

    async fn keys(&self, deployment: &Value) -> kube::Result<Facts> {
        let (namespace, names) = wanted(deployment);
        let api: Api<DockerSecret> = Api::namespaced(self.0.clone(), &namespace);
        let mut facts = Facts::default();
        for name in names {
            let found = api.get_opt(&name).await?;
            let keys = found.map(|secret| secret.spec.encrypted_data.into_keys().collect());
            facts.keys.insert(name, keys);
        }
        Ok(facts)
    }

    async fn ends(&self, namespace: &str) -> kube::Result<bool> {
        let namespaces: Api<Namespace> = Api::all(self.0.clone());
        match namespaces.get_opt(namespace).await {
            Ok(found) => Ok(found.is_none_or(|one| one.metadata.deletion_timestamp.is_some())),
            // As for the finalizer: without the right to know, it stays.
            Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn objects(&self, plural: &str) -> kube::Result<Facts> {
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == plural) else {
            return Ok(Facts::default());
        };
        let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(self.0.clone(), &resource);
        let page = api.list_metadata(&ListParams::default().limit(1)).await?;
        let others = page.metadata.remaining_item_count.unwrap_or(0);
        let objects = page.items.first().map(|one| Objects {
            one: format!("{}/{}", one.namespace().unwrap_or_default(), one.name_any()),
            others: u64::try_from(others).unwrap_or(0),
        });
        Ok(Facts {
            objects,
            ..Facts::default()
        })
    }
}
