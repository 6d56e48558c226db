//! The check of `doctor` about agents: every namespace that needs one has one that runs, and all of them are of one
//! version. Which version is right only the operator knows, and it replaces the others. Called by `doctor_engine`.

use std::collections::{BTreeMap, BTreeSet};

use super::doctor::Report;
use crate::{
    api::keys::label,
    state::{
        container::{ContainerView, RunState},
        observed::{is_agent, namespace_of},
    },
};

/// Looks at the agents among our containers; `needed` are the namespaces with a container that has its object.
pub(super) fn agents(report: &mut Report, views: &[ContainerView], needed: &BTreeSet<&str>) {
    let agents = views.iter().filter(|view| is_agent(view));
    let agents: BTreeMap<&str, &ContainerView> = agents.map(|agent| (namespace_of(agent), agent)).collect();
    let mut well = true;
    for namespace in needed {
        let what = match agents.get(namespace) {
            None => format!("namespace {namespace} has none: no name of a deployment there leads anywhere"),
            Some(agent) if agent.state != RunState::Running => format!(
                "{} of namespace {namespace} does not run ({:?}): no name of a deployment there leads anywhere",
                agent.name, agent.state
            ),
            Some(_) => continue,
        };
        well = false;
        let next = "start the operator, which makes and mends it; if it runs, the events of the deployments there say what it could not do";
        report.fail("agents", what, next);
    }
    let versions: BTreeSet<&str> = agents.values().map(|agent| agent.label(label::AGENT)).collect();
    if versions.len() > 1 {
        well = false;
        let next =
            "wait if the operator was upgraded a moment ago; else its log says why it does not replace them";
        let versions: Vec<&str> = versions.into_iter().collect();
        report.warn(
            "agents",
            format!("they are of different versions: {}", versions.join(", ")),
            next,
        );
    }
    if well {
        let detail = if needed.is_empty() {
            "no namespace needs one".to_owned()
        } else {
            format!("one runs in each of {} namespaces", needed.len())
        };
        report.ok("agents", detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures;

    fn view(namespace: &str, version: Option<&str>, state: RunState) -> ContainerView {
        let mut view = fixtures::view("web", 0, "r");
        view.state = state;
        view.labels
            .insert(label::NAMESPACE.to_owned(), namespace.to_owned());
        if let Some(version) = version {
            view.name = format!("agent-{namespace}");
            view.labels.remove(label::UID);
            view.labels.insert(label::AGENT.to_owned(), version.to_owned());
        }
        view
    }

    fn said(views: &[ContainerView]) -> String {
        let mut report = Report::default();
        let others = views.iter().filter(|view| !is_agent(view));
        agents(&mut report, views, &others.map(namespace_of).collect());
        format!("{report:?}")
    }

    #[test]
    fn a_namespace_without_an_agent_that_runs_is_named_with_the_next_step() {
        let up = RunState::Running;
        let (shop, bank) = (view("shop", None, up), view("bank", None, RunState::Exited));
        let told = said(&[shop.clone(), bank.clone(), view("shop", Some("1"), up)]);
        assert!(
            told.contains("Fail") && told.contains("namespace bank has none"),
            "{told}"
        );
        assert!(!told.contains("shop"), "{told}");
        let told = said(&[bank.clone(), view("bank", Some("1"), RunState::Exited)]);
        assert!(
            told.contains("agent-bank of namespace bank does not run"),
            "{told}"
        );
        let told = said(&[
            shop,
            bank,
            view("shop", Some("1"), up),
            view("bank", Some("1"), up),
        ]);
        assert!(
            told.contains("Ok") && told.contains("each of 2 namespaces"),
            "{told}"
        );
        assert!(said(&[]).contains("no namespace needs one"));
    }

    #[test]
    fn agents_of_two_versions_are_worth_a_word() {
        let up = RunState::Running;
        let told = said(&[view("shop", Some("1"), up), view("bank", Some("2"), up)]);
        assert!(
            told.contains("Warn") && told.contains("different versions: 1, 2"),
            "{told}"
        );
    }
}
