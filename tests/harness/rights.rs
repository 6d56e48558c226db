//! Who the operator is in cluster form: the chart's ServiceAccount, with what the chart renders for it and with nothing
//! else. Owns rendering, granting and the kubeconfig with that account's token. kubectl stays the administrator.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{project, run, script};

/// What is granted: all namespaces by a ClusterRole, as the chart does by default, or one by Roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    Cluster,
    Namespaces,
}

/// The rights of this run.
#[expect(clippy::disallowed_methods, reason = "a test may be told what to run on")]
pub fn rights() -> Rights {
    match std::env::var("E2E_RIGHTS").ok().as_deref() {
        None | Some("" | "cluster") => Rights::Cluster,
        Some("namespaces") => Rights::Namespaces,
        Some(other) => panic!("E2E_RIGHTS={other}: it is cluster, which is the default, or namespaces"),
    }
}

/// Helm of a major version.
pub fn helm(major: &str) -> String {
    let lines = script("helm", &[]);
    let mut pairs = lines.lines().filter_map(|line| line.split_once(' '));
    let found = pairs.find(|(version, _)| *version == major);
    found
        .unwrap_or_else(|| panic!("no Helm {major} in {lines}"))
        .1
        .to_owned()
}

/// Grants a release of this name what the chart renders with these values; the kubeconfig of its account.
pub fn grant(admin: &Path, kubectl: &str, dir: &Path, release: &str, values: &[String]) -> PathBuf {
    let mut render = Command::new(helm("4"));
    render
        .args([
            "template",
            release,
            "charts/supercargo",
            "--namespace",
            "supercargo-system",
        ])
        .args(["--set", "docker.host=tcp://engine,docker.insecure=true"])
        .current_dir(project());
    for part in ["serviceaccount", "rbac"] {
        render.args(["--show-only", &format!("templates/{part}.yaml")]);
    }
    for value in values {
        render.args(["--set", value]);
    }
    let rendered = run(&mut render, b"");
    assert!(rendered.ok, "helm template: {}", rendered.err);
    ask(admin, kubectl, &["apply", "-f", "-"], &rendered.out);
    let name = if release.contains("supercargo") {
        release.to_owned()
    } else {
        format!("{release}-supercargo")
    };
    account(admin, kubectl, dir, &name)
}

/// The kubeconfig of an account of the operator's namespace, with a token for it.
pub fn account(admin: &Path, kubectl: &str, dir: &Path, name: &str) -> PathBuf {
    let create = ["create", "token", name, "--namespace", "supercargo-system"];
    let token = ask(admin, kubectl, &[&create[..], &["--duration", "4h"]].concat(), "");
    let view = ["config", "view", "--raw", "--minify", "--flatten", "-o", "json"];
    let view: Value = serde_json::from_str(&ask(admin, kubectl, &view, "")).unwrap();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "operator",
        "clusters": [{"name": "server", "cluster": view["clusters"][0]["cluster"]}],
        "users": [{"name": "operator", "user": {"token": token.trim()}}],
        "contexts": [{"name": "operator", "context": {"cluster": "server", "user": "operator"}}],
    });
    let path = dir.join(format!("{name}.kubeconfig"));
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

fn ask(admin: &Path, kubectl: &str, args: &[&str], stdin: &str) -> String {
    let mut command = Command::new(kubectl);
    let said = run(
        command.arg("--kubeconfig").arg(admin).args(args),
        stdin.as_bytes(),
    );
    assert!(said.ok, "kubectl {args:?}: {}", said.err);
    said.out
}
