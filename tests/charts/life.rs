//! A release from its installation to its end, on a real API server with a real engine behind TLS, by the commands of
//! docs/install.md; once with each Helm. Only what runs pods is ours ([`crate::node`]).

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    apiserver::ApiServer,
    engine,
    harness::{INSTANCE, SOON, Said, docker, labelled, project, rights::helm, run, same, script, until},
    health::{agree, kstatus, lua},
    node::Node,
};

struct Place {
    node: Option<Node>,
    // Ends before its directory goes.
    server: ApiServer,
    address: String,
    instance: String,
    dir: tempfile::TempDir,
}

impl Place {
    fn start(major: &str) -> Self {
        script("docker", &[]);
        script("image", &[]);
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, bin.join(name)).unwrap();
        link(&helm(major), "helm");
        let kubectl = script("kubectl", &[]);
        link(&kubectl, "kubectl");
        link(env!("CARGO_BIN_EXE_supercargo"), "supercargo");
        for folder in ["charts", "examples"] {
            std::os::unix::fs::symlink(project().join(folder), dir.path().join(folder)).unwrap();
        }
        let server = ApiServer::start(dir.path());
        let mut place = Self {
            node: None,
            address: engine::start(dir.path()),
            server,
            instance: String::new(),
            dir,
        };
        place.node = Some(Node::start(&kubectl, &place.server.kubeconfig, place.dir.path()));
        place.instance = place.ok("kubectl get namespace kube-system -o jsonpath={.metadata.uid}");
        place
    }

    fn command(&self, text: &str) -> Command {
        let mut command = Command::new("bash");
        let path = format!("{}:/usr/bin:/bin", self.dir.path().join("bin").display());
        command
            .args(["-euo", "pipefail", "-c", text])
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .env("KUBECONFIG", &self.server.kubeconfig);
        command
    }

    fn run(&self, text: &str) -> Said {
        run(&mut self.command(text), b"")
    }

    fn ok(&self, text: &str) -> String {
        let said = self.run(text);
        assert!(said.ok, "{text}\n{}{}", said.out, said.err);
        said.out
    }

    /// The first commands below a heading of docs/install.md.
    fn documented(&self, heading: &str) -> String {
        self.documented_block(heading, 1)
    }

    /// The commands below a heading of docs/install.md: those of its first block, or of a later one.
    fn documented_block(&self, heading: &str, which: usize) -> String {
        let page = std::fs::read_to_string(project().join("docs/install.md")).unwrap();
        let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let block = section
            .split("```sh\n")
            .nth(which)
            .unwrap()
            .split("```")
            .next()
            .unwrap();
        block
            .replace("docker.example:2376", &self.address)
            // The log is read by the one who runs the pods; reviews need a network between the server and the pods.
            .replace("--set docker.host", "--set log.format=text,webhook.enabled=false --set docker.host")
    }

    /// Instances of deployments.
    fn containers(&self) -> Vec<String> {
        labelled("ps", &[&self.ours(), "supercargo.dev/deployment"])
    }

    /// Those, and the agents beside them.
    fn all_containers(&self) -> Vec<String> {
        labelled("ps", &[&self.ours()])
    }

    fn ours(&self) -> String {
        format!("{INSTANCE}={}", self.instance)
    }

    fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("kubectl get {what} -o json"))).unwrap()
    }

    fn replicas(&self) -> Value {
        self.get("-n supercargo-system deployment/supercargo")["status"]["availableReplicas"].clone()
    }

    fn jobs(&self) -> usize {
        self.node.as_ref().unwrap().jobs().len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.node = None;
        for id in self.all_containers() {
            docker(&["rm", "-fv", &id]);
        }
        for id in labelled("network ls", &[&self.ours()]) {
            docker(&["network", "rm", &id]);
        }
    }
}

/// Every state of the deployments of a namespace, as a client sees them go by.
struct Seen {
    child: Child,
    file: PathBuf,
}

impl Seen {
    fn start(place: &Place, kind: &str) -> Self {
        let file = place.dir.path().join(format!("seen-{kind}.json"));
        let child = place
            .command(&format!(
                "exec kubectl --namespace shop get {kind} --watch --output json"
            ))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&file).unwrap())
            .spawn();
        Self {
            child: child.unwrap(),
            file,
        }
    }

    fn end(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let text = std::fs::read(&self.file).unwrap();
        // The last one may be cut.
        serde_json::Deserializer::from_slice(&text)
            .into_iter::<Value>()
            .map_while(Result::ok)
            .collect()
    }
}

