//! Admission in the embedded API server: the rules of `crate::admission`, asked in the process before anything is stored
//! or deleted. Owns only the translation there and back, and the facts that a deletion's verdict needs, read from the
//! store. Called by the API server for every write.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    admission::{self, Facts, Need, Objects, Operation, deletion, references},
    api::{GROUP, reference::SecretKind, validate::Policy},
    apiserver::{
        admission::{Admission, Review},
        names::{GroupResource, Key},
        object,
        status::{Cause, Details, Result, Status},
        store::{Range, Record, Store},
    },
    clock::Clock,
    controllers::references::{Named, of as named_by},
};

/// The rules under one policy, on one store.
#[derive(Clone)]
pub(super) struct OwnKinds {
    pub(super) policy: Policy,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
}

impl Admission for OwnKinds {
    fn review(&self, asked: &Review<'_>) -> Result<Vec<String>> {
        let review = admission::Review {
            operation: match (asked.object, asked.old) {
                (Some(_), None) => Operation::Create,
                (Some(_), Some(_)) => Operation::Update,
                (None, Some(_)) => Operation::Delete,
                (None, None) => Operation::Other,
            },
            group: &asked.resource.group,
            resource: &asked.resource.resource,
            subresource: asked.subresource,
            object: asked.object,
            old: asked.old,
            user: &asked.user.name,
            groups: &asked.user.groups,
        };
        let mut facts = match deletion::need(&review) {
            Need::Nothing => Facts::default(),
            Need::Users {
                namespace,
                secret,
                object,
            } => {
                let wanted = Named::Secret(SecretKind::DockerSecret, namespace.to_owned(), secret.to_owned());
                self.users(namespace, &wanted, &deletion::admitted(object))?
            }
            Need::Keys { object } => self.keys(object)?,
            Need::Objects { plural } => self.objects(plural)?,
        };
        facts.now = self.clock.now();
        let verdict = admission::review(&review, &facts, &self.policy);
        verdict
            .refusal
            .map_or(Ok(verdict.warnings), |refusal| Err(refused(refusal)))
    }
}

impl OwnKinds {
    fn list(&self, plural: &str, namespace: Option<&str>) -> Result<Vec<Arc<Record>>> {
        let range = Range {
            of: GroupResource::new(GROUP, plural),
            namespace: namespace.map(Into::into),
            after: None,
        };
        let listed = self.store.list(&range, None, 0);
        listed
            .map(|page| page.records)
            .map_err(|error| Status::internal(error.to_string()))
    }

    fn object(&self, record: &Record) -> Result<Value> {
        self.store.object(record).map_err(Status::internal)
    }

    fn users(&self, namespace: &str, wanted: &Named, admitted: &[&str]) -> Result<Facts> {
        let mut facts = Facts::default();
        for at in admitted {
            for record in self.list("dockerdeployments", Some(at))? {
                let deployment = self.object(&record)?;
                if named_by(&deployment["spec"], at).contains(wanted) {
                    let name = object::name(&deployment);
                    facts.users.push(admission::User {
                        name: match *at == namespace {
                            true => name.to_owned(),
                            false => format!("{at}/{name}"),
                        },
                        going: object::is_deleting(&deployment),
                    });
                }
            }
        }
        let key = Key::new(&GroupResource::new("", "namespaces"), "", namespace);
        facts.namespace_ends = match self.store.get(&key) {
            Some(record) => object::is_deleting(&self.object(&record)?),
            None => true,
        };
        Ok(facts)
    }

    fn keys(&self, deployment: &Value) -> Result<Facts> {
        let (namespace, names) = references::wanted(deployment);
        let mut facts = Facts::default();
        for name in names {
            let key = Key::new(&GroupResource::new(GROUP, "dockersecrets"), &namespace, &name);
            let found = self
                .store
                .get(&key)
                .map(|record| self.object(&record))
                .transpose()?;
            let keys = found.map(|secret| {
                let data = secret.pointer("/spec/encryptedData").and_then(Value::as_object);
                data.into_iter().flatten().map(|(key, _)| key.clone()).collect()
            });
            facts.keys.insert(name, keys);
        }
        Ok(facts)
    }

