//! `rollout history`: the templates that a deployment had, with their numbers and why they came, or one of them in full.
//! Reads the ControllerRevisions that the operator keeps and opens nothing: templates name secrets and hold no value of one.
//! Called by `rollout`.

use std::cell::Cell;

use serde::Serialize;

use super::output::{self, Format};
use super::rollout::{Past, Place, Which, called, no_revision, typed};
use super::{Failure, Outcome};
use crate::api::PodTemplate;
use crate::state::history::Snapshot;

/// Flags of `rollout history`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Show the template of this revision
    #[arg(long, value_name = "NUMBER")]
    revision: Option<i64>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// One revision as `-o json` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    revision: i64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_cause: Option<&'a str>,
    /// Whether it is the template that is written now.
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a PodTemplate>,
}

/// Runs the verb.
pub(super) async fn run(place: &Place, args: &Args) -> Outcome {
    let first = Cell::new(true);
    place
        .each(&args.which, "could not be shown", async |name| {
            if !first.replace(false) && args.output == Format::Yaml {
                output::data("---\n")?;
            }
            one(place, name, args).await
        })
        .await
}

async fn one(place: &Place, name: &str, args: &Args) -> Result<(), Failure> {
    let object = place.get(name).await?;
    let history = place.history(&object).await?;
    // An object that is invalid has no template to compare with, and its history is shown all the same.
    let current = typed(&object).map(|object| Snapshot::of(&object).name).ok();
    let row = |past: &'_ Past| current.as_ref() == Some(&past.name);
    if let Some(number) = args.revision.filter(|number| *number != 0) {
        let Some(past) = history.iter().find(|past| past.number == number) else {
            return Err(no_revision(name, number));
        };
        return Ok(show(name, past, row(past), args.output)?);
    }
    if history.is_empty() {
        eprintln!("no history of {name} is kept yet; the operator writes it when it sees a valid template");
    }
    match args.output {
        Format::Table => output::data(&table(name, &history))?,
        Format::Name => output::data(&history.iter().map(entry).collect::<String>())?,
        Format::Json | Format::Yaml => {
            let rows: Vec<Row<'_>> = history.iter().map(|past| Row::of(past, row(past))).collect();
            output::document(&rows, args.output)?;
        }
    }
    Ok(())
}

impl<'a> Row<'a> {
    fn of(past: &'a Past, current: bool) -> Self {
        Self {
            revision: past.number,
            name: &past.name,
            change_cause: past.cause.as_deref(),
            current,
            template: past.template.as_ref(),
        }
    }
}

fn entry(past: &Past) -> String {
    format!("controllerrevision.apps/{}\n", past.name)
}

fn table(name: &str, history: &[Past]) -> String {
    let row = |past: &Past| {
        let cause = past.cause.clone().unwrap_or_else(|| "<none>".to_owned());
        vec![past.number.to_string(), cause]
    };
    let rows: Vec<Vec<String>> = history.iter().map(row).collect();
    format!(
        "{}\n{}",
        called(name),
        output::table(&["REVISION", "CHANGE-CAUSE"], &rows)
    )
}

fn show(name: &str, past: &Past, current: bool, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json | Format::Yaml => output::document(&Row::of(past, current), format)?,
        Format::Name => output::data(&entry(past))?,
        Format::Table => {
            let template = past
                .template
                .as_ref()
                .map(serde_saphyr::to_string)
                .transpose()?
                .unwrap_or_else(|| "no template is kept under this number\n".to_owned());
            let (called, number) = (called(name), past.number);
            output::data(&format!("{called} with revision #{number}\n{template}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(number: i64, cause: Option<&str>) -> Past {
        Past {
            name: format!("web-{number}"),
            number,
            cause: cause.map(str::to_owned),
            template: None,
        }
    }

    #[test]
    fn the_table_is_that_of_kubectl() {
        assert_eq!(
            table("web", &[past(1, None), past(12, Some("new image"))]),
            "dockerdeployment.supercargo.dev/web\nREVISION   CHANGE-CAUSE\n1          <none>\n12         new image\n"
        );
    }
}