fn life(major: &str) {
    let place = Place::start(major);
    place.ok(&place.documented("Install"));
    assert_eq!(place.replicas(), 2);
    let node = place.node.as_ref().unwrap();
    let ready = node.ask("/readyz");
    assert!(
        ready.len() == 2
            && ready
                .iter()
                .all(|answer| answer.as_ref().unwrap().starts_with("HTTP/1.1 200"))
    );

    place.ok(&place.documented("An example"));
    assert_eq!(place.containers().len(), 2, "the example has two instances");
    // What alerts and dashboard name comes from here: two pods, and one of them has the engine.
    let metrics = node.ask("/metrics");
    let connected = metrics.iter().filter(|m| {
        m.as_ref()
            .unwrap()
            .contains("supercargo_engine_connected{host=\"local\"} 1")
    });
    assert_eq!(connected.count(), 1);
    let before = place.containers();

    place.ok(&place
        .documented("Upgrade and go back")
        .lines()
        .take(2)
        .collect::<Vec<_>>()
        .join("\n"));
    until("three replicas", SOON, || same(place.replicas(), 3.into()));
    place.ok("helm rollback supercargo --namespace supercargo-system");
    until("two replicas again", SOON, || same(place.replicas(), 2.into()));
    assert_eq!(place.containers(), before, "upgrades touch no container");

    refused_uninstallation(&place);
    assert_eq!(place.containers(), before);

    place.ok(&place.documented("Uninstall"));
    assert_eq!(node.jobs().last().unwrap().code, Some(0), "{:?}", node.jobs());
    assert_eq!(place.all_containers(), Vec::<String>::new());
    let left = place.ok("kubectl get all,sa,role,rolebinding,pdb,jobs -n supercargo-system -l app.kubernetes.io/part-of=supercargo -o name");
    assert_eq!(left, "", "the release left something");
    let left = place.ok("kubectl get clusterrole,clusterrolebinding,validatingwebhookconfiguration -l app.kubernetes.io/part-of=supercargo -o name");
    assert_eq!(left, "");
    // The key ring is no part of the release, and the definitions stay.
    place.ok("kubectl get secret supercargo-keyring -n supercargo-system");
    place.ok("helm uninstall supercargo-crds --namespace supercargo-system");
    assert_eq!(place.get("crd")["items"].as_array().unwrap().len(), 2);
    // And are taken up again.
    place.ok("helm install supercargo-crds charts/supercargo-crds --namespace supercargo-system");
}

fn refused_uninstallation(place: &Place) {
    let said = place.run("helm uninstall supercargo --namespace supercargo-system --timeout 60s");
    assert!(!said.ok, "it was uninstalled under its objects: {}", said.out);
    let ended = place.node.as_ref().unwrap().jobs();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0].code, Some(1));
    for object in ["DockerDeployment shop/web", "DockerSecret shop/web"] {
        assert!(ended[0].said.contains(object), "{}", ended[0].said);
    }
    assert_eq!(place.replicas(), 2, "the operator runs on");
    // The way back that the page names.
    place.ok("helm rollback supercargo --namespace supercargo-system");
    let status = place.ok("helm status supercargo --namespace supercargo-system -o json");
    assert!(status.contains("\"deployed\""), "{status}");
}

#[test]
fn a_release_lives_and_ends_with_helm_3() {
    life("3");
}

#[test]
fn a_release_lives_and_ends_with_helm_4() {
    life("4");
}

/// With `--no-hooks` nobody asks, and the operator that comes back finds its objects and its containers.
#[test]
fn an_operator_that_comes_back_goes_on() {
    let place = Place::start("4");
    place.ok(&place.documented("Install"));
    place.ok("kubectl create namespace shop");
    let seen = ["ddep", "dsec"].map(|kind| Seen::start(&place, kind));
    let example = place.documented("An example");
    place.ok(example.split_once('\n').unwrap().1);
    let before = place.containers();
    let leave = place.documented_block("Uninstall", 2);
    let (scale, leave) = leave.split_once('\n').unwrap();
    place.ok(scale);
    until("the operators to end", SOON, || {
        same(place.node.as_ref().unwrap().ask("/healthz").len(), 0)
    });
    let lease = place.get("-n supercargo-system lease/supercargo-controller");
    assert_eq!(lease["spec"]["holderIdentity"], "", "it was given back: {lease}");
    place.ok(leave);
    assert_eq!(place.jobs(), 0);
    assert_eq!(place.containers(), before, "containers run on");
    let again = place.documented("Install");
    place.ok(&again[again.find("helm install supercargo ").unwrap()..]);
    assert_eq!(place.containers(), before);
    transitions(&place, seen);
}

