//! Tests of [`super`]: deployments with volumes of files, the objects that they name, and what each file becomes. Values are
//! sealed and opened with a ring of the test's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use super::super::{Want, resolve};
use crate::api::SecretEnv as Secrecy;
use crate::{
    api::{DockerDeployment, DockerSecret, condition::Cause},
    seal::{Context, Plaintext, Ring, ScopeKind, SystemEntropy, seal},
    secrets::{
        open::Opener,
        source::{Lookup, Source},
    },
    state::{
        container::{EnvValue, SlotId},
        plaintext::SecretEnv,
        resolved::{Form, Resolution, Resolved},
    },
};

/// A namespace with objects and a key ring.
struct Shop {
    ring: Arc<Ring>,
    sealed: BTreeMap<String, DockerSecret>,
    secrets: BTreeMap<String, Secret>,
    maps: BTreeMap<String, ConfigMap>,
}

fn found<T: Clone>(shelf: &BTreeMap<String, T>, name: &str) -> Lookup<T> {
    shelf
        .get(name)
        .map_or(Lookup::Absent, |object| Lookup::Found(Arc::new(object.clone())))
}

impl Source for Shop {
    fn docker_secret(&self, namespace: &str, name: &str) -> Lookup<DockerSecret> {
        match found(&self.sealed, name) {
            Lookup::Found(secret) if secret.metadata.namespace.as_deref() != Some(namespace) => {
                Lookup::Absent
            }
            other => other,
        }
    }

    fn secret(&self, _: &str, name: &str) -> Lookup<Secret> {
        found(&self.secrets, name)
    }

    fn config_map(&self, _: &str, name: &str) -> Lookup<ConfigMap> {
        found(&self.maps, name)
    }
}

impl Shop {
    fn new() -> Self {
        let ring = Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap();
        Self {
            ring: Arc::new(ring),
            sealed: BTreeMap::new(),
            secrets: BTreeMap::new(),
            maps: BTreeMap::new(),
        }
    }

    fn seal(&mut self, name: &str, values: &[(&str, &[u8])]) {
        self.seal_in("shop", name, values);
    }

    fn seal_in(&mut self, namespace: &str, name: &str, values: &[(&str, &[u8])]) {
        let key = self.ring.public_keys()[0].public().clone();
        let sealed = |(item, value): &(&str, &[u8])| {
            let context = Context::at(ScopeKind::Namespace, namespace, name, item).unwrap();
            let value = Plaintext::new(value.to_vec());
            let envelope = seal(&key, &context, &value, &mut SystemEntropy).unwrap();
            ((*item).to_owned(), envelope.to_string())
        };
        let data: BTreeMap<String, String> = values.iter().map(sealed).collect();
        let object = json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret",
            "metadata": { "name": name, "namespace": namespace }, "spec": { "encryptedData": data },
        });
        let object = serde_json::from_value(object).unwrap();
        self.sealed.insert(name.to_owned(), object);
    }

    fn core(&mut self, name: &str, data: Value) {
        let object = serde_json::from_value(json!({ "data": data })).unwrap();
        self.secrets.insert(name.to_owned(), object);
    }

    fn map(&mut self, name: &str, object: Value) {
        let object = serde_json::from_value(object).unwrap();
        self.maps.insert(name.to_owned(), object);
    }

    fn resolve(&self, volumes: Value, container: Value) -> (Resolution, SecretEnv) {
        let deployment = deployment(volumes, container);
        let opener = Opener::new(Arc::clone(&self.ring));
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        let (looked, nothing) = resolve(&deployment, "local", self, &opener, Want::Fingerprints, now);
        assert!(nothing.is_empty());
        let (opened, bytes) = resolve(&deployment, "local", self, &opener, Want::Bytes, now);
        assert_eq!(looked, opened, "what is wanted changes nothing but the bytes");
        (opened, bytes)
    }

    #[track_caller]
    fn resolved(&self, volumes: Value, container: Value) -> (Resolved, Resolution, SecretEnv) {
        let (mut resolution, bytes) = self.resolve(volumes, container);
        let resolved = resolution.resolved.take();
        (
            resolved.unwrap_or_else(|| panic!("{resolution:#?}")),
            resolution,
            bytes,
        )
    }

    /// Everything that is told to be wrong.
    fn wrong(&self, volumes: Value, container: Value) -> Vec<String> {
        let (resolution, bytes) = self.resolve(volumes, container);
        assert!(resolution.resolved.is_none() && bytes.is_empty());
        let failures = resolution.failures.iter().map(ToString::to_string);
        let config = resolution.config.iter().map(ToString::to_string);
        let invalid = resolution.invalid.iter().map(ToString::to_string);
        failures.chain(config).chain(invalid).collect()
    }
}

