//! Core Secrets as others write them: External Secrets, Vault's operator, SOPS in Flux, Sealed Secrets, kustomize's generators.
//! Each in its own way of writing, rotating and deleting; what follows is what follows for a secret of ours. And logins of
//! the host, which nobody writes here.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use supercargo::{api::validate::Policy, engine::fake::Fake};

use super::bench::{Bench, NS, container, web};
use super::files::{is_delivered, with_files};

const CORE: &str = "secrets";

fn bench() -> Bench {
    let mut bench = Bench::still();
    bench.core_secrets = vec![NS.to_owned()];
    bench.start();
    bench
}

fn secret(name: &str, metadata: Value, values: &[(&str, &str)]) -> Value {
    let encoded = |(key, value): &(&str, &str)| ((*key).to_owned(), Base64::encode_string(value.as_bytes()));
    let data: std::collections::BTreeMap<String, String> = values.iter().map(encoded).collect();
    let mut object = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": name, "namespace": NS }, "data": data,
    });
    for (field, value) in metadata.as_object().unwrap() {
        object["metadata"][field] = value.clone();
    }
    object
}

fn user(replicas: u32, name: &str) -> Value {
    let mut object = web(replicas);
    let reference = json!({ "name": name, "key": "password", "kind": "Secret" });
    container(&mut object)["env"] =
        json!([{ "name": "PASSWORD", "valueFrom": { "secretKeyRef": reference } }]);
    object
}

fn has(bench: &Bench, count: usize, value: &str) -> bool {
    bench.env("web", "PASSWORD") == vec![Fake::digest(value.as_bytes()); count]
}

fn unresolved(bench: &Bench, words: &str) -> bool {
    bench
        .condition("web", "SecretsResolved")
        .is_some_and(|(status, _, message)| status == "False" && message.contains(words))
}

