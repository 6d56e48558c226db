//! Flux's source-controller and kustomize-controller, as processes that watch a case's namespace and keep what they keep in
//! the case's directory, with a source and a Kustomization that apply one repository. Ends with its owner.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    git::Repository,
    harness::{case::Case, controller::tail, free_port, project, run, script, until, word},
};

/// A bound for what Flux does at its next look, after the health of what it applied was waited for.
const LONG: Duration = Duration::from_secs(180);

/// What Flux calls that which applies the repository.
pub const APPLIED: &str = "kustomization.kustomize.toolkit.fluxcd.io/shop";
const SOURCE: &str = "gitrepository.source.toolkit.fluxcd.io/shop";

pub struct Flux {
    controllers: Vec<(Child, PathBuf)>,
}

impl Flux {
    pub fn start(case: &Case, repository: &Repository) -> Self {
        let lines = script("flux", &[]);
        let of = |name: &str| {
            let mut pairs = lines.lines().filter_map(|line| line.split_once(' '));
            pairs.find(|(found, _)| *found == name).unwrap().1.to_owned()
        };
        let ok = |args: &[&str]| {
            let said = case.ask(args, "");
            assert!(said.ok, "kubectl {args:?}: {}", said.err);
        };
        let crds = of("crds");
        ok(&["apply", "--server-side", "-f", &crds]);
        ok(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "-f",
            &crds,
        ]);
        let storage = case.dir.join("flux");
        std::fs::create_dir(&storage).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let source = [
            format!("--storage-path={}", storage.display()),
            format!("--storage-addr={address}"),
            format!("--storage-adv-addr={address}"),
        ];
        // The name by which this operator's rights in a cluster go is not Flux's: it applies as an administrator.
        let controllers = [("source-controller", &source[..]), ("kustomize-controller", &[])];
        let controllers = controllers.map(|(name, flags)| start(case, &of(name), name, flags));
        let made = Self {
            controllers: controllers.into(),
        };
        // As the page says, but for the place, and sooner.
        let blocks = documented("yaml", "kind: Kustomization");
        for document in blocks.split("---\n") {
            let mut object: Value = serde_saphyr::from_str(document).unwrap();
            object["metadata"]["namespace"] = json!(case.ns);
            let spec = &mut object["spec"];
            if spec.get("url").is_some() {
                (spec["url"], spec["interval"]) = (json!(repository.url), json!("3s"));
            } else {
                spec["targetNamespace"] = json!(case.ns);
                (spec["interval"], spec["retryInterval"], spec["timeout"]) =
                    (json!("10s"), json!("5s"), json!("2m"));
            }
            case.apply_json(&object);
        }
        made
    }

    /// Waits until the Kustomization says `Ready` with this status and reason about this revision; the message.
    pub fn says(&self, case: &Case, revision: &str, status: &str, reason: &str) -> String {
        until(&format!("Flux to say {reason} of {revision}"), LONG, || {
            let found = case.get(APPLIED)?;
            let ready = condition(&found, "Ready").clone();
            let seen = found["metadata"]["generation"] == found["status"]["observedGeneration"]
                && found["status"]["lastAttemptedRevision"] == revision;
            if seen && ready["status"] == status && ready["reason"] == reason {
                Ok(ready["message"].as_str().unwrap_or_default().to_owned())
            } else {
                let source = case.get(SOURCE)?;
                let source = condition(&source, "Ready")["message"].clone();
                Err(format!("{ready}; the source: {source}; {}", self.logs()))
            }
        })
    }

    pub fn applied(&self, case: &Case, revision: &str) {
        self.says(case, revision, "True", "ReconciliationSucceeded");
    }

    /// Has Flux look now and not at its next interval, and waits until it has seen that all is as in git. (What goes while
    /// Flux waits for it, Flux waits for until its timeout.)
    pub fn look(&self, case: &Case) {
        let asked = word();
        let note = format!("reconcile.fluxcd.io/requestedAt={asked}");
        case.kubectl(&["annotate", "--overwrite", APPLIED, &note]);
        until("Flux to have looked", LONG, || {
            let found = case.get(APPLIED)?;
            let rests = found["status"]["lastHandledReconcileAt"] == asked
                && condition(&found, "Reconciling").is_null()
                && condition(&found, "Ready")["status"] == "True";
            if rests {
                Ok(())
            } else {
                Err(format!("{}; {}", found["status"], self.logs()))
            }
        });
    }

    /// How often it has applied everything anew and found it as it was.
    pub fn rounds(&self) -> usize {
        let (_, log) = self.controllers.last().unwrap();
        let text = std::fs::read_to_string(log).unwrap();
        text.matches("Reconciliation finished in").count()
    }

    pub fn logs(&self) -> String {
        let tails = self.controllers.iter().map(|(_, log)| tail(log));
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Ends it by deleting what it was told to do.
    pub fn end(self, case: &Case) {
        case.kubectl(&["delete", APPLIED, SOURCE, "--timeout=60s"]);
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        for (child, _) in &mut self.controllers {
            let _ = run(Command::new("kill").arg(child.id().to_string()), b"");
            let _ = child.wait();
        }
    }
}

/// The block of docs/gitops.md in this language that says this.
pub fn documented(language: &str, says: &str) -> String {
    let page = std::fs::read_to_string(project().join("docs/gitops.md")).unwrap();
    let mut blocks = page.split("```").skip(1).step_by(2);
    let found = blocks.find(|block| block.starts_with(language) && block.contains(says));
    let found = found.unwrap_or_else(|| panic!("no {language} in docs/gitops.md says {says}"));
    found.split_once('\n').unwrap().1.to_owned()
}

pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|c| c["type"] == kind);
    found.unwrap_or(&Value::Null)
}

fn start(case: &Case, program: &str, name: &str, flags: &[String]) -> (Child, PathBuf) {
    let log = case.dir.join(format!("{name}.log"));
    let file = File::create(&log).unwrap();
    let child = Command::new(program)
        .args(["--watch-all-namespaces=false", "--enable-leader-election=false"])
        .args([
            "--metrics-addr=0",
            "--health-addr=0",
            "--interval-jitter-percentage=0",
        ])
        .args(flags)
        .env("KUBECONFIG", &case.kubeconfig)
        .env("RUNTIME_NAMESPACE", &case.ns)
        .env("TMPDIR", &case.dir)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    (child, log)
}
