//! One case: a namespace, an operator that watches it, the recording socket between that operator and Docker, and the
//! random values that must appear nowhere.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    IMAGE, INSTANCE, SOON, Said, canary,
    controller::{Controller, tail},
    docker, docker_ok,
    proxy::Proxy,
    run, until, word, world,
};

pub struct Case {
    pub ns: String,
    pub dir: PathBuf,
    pub proxy: Proxy,
    flags: Vec<String>,
    operator: Mutex<Option<Controller>>,
    values: Mutex<Vec<String>>,
}

impl Case {
    pub fn start(name: &str, flags: &[&str]) -> Self {
        let world = world();
        let ns = format!("{name}-{}", &word().to_lowercase()[..5]);
        let dir = world.dir.path().join(&ns);
        std::fs::create_dir(&dir).unwrap();
        let said = world.kubectl(&["create", "namespace", &ns]);
        assert!(said.ok, "{}", said.err);
        let case = Self {
            proxy: Proxy::start(&dir),
            ns,
            dir,
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            operator: Mutex::default(),
            values: Mutex::default(),
        };
        case.start_operator();
        case
    }

    // --- the operator ---

    pub fn start_operator(&self) {
        let started = Controller::start(&self.ns, &self.proxy.path, &self.log(), &self.flags);
        *self.operator.lock().unwrap() = Some(started);
    }

    pub fn take_operator(&self) -> Controller {
        self.operator.lock().unwrap().take().expect("an operator runs")
    }

