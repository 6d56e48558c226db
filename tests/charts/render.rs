//! What the chart renders, without a server: the same by both Helms, what is wrong in values named, nothing dangerous
//! that nobody asked for.

use std::process::Command;

use serde_json::Value;
use supercargo::{
    admission::configuration::{NAME, Reach, SERVICE, configuration},
    api::crd,
};

use crate::harness::{Said, project, rights::helm, run, script};

pub const HELMS: [&str; 2] = ["3", "4"];
/// The least that has to be said.
pub const LEAST: &str = "docker.host=tcp://docker.example:2376,docker.tls.secretName=docker-client";
const EVERYTHING: &str = "networkPolicy.enabled=true,serviceMonitor.enabled=true,prometheusRule.enabled=true,\
    dashboard.enabled=true,rbac.aggregate=true,coreSecretNamespaces={a,b},podDisruptionBudget.maxUnavailable=50%,\
    priorityClassName=system-cluster-critical,policy.allowHostPaths={/srv},policy.allowPrivileged=true,\
    policy.allowCapabilities={NET_ADMIN},policy.networkPool=10.9.0.0/16,policy.publishAddress=127.0.0.1,\
    policy.defaultSecretEnv=Protected";

pub fn template(major: &str, values: &[&str]) -> Said {
    let mut command = Command::new(helm(major));
    command
        .args([
            "template",
            "supercargo",
            "charts/supercargo",
            "--namespace",
            "supercargo-system",
        ])
        .current_dir(project());
    for value in values {
        command.args(["--set", value]);
    }
    run(&mut command, b"")
}

/// What is rendered, as objects.
pub fn objects(values: &[&str]) -> Vec<Value> {
    let said = template("4", values);
    assert!(said.ok, "{values:?}: {}", said.err);
    documents(&said.out)
}

