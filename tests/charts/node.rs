//! The part of a cluster that the API server alone is not: it runs the pods of the operator's Deployment and of the chart's
//! hook as processes, as the manifests say: their arguments, their account and nothing else, the files of their Secrets.
//! The addresses of a pod are its own, so that a port of 0.0.0.0 is a free one here.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use supercargo::clock::{Clock, System};

use crate::harness::{
    Said,
    controller::{Controller, Start},
    rights::account,
    run, until, word,
};

const NAMESPACE: &str = "supercargo-system";

/// How the pod of a hook ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

struct Place {
    kubectl: String,
    admin: PathBuf,
    dir: PathBuf,
    jobs: Mutex<Vec<Ended>>,
    running: Mutex<Vec<Controller>>,
}

pub struct Node {
    place: Arc<Place>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Node {
    pub fn start(kubectl: &str, admin: &Path, dir: &Path) -> Self {
        let place = Arc::new(Place {
            kubectl: kubectl.to_owned(),
            admin: admin.to_owned(),
            dir: dir.to_owned(),
            jobs: Mutex::default(),
            running: Mutex::default(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (works, ends) = (Arc::clone(&place), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut known = Value::Null;
            while !ends.load(Ordering::SeqCst) {
                works.look(&mut known);
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        Self {
            place,
            stop,
            thread: Some(thread),
        }
    }

    /// The pods of hooks that have run.
    pub fn jobs(&self) -> Vec<Ended> {
        self.place.jobs.lock().unwrap().clone()
    }

    /// What an endpoint of each running operator answers.
    pub fn ask(&self, path: &str) -> Vec<Result<String, String>> {
        self.place
            .running
            .lock()
            .unwrap()
            .iter()
            .map(|pod| pod.get(path))
            .collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Place {
    fn kubectl(&self, args: &[&str]) -> Said {
        let mut command = Command::new(&self.kubectl);
        run(
            command
                .arg("--kubeconfig")
                .arg(&self.admin)
                .args(["-n", NAMESPACE])
                .args(args),
            b"",
        )
    }

    fn look(&self, known: &mut Value) {
        let Ok(found) =
            serde_json::from_str::<Value>(&self.kubectl(&["get", "deployments,jobs", "-o", "json"]).out)
        else {
            return;
        };
        let objects = found["items"].as_array().cloned().unwrap_or_default();
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
        let wanted = deployment.map_or(Value::Null, |d| {
            json!([d["spec"], d["metadata"]["name"], d["metadata"]["generation"]])
        });
        if wanted != *known {
            // The Lease goes from the old pods to the new ones.
            for pod in self.running.lock().unwrap().drain(..) {
                pod.stop();
            }
            if let Some(deployment) = deployment {
                self.run_deployment(deployment);
            }
            *known = wanted;
        }
        for job in objects.iter().filter(|object| object["kind"] == "Job") {
            if job["status"].get("conditions").is_none() {
                self.run_job(job);
            }
        }
    }

    fn run_deployment(&self, deployment: &Value) {
        let replicas = deployment["spec"]["replicas"].as_u64().unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        let started: Vec<Controller> = (0..replicas)
            .map(|_| {
                Controller::start(&Start {
                    args: self.args(pod),
                    kubeconfig: Some(self.account(pod)),
                    log: self.dir.join(format!("pod-{}.log", word())),
                })
            })
            .collect();
        until("the operators to be ready", Duration::from_secs(60), || {
            started.iter().try_for_each(|pod| {
                let answer = pod.get("/readyz")?;
                answer.starts_with("HTTP/1.1 200").then_some(()).ok_or(answer)
            })
        });
        *self.running.lock().unwrap() = started;
        let status = json!({"status": {
            "observedGeneration": deployment["metadata"]["generation"], "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        }});
        self.tell("deployment", deployment, &status);
    }

    fn run_job(&self, job: &Value) {
        let pod = &job["spec"]["template"]["spec"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
        command
            .env_clear()
            .env("KUBECONFIG", self.account(pod))
            .args(self.args(pod));
        let begun = System.now().to_string();
        let ran = run(&mut command, b"");
        let condition = |kind: &str| {
            json!({"type": kind, "status": "True", "reason": "Ended", "message": "",
                "lastProbeTime": begun, "lastTransitionTime": begun})
        };
        let status = if ran.ok {
            json!({"status": {"startTime": begun, "completionTime": begun, "succeeded": 1,
                "conditions": [condition("SuccessCriteriaMet"), condition("Complete")]}})
        } else {
            json!({"status": {"startTime": begun, "failed": 1,
                "conditions": [condition("FailureTarget"), condition("Failed")]}})
        };
        self.jobs.lock().unwrap().push(Ended {
            code: ran.code,
            said: format!("{}{}", ran.out, ran.err),
        });
        self.tell("job", job, &status);
    }

    fn tell(&self, kind: &str, object: &Value, status: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let patch = status.to_string();
        let said = self.kubectl(&[
            "patch",
            kind,
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ]);
        assert!(said.ok, "{kind} {name}: {}", said.err);
    }

    fn account(&self, pod: &Value) -> PathBuf {
        account(
            &self.admin,
            &self.kubectl,
            &self.dir,
            pod["serviceAccountName"].as_str().unwrap(),
        )
    }

    /// The arguments of a pod's one container, with its paths and addresses as they are here.
    fn args(&self, pod: &Value) -> Vec<String> {
        let container = &pod["containers"][0];
        let mut args: Vec<String> = container["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arg| arg.as_str().unwrap().replace("=0.0.0.0:9464", "=127.0.0.1:0"))
            .collect();
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes
                .iter()
                .find(|volume| volume["name"] == mount["name"])
                .unwrap();
            let here = self.files(
                volume["secret"]["secretName"]
                    .as_str()
                    .expect("only Secrets are mounted here"),
            );
            let there = mount["mountPath"].as_str().unwrap();
            for arg in &mut args {
                *arg = arg.replace(there, here.to_str().unwrap());
            }
        }
        args
    }

    fn files(&self, secret: &str) -> PathBuf {
        let dir = self.dir.join(format!("secret-{}", word()));
        std::fs::create_dir(&dir).unwrap();
        let begun = Instant::now();
        let found = self.kubectl(&["get", "secret", secret, "-o", "json"]);
        assert!(found.ok, "after {:?}: {}", begun.elapsed(), found.err);
        let found: Value = serde_json::from_str(&found.out).unwrap();
        for (name, value) in found["data"].as_object().unwrap() {
            let bytes = Base64::decode_vec(value.as_str().unwrap()).unwrap();
            std::fs::write(dir.join(name), bytes).unwrap();
        }
        dir
    }
}