fn deployment(volumes: Value, container: Value) -> DockerDeployment {
    let mut web = json!({ "name": "web", "image": "nginx" });
    for (key, value) in container.as_object().unwrap() {
        web[key] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
        "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "template": { "spec": { "containers": [web], "volumes": volumes } } },
    }))
    .unwrap()
}

fn secret(more: Value) -> Value {
    let mut secret = json!({ "secretName": "db" });
    for (key, value) in more.as_object().unwrap() {
        secret[key] = value.clone();
    }
    json!([{ "name": "v", "secret": secret }])
}

fn files(resolved: &Resolved) -> Vec<(&str, &str, u32)> {
    let volumes = resolved.files.iter();
    volumes
        .flat_map(|volume| {
            volume
                .files
                .iter()
                .map(|file| (&*volume.volume, &*file.path, file.mode))
        })
        .collect()
}

fn bytes<'a>(bytes: &'a SecretEnv, volume: &str, path: &str) -> &'a [u8] {
    bytes[&SlotId::of_file(volume, path)].expose()
}

const AT: &str = "spec.template.spec.volumes[0].secret";

#[test]
fn every_key_becomes_a_file_of_any_bytes_and_no_revision_depends_on_it() {
    let mut shop = Shop::new();
    shop.seal("db", &[("b", b"\x00\xff"), ("a", b"one")]);
    let (resolved, resolution, given) = shop.resolved(secret(json!({})), json!({}));
    assert_eq!(files(&resolved), [("v", "a", 0o400), ("v", "b", 0o400)]);
    assert_eq!(bytes(&given, "v", "a"), b"one");
    assert_eq!(bytes(&given, "v", "b"), b"\x00\xff");
    assert!(resolved.fingerprints.values.is_empty());
    assert_eq!(
        resolved.fingerprints.root,
        shop.ring.fingerprint_root_id().to_string()
    );
    let uses: Vec<_> = resolution
        .uses
        .iter()
        .map(|u| (&*u.key, u.form, &*u.path))
        .collect();
    assert_eq!(uses, [("a", Form::File, AT), ("b", Form::File, AT)]);
    assert_eq!(
        resolution.uses[0].fingerprint,
        resolved.files[0].files[0].fingerprint
    );
    assert!(resolution.uses[0].kid.is_some());
}

#[test]
fn items_choose_keys_paths_and_modes() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    let items = json!([{ "key": "c", "path": "x/c", "mode": 0o440 }, { "key": "a", "path": "first" }]);
    let volumes = secret(json!({ "items": items, "defaultMode": 0o444 }));
    let (resolved, resolution, given) = shop.resolved(volumes, json!({}));
    assert_eq!(files(&resolved), [("v", "first", 0o444), ("v", "x/c", 0o440)]);
    assert_eq!(bytes(&given, "v", "x/c"), b"3");
    assert_eq!(given.len(), 2);
    assert_eq!(resolution.uses[1].path, format!("{AT}.items[1]"));
}