    fn objects(&self, plural: &str) -> Result<Facts> {
        let all = self.list(plural, None)?;
        let objects = all.first().map(|first| Objects {
            one: format!("{}/{}", first.key.namespace, first.key.name),
            others: all.len() as u64 - 1,
        });
        Ok(Facts {
            objects,
            ..Facts::default()
        })
    }
}

fn refused(refusal: admission::Refusal) -> Status {
    let causes = refusal.causes.into_iter().map(|cause| Cause {
        reason: cause.reason.to_owned(),
        message: cause.message,
        field: cause.field,
    });
    Status {
        code: refusal.code,
        reason: refusal.reason,
        message: refusal.message,
        details: Some(Box::new(Details {
            name: refusal.name,
            group: refusal.group,
            kind: refusal.kind,
            causes: causes.collect(),
            ..Details::default()
        })),
        continue_token: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::{authorize::User, field_error::FieldError, store};

    fn kinds() -> OwnKinds {
        OwnKinds {
            policy: Policy::default(),
            store: Store::in_memory(store::Options::default()),
            clock: Arc::new(crate::clock::System),
        }
    }

    async fn put(kinds: &OwnKinds, group: &str, plural: &str, object: Value) {
        let of = GroupResource::new(group, plural);
        let key = Key::new(&of, object::namespace(&object), object::name(&object));
        kinds.store.create(key, object).await.unwrap();
    }

    fn deployment(name: &str, container: Value) -> Value {
        json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        })
    }

    fn ask(
        kinds: &OwnKinds,
        of: &GroupResource,
        object: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<Vec<String>> {
        kinds.review(&Review {
            resource: of,
            subresource: "",
            object,
            old,
            user: &User::master("jane"),
        })
    }

    #[test]
    fn a_refusal_has_the_words_of_this_server() {
        let bad = deployment(
            "web",
            json!({"name": "app", "image": "x y z", "workingDir": "here"}),
        );
        let of = GroupResource::new(GROUP, "dockerdeployments");
        let refused = ask(&kinds(), &of, Some(&bad), None).unwrap_err();
        assert_eq!((refused.code, refused.reason), (422, "Invalid"));
        let findings: Vec<FieldError> = refused
            .details
            .as_ref()
            .unwrap()
            .causes
            .iter()
            .map(|cause| FieldError {
                value: None,
                ..FieldError::invalid(
                    &cause.field,
                    Value::Null,
                    cause.message.trim_start_matches("Invalid value: "),
                )
            })
            .collect();
        assert_eq!(findings.len(), 2);
        assert_eq!(
            refused,
            Status::invalid(GROUP, "DockerDeployment", "web", &findings)
        );

        let privileged = json!({"name": "app", "image": "busybox", "securityContext": {"privileged": true}});
        let refused = ask(&kinds(), &of, Some(&deployment("web", privileged)), None).unwrap_err();
        assert_eq!((refused.code, refused.reason), (403, "Forbidden"));
        assert!(
            refused
                .message
                .starts_with("dockerdeployments.supercargo.dev \"web\" is forbidden: violates the policy")
        );
        let secrets = GroupResource::new(GROUP, "dockersecrets");
        let conflict = admission::Refusal::conflict(GROUP, "dockersecrets", "db", "why");
        assert_eq!(super::refused(conflict), Status::conflict(&secrets, "db", "why"));
    }

    #[test]
    fn warnings_of_what_is_admitted_are_handed_on() {
        let of = GroupResource::new(GROUP, "dockerdeployments");
        let port =
            json!({"name": "app", "image": "busybox", "ports": [{"containerPort": 80, "hostPort": 80}]});
        let warnings = ask(&kinds(), &of, Some(&deployment("web", port)), None).unwrap();
        assert!(warnings[0].contains("ports[0].hostPort"), "{warnings:?}");
    }

    #[tokio::test]
    async fn a_reference_to_what_is_not_there_is_admitted_with_a_warning() {
        let kinds = kinds();
        let of = GroupResource::new(GROUP, "dockerdeployments");
        let env =
            json!([{"name": "P", "fileRef": {"volume": "db", "key": "k"}}, {"name": "Q", "value": "plain"}]);
        let mut object = deployment("web", json!({"name": "app", "image": "busybox", "env": env}));
        object["spec"]["template"]["spec"]["volumes"] =
            json!([{"name": "db", "secret": {"secretName": "db", "items": [{"key": "k", "path": "k"}]}}]);
        let warned = |kinds: &OwnKinds| ask(kinds, &of, Some(&object), None).unwrap();
        let said = warned(&kinds);
        assert!(
            said.len() == 1 && said[0].contains("no DockerSecret \"db\" yet"),
            "{said:?}"
        );
        let secret = |data: Value| json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"encryptedData": data}});
        put(&kinds, GROUP, "dockersecrets", secret(json!({"k": "sc1.x"}))).await;
        assert_eq!(warned(&kinds), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_secret_is_kept_for_the_deployments_in_the_store() {
        let kinds = kinds();
        put(&kinds, "", "namespaces", json!({"metadata": {"name": "shop"}})).await;
        let env = json!([{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}]);
        let user = deployment("web", json!({"name": "app", "image": "busybox", "env": env}));
        put(&kinds, GROUP, "dockerdeployments", user).await;
        put(
            &kinds,
            GROUP,
            "dockerdeployments",
            deployment("other", json!({"name": "app"})),
        )
        .await;
        let of = GroupResource::new(GROUP, "dockersecrets");
        let secret = |name: &str| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {}});
        let refused = ask(&kinds, &of, None, Some(&secret("db"))).unwrap_err();
        assert_eq!(refused.code, 409);
        assert!(refused.message.contains("in use by web;"), "{}", refused.message);
        assert_eq!(ask(&kinds, &of, None, Some(&secret("free"))), Ok(Vec::new()));
        let elsewhere = json!({"metadata": {"name": "db", "namespace": "bank"}, "spec": {}});
        assert_eq!(ask(&kinds, &of, None, Some(&elsewhere)), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_secret_is_kept_for_deployments_elsewhere_to_which_it_consents() {
        let kinds = kinds();
        put(&kinds, "", "namespaces", json!({"metadata": {"name": "bank"}})).await;
        let from = json!({"secretKeyRef": {"name": "db", "namespace": "bank", "key": "k"}});
        let container = json!({"name": "app", "env": [{"name": "P", "valueFrom": from}]});
        put(&kinds, GROUP, "dockerdeployments", deployment("web", container)).await;
        let of = GroupResource::new(GROUP, "dockersecrets");
        let secret = |namespaces: &[&str]| {
            let spec = json!({"allowedConsumers": {"namespaces": namespaces}});
            json!({"metadata": {"name": "db", "namespace": "bank"}, "spec": spec})
        };
        let refused = ask(&kinds, &of, None, Some(&secret(&["mail", "shop"]))).unwrap_err();
        assert!(
            refused.message.contains("in use by shop/web;"),
            "{}",
            refused.message
        );
        // Nobody holds a secret that does not consent.
        assert_eq!(ask(&kinds, &of, None, Some(&secret(&["mail"]))), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn the_definition_of_a_kind_is_kept_for_its_objects() {
        let kinds = kinds();
        let of = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
        let crd = json!({
            "metadata": {"name": "dockerdeployments.supercargo.dev"},
            "spec": {"group": GROUP, "names": {"plural": "dockerdeployments"}},
        });
        assert_eq!(ask(&kinds, &of, None, Some(&crd)), Ok(Vec::new()));
        for name in ["a", "b"] {
            put(&kinds, GROUP, "dockerdeployments", deployment(name, json!({}))).await;
        }
        let refused = ask(&kinds, &of, None, Some(&crd)).unwrap_err();
        assert!(
            refused.message.contains("DockerDeployment shop/a and 1 more"),
            "{}",
            refused.message
        );
    }
}
