//! `rollout restart`, `pause` and `resume`: one small change of the object each, of every deployment that is named. The
//! restart is an annotation of the template, so that it is a new generation, which `rollout status` can wait for.
//! Called by `rollout`.

use anyhow::anyhow;
use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::rollout::{Place, Which, called};
use super::rollout_undo::MANAGER;
use super::{Failure, Outcome, output};
use crate::api::keys::annotation;
use crate::clock::{Clock, System};

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Restart,
    Pause,
    Resume,
}

/// Runs one of the three verbs.
pub(super) async fn run(place: &Place, which: &Which, change: Change) -> Outcome {
    place
        .each(which, "were not changed", async |name| {
            let said = one(place, name, change).await?;
            Ok(output::data(&format!("{} {said}\n", called(name)))?)
        })
        .await
}

async fn one(place: &Place, name: &str, change: Change) -> Result<&'static str, Failure> {
    let object = place.get(name).await?;
    let (patch, said) = decide(&object, name, change, System.now()).map_err(|why| anyhow!(why))?;
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let done = place.api().patch(name, &params, &Patch::Merge(patch)).await;
    done.map_err(|error| place.failed(&format!("{name} was not changed"), &error))?;
    Ok(said)
}

/// The patch and how it is told, or why there is nothing to do.
fn decide(
    object: &DynamicObject,
    name: &str,
    change: Change,
    now: Timestamp,
) -> Result<(Value, &'static str), String> {
    let paused = object.data["spec"]["paused"] == true;
    match change {
        Change::Restart if paused => Err(format!(
            "{name} is paused, and a restart is a rollout: `supercargo rollout resume {name}` first"
        )),
        Change::Restart => {
            let annotations = json!({ annotation::RESTARTED_AT: now.to_string() });
            let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
            Ok((patch, "restarted"))
        }
        Change::Pause if paused => Err(format!("{name} is paused already")),
        Change::Pause => Ok((json!({ "spec": { "paused": true } }), "paused")),
        Change::Resume if !paused => Err(format!("{name} is not paused")),
        Change::Resume => Ok((json!({ "spec": { "paused": null } }), "resumed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(paused: bool, change: Change) -> Result<(Value, &'static str), String> {
        let object =
            json!({ "apiVersion": "x/v1", "kind": "X", "metadata": {}, "spec": { "paused": paused } });
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        decide(&serde_json::from_value(object).unwrap(), "web", change, at)
    }

    #[test]
    fn a_restart_dates_the_template() {
        let (patch, _) = decided(false, Change::Restart).unwrap();
        assert_eq!(
            patch["spec"]["template"]["metadata"]["annotations"],
            json!({ "supercargo.dev/restartedAt": "2026-01-02T03:04:05Z" })
        );
    }

    #[test]
    fn what_is_so_already_is_refused() {
        assert!(decided(true, Change::Pause).unwrap_err().contains("already"));
        assert!(decided(false, Change::Resume).unwrap_err().contains("not paused"));
        assert!(decided(true, Change::Restart).unwrap_err().contains("resume web"));
        assert_eq!(decided(false, Change::Pause).unwrap().1, "paused");
        assert_eq!(
            decided(true, Change::Resume).unwrap().0,
            json!({ "spec": { "paused": null } })
        );
    }
}
