//! Compose files as a whole: what becomes of which key, what is said of the others, and that no key goes in silence.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::fixture::{Fake, options, run};
use super::super::node;
use super::super::report::Weight;
use super::super::{Converted, Options};

/// Every key of the Compose Specification, each in use.
const EVERYTHING: &str = include_str!("../../../tests/migrate/everything.yaml");

fn place() -> Fake {
    Fake {
        files: BTreeMap::from([
            ("/src/shop/db.txt", "hunter2-file"),
            ("/src/shop/site.conf", "server {}"),
            (
                "/src/shop/web.env",
                "FROM_FILE=1\nBOTH=file\nAPI_TOKEN=hunter2-env\n",
            ),
        ]),
        variables: BTreeMap::from([("API_KEY", "hunter2-variable"), ("TAG", "1.29"), ("PASSED", "on")]),
    }
}

fn web(keys: &str) -> Converted {
    let text = format!("services:\n  web:\n    image: nginx:1.29\n{keys}\n");
    run(&text, &options(&place()))
}

#[test]
fn no_key_of_the_specification_goes_in_silence() {
    let around = place();
    let all = run(EVERYTHING, &options(&around));
    let tree = node::read(EVERYTHING).unwrap();
    let mapped: BTreeSet<&str> = [
        "cap_drop",
        "command",
        "cpus",
        "entrypoint",
        "environment",
        "env_file",
        "expose",
        "image",
        "mem_limit",
        "pull_policy",
        "profiles",
        "read_only",
        "scale",
        "secrets",
        "shm_size",
        "stop_grace_period",
        "tmpfs",
        "user",
        "working_dir",
    ]
    .into();
    let notes: Vec<&str> = all.report.notes().iter().map(|note| note.path.as_str()).collect();
    let named = |path: &str| notes.iter().any(|note| note.starts_with(path));
    for (key, _) in tree.get("services").unwrap().get("everything").unwrap().entries() {
        let path = format!("services.everything.{key}");
        assert!(
            mapped.contains(key.as_str()) || named(&path),
            "{path} went in silence"
        );
    }
    for (key, _) in tree
        .entries()
        .iter()
        .filter(|(key, _)| !["services", "name", "configs"].contains(&key.as_str()))
    {
        assert!(named(key), "{key} went in silence");
    }
    assert_eq!(all.paths(Weight::Wrong), [""; 0], "{:#?}", all.report.notes());
    assert!(all.object("ConfigMap", "site").get("data").is_some());
    let container = all.container("everything");
    assert_eq!(container["command"], json!(["/entry.sh"]));
    assert_eq!(container["args"], json!(["serve", "--port", "80"]));
    assert_eq!(container["workingDir"], "/app");
    assert_eq!(
        container["resources"]["limits"],
        json!({"cpu": "500m", "memory": "64Mi"})
    );
    assert_eq!(
        container["securityContext"]["capabilities"]["drop"],
        json!(["ALL"])
    );
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
}

/// Whatever stands under a key: it is converted, named or wrong, and nothing of it panics.
#[test]
fn no_value_of_another_shape_goes_in_silence() {
    let around = place();
    let tree = node::read(EVERYTHING).unwrap();
    let service = tree.get("services").unwrap().get("everything").unwrap();
    let below = |section: &str| {
        let keys = service.get(section).unwrap().entries().iter();
        keys.map(|(key, _)| format!("{section}: {{{key}: ODD}}"))
            .collect::<Vec<_>>()
    };
    let mut places: Vec<String> = service
        .entries()
        .iter()
        .map(|(key, _)| format!("{key}: ODD"))
        .collect();
    places.extend(below("deploy"));
    places.extend(below("healthcheck"));
    let mut silent = Vec::new();
    let base = |text: &str| run(text, &options(&around));
    for place in places {
        for odd in [
            "true",
            "7",
            "-1",
            "x y",
            "[7]",
            "[[x]]",
            "{odd: 1}",
            "[{odd: 1}]",
            "\"\"",
        ] {
            let line = place.replace("ODD", odd);
            let image = if line.starts_with("image") {
                ""
            } else {
                "image: a, "
            };
            let found = base(&format!("services: {{web: {{{image}{line}}}}}"));
            // What it means as a matter of course is no change.
            let idle =
                odd == "\"\"" || line.starts_with("restart: true") || line == "healthcheck: {disable: true}";
            let without = base("services: {web: {image: a}}");
            let says = !found.report.notes().is_empty();
            if !says && !idle && found.objects == without.objects {
                silent.push(line);
            }
        }
    }
    assert_eq!(silent, [""; 0]);
    for section in ["services", "secrets", "configs", "volumes", "networks"] {
        let found = base(
            &format!("services: {{web: {{image: a}}}}\n{section}: [x]\n").replacen(
                "services: {web: {image: a}}\nservices",
                "services",
                1,
            ),
        );
        assert_eq!(found.paths(Weight::Wrong), [section]);
    }
}