#[test]
fn a_revision_depends_on_files_of_restart_only_and_a_reference_is_one_entry() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1")]);
    shop.core("db", json!({ "a": "MQ==" }));
    shop.map("app", json!({ "data": { "level": "info" } }));
    let env = json!({ "env": [
        { "name": "A", "valueFrom": { "secretKeyRef": { "name": "db", "key": "a" } } },
        { "name": "L", "valueFrom": { "configMapKeyRef": { "name": "app", "key": "level" } } },
    ] });
    let volumes = |on_change: &str| {
        json!([{ "name": "v", "projected": { "onChange": on_change, "sources": [
            { "secret": { "name": "db" } },
            { "secret": { "name": "db", "kind": "Secret", "items": [{ "key": "a", "path": "core" }] } },
            { "configMap": { "name": "app" } },
        ] } }])
    };
    let mounted = |more: Value| {
        let mut container = more;
        container["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v" }]);
        container
    };
    let names = |on_change: &str, container: Value| -> Vec<String> {
        let (resolved, ..) = shop.resolved(volumes(on_change), mounted(container));
        resolved.fingerprints.values.into_keys().collect()
    };
    assert_eq!(names("Update", json!({})), [""; 0]);
    assert_eq!(names("Signal", json!({})), [""; 0]);
    let all = ["ConfigMap:app/level", "Secret:db/a", "db/a"];
    assert_eq!(names("Restart", json!({})), all);
    assert_eq!(names("Restart", env.clone()), all);
    assert_eq!(names("Update", env), ["ConfigMap:app/level", "db/a"]);
}

#[test]
fn what_is_missing_fails_with_its_cause_and_place_unless_it_is_optional() {
    let mut shop = Shop::new();
    let items = json!([{ "key": "a", "path": "a" }, { "key": "no", "path": "no" }]);
    let absent = shop.wrong(secret(json!({ "items": items })), json!({}));
    assert_eq!(absent.len(), 1, "{absent:#?}");
    assert!(absent[0].starts_with(&format!(
        "SecretNotFound: DockerSecret shop/db, referenced by {AT}; "
    )));
    let (resolved, ..) = shop.resolved(secret(json!({ "optional": true })), json!({}));
    assert_eq!(resolved.files.len(), 1, "an empty volume");
    assert_eq!(files(&resolved), []);

    shop.seal("db", &[("a", b"1")]);
    let no_key = shop.wrong(secret(json!({ "items": items })), json!({}));
    assert_eq!(no_key.len(), 1, "{no_key:#?}");
    let place = format!("{AT}.items[1]");
    assert!(no_key[0].starts_with(&format!(
        "KeyNotFound: DockerSecret shop/db key \"no\", referenced by {place}; it has a; "
    )));
    let (resolved, ..) = shop.resolved(secret(json!({ "items": items, "optional": true })), json!({}));
    assert_eq!(files(&resolved), [("v", "a", 0o400)]);
}

#[test]
fn only_those_whom_a_secret_allows_get_its_files_and_no_other_namespace() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1")]);
    let db = shop.sealed.get_mut("db").unwrap();
    db.spec.allowed_consumers = serde_json::from_value(json!({ "names": ["other"] })).unwrap();
    let causes = |volumes: Value| -> Vec<Cause> {
        let (resolution, _) = shop.resolve(volumes, json!({}));
        resolution.failures.iter().map(|failure| failure.cause).collect()
    };
    assert_eq!(
        causes(secret(json!({ "optional": true }))),
        [Cause::ConsumerNotAllowed]
    );
    assert_eq!(
        causes(secret(json!({ "namespace": "bank" }))),
        [Cause::ConsentMissing]
    );
}

#[test]
fn a_secret_of_another_namespace_gives_its_values_to_whom_it_names_and_opens_at_its_own_place() {
    let mut shop = Shop::new();
    shop.seal_in("bank", "db", &[("a", b"1")]);
    let volume = || secret(json!({ "namespace": "bank", "onChange": "Restart" }));
    let allow = |shop: &mut Shop, allowed: Value| {
        let db = shop.sealed.get_mut("db").unwrap();
        db.spec.allowed_consumers = serde_json::from_value(allowed).unwrap();
    };
    for allowed in [
        json!({ "namespaces": ["shop"] }),
        json!({ "namespaces": ["mail", "shop"], "names": ["other", "web"] }),
    ] {
        allow(&mut shop, allowed);
        let (resolved, resolution, bytes) = shop.resolved(volume(), json!({}));
        let names: Vec<String> = resolved.fingerprints.values.into_keys().collect();
        assert_eq!(names, ["bank/db/a"], "it is not the secret of that name here");
        assert_eq!(resolution.uses[0].namespace.as_deref(), Some("bank"));
        assert_eq!(bytes.values().next().unwrap().expose(), b"1");
    }
    for (allowed, word) in [
        (json!(null), "ConsentMissing"),
        (json!({ "names": ["web"] }), "ConsentMissing"),
        (json!({ "namespaces": ["mail"] }), "ConsentMissing"),
        (
            json!({ "namespaces": ["shop"], "names": ["other"] }),
            "ConsumerNotAllowed",
        ),
    ] {
        allow(&mut shop, allowed);
        let wrong = shop.wrong(volume(), json!({}));
        assert!(
            wrong[0].starts_with(&format!("{word}: DockerSecret bank/db, ")),
            "{wrong:?}"
        );
    }
}

