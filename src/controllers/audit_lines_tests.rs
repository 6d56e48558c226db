//! What the audit is told of each kind of action, and of each end that one can have. Plans and resolutions are made here.
//! No value is anywhere in them.

use super::*;
use crate::{
    api::reference::SecretKind,
    plan::{Why, file_action::Load},
    state::{
        files::{FileSlot, FileUser},
        owner::Instance,
    },
};

fn used(key: &str, form: Form, slot: Option<SlotId>) -> Use {
    Use {
        kind: SecretKind::DockerSecret,
        namespace: None,
        name: "db".to_owned(),
        key: key.to_owned(),
        form,
        path: String::new(),
        fingerprint: "00ff".to_owned(),
        kid: Some("0123".to_owned()),
        slot,
    }
}

fn owner() -> Owner {
    Owner {
        instance: Instance::new("i"),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        uid: "u".to_owned(),
    }
}

fn deliver(volume: &str, files: &[&str]) -> Action {
    let file = |path: &&str| FileSlot {
        path: (*path).to_owned(),
        mode: 0o400,
        slot: SlotId::of_file("keys", path),
        fingerprint: "00ff".to_owned(),
    };
    Action::Files(FileAction::Deliver {
        holder: "holder".to_owned(),
        user: FileUser::default(),
        loads: vec![Load {
            volume: volume.to_owned(),
            directory: "/files/keys".to_owned(),
            generation: "g".to_owned(),
            files: files.iter().map(file).collect(),
            quiet: false,
        }],
        why: Why::NeededFirst,
    })
}

fn resolution() -> Resolution {
    let file = |key, volume, path| used(key, Form::File, Some(SlotId::of_file(volume, path)));
    Resolution {
        uses: vec![
            file("a", "keys", "one"),
            file("b", "keys", "two"),
            file("c", "others", "one"),
            used("d", Form::Env, Some(SlotId("one".to_owned()))),
            used("e", Form::PullCredential, Some(SlotId("docker.io".to_owned()))),
            used("f", Form::PullCredential, None),
        ],
        ..Resolution::default()
    }
}

#[test]
fn every_value_that_is_handed_over_has_a_line_for_the_audit() {
    let told = deliveries(
        &owner(),
        &resolution(),
        &deliver("v-1", &["one", "two"]),
        &Outcome::Done,
    );
    let expected = |key: &str, file: &str| Delivery {
        namespace: "shop".to_owned(),
        deployment: "web".to_owned(),
        container: "holder".to_owned(),
        volume: Some("v-1".to_owned()),
        file: Some(file.to_owned()),
        kind: "DockerSecret".to_owned(),
        secret: "db".to_owned(),
        key: key.to_owned(),
        kid: Some("0123".to_owned()),
        fingerprint: "00ff".to_owned(),
        form: "File".to_owned(),
        outcome: "delivered".to_owned(),
    };
    let told: Vec<Delivery> = told.into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, [expected("a", "one"), expected("b", "two")]);
}

#[test]
fn only_what_an_action_carries_is_told_of_it() {
    let told = deliveries(&owner(), &resolution(), &deliver("v-1", &["two"]), &Outcome::Done);
    let keys: Vec<&str> = told.iter().map(|(_, told)| told.key.as_str()).collect();
    assert_eq!(keys, ["b"]);
}

#[test]
fn what_failed_is_told_as_failed_and_what_was_not_tried_is_not_told() {
    let foreign = Outcome::Foreign {
        id: crate::state::container::ContainerId::new("x"),
    };
    let told = deliveries(&owner(), &resolution(), &deliver("v-1", &["one"]), &foreign);
    assert_eq!(told[0].1.outcome, "failed");
    let joined = deliveries(
        &owner(),
        &resolution(),
        &deliver("v-1", &["one"]),
        &Outcome::Joined,
    );
    assert!(joined.is_empty());
}

#[test]
fn the_credential_that_a_pull_sends_is_told_and_no_other() {
    let pull = Action::Pull {
        image: "app:1".to_owned(),
        policy: crate::state::desired::PullPolicy::Always,
    };
    let told = deliveries(&owner(), &resolution(), &pull, &Outcome::UnderWay);
    let keys: Vec<&str> = told.iter().map(|(_, told)| told.key.as_str()).collect();
    assert_eq!(keys, ["e"]);
    assert_eq!(
        (told[0].0, told[0].1.container.as_str()),
        (Form::PullCredential, "app:1")
    );
}