#[test]
fn an_unknown_key_is_named_wherever_it_is() {
    let text = "services:\n  web:\n    image: a\n    imge: b\n    build: {}\n    healthcheck: {test: x, tests: y}\n    deploy: {replica: 2}\n    \
                secrets: [{source: s, tarjet: x}]\nsecrets: {s: {file: db.txt, fil: x}}\nsevices: {}\n";
    let around = place();
    let all = run(text, &options(&around));
    for path in [
        "services.web.imge",
        "services.web.healthcheck.tests",
        "services.web.deploy.replica",
        "services.web.secrets[0].tarjet",
        "secrets.s.fil",
        "sevices",
    ] {
        assert!(all.said(path).contains("is no key that is known here"), "{path}");
    }
}

#[test]
fn secrets_stand_where_compose_puts_them_and_their_values_go_into_what_is_sealed_only() {
    let text = "services:\n  web:\n    image: a\n    user: '7:8'\n    secrets:\n    - db_password\n    - {source: api, target: key, uid: '7', gid: '8', mode: 0440}\n    \
                - {source: api, target: /etc/deep/key2, uid: '9'}\n    - {source: ext, target: /run/secrets/other, mode: 0}\nsecrets:\n  \
                db_password: {file: ./db.txt}\n  api: {environment: API_KEY}\n  ext: {external: true, name: Other_Name}\n  unused: {file: nowhere}\n";
    let around = place();
    let all = run(text, &options(&around));
    assert_eq!(
        all.sealed(),
        [
            (
                "db-password".to_owned(),
                "db_password".to_owned(),
                b"hunter2-file".to_vec()
            ),
            ("api".to_owned(), "api".to_owned(), b"hunter2-variable".to_vec()),
        ]
    );
    assert_eq!(
        all.container("web")["volumeMounts"],
        json!([{"name": "secrets", "mountPath": "/run/secrets", "readOnly": true}])
    );
    let item = |name: &str, key: &str, path: &str| json!({"secret": {"name": name, "items": [{"key": key, "path": path}]}});
    let mut with_mode = item("api", "api", "key");
    with_mode["secret"]["items"][0]["mode"] = json!(0o440);
    let mut readable = item("other-name", "ext", "other");
    readable["secret"]["items"][0]["mode"] = json!(0o400);
    assert_eq!(
        all.object("DockerDeployment", "web")["spec"]["template"]["spec"]["volumes"],
        json!([{"name": "secrets", "projected": {"defaultMode": 0o444, "sources": [
            item("db-password", "db_password", "db_password"), with_mode, item("api", "api", "key2"), readable]}}])
    );
    assert!(
        all.said("secrets.ext")
            .contains("--namespace shop --name other-name --key ext")
    );
    assert_eq!(
        all.paths(Weight::Unmapped),
        ["services.web.secrets[2].uid", "services.web.secrets[2].target"]
    );
    assert!(all.said("secrets.unused").contains("no service uses it"));
    let shown = format!("{:?} {:?}", all.objects, all.report.notes());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn plain_variables_are_warned_of_and_sealed_only_when_asked_for() {
    let keys = "    env_file: web.env\n    environment: {BOTH: own, DB_PASSWORD: hunter2, PASSED: , GONE: , N: 1.5, D: \"$$(A)\", OTHER: hunter2}\n";
    let plain = web(keys);
    assert_eq!(
        plain.paths(Weight::Plain),
        [
            "services.web.env_file.API_TOKEN",
            "services.web.environment.DB_PASSWORD"
        ]
    );
    assert!(plain.secrets.is_empty());
    assert!(plain.said("services.web.environment.GONE").contains("left out"));
    let around = place();
    let names = ["OTH*".to_owned()];
    let options = Options {
        seal_env: true,
        seal_names: &names,
        ..options(&around)
    };
    let sealed = run(&format!("services:\n  web:\n    image: a\n{keys}"), &options);
    let keys: Vec<String> = sealed.sealed().into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys, ["API_TOKEN", "DB_PASSWORD", "OTHER"]);
    let reference =
        |key: &str| json!({"name": key, "valueFrom": {"secretKeyRef": {"name": "web-env", "key": key}}});
    assert_eq!(
        sealed.container("web")["env"],
        json!([
            {"name": "FROM_FILE", "value": "1"}, reference("API_TOKEN"), {"name": "BOTH", "value": "own"}, reference("DB_PASSWORD"),
            {"name": "PASSED", "value": "on"}, {"name": "N", "value": "1.5"}, {"name": "D", "value": "$$(A)"}, reference("OTHER"),
        ])
    );
    let shown = format!("{:?} {:?}", sealed.objects, sealed.report.notes());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn variables_of_the_file_are_replaced_before_anything_is_read() {
    let all = web("    deploy: {replicas: \"${N:-3}\"}\n    working_dir: /${TAG}/$MISSING\n");
    assert_eq!(all.object("DockerDeployment", "web")["spec"]["replicas"], 3);
    assert_eq!(all.container("web")["workingDir"], "/1.29/");
    assert!(all.said("${MISSING}").contains("is not set"));
    let wrong = web("    command: $(date)\n    user: ${WHO:?say}\n");
    assert_eq!(
        wrong.paths(Weight::Wrong),
        ["services.web.command", "services.web.user"]
    );
}

#[test]
fn health_is_readiness_with_the_numbers_of_docker() {
    let all = web("    healthcheck: {test: [CMD, curl, -f, localhost], interval: 1m30s, retries: 5}\n");
    assert_eq!(
        all.container("web")["readinessProbe"],
        json!({"exec": {"command": ["curl", "-f", "localhost"]}, "periodSeconds": 90, "timeoutSeconds": 30, "failureThreshold": 5})
    );
    let shell = web("    healthcheck: {test: exit 0, timeout: 500ms}\n");
    let probe = &shell.container("web")["readinessProbe"];
    assert_eq!(probe["exec"]["command"], json!(["/bin/sh", "-c", "exit 0"]));
    assert_eq!(probe["timeoutSeconds"], 1);
    assert!(
        shell
            .said("services.web.healthcheck.timeout")
            .contains("rounded up")
    );
    for none in ["{test: [NONE]}", "{disable: true}"] {
        assert!(
            web(&format!("    healthcheck: {none}\n"))
                .container("web")
                .get("readinessProbe")
                .is_none()
        );
    }
    assert_eq!(
        web("    healthcheck: {test: [curl]}\n").paths(Weight::Wrong),
        ["services.web.healthcheck.test"]
    );
}

#[test]
fn volumes_of_every_form_are_mounted() {
    let text = "services:\n  web:\n    image: a\n    volumes:\n    - data:/data\n    - ./html:/html:ro\n    - /anonymous\n    - {type: volume, source: data, target: /again}\n    \
                - {type: tmpfs, target: /fast, tmpfs: {size: 1048576}}\n    - {type: bind, source: ../up, target: /up, bind: {create_host_path: false}}\n\
                volumes: {data: {name: Shop_Data, driver: local}}\n";
    let around = place();
    let all = run(text, &options(&around));
    assert_eq!(
        all.object("DockerDeployment", "web")["spec"]["template"]["spec"]["volumes"],
        json!([
            {"name": "shop-data", "dockerVolume": {"name": "shop-data"}},
            {"name": "html", "hostPath": {"path": "/src/shop/html", "type": "DirectoryOrCreate"}},
            {"name": "anonymous", "emptyDir": {}},
            {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "up", "hostPath": {"path": "/src/up"}},
        ])
    );
    assert_eq!(
        all.container("web")["volumeMounts"][1],
        json!({"name": "html", "mountPath": "/html", "readOnly": true})
    );
    assert!(
        all.said("services.web.volumes[1]")
            .contains("--allow-host-path /src/shop/html")
    );
    assert_eq!(
        web("    volumes: [gone:/x]\n").paths(Weight::Wrong),
        ["services.web.volumes[0]"]
    );
}

#[test]
fn configs_are_config_maps_in_the_directory_of_their_target() {
    let text = "services:\n  web:\n    image: a\n    configs:\n    - {source: site, target: /etc/nginx/conf.d/site.conf}\n    - inline\n\
                configs:\n  site: {file: site.conf}\n  inline: {content: \"tag=${TAG}\"}\n";
    let around = place();
    let all = run(text, &options(&around));
    assert_eq!(
        all.object("ConfigMap", "site")["data"],
        json!({"site": "server {}"})
    );
    assert_eq!(
        all.object("ConfigMap", "inline")["data"],
        json!({"inline": "tag=1.29"})
    );
    let mounts: Vec<&str> = all.container("web")["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["mountPath"].as_str().unwrap())
        .collect();
    assert_eq!(mounts, ["/etc/nginx/conf.d", "/run/configs"]);
    assert_eq!(all.paths(Weight::Unmapped), ["services.web.configs[1]"]);
}

#[test]
fn rollouts_and_numbers_are_those_of_deploy() {
    let all = web(
        "    deploy: {replicas: 4, update_config: {parallelism: 2, delay: 10s}, resources: {limits: {cpus: 0.25, memory: 32m}}}\n",
    );
    let spec = &all.object("DockerDeployment", "web")["spec"];
    assert_eq!(
        spec["strategy"]["rollingUpdate"],
        json!({"maxSurge": 0, "maxUnavailable": 2})
    );
    assert_eq!(
        (spec["replicas"].as_i64(), spec["minReadySeconds"].as_i64()),
        (Some(4), Some(10))
    );
    let first = web("    deploy: {update_config: {order: start-first, parallelism: 0}}\n");
    assert_eq!(
        first.object("DockerDeployment", "web")["spec"]["strategy"]["rollingUpdate"],
        json!({"maxSurge": "100%", "maxUnavailable": 0})
    );
}

#[test]
fn services_extend_have_profiles_and_may_not_share_a_name() {
    let text = "services:\n  base: &b\n    image: a\n    environment: {A: '1', B: '1'}\n    ports: ['80:80']\n    command: [x]\n  web:\n    extends: base\n    \
                environment: {B: '2'}\n    ports: ['81:81']\n    command: [y]\n  debug: {image: a, profiles: [dev]}\n  loop: {extends: {service: loop}}\n  far: {image: a, extends: {file: o.yml, service: x}}\n";
    let around = place();
    let all = run(
        &text.replace("  loop: {extends: {service: loop}}\n", ""),
        &options(&around),
    );
    let container = all.container("web");
    assert_eq!(
        container["env"],
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    );
    assert_eq!(container["ports"].as_array().unwrap().len(), 2);
    assert_eq!(container["args"], json!(["y"]));
    assert_eq!(
        all.paths(Weight::Unmapped),
        ["services.far.extends", "services.debug.profiles"]
    );
    assert_eq!(
        run(text, &options(&around)).paths(Weight::Wrong)[0],
        "services.loop.extends"
    );
    let profiles = ["dev".to_owned()];
    let wanted = Options {
        profiles: &profiles,
        ..options(&around)
    };
    assert_eq!(
        run("services: {debug: {image: a, profiles: [dev]}}", &wanted).container("debug")["image"],
        "a"
    );
    let twice = run("services: {a_b: {image: a}, a-b: {image: a}}", &options(&around));
    assert_eq!(twice.paths(Weight::Wrong), ["services.a-b"]);
}

#[test]
fn what_our_own_rules_refuse_is_named_by_the_key_of_the_file() {
    let all = web(
        "    working_dir: app\n    mem_limit: 1m\n    environment: {\"ä\": x}\n    ports: ['80:80', '80:81']\n",
    );
    assert_eq!(
        all.paths(Weight::Wrong),
        [
            "services.web.environment.ä",
            "services.web.ports",
            "services.web.deploy.resources",
            "services.web.working_dir"
        ]
    );
    assert!(all.objects.is_empty());
    let both = web("    privileged: true\n    security_opt: ['no-new-privileges:true']\n");
    assert_eq!(both.paths(Weight::Wrong), ["services.web.security_opt"]);
    let bad = web("    volumes: [\"a:b:c:d\"]\n    ports: [x]\n    secrets: [nowhere]\n    user: root\n");
    assert_eq!(
        bad.paths(Weight::Wrong),
        [
            "services.web.volumes[0]",
            "services.web.ports[0]",
            "services.web.secrets[0]"
        ]
    );
    assert!(bad.said("services.web.user").contains("numbers"));
}
