//! `rollout undo`: puts an earlier template back, as if somebody had written it again. Under the version that was read, so
//! that nobody's change is lost; the restart of the present template stays. Owns which revision is meant, and the warning
//! where git decides what is written. Called by `rollout`.

use anyhow::anyhow;
use kube::api::{DynamicObject, PostParams};
use serde_json::Value;

use super::kept_by::kept_by;
use super::rollout::{Past, Place, Which, called, no_revision, typed};
use super::{Failure, Outcome, output};
use crate::api::keys::annotation;
use crate::state::history::{Snapshot, carry_restart};

/// Who these verbs write as.
pub(super) const MANAGER: &str = "supercargo-rollout";

/// Flags of `rollout undo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The revision to go back to; without it the one before the present one
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    to_revision: i64,
    /// Change nothing: `client` shows the template, `server` lets the API server check it
    #[arg(long, value_enum, default_value_t = DryRun::None, default_missing_value = "client", num_args = 0..=1, require_equals = true)]
    dry_run: DryRun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DryRun {
    None,
    Client,
    Server,
}

/// Which revision is meant.
#[derive(Debug, PartialEq)]
enum Target<'a> {
    /// This one.
    To(&'a Past),
    /// It is the present template already.
    Present(i64),
    /// There is none with that number.
    Unknown,
    /// There is no other one.
    NoOther,
}

/// Runs the verb.
pub(super) async fn run(place: &Place, args: &Args) -> Outcome {
    place
        .each(&args.which, "were not rolled back", async |name| {
            one(place, name, args).await
        })
        .await
}

async fn one(place: &Place, name: &str, args: &Args) -> Result<(), Failure> {
    let object = place.get(name).await?;
    let deployment = typed(&object)?;
    if deployment.spec.paused == Some(true) {
        return Err(anyhow!(
            "{name} is paused, and what is paused does not go back: `supercargo rollout resume {name}` first"
        )
        .into());
    }
    let history = place.history(&object).await?;
    let present = Snapshot::of(&deployment).name;
    let past = match target(&history, &present, args.to_revision) {
        Target::To(past) => past,
        Target::Present(number) => {
            let called = called(name);
            output::data(&format!(
                "{called} skipped rollback (current template already matches revision {number})\n"
            ))?;
            return Ok(());
        }
        Target::Unknown => return Err(no_revision(name, args.to_revision)),
        Target::NoOther => {
            return Err(anyhow!(
                "there is no earlier revision of {name} to go back to; `supercargo rollout history {name}` lists what is kept"
            )
            .into());
        }
    };
    let Some(mut template) = past.template.clone() else {
        return Err(anyhow!(
            "revision {} of {name} holds no template that this version can read; choose another one with --to-revision",
            past.number
        )
        .into());
    };
    carry_restart(&deployment.spec.template, &mut template);
    if let Some(who) = kept_by(&object.metadata) {
        eprintln!(
            "warning: {name} is managed by {who}, which puts the template of its source back at its next sync; \
             go back there, too, or suspend it first"
        );
    }
    let template = serde_json::to_value(&template)?;
    if args.dry_run == DryRun::Client {
        let shown = serde_saphyr::to_string(&template)?;
        output::data(&format!("{} rolled back (dry run)\n{shown}", called(name)))?;
        return Ok(());
    }
    write(place, object, template, past, args.dry_run).await?;
    let dry = if args.dry_run == DryRun::Server {
        " (server dry run)"
    } else {
        ""
    };
    output::data(&format!("{} rolled back{dry}\n", called(name)))?;
    Ok(())
}

/// The number 0 means the highest one that is not present.
fn target<'a>(history: &'a [Past], present: &str, number: i64) -> Target<'a> {
    if number == 0 {
        let mut others = history.iter().rev().filter(|past| past.name != present);
        return others.next().map_or(Target::NoOther, Target::To);
    }
    match history.iter().find(|past| past.number == number) {
        None => Target::Unknown,
        Some(past) if past.name == present => Target::Present(number),
        Some(past) => Target::To(past),
    }
}

async fn write(
    place: &Place,
    mut object: DynamicObject,
    template: Value,
    past: &Past,
    dry_run: DryRun,
) -> Result<(), Failure> {
    object.data["spec"]["template"] = template;
    let annotations = object.metadata.annotations.get_or_insert_default();
    match &past.cause {
        Some(cause) => annotations.insert(annotation::CHANGE_CAUSE.to_owned(), cause.clone()),
        None => annotations.remove(annotation::CHANGE_CAUSE),
    };
    let params = PostParams {
        dry_run: dry_run == DryRun::Server,
        field_manager: Some(MANAGER.to_owned()),
    };
    let name = object.metadata.name.clone().unwrap_or_default();
    match place.api().replace(&name, &params, &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_conflict() => {
            Err(anyhow!("{name} was changed meanwhile; look at it and run this again").into())
        }
        Err(error) => Err(place.failed(&format!("{name} was not rolled back"), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(name: &str, number: i64) -> Past {
        Past {
            name: name.to_owned(),
            number,
            cause: None,
            template: None,
        }
    }

    #[test]
    fn the_revision_before_is_the_highest_that_is_not_present() {
        let history = [past("a", 1), past("b", 3), past("c", 4)];
        assert_eq!(target(&history, "c", 0), Target::To(&history[1]));
        // The present template is not written down yet.
        assert_eq!(target(&history, "d", 0), Target::To(&history[2]));
        assert_eq!(target(&history[..1], "a", 0), Target::NoOther);
        assert_eq!(target(&[], "a", 0), Target::NoOther);
    }

    #[test]
    fn a_revision_is_named_by_its_number() {
        let history = [past("a", 1), past("b", 3)];
        assert_eq!(target(&history, "b", 1), Target::To(&history[0]));
        assert_eq!(target(&history, "b", 3), Target::Present(3));
        assert_eq!(target(&history, "b", 2), Target::Unknown);
    }
}
