//! What the audit is told: which container or volume got which value, by which action of a plan and with what outcome, by
//! names and keyed fingerprints. Decides nothing and writes no file: that is [`super::audit`]'s. Called by
//! [`super::deployment`] after each execution.

use super::deployment::Pass;
use crate::{
    audit::record::Delivery,
    engine::Engine,
    execute::{Outcome, Report},
    plan::{Action, Plan, file_action::FileAction},
    state::{
        container::{EnvValue, SlotId},
        owner::Owner,
        resolved::{Form, Resolution, Use},
    },
};

/// Who was given what: one line for each value of each action that hands some over, on the target `audit` and in the audit
/// file, and how many and how long for the metrics.
pub(super) fn tell<E: Engine>(pass: &Pass<'_, E>, resolution: &Resolution, plan: &Plan, reports: &[Report]) {
    let (ctx, at) = (pass.ctx, pass.ctx.clock.now());
    for report in reports {
        let is_it = |a: &&Action| a.verb() == report.verb && a.subject() == report.subject;
        let Some(action) = plan.actions().find(is_it) else {
            continue;
        };
        let mut took = Some(report.took);
        for (form, delivery) in deliveries(&pass.id.owner, resolution, action, &report.outcome) {
            log_delivery(&delivery);
            let outcome = if delivery.outcome == DELIVERED {
                "ok"
            } else {
                "failed"
            };
            ctx.metrics.delivered(word(form), outcome, 1);
            if let Some(took) = took.take() {
                ctx.metrics.delivery_took(word(form), took);
            }
            ctx.auditor.tell(at, delivery);
        }
    }
}

const DELIVERED: &str = "delivered";

/// The word of a form in metrics.
const fn word(form: Form) -> &'static str {
    match form {
        Form::Env => "env",
        Form::ProtectedEnv => "protected-env",
        Form::File => "file",
        Form::PullCredential => "pull",
    }
}

fn log_delivery(told: &Delivery) {
    tracing::info!(
        target: "audit",
        namespace = told.namespace,
        deployment = told.deployment,
        container = told.container,
        volume = told.volume,
        file = told.file,
        kind = told.kind,
        secret = told.secret,
        key = told.key,
        kid = told.kid,
        fingerprint = told.fingerprint,
        form = told.form,
        outcome = told.outcome,
    );
}

/// The values that one action handed over, or was to. One that was not tried hands over nothing.
fn deliveries(
    owner: &Owner,
    resolution: &Resolution,
    action: &Action,
    outcome: &Outcome,
) -> Vec<(Form, Delivery)> {
    let outcome = match outcome {
        Outcome::Done | Outcome::UnderWay => DELIVERED,
        Outcome::Failed(_) | Outcome::Foreign { .. } => "failed",
        Outcome::Joined | Outcome::Skipped(_) => return Vec::new(),
    };
    let of = |forms: &'static [Form], slot: &SlotId| {
        let slot = slot.clone();
        let uses = resolution.uses.iter();
        uses.filter(move |used| forms.contains(&used.form) && used.slot.as_ref() == Some(&slot))
    };
    let told = |used: &Use, place: Option<(&str, &str)>| Delivery {
        namespace: owner.namespace.clone(),
        deployment: owner.name.clone(),
        container: action.subject().to_owned(),
        volume: place.map(|(volume, _)| volume.to_owned()),
        file: place.map(|(_, file)| file.to_owned()),
        kind: used.kind.to_string(),
        secret: used.secret(),
        key: used.key.clone(),
        kid: used.kid.clone(),
        fingerprint: used.fingerprint.clone(),
        form: used.form.as_str().to_owned(),
        outcome: outcome.to_owned(),
    };
    match action {
        Action::Create { spec, .. } => {
            let slots = spec.env.iter().filter_map(|variable| match &variable.value {
                EnvValue::Slot(slot) => Some(slot),
                EnvValue::Literal(_) => None,
            });
            slots
                .flat_map(|slot| of(&[Form::Env], slot))
                .map(|used| (used.form, told(used, None)))
                .collect()
        }
        Action::Files(FileAction::Deliver { loads, .. }) => {
            let files = loads
                .iter()
                .flat_map(|l| l.files.iter().map(|f| (l.volume.as_str(), f)));
            files
                .flat_map(|(volume, file)| {
                    of(&[Form::File, Form::ProtectedEnv], &file.slot).map(move |used| (volume, file, used))
                })
                .map(|(volume, file, used)| (used.form, told(used, Some((volume, &file.path)))))
                .collect()
        }
        Action::Pull { .. } => {
            let sent = |used: &&Use| used.form == Form::PullCredential && used.slot.is_some();
            let sent = resolution.uses.iter().filter(sent);
            sent.map(|used| (used.form, told(used, None))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "audit_lines_tests.rs"]
mod tests;
