//! What the operator may do on a real API server with the chart's rights, and what it may not; and what people may.
//! That it is enough is what the end-to-end cases say, which run with these rights (`tests/harness/rights.rs`).

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::{
    apiserver::ApiServer,
    harness::{
        Said, project,
        rights::{grant, helm},
        run, script, until,
    },
};

struct Lab {
    kubectl: String,
    // Ends before its directory goes.
    server: ApiServer,
    dir: tempfile::TempDir,
}

impl Lab {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = Self {
            kubectl: script("kubectl", &[]),
            server: ApiServer::start(dir.path()),
            dir,
        };
        for namespace in ["supercargo-system", "a", "b"] {
            assert!(lab.admin(&["create", "namespace", namespace]).ok);
        }
        let crds = project().join("crds");
        assert!(
            lab.admin(&["apply", "--server-side", "-f", crds.to_str().unwrap()])
                .ok
        );
        lab
    }

    fn kubectl(&self, kubeconfig: &PathBuf, args: &[&str]) -> Said {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--cache-dir")
            .arg(self.dir.path().join("cache"))
            .arg("--kubeconfig")
            .arg(kubeconfig);
        run(command.args(args), b"")
    }

    fn admin(&self, args: &[&str]) -> Said {
        self.kubectl(&self.server.kubeconfig, args)
    }

    fn operator(&self, release: &str, values: &[&str]) -> PathBuf {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        grant(
            &self.server.kubeconfig,
            &self.kubectl,
            self.dir.path(),
            release,
            &values,
        )
    }

    /// Each line: namespace (`-` for all), verb, resource or resource/name.
    fn may(&self, who: &PathBuf, lines: &str) -> Vec<String> {
        let asked = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        let allowed = asked.filter(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let place = match words[0] {
                "-" => vec!["--all-namespaces"],
                namespace => vec!["--namespace", namespace],
            };
            let said = self.kubectl(
                who,
                &[&["auth", "can-i", words[1], words[2]][..], &place].concat(),
            );
            said.out.trim() == "yes"
        });
        allowed.map(str::to_owned).collect()
    }

    fn doctor(&self, who: &PathBuf, args: &[&str]) -> Vec<Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
        command
            .args(["doctor", "-o", "json"])
            .args(args)
            .env("KUBECONFIG", who)
            .env("HOME", self.dir.path());
        let said = run(&mut command, b"");
        let checks: Vec<Value> =
            serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.err));
        checks
            .into_iter()
            .filter(|check| check["what"].as_str().unwrap().starts_with("right to"))
            .collect()
    }
}

/// What nobody's chart should permit.
const NEVER: &str = "
    a get secrets
    a list secrets
    supercargo-system list secrets
    supercargo-system get secrets/other
    supercargo-system delete secrets/supercargo-keyring
    supercargo-system update secrets/supercargo-keyring
    supercargo-system update configmaps
    supercargo-system update leases.coordination.k8s.io/other
    a create dockerdeployments.supercargo.dev
    a delete dockerdeployments.supercargo.dev
    a delete dockersecrets.supercargo.dev
    a create pods
    a delete namespaces
    - list namespaces
    - get nodes
    - update customresourcedefinitions.apiextensions.k8s.io
    - update validatingwebhookconfigurations.admissionregistration.k8s.io
    - patch validatingwebhookconfigurations.admissionregistration.k8s.io/other
    - create clusterroles.rbac.authorization.k8s.io
    a create roles.rbac.authorization.k8s.io
    a impersonate users
";