#[test]
fn without_consent_a_secret_that_exists_and_one_that_does_not_are_the_same_answer() {
    let mut shop = Shop::new();
    shop.seal_in("bank", "db", &[("a", b"1")]);
    for more in [
        json!({ "namespace": "bank" }),
        json!({ "namespace": "bank", "optional": true }),
        json!({ "namespace": "bank", "items": [{ "key": "a", "path": "a" }] }),
        json!({ "namespace": "bank", "items": [{ "key": "no", "path": "a" }], "optional": true }),
    ] {
        let there = shop.wrong(secret(more.clone()), json!({}));
        let hidden = shop.sealed.remove("db").unwrap();
        assert_eq!(shop.wrong(secret(more.clone()), json!({})), there, "{more}");
        shop.sealed.insert("db".to_owned(), hidden);
        assert!(there[0].starts_with("ConsentMissing: "), "{there:?}");
    }
    // Nor does one that is expired, or a core Secret, which cannot consent.
    shop.core("db", json!({ "a": "MQ==" }));
    let core = shop.wrong(
        secret(json!({ "namespace": "bank", "kind": "Secret" })),
        json!({}),
    );
    assert!(
        core[0].starts_with("ConsentMissing: Secret bank/db") && core[0].contains("cannot consent"),
        "{core:?}"
    );
}

#[test]
fn use_stops_when_a_secret_says_so_and_for_an_optional_one_too() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1")]);
    let db = shop.sealed.get_mut("db").unwrap();
    db.spec.not_after = serde_json::from_value(json!("2029-12-31T00:00:00Z")).unwrap();
    let volume = || secret(json!({ "optional": true }));
    let (resolved, ..) = shop.resolved(volume(), json!({}));
    assert_eq!(
        files(&resolved),
        [("v", "a", 0o400)],
        "a date alone stops nothing"
    );
    shop.sealed.get_mut("db").unwrap().spec.stop_use = Some(true);
    let wrong = shop.wrong(volume(), json!({}));
    assert!(
        wrong[0].starts_with("Expired: DockerSecret shop/db") && wrong[0].contains("2029-12-31T00:00:00Z"),
        "{wrong:?}"
    );
}

#[test]
fn config_maps_give_text_and_bytes() {
    let mut shop = Shop::new();
    let volumes = |more: Value| {
        let mut map = json!({ "name": "app" });
        for (key, value) in more.as_object().unwrap() {
            map[key] = value.clone();
        }
        json!([{ "name": "v", "configMap": map }])
    };
    let mounted = || json!({ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] });
    let absent = shop.wrong(volumes(json!({})), mounted());
    assert!(
        absent[0].starts_with("spec.template.spec.volumes[0].configMap: ConfigMap shop/app does not exist")
    );
    shop.map(
        "app",
        json!({ "data": { "t": "info" }, "binaryData": { "b": "AP8=" } }),
    );
    let (resolved, resolution, given) = shop.resolved(volumes(json!({})), mounted());
    assert_eq!(files(&resolved), [("v", "b", 0o444), ("v", "t", 0o444)]);
    assert_eq!(bytes(&given, "v", "b"), b"\x00\xff");
    assert_eq!(bytes(&given, "v", "t"), b"info");
    assert!(resolution.uses.is_empty() && resolved.fingerprints.root.is_empty());
    let before = resolved.files[0].files[0].fingerprint.clone();
    shop.map("app", json!({ "binaryData": { "b": "AP4=", "t": "aW5mbw==" } }));
    let (after, ..) = shop.resolved(volumes(json!({})), mounted());
    assert_ne!(after.files[0].files[0].fingerprint, before);
    assert_eq!(
        after.files[0].files[1], resolved.files[0].files[1],
        "the same bytes, kept otherwise"
    );

    let items = json!([{ "key": "no", "path": "no" }]);
    let no_key = shop.wrong(volumes(json!({ "items": items })), mounted());
    assert!(
        no_key[0].starts_with("spec.template.spec.volumes[0].configMap.items[0]: ConfigMap shop/app has no key \"no\"; it has b, t;"),
        "{no_key:#?}"
    );
    let (resolved, ..) = shop.resolved(volumes(json!({ "items": items, "optional": true })), mounted());
    assert_eq!(files(&resolved), []);
}

