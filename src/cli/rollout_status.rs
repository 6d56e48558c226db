//! `rollout status`: says how far a rollout is in the words of kubectl, and waits until it is done or cannot be done.
//! Goes by the status that the operator wrote, and by nothing else. Owns when that is success, waiting or failure.
//! Called by `rollout`.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use futures::StreamExt;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher::watch_object};

use super::rollout::{Place, Which, typed};
use super::{Failure, Outcome, connect, output};
use crate::api::condition::{ConditionType, Reason};
use crate::api::status::DockerDeploymentStatus;
use crate::state::history::Snapshot;

/// Flags of `rollout status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Wait until it is done; with --watch=false say how far it is
    #[arg(long, short, default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    watch: bool,
    /// Wait no longer than this, such as 30s or 5m; 0s waits as long as it takes
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = patience)]
    timeout: Duration,
    /// Fail unless this revision is the wanted one
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    revision: i64,
}

pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time; write 30s, 5m or 1h30m".to_owned();
    let time: SignedDuration = match text {
        "0" => SignedDuration::ZERO,
        text => text.parse().map_err(|_| wrong())?,
    };
    Duration::try_from(time).map_err(|_| wrong())
}

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    /// Done.
    Done(String),
    /// On its way; a problem that may pass is named beside.
    Waiting(String, Option<String>),
    /// It will not get there as it is.
    Failed(String),
}