#[test]
fn the_operator_may_do_what_it_does_and_nothing_else() {
    let lab = Lab::start();
    let nothing = Vec::<String>::new();

    let all = lab.operator("supercargo", &[]);
    assert_eq!(lab.may(&all, NEVER), nothing);
    let denied =
        |checks: Vec<Value>| -> Vec<Value> { checks.into_iter().filter(|c| c["level"] != "ok").collect() };
    assert_eq!(denied(lab.doctor(&all, &["--leader-elect"])), Vec::<Value>::new());

    let some = lab.operator(
        "supercargo-a",
        &["watchNamespaces={a}", "coreSecretNamespaces={a}"],
    );
    let never = NEVER.replace("a list secrets", "b list secrets");
    assert_eq!(lab.may(&some, &never), nothing);
    let elsewhere = "
        - watch dockerdeployments.supercargo.dev
        b watch dockersecrets.supercargo.dev
        b patch dockerdeployments.supercargo.dev
        b list secrets
        b get configmaps
        b create events.events.k8s.io
        b get namespaces/b
    ";
    assert_eq!(lab.may(&some, elsewhere), nothing);
    let asked = [
        "--leader-elect",
        "--namespace",
        "a",
        "--core-secrets-namespace",
        "a",
    ];
    let checks = lab.doctor(&some, &asked);
    assert!(checks.len() > 8, "{checks:?}");
    assert_eq!(denied(checks), Vec::<Value>::new());
    // The doctor sees what is missing.
    assert!(!denied(lab.doctor(&some, &["--namespace", "b"])).is_empty());
}

/// Whoever proved who they are may read the public keys, and only them.
fn only_the_public_keys_are_for_everybody(lab: &Lab) {
    let keys = |name: &str| {
        let args = [
            "auth",
            "can-i",
            "get",
            name,
            "-n",
            "supercargo-system",
            "--as",
            "x",
            "--as-group",
            "system:authenticated",
        ];
        lab.admin(&args).out.trim().to_owned()
    };
    assert_eq!(
        (
            keys("configmaps/supercargo-public-keys").as_str(),
            keys("configmaps/other").as_str()
        ),
        ("yes", "no")
    );
}

#[test]
fn people_get_our_kinds_with_the_clusters_roles_only_where_that_is_asked_for() {
    let lab = Lab::start();
    let install = |values: &str| {
        let mut command = Command::new(helm("4"));
        command.args([
            "upgrade",
            "--install",
            "supercargo",
            "charts/supercargo",
            "--namespace",
            "supercargo-system",
        ]);
        command.args([
            "--set",
            "docker.host=tcp://h,docker.insecure=true,webhook.enabled=false",
            "--set",
            values,
        ]);
        command
            .arg("--kubeconfig")
            .arg(&lab.server.kubeconfig)
            .env("HOME", lab.dir.path());
        let said = run(command.current_dir(project()), b"");
        assert!(said.ok, "{}", said.err);
    };
    install("rbac.aggregate=false");
    for role in ["view", "edit", "admin"] {
        let binding = [
            "-n",
            "a",
            "create",
            "rolebinding",
            role,
            "--clusterrole",
            role,
            "--user",
            role,
        ];
        assert!(lab.admin(&binding).ok);
    }
    let may = |who: &str, verb: &str, what: &str| {
        let resource = format!("{what}.supercargo.dev");
        lab.admin(&["auth", "can-i", verb, &resource, "-n", "a", "--as", who])
            .out
            .trim()
            == "yes"
    };
    assert!(!may("view", "get", "dockerdeployments") && !may("admin", "create", "dockerdeployments"));
    only_the_public_keys_are_for_everybody(&lab);

    install("rbac.aggregate=true");
    until("the roles to be put together", crate::harness::SOON, || {
        let done = may("view", "get", "dockersecrets")
            && may("edit", "create", "dockerdeployments")
            && may("admin", "create", "dockersecrets");
        done.then_some(()).ok_or_else(|| "not yet".to_owned())
    });
    assert!(!may("view", "create", "dockerdeployments"));
    let status = [
        "auth",
        "can-i",
        "patch",
        "dockerdeployments.supercargo.dev",
        "--subresource=status",
    ];
    let status = lab.admin(&[&status[..], &["-n", "a", "--as", "edit"]].concat());
    assert_eq!(status.out.trim(), "no", "who edits does not forge a status");
}