#[test]
fn what_nothing_mounts_is_not_looked_up() {
    let shop = Shop::new();
    let volumes = json!([
        { "name": "a", "configMap": { "name": "absent" } },
        { "name": "b", "projected": { "sources": [{ "secret": { "name": "absent" } }] } },
    ]);
    let (resolved, ..) = shop.resolved(volumes, json!({}));
    assert!(resolved.files.is_empty());
}

#[test]
fn two_sources_with_one_path_are_told_with_both_places() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1")]);
    shop.map("app", json!({ "data": { "a": "x" } }));
    let volumes = |path: &str| {
        json!([{ "name": "v", "projected": { "sources": [
            { "configMap": { "name": "app" } },
            { "secret": { "name": "db", "items": [{ "key": "a", "path": path }] } },
        ] } }])
    };
    let mounted = json!({ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] });
    for path in ["a", "a/b"] {
        let wrong = shop.wrong(volumes(path), mounted.clone());
        assert_eq!(wrong.len(), 1, "{wrong:#?}");
        let sources = "spec.template.spec.volumes[0].projected.sources";
        assert!(
            wrong[0].starts_with(&format!("{sources}[1].secret.items[0]: ")),
            "{wrong:?}"
        );
        assert!(wrong[0].contains(&format!("{sources}[0].configMap")), "{wrong:?}");
    }
    let (resolved, ..) = shop.resolved(volumes("b"), mounted);
    assert_eq!(files(&resolved), [("v", "a", 0o400), ("v", "b", 0o400)]);
}

#[test]
fn a_key_that_is_no_file_name_leaves_the_volume_in_no_case() {
    let mut shop = Shop::new();
    shop.seal("db", &[("..x", b"1")]);
    let wrong = shop.wrong(secret(json!({})), json!({}));
    assert!(wrong[0].starts_with(&format!("{AT}: \"..x\" ")), "{wrong:?}");
}

#[test]
fn a_file_that_its_owner_could_not_read_is_told_by_its_place() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1"), ("b", b"2")]);
    for mode in [0, 0o040, 0o377] {
        let items =
            json!([{ "key": "a", "path": "a", "mode": 0o400 }, { "key": "b", "path": "b", "mode": mode }]);
        let wrong = shop.wrong(secret(json!({ "items": items })), json!({}));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        let at = format!("{AT}.items[1]");
        assert!(
            wrong[0].starts_with(&at) && wrong[0].contains("at least 0400"),
            "{wrong:?}"
        );
    }
    // What no file has is nobody's harm.
    let items = json!([{ "key": "a", "path": "a", "mode": 0o400 }]);
    shop.resolved(secret(json!({ "items": items, "defaultMode": 0 })), json!({}));
}

#[test]
fn a_volume_has_as_many_files_as_can_be_delivered() {
    let mut shop = Shop::new();
    shop.map("app", json!({ "data": { "a": "" } }));
    let source = |part: usize, count: usize| {
        let item = |n: usize| json!({ "key": "a", "path": format!("{part}/{n}") });
        let items: Vec<Value> = (0..count).map(item).collect();
        json!({ "configMap": { "name": "app", "items": items } })
    };
    let volume = |more: usize| {
        let sources: Vec<Value> = (0..4)
            .map(|part| source(part, 1024))
            .chain([source(4, more)])
            .collect();
        json!([{ "name": "v", "projected": { "sources": sources } }])
    };
    let mounted = || json!({ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] });
    let wrong = shop.wrong(volume(1), mounted());
    assert!(
        wrong[0].starts_with("spec.template.spec.volumes[0]: ") && wrong[0].contains("4096"),
        "{wrong:?}"
    );
}