pub fn documents(text: &str) -> Vec<Value> {
    let documents = text.split("\n---").map(|text| text.trim_start_matches("---"));
    documents
        .filter(|text| {
            text.lines()
                .any(|line| !line.is_empty() && !line.starts_with('#'))
        })
        .map(|text| serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")))
        .collect()
}

pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn pods(objects: &[Value]) -> Vec<&Value> {
    let made = objects
        .iter()
        .filter(|o| o["kind"] == "Deployment" || o["kind"] == "Job");
    made.map(|object| &object["spec"]["template"]["spec"]).collect()
}

#[test]
fn both_helms_find_nothing_wrong_and_render_the_same() {
    for values in [
        &[LEAST][..],
        &[LEAST, EVERYTHING],
        &[LEAST, "watchNamespaces={a,b}"],
    ] {
        let said = HELMS.map(|major| template(major, values));
        let sorted = said.map(|said| {
            assert!(said.ok, "{}", said.err);
            let mut texts: Vec<String> = documents(&said.out).iter().map(Value::to_string).collect();
            texts.sort();
            texts
        });
        assert_eq!(sorted[0], sorted[1]);
    }
    for major in HELMS {
        let mut lint = Command::new(helm(major));
        lint.args([
            "lint",
            "--strict",
            "charts/supercargo",
            "charts/supercargo-crds",
            "--set",
            LEAST,
        ]);
        let said = run(lint.current_dir(project()), b"");
        assert!(said.ok, "{}{}", said.out, said.err);
    }
}

#[test]
fn what_is_wrong_in_values_is_named() {
    let wrong: &[(&[&str], &str)] = &[
        (&[], "docker.host: name the engine to drive"),
        (
            &["docker.host=tcp://x"],
            "docker.tls.secretName: name the Secret with ca.pem",
        ),
        (&["docker.host=docker.example"], "docker/host"),
        (&[LEAST, "docker.hots=x"], "hots"),
        (&[LEAST, "replicas=two"], "replicas"),
        (&[LEAST, "webhook.failurePolicy=Maybe"], "webhook/failurePolicy"),
        (&[LEAST, "watchNamespaces={Not_A_Name}"], "watchNamespaces/0"),
        (&[LEAST, "docker.nodeSocket.enabled=true"], "exclude each other"),
        (
            &["docker.nodeSocket.enabled=true"],
            "docker.nodeSocket.node: name the one node",
        ),
        (
            &["docker.nodeSocket.enabled=true,docker.nodeSocket.node=n"],
            "docker.nodeSocket.group: name the group",
        ),
        (
            &[LEAST, "serviceAccount.create=false"],
            "serviceAccount.name: name the account",
        ),
    ];
    for (values, expected) in wrong {
        for major in HELMS {
            let said = template(major, values);
            let told = said.err.replace("(root)", "").replace('.', "/");
            assert!(
                !said.ok && told.contains(&expected.replace('.', "/")),
                "Helm {major}, {values:?}: {}",
                said.err
            );
        }
    }
}

#[test]
fn the_socket_of_a_node_is_mounted_only_for_who_asks_for_it_and_says_where() {
    for values in [
        &[LEAST][..],
        &[LEAST, EVERYTHING],
        &[LEAST, "watchNamespaces={a}"],
    ] {
        let rendered = objects(values);
        for pod in pods(&rendered) {
            let volumes = pod["volumes"].as_array().into_iter().flatten();
            assert!(volumes.into_iter().all(|volume| volume.get("hostPath").is_none()));
        }
        assert!(!template("4", values).out.contains("docker.sock"));
    }
    let socket = "docker.nodeSocket.enabled=true,docker.nodeSocket.node=n1,docker.nodeSocket.group=998";
    let rendered = objects(&[socket]);
    let pod = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["hostPath"]["path"], "/var/run/docker.sock");
    // Two nodes would be two engines under one Lease.
    assert_eq!(pod["nodeSelector"]["kubernetes.io/hostname"], "n1");
    assert_eq!(pod["securityContext"]["supplementalGroups"][0], 998);
    let mut notes = Command::new(helm("4"));
    notes.args([
        "install",
        "x",
        "charts/supercargo",
        "--dry-run=client",
        "--set",
        socket,
    ]);
    let said = run(notes.current_dir(project()), b"");
    assert!(
        said.out.contains("WARNING: the Docker socket"),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn every_pod_runs_without_root_without_a_writable_disk_and_without_capabilities() {
    let rendered = objects(&[LEAST]);
    let pods = pods(&rendered);
    assert_eq!(pods.len(), 2);
    for pod in pods {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["runAsUser"], 65532);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"][0], "ALL");
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
    }
}

#[test]
fn no_rule_has_a_wildcard_and_named_namespaces_need_no_cluster_role_to_watch() {
    let rules = |objects: &[Value], kind| -> Vec<Value> {
        let roles = of_kind(objects, kind).into_iter();
        roles
            .flat_map(|role| role["rules"].as_array().unwrap().clone())
            .collect()
    };
    let (all, some) = (
        objects(&[LEAST, EVERYTHING]),
        objects(&[LEAST, "watchNamespaces={a,b}"]),
    );
    for rule in [&all, &some]
        .iter()
        .flat_map(|o| [rules(o, "Role"), rules(o, "ClusterRole")].concat())
    {
        assert!(!rule.to_string().contains("\"*\""), "{rule}");
    }
    // No right to secrets in all namespaces, whatever is asked for.
    let wide = rules(&all, "ClusterRole");
    assert!(
        wide.iter()
            .all(|rule| !rule["resources"].to_string().contains("\"secrets\""))
    );
    // Watched are the named ones; all are listed by who asks for the deletion of a definition.
    let cluster = rules(&some, "ClusterRole");
    assert_eq!(cluster.len(), 2, "{cluster:?}");
    assert_eq!(cluster[0]["resourceNames"][0], "supercargo");
    assert_eq!(cluster[1]["verbs"], serde_json::json!(["list"]));
    assert_eq!(
        rules(
            &objects(&[LEAST, "watchNamespaces={a},webhook.enabled=false"]),
            "ClusterRole"
        )
        .len(),
        0
    );
    let places = of_kind(&some, "Role").into_iter();
    let places: Vec<&str> = places
        .filter_map(|role| role["metadata"]["namespace"].as_str())
        .collect();
    for place in ["a", "b", "kube-system", "supercargo-system"] {
        assert!(places.contains(&place), "{place}: {places:?}");
    }
}

#[test]
fn the_definitions_are_ours_and_stay() {
    let mut command = Command::new(helm("4"));
    let said = run(
        command
            .args(["template", "x", "charts/supercargo-crds"])
            .current_dir(project()),
        b"",
    );
    let mut rendered = documents(&said.out);
    for definition in &mut rendered {
        let annotations = definition["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        assert_eq!(annotations.unwrap()["helm.sh/resource-policy"], "keep");
    }
    let ours = crd::files().unwrap();
    let ours: Vec<Value> = ours
        .iter()
        .map(|(_, text)| serde_saphyr::from_str(text).unwrap())
        .collect();
    assert_eq!(rendered, ours);
}

#[test]
fn the_webhooks_are_those_that_the_program_answers() {
    for namespaces in [Vec::new(), vec!["a".to_owned(), "b".to_owned()]] {
        let mut values = vec![LEAST.to_owned()];
        if !namespaces.is_empty() {
            values.push(format!("watchNamespaces={{{}}}", namespaces.join(",")));
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let reach = Reach::Service {
            namespace: "supercargo-system".to_owned(),
            name: SERVICE.to_owned(),
        };
        let wanted = serde_json::to_value(configuration(NAME, &reach, &namespaces)).unwrap();
        let rendered = objects(&values);
        let found = of_kind(&rendered, "ValidatingWebhookConfiguration")[0];
        assert_eq!(found["metadata"]["name"], wanted["metadata"]["name"]);
        assert_eq!(found["webhooks"], wanted["webhooks"]);
    }
}

#[test]
fn versions_of_the_charts_are_the_programs() {
    for chart in ["supercargo", "supercargo-crds"] {
        let text = std::fs::read_to_string(project().join("charts").join(chart).join("Chart.yaml")).unwrap();
        let chart: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn the_policy_of_the_network_opens_the_engines_port() {
    let port = |values: &str| {
        let rendered = objects(&[values, "networkPolicy.enabled=true"]);
        let rules = of_kind(&rendered, "NetworkPolicy")[0]["spec"]["egress"].clone();
        rules.as_array().unwrap().last().unwrap()["ports"][0]["port"].clone()
    };
    assert_eq!(port(LEAST), 2376);
    assert_eq!(port("docker.host=tcp://h:4243/,docker.insecure=true"), 4243);
    assert_eq!(port("docker.host=tcp://h,docker.insecure=true"), 2375);
    assert_eq!(port("docker.host=tcp://h,docker.tls.secretName=x"), 2376);
    // The scripts are the same that `make conformance` runs.
    assert!(script("helm", &[]).lines().count() == 2);
}