/// Runs the verb.
pub(super) async fn run(place: &Place, args: &Args) -> Outcome {
    for name in place.names(&args.which).await? {
        if !args.watch {
            let object = place.get(&name).await?;
            revision(place, &object, args.revision).await?;
            say(progress(&object), &mut String::new())?;
            continue;
        }
        let mut said = String::new();
        let waiting = wait(place, &name, args.revision, &mut said);
        if args.timeout.is_zero() {
            waiting.await?;
        } else if let Ok(ended) = tokio::time::timeout(args.timeout, waiting).await {
            ended?;
        } else {
            let (after, said) = (args.timeout, said.trim_end());
            return Err(anyhow!(
                "{name} was not rolled out within {after:?}: {said}; `kubectl describe ddep {name} -n {}` says more",
                place.namespace
            )
            .into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Follows one object until its rollout has ended.
async fn wait(place: &Place, name: &str, wanted: i64, said: &mut String) -> Result<(), Failure> {
    let mut seen = pin!(watch_object(place.api(), name).default_backoff());
    let (mut known, mut lost) = (None, false);
    while let Some(object) = seen.next().await {
        let object = match object {
            Ok(Some(object)) => object,
            Ok(None) if known.is_some() => {
                return Err(anyhow!("{name} was deleted while its rollout was waited for").into());
            }
            Ok(None) => return Err(place.absent(name)),
            Err(error) if known.is_none() => {
                let why = match &error {
                    kube::runtime::watcher::Error::InitialListFailed(error)
                    | kube::runtime::watcher::Error::WatchStartFailed(error) => connect::told(error),
                    other => other.to_string(),
                };
                return Err(anyhow!("{name} cannot be watched: {why}; see `supercargo doctor`").into());
            }
            Err(_) => {
                if !std::mem::replace(&mut lost, true) {
                    eprintln!("the API server does not answer; waiting for it");
                }
                continue;
            }
        };
        lost = false;
        if known.replace(object.metadata.generation) != Some(object.metadata.generation) {
            revision(place, &object, wanted).await?;
        }
        if say(progress(&object), said)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether it is over. What was said last is not said again.
fn say(progress: Progress, said: &mut String) -> Result<bool, Failure> {
    let (text, problem, over) = match progress {
        Progress::Failed(why) => return Err(anyhow!(why).into()),
        Progress::Done(text) => (text, None, true),
        Progress::Waiting(text, problem) => (text, problem, false),
    };
    let all = problem
        .as_ref()
        .map_or_else(|| text.clone(), |problem| format!("{text} ({problem})"));
    if all != *said {
        output::data(&format!("{text}\n"))?;
        if let Some(problem) = problem {
            eprintln!("{problem}");
        }
        *said = all;
    }
    Ok(over)
}

/// Fails unless the wanted revision is the present one.
async fn revision(place: &Place, object: &DynamicObject, wanted: i64) -> Result<(), Failure> {
    if wanted == 0 {
        return Ok(());
    }
    let present = Snapshot::of(&typed(object)?).name;
    let history = place.history(object).await?;
    let name = object.name_any();
    match history.iter().find(|past| past.name == present) {
        Some(past) if past.number == wanted => Ok(()),
        Some(past) => Err(anyhow!(
            "desired revision ({wanted}) is different from the running revision ({}) of {name}",
            past.number
        )
        .into()),
        None => Err(anyhow!(
            "the present template of {name} has no revision yet; run this again in a moment"
        )
        .into()),
    }
}

/// How far the rollout of an object is, as its status says.
fn progress(object: &DynamicObject) -> Progress {
    let name = object.name_any();
    let status: DockerDeploymentStatus = object
        .data
        .get("status")
        .and_then(|status| serde_json::from_value(status.clone()).ok())
        .unwrap_or_default();
    if object.metadata.generation.unwrap_or_default() > status.observed_generation {
        let text = "Waiting for deployment spec update to be observed...".to_owned();
        return Progress::Waiting(text, None);
    }
    if let Some(stalled) = holds(&status, ConditionType::Stalled) {
        return Progress::Failed(stuck(&name, stalled));
    }
    let paused = object.data["spec"]["paused"] == true;
    let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    let count = |number: i32| i64::from(number);
    let waiting = |rest: String| format!("Waiting for deployment {name:?} rollout to finish: {rest}...");
    let (updated, all) = (count(status.updated_replicas), count(status.replicas));
    let available = count(status.available_replicas);
    let text = if updated < wanted {
        waiting(format!(
            "{updated} out of {wanted} new replicas have been updated"
        ))
    } else if all > updated {
        waiting(format!("{} old replicas are pending termination", all - updated))
    } else if available < updated {
        waiting(format!("{available} of {updated} updated replicas are available"))
    } else if holds(&status, ConditionType::Ready).is_some() {
        return Progress::Done(format!("deployment {name:?} successfully rolled out"));
    } else {
        // The counts may be of before, while the engine is away.
        waiting("the operator has not found all of it ready".to_owned())
    };
    let problem = problem(&status);
    if paused {
        let next = format!("{name} is paused; `supercargo rollout resume {name}` lets it go on");
        return Progress::Waiting(text, Some(next));
    }
    Progress::Waiting(text, problem)
}

fn holds(status: &DockerDeploymentStatus, what: ConditionType) -> Option<&Condition> {
    let mut all = status.conditions.iter();
    all.find(|condition| condition.type_ == what.as_str() && condition.status == "True")
}

fn stuck(name: &str, stalled: &Condition) -> String {
    if stalled.reason == Reason::ProgressDeadlineExceeded.as_str() {
        return format!(
            "deployment {name:?} exceeded its progress deadline: {}",
            stalled.message
        );
    }
    format!(
        "deployment {name:?} cannot be rolled out as it is written: {}: {}",
        stalled.reason, stalled.message
    )
}

/// What keeps it waiting, where that is more than the work itself.
fn problem(status: &DockerDeploymentStatus) -> Option<String> {
    let found = holds(status, ConditionType::Reconciling)?;
    let warns = found.reason.parse::<Reason>().is_ok_and(Reason::is_warning);
    warns.then(|| format!("{}: {}", found.reason, found.message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: Value, counts: [i32; 3], conditions: &[(&str, &str)]) -> DynamicObject {
        let one = |(kind, reason): &(&str, &str)| json!({ "type": kind, "status": "True", "reason": reason, "message": "why", "lastTransitionTime": "2026-01-02T03:04:05Z" });
        let object = json!({
            "apiVersion": "x/v1", "kind": "X", "metadata": { "name": "web", "generation": 2 }, "spec": spec,
            "status": {
                "observedGeneration": 2, "replicas": counts[0], "updatedReplicas": counts[1],
                "availableReplicas": counts[2], "conditions": conditions.iter().map(one).collect::<Vec<_>>(),
            },
        });
        serde_json::from_value(object).unwrap()
    }

    fn text(progress: Progress) -> String {
        match progress {
            Progress::Done(text) | Progress::Waiting(text, None) | Progress::Failed(text) => text,
            Progress::Waiting(text, Some(problem)) => format!("{text} | {problem}"),
        }
    }

    #[test]
    fn the_words_are_those_of_kubectl() {
        let of = |counts| {
            text(progress(&object(
                json!({ "replicas": 3 }),
                counts,
                &[("Ready", "RolloutComplete")],
            )))
        };
        let wait = "Waiting for deployment \"web\" rollout to finish: ";
        for (counts, rest) in [
            ([3, 1, 3], "1 out of 3 new replicas have been updated..."),
            ([4, 3, 3], "1 old replicas are pending termination..."),
            ([3, 3, 2], "2 of 3 updated replicas are available..."),
        ] {
            assert_eq!(of(counts), format!("{wait}{rest}"));
        }
        assert_eq!(of([3, 3, 3]), "deployment \"web\" successfully rolled out");
    }

    #[test]
    fn an_older_status_says_nothing_about_the_new_template() {
        let mut object = object(json!({}), [1, 1, 1], &[("Ready", "RolloutComplete")]);
        object.metadata.generation = Some(3);
        let unseen = "Waiting for deployment spec update to be observed...";
        assert_eq!(text(progress(&object)), unseen);
        object.data = json!({ "spec": {} });
        object.metadata.generation = Some(1);
        assert_eq!(text(progress(&object)), unseen);
    }

    #[test]
    fn counts_without_readiness_are_not_success() {
        let progress = progress(&object(
            json!({}),
            [1, 1, 1],
            &[("Reconciling", "HostUnreachable")],
        ));
        assert!(
            matches!(&progress, Progress::Waiting(_, Some(why)) if why.starts_with("HostUnreachable")),
            "{progress:?}"
        );
    }

    #[test]
    fn what_is_stalled_fails_with_its_reason() {
        let of = |reason| progress(&object(json!({}), [1, 0, 1], &[("Stalled", reason)]));
        let Progress::Failed(why) = of("ProgressDeadlineExceeded") else {
            panic!("it waits")
        };
        assert_eq!(why, "deployment \"web\" exceeded its progress deadline: why");
        assert!(matches!(of("InvalidSpec"), Progress::Failed(why) if why.contains("InvalidSpec: why")));
    }

    #[test]
    fn a_paused_one_says_what_to_do() {
        let of = |counts| progress(&object(json!({ "paused": true }), counts, &[]));
        assert!(
            matches!(of([1, 0, 1]), Progress::Waiting(_, Some(why)) if why.contains("rollout resume web"))
        );
    }

    #[test]
    fn patience_is_a_time() {
        assert_eq!(patience("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(patience("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(patience("0"), Ok(Duration::ZERO));
        assert!(patience("soon").is_err() && patience("-5s").is_err());
    }
}