#[test]
fn a_volume_has_a_mebibyte_at_most() {
    let mut shop = Shop::new();
    let half = "x".repeat(512 << 10);
    shop.map("app", json!({ "data": { "a": half, "b": half } }));
    shop.map("one", json!({ "data": { "c": "y" } }));
    let mounted = || json!({ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] });
    let sources = |more: bool| {
        let mut sources = vec![json!({ "configMap": { "name": "app" } })];
        sources.extend(more.then(|| json!({ "configMap": { "name": "one" } })));
        json!([{ "name": "v", "projected": { "sources": sources } }])
    };
    assert_eq!(files(&shop.resolved(sources(false), mounted()).0).len(), 2);
    let wrong = shop.wrong(sources(true), mounted());
    assert!(wrong[0].starts_with("spec.template.spec.volumes[0]: ") && wrong[0].contains("1 MiB"));

    // One key in many files counts as often.
    shop.seal("db", &[("a", &[7; 60 << 10])]);
    let items = |n: usize| -> Vec<Value> {
        (0..n)
            .map(|i| json!({ "key": "a", "path": format!("f{i}") }))
            .collect()
    };
    assert_eq!(
        files(&shop.resolved(secret(json!({ "items": items(17) })), json!({})).0).len(),
        17
    );
    assert!(shop.wrong(secret(json!({ "items": items(18) })), json!({}))[0].contains("1 MiB"));
}

#[test]
fn a_file_ref_is_the_path_of_the_file_and_can_stand_in_a_command() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"hunter2"), ("b", b"hunter3")]);
    let reference = |key: &str| json!({ "name": "A_FILE", "fileRef": { "volume": "v", "key": key } });
    let items = json!([{ "key": "a", "path": "x/a" }]);
    let container = |key: &str| json!({ "env": [reference(key)], "args": ["--password-file=$(A_FILE)"] });
    let (resolved, ..) = shop.resolved(secret(json!({ "items": items })), container("a"));
    assert_eq!(
        resolved.env[0].value,
        EnvValue::Literal("/run/secrets/db/x/a".into())
    );
    assert_eq!(resolved.args, ["--password-file=/run/secrets/db/x/a"]);
    let mut mounted = container("b");
    mounted["volumeMounts"] =
        json!([{ "name": "v", "mountPath": "/etc/db/" }, { "name": "v", "mountPath": "/x" }]);
    let (resolved, ..) = shop.resolved(secret(json!({})), mounted);
    assert_eq!(resolved.env[0].value, EnvValue::Literal("/etc/db/b".into()));
}

#[test]
fn a_file_ref_to_a_key_that_is_not_there_fails_as_a_reference_does() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1")]);
    shop.map("app", json!({ "data": { "l": "x" } }));
    let container = json!({
        "env": [{ "name": "F", "fileRef": { "volume": "v", "key": "no" } }],
        "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
    });
    let at = "spec.template.spec.containers[0].env[0].fileRef";
    let wrong = shop.wrong(secret(json!({})), container.clone());
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].starts_with(&format!(
        "KeyNotFound: DockerSecret shop/db key \"no\", referenced by {at}; it has a; "
    )));
    let map = json!([{ "name": "v", "configMap": { "name": "app" } }]);
    let wrong = shop.wrong(map, container.clone());
    assert!(
        wrong[0].starts_with(&format!("{at}: ConfigMap shop/app has no key \"no\"")),
        "{wrong:?}"
    );
    let (resolved, ..) = shop.resolved(secret(json!({ "optional": true })), container.clone());
    assert!(resolved.env.is_empty(), "left out");
    // A secret that is absent is told once, and not again for each variable.
    shop.sealed.clear();
    assert_eq!(shop.wrong(secret(json!({})), container).len(), 1);
}

