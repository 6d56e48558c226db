//! Environments: what arrives, and what an error may say.

use std::collections::BTreeMap;

use supercargo::{
    engine::{Containers, Kind, SecretEnv, fake::Fake},
    seal::Plaintext,
    state::container::{ContainerSpec, EnvValue, EnvVar, Limits, SlotId},
};

use super::lab::{Lab, literal};

const CANARY: &str = "canary-5up3r53cr3t";

fn with_slot(mut spec: ContainerSpec, name: &str, value: &[u8]) -> (ContainerSpec, SecretEnv) {
    spec.env.push(EnvVar {
        name: name.into(),
        value: EnvValue::Slot(SlotId(name.into())),
    });
    (
        spec,
        BTreeMap::from([(SlotId(name.into()), Plaintext::new(value.to_vec()))]),
    )
}

pub async fn values_arrive_byte_for_byte(lab: &impl Lab) {
    let all: String = (1u8..128).map(char::from).collect();
    let values = [
        "",
        "plain",
        "a=b==",
        "\"quoted\" 'twice' \\back\\",
        "two\nlines\r\n",
        "tab\there",
        "käse 秘密 🗝 \u{2028}",
        "${HOME} $(id) `id`",
        "-----BEGIN KEY-----\nAA==\n-----END KEY-----\n",
        all.as_str(),
    ];
    let mut spec = lab.spec("c");
    let mut secrets = SecretEnv::new();
    let mut expected = BTreeMap::new();
    for (index, value) in values.iter().enumerate() {
        let (plain, secret) = (format!("PLAIN_{index}"), format!("SECRET_{index}"));
        spec.env.push(literal(&plain, value));
        spec.env.push(EnvVar {
            name: secret.clone(),
            value: EnvValue::Slot(SlotId(secret.clone())),
        });
        secrets.insert(SlotId(secret.clone()), Plaintext::new(value.as_bytes().to_vec()));
        expected.insert(plain, Fake::digest(value.as_bytes()));
        expected.insert(secret, Fake::digest(value.as_bytes()));
    }
    let id = lab.engine().create_container(&spec, &secrets).await.unwrap();
    lab.engine().start_container(&id).await.unwrap();
    let seen = lab.env(&id).await;
    for (name, digest) in expected {
        assert_eq!(seen.get(&name), Some(&digest), "{name}");
    }
}

pub async fn a_value_that_no_environment_can_hold_is_refused_by_name(lab: &impl Lab) {
    for value in [
        format!("{CANARY}\0").into_bytes(),
        [CANARY.as_bytes(), &[0xff]].concat(),
    ] {
        let (spec, env) = with_slot(lab.spec("c"), "PASSWORD", &value);
        let error = lab.engine().create_container(&spec, &env).await.unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        let text = format!("{error} {error:?}");
        assert!(text.contains("PASSWORD") && !text.contains(CANARY), "{text}");
    }
    let (spec, _) = with_slot(lab.spec("c"), "PASSWORD", b"");
    let error = lab
        .engine()
        .create_container(&spec, &SecretEnv::new())
        .await
        .unwrap_err();
    assert!(
        error.kind == Kind::Invalid && error.message.contains("PASSWORD"),
        "{error}"
    );
    assert!(
        lab.engine()
            .list_containers(&lab.filter())
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn no_refused_create_tells_the_value(lab: &impl Lab) {
    let (taken, env) = with_slot(lab.spec("taken"), "PASSWORD", CANARY.as_bytes());
    lab.engine().create_container(&taken, &env).await.unwrap();
    let mut absent = with_slot(lab.spec("absent"), "PASSWORD", CANARY.as_bytes()).0;
    absent.image = format!("supercargo-test/absent-{}:1", lab.run());
    let mut invalid = with_slot(lab.spec("invalid"), "PASSWORD", CANARY.as_bytes()).0;
    invalid.limits = Limits {
        memory: Some(1 << 20),
        nano_cpus: None,
    };
    for (spec, kind) in [
        (taken, Kind::Conflict),
        (absent, Kind::NotFound),
        (invalid, Kind::Invalid),
    ] {
        let error = lab.engine().create_container(&spec, &env).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}

pub async fn a_create_without_secrets_keeps_the_engines_words(lab: &impl Lab) {
    let mut spec = lab.spec("c");
    spec.limits = Limits {
        memory: Some(1 << 20),
        nano_cpus: None,
    };
    let error = lab.create(&spec).await.unwrap_err();
    assert!(error.message.contains("6MB"), "{error}");
}
