//! The one kube-apiserver of a run in cluster form: ours, which can be stopped and started, or that of `TEST_KUBECONFIG`.
//! Owns its start with our resources, its end, and who it is. `standalone` needs none of this.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    free_port, project,
    rights::{Rights, grant, rights},
    run, script, until,
};

pub struct Cluster {
    pub kubeconfig: PathBuf,
    pub instance: String,
    /// Of operators whose rights are those that the chart gives by default.
    operator: PathBuf,
    dir: PathBuf,
    port: u16,
    child: Mutex<Option<Child>>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told which cluster to use"
)]
fn given_kubeconfig() -> Option<PathBuf> {
    std::env::var("TEST_KUBECONFIG")
        .ok()
        .filter(|k| !k.is_empty())
        .map(PathBuf::from)
}

impl Cluster {
    pub fn start(dir: &Path, kubectl: &str) -> Self {
        let mut cluster = Self {
            kubeconfig: given_kubeconfig().unwrap_or_else(|| dir.join("kubeconfig")),
            instance: String::new(),
            operator: PathBuf::new(),
            dir: dir.to_owned(),
            port: free_port(),
            child: Mutex::default(),
        };
        cluster.go();
        let crds = project().join("crds");
        let ask = |args: &[&str]| {
            let mut command = Command::new(kubectl);
            let said = run(
                command.arg("--kubeconfig").arg(&cluster.kubeconfig).args(args),
                b"",
            );
            assert!(said.ok, "kubectl {args:?}: {}", said.err);
            said.out
        };
        ask(&["apply", "--server-side", "-f", crds.to_str().unwrap()]);
        ask(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ]);
        ask(&["create", "namespace", "supercargo-system"]);
        let uid = [
            "get",
            "namespace",
            "kube-system",
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        cluster.instance = ask(&uid);
        cluster.operator = grant(&cluster.kubeconfig, kubectl, dir, "supercargo", &[]);
        cluster
    }

    /// The kubeconfig of the operator of one namespace, which may be there with these flags and nothing more.
    pub fn operator(&self, kubectl: &str, namespace: &str, flags: &[String]) -> PathBuf {
        let after = |flag: &str| {
            let at = flags.iter().position(|found| found == flag)?;
            flags.get(at + 1)
        };
        let mut values = Vec::new();
        if rights() == Rights::Namespaces {
            values.push(format!("watchNamespaces={{{namespace}}}"));
        }
        if let Some(core) = after("--core-secrets-namespace") {
            values.push(format!("coreSecretNamespaces={{{core}}}"));
        }
        let names = ["configurationName", "certificateSecret"];
        for (value, flag) in names.iter().zip(["--webhook-configuration", "--webhook-secret"]) {
            if let Some(name) = after(flag) {
                values.push(format!("webhook.{value}={name}"));
            }
        }
        if values.is_empty() {
            return self.operator.clone();
        }
        grant(&self.kubeconfig, kubectl, &self.dir, namespace, &values)
    }

    pub fn is_ours(&self) -> bool {
        given_kubeconfig().is_none()
    }

    /// Starts the API server, on the same port and with the same objects as before.
    pub fn go(&self) {
        if !self.is_ours() {
            return;
        }
        let _ = std::fs::remove_file(&self.kubeconfig);
        let log = std::fs::File::create(self.dir.join("oracle.log")).unwrap();
        let child = Command::new(script("oracle", &[]))
            .arg("--exit-with-parent")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--data-dir")
            .arg(self.dir.join("data"))
            .arg("--port")
            .arg(self.port.to_string())
            .arg("--")
            .arg(format!("--audit-policy-file={}", self.policy().display()))
            .arg(format!("--audit-log-path={}", self.audit().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        until("the API server", Duration::from_secs(180), || {
            let ended = self.child.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the API server ended: {}", self.log());
            if self.kubeconfig.exists() {
                Ok(())
            } else {
                Err("no kubeconfig".to_owned())
            }
        });
    }

    /// What the server is to write down: requests of operators, without what is in them.
    fn policy(&self) -> PathBuf {
        let path = self.dir.join("audit-policy.json");
        let accounts = ["system:serviceaccounts:supercargo-system"];
        let policy = serde_json::json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "userGroups": accounts}, {"level": "None"}],
        });
        std::fs::write(&path, policy.to_string()).unwrap();
        path
    }

    fn audit(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// What operators asked for and were never permitted. Empty, or the chart grants too little. (A server that has just
    /// started forbids what it permits a moment later, when it has read its roles.)
    pub fn denied(&self) -> BTreeSet<String> {
        if !self.is_ours() {
            return BTreeSet::new();
        }
        let log = std::fs::read_to_string(self.audit()).unwrap_or_default();
        let mut asked = [BTreeSet::new(), BTreeSet::new()];
        for line in log.lines() {
            let request: Value = serde_json::from_str(line).unwrap();
            let allowed = request["annotations"]["authorization.k8s.io/decision"] == "allow";
            let object = &request["objectRef"];
            let words = [
                &request["user"]["username"],
                &request["verb"],
                &object["apiGroup"],
                &object["resource"],
                &object["subresource"],
                &object["namespace"],
                &object["name"],
            ];
            let mut words = words.map(|word| word.as_str().unwrap_or("-"));
            // No right to create goes by name, and only what was allowed has one: right after its start a server denies what
            // its roles permit, as it has not read them yet.
            if words[1] == "create" {
                words[6] = "-";
            }
            asked[usize::from(allowed)].insert(words.join(" "));
        }
        let [forbidden, allowed] = asked;
        assert!(
            !allowed.is_empty(),
            "the server wrote down no request of an operator"
        );
        forbidden.difference(&allowed).cloned().collect()
    }

    pub fn stop(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = run(Command::new("kill").arg(child.id().to_string()), b"");
            let end = Instant::now() + Duration::from_secs(20);
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > end {
                    let _ = child.kill();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// SIGKILL, to its etcd, too.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("oracle.log")).unwrap_or_default()
    }
}
