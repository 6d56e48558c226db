//! Images and registries.

use futures::{StreamExt, stream};
use supercargo::{
    engine::{Containers, Images, Kind, RegistryCredential},
    seal::Plaintext,
};

use super::lab::{Lab, Registry, kind_of};

fn login(registry: &Registry, password: &str) -> RegistryCredential {
    RegistryCredential {
        username: registry.username.into(),
        password: Plaintext::new(password.as_bytes().to_vec()),
        server: registry.host.clone(),
    }
}

pub async fn an_absent_image_is_not_found(lab: &impl Lab) {
    let absent = format!("supercargo-test/absent-{}:1", lab.run());
    assert_eq!(kind_of(lab.engine().inspect_image(&absent).await), Kind::NotFound);
    let view = lab
        .engine()
        .inspect_image("supercargo-test/busybox:1")
        .await
        .unwrap();
    assert!(view.id.starts_with("sha256:"));
    assert_eq!((view.entrypoint, view.cmd), (vec![], vec!["sh".to_owned()]));
}

pub async fn a_private_image_is_pulled_with_the_right_login_alone(lab: &impl Lab) {
    let registry = lab.registry().await;
    let engine = lab.engine();
    assert_eq!(
        kind_of(engine.pull_image(&registry.image, None).await),
        Kind::RegistryDenied
    );
    let wrong = login(&registry, "canary-wrong");
    let error = engine
        .pull_image(&registry.image, Some(&wrong))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::RegistryDenied);
    assert!(!format!("{error} {error:?}").contains("canary-wrong"), "{error}");
    assert_eq!(
        kind_of(engine.inspect_image(&registry.image).await),
        Kind::NotFound
    );
    engine
        .pull_image(&registry.image, Some(&login(&registry, registry.password)))
        .await
        .unwrap();
    let view = engine.inspect_image(&registry.image).await.unwrap();
    assert!(
        view.repo_digests
            .iter()
            .any(|digest| digest.starts_with(&registry.host)),
        "{view:?}"
    );
    // A tag that is there is asked for all the same.
    assert_eq!(
        kind_of(engine.pull_image(&registry.image, Some(&wrong)).await),
        Kind::RegistryDenied
    );
}

pub async fn an_absent_tag_and_a_bad_reference_are_told_apart(lab: &impl Lab) {
    let registry = lab.registry().await;
    let login = login(&registry, registry.password);
    let absent = registry.image.replace(":1", ":unauthorized");
    let bad = registry.image.replace("denied", "DENIED");
    assert_eq!(
        kind_of(lab.engine().pull_image(&absent, Some(&login)).await),
        Kind::ImageNotFound
    );
    assert_eq!(
        kind_of(lab.engine().pull_image(&bad, Some(&login)).await),
        Kind::Invalid
    );
    assert_eq!(kind_of(lab.engine().pull_image(&bad, None).await), Kind::Invalid);
}

pub async fn a_registry_that_is_down_is_unavailable(lab: &impl Lab) {
    let registry = lab.registry().await;
    lab.stop_registry(&registry).await;
    let login = login(&registry, registry.password);
    assert_eq!(
        kind_of(lab.engine().pull_image(&registry.image, Some(&login)).await),
        Kind::RegistryUnavailable
    );
    assert_eq!(
        kind_of(lab.engine().pull_image(&registry.image, None).await),
        Kind::RegistryUnavailable
    );
}

pub async fn a_digest_that_is_there_is_pulled_with_any_login(lab: &impl Lab) {
    let registry = lab.registry().await;
    let engine = lab.engine();
    engine
        .pull_image(&registry.image, Some(&login(&registry, registry.password)))
        .await
        .unwrap();
    let digests = engine.inspect_image(&registry.image).await.unwrap().repo_digests;
    let digest = digests
        .iter()
        .find(|digest| digest.starts_with(&registry.host))
        .unwrap();
    engine
        .pull_image(digest, Some(&login(&registry, "wrong")))
        .await
        .unwrap();
    engine.pull_image(digest, None).await.unwrap();
    let mut spec = lab.spec("c");
    spec.image = digest.clone();
    let id = lab.running(&spec).await;
    assert_eq!(lab.view(&id).await.image, *digest);
    engine.remove_container(&id, true).await.unwrap();
}

pub async fn an_image_from_an_archive_is_listed_and_removed_unless_a_container_is_made_from_it(
    lab: &impl Lab,
) {
    let engine = lab.engine();
    let repository = format!("supercargo-test/loaded-{}", lab.run());
    let tags = async || {
        let mut tags = engine.list_images(&repository).await.unwrap();
        tags.sort();
        tags.into_iter().map(|tag| tag.reference).collect::<Vec<_>>()
    };
    assert_eq!(tags().await, Vec::<String>::new());
    // An archive of nothing.
    let empty = || stream::iter([Ok(bytes::Bytes::from(vec![0; 1024]))]).boxed();
    let [one, two] = ["one", "two"].map(|tag| format!("{repository}:{tag}"));
    for reference in [&one, &two] {
        engine.load_image(reference, empty()).await.unwrap();
    }
    assert_eq!(tags().await, [one.clone(), two.clone()]);
    let mut spec = lab.spec("made");
    spec.image = one.clone();
    let id = lab.create(&spec).await.unwrap();
    assert_eq!(kind_of(engine.remove_image(&one).await), Kind::Conflict);
    engine.remove_image(&two).await.unwrap();
    assert_eq!(tags().await, std::slice::from_ref(&one));
    engine.remove_container(&id, true).await.unwrap();
    for _ in 0..2 {
        engine.remove_image(&one).await.unwrap();
    }
    assert_eq!(tags().await, Vec::<String>::new());
}
