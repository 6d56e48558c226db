//! Alerts and the dashboard: they name metrics and labels that the program has, and every alert fires and clears.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use regex::Regex;
use serde_json::{Value, json};
use supercargo::telemetry::metrics::Metrics;

use crate::{
    harness::{project, run, script},
    render::{LEAST, objects, of_kind},
};

/// What the program exports once everything has happened: the labels of each series' name.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = Metrics::default();
    let moment = Duration::from_millis(1);
    metrics.reconciled("DockerDeployment", "ok", moment);
    metrics.resolved("error", "SecretNotFound");
    metrics.delivered("env", "ok", 1);
    metrics.drifted("content");
    metrics.secrets_not_after([(("shop".to_owned(), "db".to_owned()), 1)].into_iter());
    metrics.sealed_values([(("0".to_owned(), "primary"), 1)].into_iter());
    metrics.key_ages([("0".to_owned(), 1)].into_iter());
    metrics.key_backup_ages([("0".to_owned(), 1)].into_iter());
    metrics.instances([("running", 1)].into_iter());
    metrics.engine_call("ping", "ok", moment);
    metrics.engine_connected("local", true);
    metrics.agents("local", 1, 1);
    metrics.agent_session("closed");
    metrics.probe_result("readiness", true);
    metrics.webhook_certificate(1);
    let sample = Regex::new(r"^([a-z_]+)(?:\{(.*)\})? \S+$").unwrap();
    let label = Regex::new(r#"([a-z_]+)=""#).unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.text().lines() {
        if let Some(parts) = sample.captures(line) {
            let labels = parts.get(2).map_or("", |labels| labels.as_str());
            let names = label.captures_iter(labels).map(|name| name[1].to_owned());
            found.entry(parts[1].to_owned()).or_default().extend(names);
        }
    }
    found
}