    pub fn operator(&self) -> MutexGuard<'_, Option<Controller>> {
        self.operator.lock().unwrap()
    }

    pub fn settle(&self) {
        self.operator().as_ref().expect("an operator runs").settle();
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("operator.log")
    }

    // --- kubectl ---

    pub fn try_kubectl(&self, args: &[&str], stdin: &str) -> Said {
        let mut all = vec!["-n", &self.ns];
        all.extend(args);
        world().kubectl_in(&all, stdin)
    }

    pub fn kubectl(&self, args: &[&str]) -> String {
        let said = self.try_kubectl(args, "");
        assert!(
            said.ok,
            "kubectl {args:?}: {}\nthe operator's log ends with\n{}",
            said.err,
            tail(&self.log())
        );
        said.out
    }

    pub fn apply(&self, manifest: &str) {
        let said = self.try_kubectl(&["apply", "-f", "-"], manifest);
        assert!(said.ok, "kubectl apply: {}", said.err);
    }

    pub fn apply_json(&self, manifest: &Value) {
        self.apply(&manifest.to_string());
    }

    pub fn get(&self, what: &str) -> Result<Value, String> {
        let said = self.try_kubectl(&["get", what, "-o", "json"], "");
        if said.ok {
            serde_json::from_str(&said.out).map_err(|e| e.to_string())
        } else {
            Err(said.err)
        }
    }

    pub fn ready(&self, name: &str) {
        self.kubectl(&[
            "wait",
            &format!("ddep/{name}"),
            "--for=condition=Ready",
            "--timeout=90s",
        ]);
    }

    /// A condition of a deployment, of the present generation: status, reason, message.
    pub fn condition(&self, name: &str, kind: &str) -> Result<(String, String, String), String> {
        let object = self.get(&format!("ddep/{name}"))?;
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = conditions
            .iter()
            .find(|c| c["type"] == kind)
            .ok_or(format!("no condition {kind}: {}", object["status"]))?;
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        if found["observedGeneration"] != object["metadata"]["generation"] {
            return Err(format!("{kind} is of an older generation"));
        }
        Ok((text("status"), text("reason"), text("message")))
    }

    /// Waits until the deployment is not Ready for this reason; the message.
    pub fn not_ready(&self, name: &str, reason: &str) -> String {
        until(&format!("{name} to say {reason}"), SOON, || {
            let (status, found, message) = self.condition(name, "Ready")?;
            if (status.as_str(), found.as_str()) == ("False", reason) {
                Ok(message)
            } else {
                Err(format!("Ready is {status}: {found}: {message}"))
            }
        })
    }

    /// Waits until an event of this reason is there; its note.
    pub fn event(&self, reason: &str) -> String {
        until(&format!("an event {reason}"), SOON, || {
            let list = self.get("events.events.k8s.io")?;
            let found = list["items"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|e| e["reason"] == reason)
                .cloned();
            found
                .map(|e| e["note"].as_str().unwrap_or_default().to_owned())
                .ok_or("there is none".to_owned())
        })
    }

    // --- secrets ---

    /// A new value: random, several lines, with characters that every encoding treats in its own way.
    pub fn value(&self) -> String {
        let core = word();
        self.values.lock().unwrap().push(core.clone());
        format!("/{core}+&=\u{e9}\nsecond \"line\"")
    }

    /// A core that must appear nowhere.
    pub fn watch_for(&self, core: &str) {
        self.values.lock().unwrap().push(core.to_owned());
    }

    pub fn supercargo(&self, args: &[&str], stdin: &[u8]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
        command
            .args(args)
            .current_dir(world().dir.path())
            .env("KUBECONFIG", &world().kubeconfig);
        run(&mut command, stdin)
    }

    /// The manifest of a sealed secret.
    pub fn sealed(&self, name: &str, values: &[(&str, &str)]) -> String {
        let file = self.dir.join(format!("{name}.yaml"));
        let path = file.to_str().unwrap();
        for (n, (key, value)) in values.iter().enumerate() {
            let mut args = vec!["seal", "--name", name, "--namespace", &self.ns, "--key", key];
            if n > 0 {
                args.extend(["--into", path]);
            }
            let said = self.supercargo(&args, value.as_bytes());
            assert!(said.ok, "{args:?}: {}", said.err);
            if n == 0 {
                std::fs::write(&file, said.out).unwrap();
            }
        }
        std::fs::read_to_string(&file).unwrap()
    }

    pub fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let manifest = self.sealed(name, values);
        self.apply(&manifest);
    }

    // --- containers ---

    /// The ids of a deployment's containers, in whatever state.
    pub fn containers(&self, name: &str) -> Vec<String> {
        let filters = [
            format!("label={INSTANCE}={}", world().instance),
            format!("label=supercargo.dev/namespace={}", self.ns),
            format!("label=supercargo.dev/deployment={name}"),
        ];
        let mut args = vec!["ps", "-aq", "--no-trunc"];
        args.extend(filters.iter().flat_map(|f| ["--filter", f]));
        let mut ids: Vec<String> = docker_ok(&args).split_whitespace().map(str::to_owned).collect();
        ids.sort();
        ids
    }

    /// The one container of a deployment, once it is the only one and `predicate` holds of its inspection.
    pub fn one(&self, name: &str) -> String {
        let ids = self.containers(name);
        assert_eq!(ids.len(), 1, "{name} has containers {ids:?}");
        ids.into_iter().next().unwrap()
    }

    pub fn inspect(&self, id: &str) -> Result<Value, String> {
        let said = docker(&["inspect", id]);
        let list: Value = serde_json::from_str(&said.out).map_err(|e| e.to_string())?;
        list.get(0).cloned().ok_or(said.err)
    }

    /// Runs a shell line inside.
    pub fn exec(&self, id: &str, line: &str) -> Result<String, String> {
        let said = docker(&["exec", id, "sh", "-c", line]);
        if said.ok {
            Ok(said.out.trim().to_owned())
        } else {
            Err(said.err)
        }
    }

    /// Whether a variable inside has this value, by digest.
    pub fn has(&self, id: &str, variable: &str, value: &str) -> Result<(), String> {
        let found = self.exec(id, &format!("printf %s \"${variable}\" | sha256sum"))?;
        super::same(
            found.split(' ').next().unwrap_or_default(),
            digest(value).as_str(),
        )
    }

    /// Waits until exactly `count` containers run and all have the value.
    pub fn all_have(&self, name: &str, count: usize, variable: &str, value: &str) {
        until(
            &format!("{count} containers of {name} to have {variable}"),
            SOON,
            || {
                let ids = self.containers(name);
                super::same(ids.len(), count)?;
                ids.iter().try_for_each(|id| self.has(id, variable, value))
            },
        );
    }

    // --- the end ---

    /// The canary search with everything up, removal, that nothing is left, and the search again.
    pub fn finish(self) {
        let values = self.values.lock().unwrap().clone();
        canary::search(&self, &values, canary::When::Running);
        self.kubectl(&["delete", "ddep", "--all", "--timeout=90s"]);
        self.kubectl(&["delete", "dsec", "--all", "--timeout=60s"]);
        let filters = [
            format!("label={INSTANCE}={}", world().instance),
            format!("label=supercargo.dev/namespace={}", self.ns),
        ];
        let left = docker_ok(&["ps", "-aq", "--filter", &filters[0], "--filter", &filters[1]]);
        assert_eq!(left, "", "containers are left after deletion");
        until("the network to go", Duration::from_secs(30), || {
            super::same(
                docker_ok(&[
                    "network",
                    "ls",
                    "-q",
                    "--filter",
                    &filters[0],
                    "--filter",
                    &filters[1],
                ]),
                String::new(),
            )
        });
        canary::search(&self, &values, canary::When::Removed);
        self.take_operator().stop();
        world().kubectl(&["delete", "namespace", &self.ns, "--wait=false"]);
    }
}

/// A long-running deployment that ends at once when asked to.
pub fn deployment(name: &str, replicas: u32, env: Value) -> Value {
    json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "app", "image": IMAGE, "env": env,
                "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 60 & wait; done"]}],
        }}},
    })
}

/// The container of a deployment's manifest.
pub fn container(manifest: &mut Value) -> &mut Value {
    &mut manifest["spec"]["template"]["spec"]["containers"][0]
}

/// A variable from a secret.
pub fn from_secret(variable: &str, secret: &str, key: &str) -> Value {
    json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

pub fn digest(value: &str) -> String {
    Sha256::digest(value.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
