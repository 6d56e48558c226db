//! Manifests of Ring as a whole: each key is converted or named, and values of its secrets are asked for.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::Options;
use super::super::fixture::{Fake, options, run};
use super::super::report::Weight;

const SHOP: &str = "deployments:
  web:
    name: web
    namespace: shop
    runtime: docker
    kind: worker
    image: nginx:${TAG}
    replicas: 2
    command: [nginx, -g, daemon off;]
    environment:
      LEVEL: info
      DB_PASSWORD: {secretRef: db_password}
      ADMIN_TOKEN: hunter2
    labels: {team: web}
    resources: {limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 100m}}
    volumes:
    - {type: volume, source: data, destination: /data, driver: local, permission: rw}
    - {type: bind, source: /srv/html, destination: /html, permission: ro}
    - {type: config, source: site, key: site.conf, destination: /etc/site/site.conf}
    - {type: secret, source: tls_key, destination: /run/tls/key}
    health_checks:
    - {type: http, url: 'http://localhost:8080/healthz?x=1', interval: 10s, timeout: 500ms, threshold: 3, on_failure: restart, readiness: true}
    config: {image_pull_policy: IfNotPresent, image_pull_secret: registry, user: {id: 101, group: 101}}
    network: {mode: bridge}
configs:
  site: {namespace: shop, name: site, data: '{\"site.conf\": \"server {}\"}'}
";

fn place() -> Fake {
    Fake {
        files: BTreeMap::new(),
        variables: BTreeMap::from([("TAG", "1.29")]),
    }
}

#[test]
fn a_deployment_of_ring_is_one_of_ours() {
    let around = place();
    let all = run(
        SHOP,
        &Options {
            namespace: None,
            ..options(&around)
        },
    );
    assert_eq!(all.paths(Weight::Wrong), [""; 0], "{:#?}", all.report.notes());
    assert_eq!(all.paths(Weight::Unmapped), [""; 0]);
    let web = all.object("DockerDeployment", "web");
    assert_eq!(web["metadata"]["namespace"], "shop");
    assert_eq!(web["spec"]["replicas"], 2);
    let container = all.container("web");
    assert_eq!(container["image"], "nginx:1.29");
    assert_eq!(container["args"], json!(["nginx", "-g", "daemon off;"]));
    assert_eq!(
        container["env"][1],
        json!({"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db-password", "key": "value"}}})
    );
    let probe = json!({"httpGet": {"path": "/healthz?x=1", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3});
    assert_eq!(
        (&container["livenessProbe"], &container["readinessProbe"]),
        (&probe, &probe)
    );
    let mounts: Vec<&str> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["mountPath"].as_str().unwrap())
        .collect();
    assert_eq!(mounts, ["/data", "/html", "/etc/site", "/run/tls"]);
    assert_eq!(
        all.object("ConfigMap", "site")["data"],
        json!({"site.conf": "server {}"})
    );
    assert!(
        all.said("deployments.web.environment.DB_PASSWORD")
            .contains("supercargo seal --namespace shop --name db-password --key value")
    );
    assert_eq!(
        all.paths(Weight::Plain),
        ["deployments.web.environment.ADMIN_TOKEN"]
    );
    let sealed = run(
        SHOP,
        &Options {
            seal_env: true,
            ..options(&around)
        },
    );
    assert_eq!(sealed.sealed()[0].2, b"hunter2");
    assert!(!format!("{:?}", sealed.objects).contains("hunter2"));
}

#[test]
fn a_value_of_another_shape_is_wrong_and_never_left_out_in_silence() {
    let around = place();
    for key in [
        "ports: 80",
        "volumes: {a: b}",
        "environment: [A=1]",
        "labels: x",
        "health_checks: tcp",
        "config: [1]",
        "network: host",
        "command: {a: b}",
        "resources: big",
        "image: [a]",
        "replicas: {}",
    ] {
        let name = key.split(':').next().unwrap();
        let all = run(
            &format!("deployments: {{a: {{image: x, {key}}}}}").replace("image: x, image", "image"),
            &options(&around),
        );
        assert_eq!(
            all.paths(Weight::Wrong)[0],
            format!("deployments.a.{name}"),
            "{key}"
        );
    }
}

#[test]
fn keys_that_ring_drops_or_that_we_do_not_have_are_named() {
    let text = "deployments:\n  a:\n    image: x\n    runtime: firecracker\n    kind: job\n    secrets: []\n    autoscale: {min: 1, max: 2}\n    network: {mode: host}\n    \
                config: {username: u, password: hunter2, use_host_auth: true}\n    ports: [{published: 80, target: 80}]\n    \
                health_checks: [{type: tcp, port: 80, on_failure: stop}]\nelse: 1\n";
    let around = place();
    let all = run(text, &options(&around));
    assert_eq!(
        all.paths(Weight::Unmapped),
        [
            "deployments.a.runtime",
            "deployments.a.kind",
            "deployments.a.secrets",
            "deployments.a.autoscale",
            "deployments.a.network.mode",
            "deployments.a.config.username",
            "deployments.a.config.password",
            "deployments.a.config.use_host_auth",
            "deployments.a.health_checks[0].on_failure",
            "else",
        ]
    );
    assert!(
        all.said("deployments.a.replicas")
            .contains("1, which Ring's documentation says")
    );
    assert_eq!(
        all.container("a")["ports"],
        json!([{"containerPort": 80, "hostPort": 80, "hostIP": "0.0.0.0"}])
    );
    assert!(!format!("{:?} {:?}", all.objects, all.report.notes()).contains("hunter2"));
    let bad = run(
        "deployments: {a: {image: x, replicas: many, health_checks: [{type: ping}]}, b: {}}",
        &options(&around),
    );
    assert_eq!(
        bad.paths(Weight::Wrong),
        [
            "deployments.a.replicas",
            "deployments.a.health_checks[0]",
            "deployments.b.image",
            "deployments.b (spec.template.spec.containers[0].image)"
        ]
    );
}