/// What a query selects: each metric with the labels that it names.
fn selected(query: &str) -> Vec<(String, Vec<String>)> {
    let bare = Regex::new(r#""[^"]*""#)
        .unwrap()
        .replace_all(query, "\"\"")
        .into_owned();
    let selector = Regex::new(r"([a-z_:]+)\{([^}]*)\}").unwrap();
    let label = Regex::new(r"([a-z_]+)\s*(?:=~|!~|!=|=)").unwrap();
    let found: Vec<(String, Vec<String>)> = selector
        .captures_iter(&bare)
        .map(|parts| {
            let labels = label.captures_iter(&parts[2]).map(|name| name[1].to_owned());
            (parts[1].to_owned(), labels.collect())
        })
        .collect();
    let named = Regex::new("supercargo_[a-z_]+").unwrap().find_iter(&bare).count();
    let ours = found.iter().filter(|(name, _)| name.starts_with("supercargo_"));
    assert_eq!(ours.count(), named, "a metric without braces: {query}");
    assert!(!found.is_empty(), "nothing is selected: {query}");
    found
}

/// Labels that come from the scrape.
const OF_THE_SCRAPE: [&str; 3] = ["job", "namespace", "pod"];

fn check(query: &str, exported: &BTreeMap<String, BTreeSet<String>>) {
    for (metric, labels) in selected(query) {
        if metric == "up" {
            continue;
        }
        let known = exported
            .get(&metric)
            .unwrap_or_else(|| panic!("nobody exports {metric}: {query}"));
        for label in labels {
            assert!(
                known.contains(&label) || OF_THE_SCRAPE.contains(&label.as_str()),
                "{metric} has no label {label}: {query}"
            );
        }
    }
    // What is grouped by is a label of something that is selected.
    let known: BTreeSet<&String> = selected(query)
        .iter()
        .filter_map(|(m, _)| exported.get(m))
        .flatten()
        .collect();
    for group in Regex::new(r"by \(([^)]*)\)").unwrap().captures_iter(query) {
        for label in group[1].split(',').map(str::trim) {
            let known = known.iter().any(|k| *k == label) || OF_THE_SCRAPE.contains(&label);
            assert!(known, "nothing has the label {label}: {query}");
        }
    }
}

fn rules() -> Value {
    let rendered = objects(&[LEAST, "prometheusRule.enabled=true"]);
    of_kind(&rendered, "PrometheusRule")[0]["spec"].clone()
}

fn alerts(rules: &Value) -> Vec<Value> {
    rules["groups"][0]["rules"].as_array().unwrap().clone()
}

#[test]
fn every_metric_and_label_of_an_alert_is_exported() {
    let exported = exported();
    for alert in alerts(&rules()) {
        check(alert["expr"].as_str().unwrap(), &exported);
    }
}

#[test]
fn every_query_of_the_dashboard_names_metrics_that_are_exported() {
    let exported = exported();
    let rendered = objects(&[LEAST, "dashboard.enabled=true"]);
    let map = of_kind(&rendered, "ConfigMap")[0];
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard: Value = serde_json::from_str(map["data"]["supercargo.json"].as_str().unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 10);
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert!(query.contains(r#"job="$job""#), "{query}");
            check(query, &exported);
        }
    }
    let variable = &dashboard["templating"]["list"][1]["query"]["query"];
    let named = variable.as_str().unwrap()["label_values(".len()..]
        .split(',')
        .next();
    assert!(exported.contains_key(named.unwrap()));
}

#[test]
fn a_query_for_what_nobody_exports_is_seen() {
    let exported = exported();
    for wrong in [
        r#"sum(supercargo_reconciles_total{job="x"})"#,
        r#"sum(supercargo_reconcile_total{king="x"})"#,
        r#"sum by (king) (supercargo_reconcile_total{kind="x"})"#,
        "sum(supercargo_reconcile_total)",
    ] {
        assert!(
            std::panic::catch_unwind(|| check(wrong, &exported)).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn alerts_fire_and_clear() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules();
    let file = dir.path().join("rules.yaml");
    std::fs::write(&file, rules.to_string()).unwrap();
    let cases = std::fs::read_to_string(project().join("tests/charts/alerts.test.yaml")).unwrap();
    std::fs::write(dir.path().join("alerts.test.yaml"), &cases).unwrap();
    let promtool = script("promtool", &[]);
    for args in [
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "alerts.test.yaml"],
    ] {
        let said = run(Command::new(&promtool).args(args).current_dir(dir.path()), b"");
        assert!(said.ok, "promtool {args:?}: {}{}", said.out, said.err);
    }
    // Each alert is seen firing, and silent before and after it.
    let cases: Value = serde_saphyr::from_str(&cases).unwrap();
    for alert in alerts(&rules) {
        let name = &alert["alert"];
        let looks = cases["tests"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|test| test["alert_rule_test"].as_array().unwrap());
        let fires: Vec<bool> = looks
            .filter(|look| look["alertname"] == *name)
            .map(|look| look.get("exp_alerts").is_some())
            .collect();
        assert!(
            fires.first() == Some(&false) && fires.contains(&true) && fires.last() == Some(&false),
            "{name} is not driven through silence, firing and silence: {fires:?}"
        );
    }
    // Their series are the program's, too.
    let exported = exported();
    for test in cases["tests"].as_array().unwrap() {
        for series in test["input_series"].as_array().unwrap() {
            check(series["series"].as_str().unwrap(), &exported);
        }
    }
}

#[test]
fn an_alert_can_be_left_out() {
    let rendered = objects(&[
        LEAST,
        "prometheusRule.enabled=true,prometheusRule.disabled={SupercargoDown}",
    ]);
    let left = alerts(&of_kind(&rendered, "PrometheusRule")[0]["spec"]);
    assert_eq!(left.len() + 1, alerts(&rules()).len());
    assert!(left.iter().all(|alert| alert["alert"] != json!("SupercargoDown")));
}