#[test]
fn a_key_in_two_sources_of_a_projected_volume_names_no_file() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1")]);
    shop.map("app", json!({ "data": { "a": "x", "l": "y" } }));
    let volumes = json!([{ "name": "v", "projected": { "sources": [
        { "configMap": { "name": "app" } },
        { "secret": { "name": "db", "items": [{ "key": "a", "path": "b" }] } },
    ] } }]);
    let container = |key: &str| {
        json!({
            "env": [{ "name": "F", "fileRef": { "volume": "v", "key": key } }],
            "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
        })
    };
    let wrong = shop.wrong(volumes.clone(), container("a"));
    assert!(wrong[0].contains("more than one file"), "{wrong:?}");
    let (resolved, ..) = shop.resolved(volumes, container("l"));
    assert_eq!(resolved.env[0].value, EnvValue::Literal("/v/l".into()));
}

#[test]
fn an_empty_value_beside_value_from_is_none() {
    let mut shop = Shop::new();
    shop.seal("db", &[("a", b"1")]);
    let from = json!({ "secretKeyRef": { "name": "db", "key": "a" } });
    let env = json!({ "env": [{ "name": "A", "value": "", "valueFrom": from }] });
    let (resolved, ..) = shop.resolved(json!([]), env);
    assert_eq!(resolved.env[0].value, EnvValue::Slot(SlotId("A".into())));
}

#[test]
fn nothing_that_can_be_printed_has_a_value_or_its_length() {
    let mut shop = Shop::new();
    let value = "hunter2".repeat(1001);
    shop.seal("db", &[("a", value.as_bytes())]);
    let (resolved, resolution, _) = shop.resolved(secret(json!({ "onChange": "Restart" })), json!({}));
    let known = Opener::new(Arc::clone(&shop.ring))
        .look(&shop.sealed["db"], "a")
        .unwrap();
    assert_eq!(known.size, value.len());
    let json = serde_json::to_string(&resolved).unwrap();
    let printed = format!("{resolved:?} {resolution:?} {known:?} {json}");
    assert!(
        !printed.contains("hunter2") && !printed.contains("7007"),
        "{printed}"
    );
}

#[test]
fn protected_variables_are_no_environment_but_files_of_any_bytes_but_nul() {
    let mut shop = Shop::new();
    shop.seal(
        "db",
        &[("password", b"a\xff"), ("tls.key", b"k"), ("nul", b"a\0b")],
    );
    let env = |key: &str| json!({ "name": "PASSWORD", "valueFrom": { "secretKeyRef": { "name": "db", "key": key } } });
    let look = |shop: &Shop, variables: Value, protected: bool| {
        let mut deployment = deployment(json!([]), variables);
        deployment.spec.secret_env = protected.then_some(Secrecy::Protected);
        let opener = Opener::new(Arc::clone(&shop.ring));
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        resolve(&deployment, "local", shop, &opener, Want::Bytes, now)
    };
    let variables = |key: &str| json!({ "env": [{ "name": "PLAIN", "value": "p" }, env(key)] });
    let (resolution, bytes) = look(&shop, variables("password"), true);
    assert_eq!(resolution.uses[0].form, Form::ProtectedEnv);
    let resolved = resolution.resolved.unwrap();
    let names: Vec<&str> = resolved.env.iter().map(|var| var.name.as_str()).collect();
    assert_eq!(names, ["PLAIN"]);
    let file = &resolved.protected[0];
    assert_eq!((file.path.as_str(), file.mode), ("PASSWORD", 0o400));
    assert_eq!(bytes[&file.slot].expose(), b"a\xff");
    assert_eq!(resolved.fingerprints.values["db/password"], file.fingerprint);
    for (key, protected) in [("password", false), ("nul", true)] {
        let (resolution, _) = look(&shop, variables(key), protected);
        assert_eq!(resolution.failures[0].cause, Cause::InvalidEnvValue, "{key}");
    }
    // A plain variable of the same name wins, and with it nothing is protected.
    shop.seal("db", &[("password", b"x"), ("tls.key", b"k")]);
    let (resolution, bytes) = look(
        &shop,
        json!({ "envFrom": [{ "prefix": "P/", "secretRef": { "name": "db" } }],
            "env": [{ "name": "P/password", "value": "plain" }] }),
        true,
    );
    let resolved = resolution.resolved.unwrap();
    let paths: Vec<&str> = resolved.protected.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["P%2Ftls.key"]);
    assert_eq!((resolved.env.len(), bytes.len()), (1, 1));
}