/// What was taken away stays with those who have it, also when they start again.
async fn goes_on_without(bench: &Bench, name: &str) {
    bench
        .eventually("told", |b| unresolved(b, "SecretNotFound"))
        .await;
    assert!(bench.cluster.get(CORE, NS, name).is_none());
    let before = bench.ids("web");
    bench
        .always(30, "they run", |b| b.live("web") == before.len())
        .await;
    bench.fake.kill(&before[0]);
    bench
        .within(5, "started again", |b| b.live("web") == before.len())
        .await;
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_external_secrets_rolls_when_its_value_does_and_not_with_each_refresh() {
    let bench = bench();
    let applied = |value: &str, hash: &str| {
        let owner = json!([{
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "db", "controller": true,
            "uid": "7d1f0c1e-0000-4000-8000-000000000001", "blockOwnerDeletion": true,
        }]);
        let metadata = json!({
            "ownerReferences": owner, "labels": { "reconcile.external-secrets.io/managed": "true" },
            "annotations": { "reconcile.external-secrets.io/data-hash": hash },
        });
        secret("db", metadata, &[("password", value)])
    };
    let apply = |value: &str, hash: &str| {
        let manager = "externalsecrets.external-secrets.io/db";
        bench.cluster.apply_as(manager, CORE, &applied(value, hash));
    };
    bench.apply(user(2, "db"));
    bench
        .eventually("told", |b| unresolved(b, "SecretNotFound"))
        .await;
    apply("one", "h1");
    bench.within(2, "two run", |b| b.live("web") == 2).await;
    bench.ready("web").await;
    bench.fake.forget_calls();
    apply("one", "another hash of the same");
    bench.always(30, "ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.fake.calls(), []);
    apply("two", "h2");
    bench.within(60, "all have it", |b| has(b, 2, "two")).await;
    bench.ready("web").await;
    // `target.immutable: true`: it is written once more, with the same value.
    let mut fixed = applied("two", "h2");
    fixed["immutable"] = json!(true);
    bench
        .cluster
        .apply_as("externalsecrets.external-secrets.io/db", CORE, &fixed);
    bench.fake.forget_calls();
    bench.always(30, "ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.fake.calls(), []);
    bench.cluster.remove(CORE, NS, "db");
    goes_on_without(&bench, "db").await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_vaults_operator_refreshes_its_files_and_its_raw_answer_is_one_of_them() {
    let bench = bench();
    let written = |value: &str| {
        let labels = json!({
            "app.kubernetes.io/component": "secret-sync", "app.kubernetes.io/managed-by": "hashicorp-vso",
            "secrets.hashicorp.com/vso-ownerRefUID": "7d1f0c1e-0000-4000-8000-000000000002",
        });
        let raw = json!({ "data": { "password": value }, "metadata": { "version": 3 } }).to_string();
        let values = [("_raw", raw.as_str()), ("password", value)];
        secret("db", json!({ "labels": labels }), &values)
    };
    bench.cluster.put(CORE, written("one"));
    bench.settle(with_files(2, &json!({ "kind": "Secret" }))).await;
    bench.eventually("seen", |b| is_delivered(b, "one")).await;
    let before = bench.ids("web");
    let shelf = bench.fake.world().delivered.into_values().next().unwrap();
    assert_eq!(Vec::from_iter(shelf.files.keys()), ["_raw", "password"]);
    bench.cluster.put(CORE, written("two"));
    bench.within(5, "new files", |b| is_delivered(b, "two")).await;
    assert_eq!(bench.ids("web"), before, "nothing restarts");
    bench.cluster.remove(CORE, NS, "db");
    bench
        .eventually("told", |b| unresolved(b, "SecretNotFound"))
        .await;
    bench
        .always(30, "what was delivered stays", |b| {
            is_delivered(b, "two") && b.live("web") == 2
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_flux_decrypted_with_sops_rolls_and_may_be_pruned() {
    let bench = bench();
    let apply = |value: &str| {
        let labels = json!({ "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system" });
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "stringData": { "password": value },
            "metadata": { "name": "db", "namespace": NS, "labels": labels },
        });
        bench.cluster.apply_as("kustomize-controller", CORE, &object);
    };
    apply("one");
    bench.settle(user(2, "db")).await;
    assert!(has(&bench, 2, "one"));
    bench.fake.forget_calls();
    apply("one");
    bench.always(30, "ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.fake.calls(), []);
    apply("two");
    bench.within(60, "all have it", |b| has(b, 2, "two")).await;
    bench.ready("web").await;
    bench.cluster.remove(CORE, NS, "db");
    goes_on_without(&bench, "db").await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_its_owner_takes_along_takes_away_nothing_that_runs() {
    let mut bench = Bench::started().await;
    bench.core_secrets = vec![NS.to_owned()];
    bench.start();
    // Another kind stands for SealedSecret: the API server collects what any owner leaves.
    let owner =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "sealed", "namespace": NS } });
    bench.cluster.put("configmaps", owner);
    let uid = bench.cluster.get("configmaps", NS, "sealed").unwrap()["metadata"]["uid"].clone();
    let owner = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "sealed", "uid": uid, "controller": true }]);
    let written = |value: &str| secret("db", json!({ "ownerReferences": owner }), &[("password", value)]);
    bench.cluster.put(CORE, written("one"));
    bench.settle(user(2, "db")).await;
    bench.cluster.put(CORE, written("two"));
    bench.within(60, "all have it", |b| has(b, 2, "two")).await;
    bench.ready("web").await;
    bench.cluster.remove("configmaps", NS, "sealed");
    goes_on_without(&bench, "db").await;
}

#[tokio::test(start_paused = true)]
async fn a_generated_name_with_another_hash_rolls_and_the_old_one_may_go_meanwhile() {
    let bench = bench();
    bench
        .cluster
        .put(CORE, secret("db-7h4tk2m5f9", json!({}), &[("password", "one")]));
    bench.settle(user(3, "db-7h4tk2m5f9")).await;
    bench
        .cluster
        .put(CORE, secret("db-b2c8d6gk4t", json!({}), &[("password", "two")]));
    bench.edit("web", |o| {
        *o = {
            let mut new = o.clone();
            new["spec"] = user(3, "db-b2c8d6gk4t")["spec"].clone();
            new
        };
    });
    bench.cluster.remove(CORE, NS, "db-7h4tk2m5f9");
    bench
        .within(60, "all have it", |b| {
            assert!(b.rolls_one_at_a_time("web"), "{}", b.live("web"));
            has(b, 3, "two")
        })
        .await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn credentials_of_the_cluster_itself_are_never_handed_out() {
    let bench = bench();
    for (name, kind) in [
        ("account", "kubernetes.io/service-account-token"),
        ("release", "helm.sh/release.v1"),
        ("token", "bootstrap.kubernetes.io/token"),
    ] {
        let annotations = json!({ "annotations": { "kubernetes.io/service-account.name": "default" } });
        let mut object = secret(name, annotations, &[("password", "hunter2")]);
        object["type"] = json!(kind);
        bench.cluster.put(CORE, object);
        bench.apply(user(1, name));
        bench
            .eventually("refused", |b| {
                unresolved(b, &format!("AccessDenied: Secret shop/{name} ")) && unresolved(b, kind)
            })
            .await;
        bench.always(5, "nothing", |b| b.of("web").is_empty()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_hosts_login_is_used_where_it_is_permitted_and_asked_for_after_a_pull_secret() {
    let mut bench = Bench::still();
    bench.policy = Policy {
        allow_host_credentials: true,
        ..Policy::default()
    };
    bench.start();
    for registry in ["one.test", "two.test"] {
        let image = format!("{registry}/app:1");
        bench.fake.add_registry_image(&image, Some(("me", b"pw")));
    }
    let login = |registry: &str, password: &str| {
        let auth = Base64::encode_string(format!("me:{password}").as_bytes());
        json!({ "auths": { registry: { "auth": auth } } }).to_string()
    };
    std::fs::write(bench.dir.path().join("config.json"), login("one.test", "pw")).unwrap();
    let pulled = |image: &str, asked: bool| {
        let mut object = web(1);
        container(&mut object)["image"] = json!(image);
        object["spec"]["template"]["spec"]["useHostCredentials"] = json!(asked);
        object
    };
    let refused = |b: &Bench| {
        b.condition("web", "Ready").is_some_and(|(_, reason, message)| {
            reason == "ImagePullError" && message.contains("useHostCredentials")
        })
    };
    bench.apply(pulled("one.test/app:1", false));
    bench.eventually("refused", refused).await;
    bench.delete("web");
    bench.eventually("gone", |b| b.deployment("web").is_null()).await;
    bench.settle(pulled("one.test/app:1", true)).await;

    // Its own secret goes before the host's.
    std::fs::write(bench.dir.path().join("config.json"), login("two.test", "wrong")).unwrap();
    let config = login("two.test", "pw");
    bench.seal("pull", &[(".dockerconfigjson", config.as_bytes())]);
    let mut both = pulled("two.test/app:1", true);
    both["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{ "name": "pull" }]);
    bench.settle(both).await;
    // What the host's file says wrong is told, and not what it says.
    std::fs::write(bench.dir.path().join("config.json"), "hunter2").unwrap();
    bench
        .fake
        .add_registry_image("one.test/app:2", Some(("me", b"pw")));
    bench.apply(pulled("one.test/app:2", true));
    bench
        .eventually("told", |b| {
            b.events().iter().any(|(reason, note)| {
                reason == "ImagePullError" && note.contains("is not JSON as `docker login`")
            })
        })
        .await;
    assert!(!format!("{:?}", bench.events()).contains("hunter2"));
}