/// Argo CD's health and kstatus agree on every state that goes by.
fn transitions(place: &Place, seen: [Seen; 2]) {
    let ns = "kubectl --namespace shop";
    let wait = |what: &str, how: &str| {
        place.ok(&format!(
            "{ns} wait ddep/web --for={what} --timeout=90s >/dev/null # {how}"
        ))
    };
    let patch = |patch: &str| place.ok(&format!("{ns} patch ddep web --type=merge -p '{patch}'"));
    let ready = |reason: &str| {
        until(reason, SOON, || {
            let web = place.get("-n shop ddep/web");
            let conditions = web["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let found = conditions
                .iter()
                .find(|c| c["type"] == "Ready")
                .map(|c| c["reason"].clone());
            same(
                web["status"]["observedGeneration"].clone(),
                web["metadata"]["generation"].clone(),
            )?;
            same(found, Some(reason.into()))
        });
    };
    place.ok(&format!("{ns} scale ddep/web --replicas=1"));
    wait("condition=Ready", "scaled");
    place.ok(&format!("{ns} annotate ddep web supercargo.dev/suspend=true"));
    patch(r#"{"spec":{"template":{"metadata":{"labels":{"v":"2"}}}}}"#);
    place.ok(&format!("{ns} annotate ddep web supercargo.dev/suspend-"));
    wait("condition=Ready", "rolled");
    let privileged = |op: &str| {
        let path = "/spec/template/spec/containers/0/securityContext";
        let patch = format!(r#"[{{"op":"{op}","path":"{path}","value":{{"privileged":true}}}}]"#);
        place.ok(&format!("{ns} patch ddep web --type=json -p '{patch}'"));
    };
    privileged("add");
    ready("PolicyViolation");
    privileged("remove");
    wait("condition=Ready", "put right");
    place.ok(&format!("{ns} delete ddep,dsec --all --timeout=60s"));
    let states: Vec<Value> = seen.into_iter().flat_map(Seen::end).collect();
    let told = lua(&states).into_iter().zip(kstatus(&states));
    let mut words = std::collections::BTreeSet::new();
    for (object, (health, kstatus)) in states.iter().zip(told) {
        assert!(agree(&kstatus, &health), "{kstatus} and {health}: {object}");
        words.insert((object["kind"].as_str().unwrap().to_owned(), health));
    }
    println!("{} states went by: {words:?}", states.len());
    for word in ["Progressing", "Healthy", "Degraded"] {
        assert!(
            words.contains(&("DockerDeployment".to_owned(), word.to_owned())),
            "{word}: {words:?}"
        );
    }
    assert!(
        words.contains(&("DockerSecret".to_owned(), "Healthy".to_owned())),
        "{words:?}"
    );
}

#[test]
fn what_the_operator_wrote_into_the_webhooks_stays_over_an_upgrade() {
    for major in ["3", "4"] {
        let place = Place::start(major);
        let values =
            "--namespace supercargo-system --set docker.host=tcp://h,docker.insecure=true,replicas=0";
        place.ok("kubectl create namespace supercargo-system");
        place.ok(&format!("helm install supercargo charts/supercargo {values}"));
        let bundle = "LS0tLS1CRUdJTg==";
        let patch = |n: usize| {
            format!(r#"{{"op":"add","path":"/webhooks/{n}/clientConfig/caBundle","value":"{bundle}"}}"#)
        };
        let patches = [patch(0), patch(1), patch(2)].join(",");
        place.ok(&format!(
            "kubectl patch validatingwebhookconfiguration supercargo --type=json -p '[{patches}]'"
        ));
        for turn in [
            format!("helm upgrade supercargo charts/supercargo {values},webhook.failurePolicy=Fail"),
            "helm rollback supercargo --namespace supercargo-system".to_owned(),
        ] {
            place.ok(&turn);
            let found = place.get("validatingwebhookconfiguration/supercargo");
            for webhook in found["webhooks"].as_array().unwrap() {
                assert_eq!(
                    webhook["clientConfig"]["caBundle"], bundle,
                    "Helm {major} after {turn}"
                );
            }
        }
        place.ok("helm uninstall supercargo --namespace supercargo-system");
    }
}
