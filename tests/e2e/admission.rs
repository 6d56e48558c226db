//! What is wrong is refused when it is written, by the embedded API server and by a cluster that asks the operator's
//! webhooks, in the same words; and what a cluster does while nobody answers.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo::{
    admission::configuration::{Reach, SERVICE, configuration},
    clock::{Clock, System},
    tls::{
        certificate::DAY,
        rotation::{Kept, Times, authorities},
    },
};

use crate::harness::{
    Form, SOON, Said,
    case::{Case, container, deployment, from_secret},
    form, free_port, same, until,
};

/// A case whose cluster asks the operator; in standalone form the API server asks nobody.
struct Asked {
    case: Case,
    port: u16,
}

impl Asked {
    /// `policy`: what the webhooks that would ignore a failure do about it.
    fn start(name: &str, policy: Option<&str>) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let flags = [
            "--webhook-addr",
            &address,
            "--webhook-configuration",
            "{ns}",
            "--webhook-secret",
            "{ns}",
        ];
        let case = match form() {
            Form::Standalone => Case::start(name, &[]),
            Form::Cluster => Case::start(name, &flags),
        };
        let asked = Self { case, port };
        if form() == Form::Cluster {
            asked.configure(policy);
        }
        asked
    }

    fn configure(&self, policy: Option<&str>) {
        let ns = &self.case.ns;
        let reach = Reach::Url(format!("https://127.0.0.1:{}", self.port));
        let mut wanted = serde_json::to_value(configuration(ns, &reach, std::slice::from_ref(ns))).unwrap();
        for webhook in wanted["webhooks"].as_array_mut().unwrap() {
            if let Some(policy) = policy {
                webhook["failurePolicy"] = json!(policy);
            }
        }
        let said = self.case.ask(&["create", "-f", "-"], &wanted.to_string());
        assert!(said.ok, "{}", said.err);
        until("the API server to ask the operator", SOON, || {
            let said = self.try_apply(&["--dry-run=server"], &privileged("probe"));
            if said.err.contains("is forbidden") {
                Ok(())
            } else {
                Err(said.err)
            }
        });
    }

    fn try_apply(&self, flags: &[&str], manifest: &Value) -> Said {
        let args = [&["apply", "-f", "-"], flags].concat();
        self.case.try_kubectl(&args, &manifest.to_string())
    }

    /// How many authorities the configuration trusts.
    fn trusted(&self) -> Result<usize, String> {
        let path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
        let args = ["get", "validatingwebhookconfiguration", &self.case.ns, "-o", path];
        let said = self.case.ask(&args, "");
        let pem = Base64::decode_vec(&said.out).map_err(|error| format!("{error}: {}", said.err))?;
        Ok(authorities(&String::from_utf8(pem).unwrap()).len())
    }

    /// The certificate that the Secret says is served.
    fn certificate(&self) -> String {
        let path = "jsonpath={.data.tls\\.crt}";
        self.case
            .ask(
                &[
                    "get",
                    "secret",
                    "-n",
                    "supercargo-system",
                    &self.case.ns,
                    "-o",
                    path,
                ],
                "",
            )
            .out
    }

    /// Writes a certificate that was made at `then` over the one in the Secret.
    fn backdate(&self, then: Timestamp) {
        let mut names = vec!["127.0.0.1".to_owned(), "::1".to_owned(), "localhost".to_owned()];
        names.push(format!("{SERVICE}.supercargo-system.svc"));
        let kept = Kept::first(then, &Times::default(), &names).unwrap();
        let data = json!({"data": {"next.crt": null, "next.key": null}, "stringData": {
            "ca.crt": kept.bundle(), "tls.crt": kept.serving.pair.certificate, "tls.key": kept.serving.pair.key.as_str(),
        }});
        let args = [
            "patch",
            "secret",
            "-n",
            "supercargo-system",
            &self.case.ns,
            "--type=merge",
            "-p",
        ];
        let said = self.case.ask(&[&args[..], &[&data.to_string()]].concat(), "");
        assert!(said.ok, "{}", said.err);
    }

    fn finish(self) {
        if form() == Form::Cluster {
            let ns = self.case.ns.clone();
            let gone = ["delete", "validatingwebhookconfiguration", &ns];
            assert!(self.case.ask(&gone, "").ok);
            let gone = ["delete", "secret", "-n", "supercargo-system", &ns];
            assert!(self.case.ask(&gone, "").ok);
        }
        self.case.finish();
    }
}

/// What no schema knows and the policy of the operator forbids.
fn privileged(name: &str) -> Value {
    let mut manifest = deployment(name, 1, json!([]));
    container(&mut manifest)["securityContext"] = json!({"privileged": true});
    manifest
}

/// What is wrong and no schema says so.
fn invalid(name: &str) -> Value {
    let env = json!([from_secret("PASSWORD", "db", "password"), {"name": "COPY", "value": "$(PASSWORD)"}]);
    let mut manifest = deployment(name, 1, env);
    container(&mut manifest)["image"] = json!("x y z");
    manifest
}

/// The same words in both forms, all that is wrong at once; warnings for what is admitted; values in neither.
pub fn refused_when_written() {
    let asked = Asked::start("asked", None);
    let case = &asked.case;
    let said = asked.try_apply(&[], &invalid("web"));
    assert!(!said.ok);
    let lines: Vec<&str> = said.err.lines().map(str::trim_end).collect();
    let at = "spec.template.spec.containers[0]";
    assert_eq!(
        lines[0], "The DockerDeployment \"web\" is invalid:",
        "{}",
        said.err
    );
    assert_eq!(lines.len(), 3, "{}", said.err);
    assert!(
        lines[1].starts_with(&format!("* {at}.env[1].value: Invalid value: ")),
        "{}",
        said.err
    );
    assert!(
        lines[2].starts_with(&format!("* {at}.image: Invalid value: ")),
        "{}",
        said.err
    );

    let said = asked.try_apply(&[], &privileged("web"));
    let words = format!(
        "dockerdeployments.supercargo.dev \"web\" is forbidden: violates the policy of this operator: {at}.securityContext.privileged: "
    );
    assert!(!said.ok && said.err.contains(&words), "{}", said.err);
    assert!(
        said.err.starts_with("Error from server (Forbidden): "),
        "{}",
        said.err
    );
    assert!(case.get("ddep/web").is_err(), "it was refused and is there");

    let mut loose = deployment("web", 1, json!([{"name": "DB_PASSWORD", "value": "hunter2"}]));
    container(&mut loose)["ports"] =
        json!([{"containerPort": 80, "hostPort": free_port(), "hostIP": "127.0.0.1"}]);
    let said = asked.try_apply(&[], &loose);
    assert!(said.ok, "{}", said.err);
    let mut warnings: Vec<&str> = said.err.lines().collect();
    warnings.sort_unstable();
    assert_eq!(
        warnings,
        [
            format!(
                "Warning: {at}.env[0].value: looks like a secret, in plain text for all who may read this object: seal it with \
                 `supercargo seal` and use valueFrom.secretKeyRef"
            ),
            format!(
                "Warning: {at}.ports[0].hostPort: an update stops the old instance before the new one starts, since a port of \
                 the host has one user"
            ),
        ]
    );
    case.ready("web");
    // An update is judged as a creation is, and scaling is none of it.
    container(&mut loose)["image"] = json!("x y z");
    assert!(!asked.try_apply(&[], &loose).ok);
    case.kubectl(&["scale", "ddep/web", "--replicas=0"]);
    if form() == Form::Cluster {
        let metrics = case.operator().as_ref().unwrap().get("/metrics").unwrap();
        for outcome in ["refused", "warned"] {
            let count = format!(
                "supercargo_admission_reviews_total{{kind=\"DockerDeployment\",operation=\"CREATE\",outcome=\"{outcome}\"}}"
            );
            assert!(metrics.contains(&count), "{metrics}");
        }
        let doctor = case.supercargo(
            &[
                "doctor",
                "--webhook-configuration",
                &case.ns,
                "--webhook-secret",
                &case.ns,
                "-n",
                &case.ns,
            ],
            b"",
        );
        for line in [
            "ok    webhooks: ",
            "ok    trust of webhooks: ",
            "ok    call of webhooks: ",
        ] {
            assert!(doctor.out.contains(line), "{}", doctor.out);
        }
    }
    asked.finish();
}

/// A secret in use and the definition of a kind with objects are not deleted, and nothing of them begins to go.
pub fn kept_while_used() {
    let asked = Asked::start("kept", None);
    let case = &asked.case;
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    case.apply_json(&deployment(
        "web",
        1,
        json!([from_secret("PASSWORD", "db", "password")]),
    ));
    case.ready("web");
    let said = case.try_kubectl(&["delete", "dsec", "db"], "");
    assert!(
        !said.ok && said.err.starts_with("Error from server (Conflict): "),
        "{}",
        said.err
    );
    let words = "Operation cannot be fulfilled on dockersecrets.supercargo.dev \"db\": in use by web; delete them or take the \
                 reference out, or set the annotation supercargo.dev/force-delete: \"true\"";
    assert!(said.err.contains(words), "{}", said.err);
    let all = case.try_kubectl(&["delete", "dsec", "--all"], "");
    assert!(!all.ok && all.err.contains("in use by web"), "{}", all.err);
    let object = case.get("dsec/db").unwrap();
    assert!(object["metadata"].get("deletionTimestamp").is_none());

    // Nothing would be deleted, also if it were admitted.
    let crd = [
        "delete",
        "crd",
        "dockersecrets.supercargo.dev",
        "--dry-run=server",
    ];
    let said = case.ask(&crd, "");
    assert!(
        !said.ok && said.err.contains("there are objects of it (DockerSecret "),
        "{}",
        said.err
    );

    // One by force, one when its user is gone, one with its namespace.
    case.secret("forced", &[("password", &value)]);
    case.apply_json(&deployment(
        "forced",
        0,
        json!([from_secret("PASSWORD", "forced", "password")]),
    ));
    assert!(!case.try_kubectl(&["delete", "dsec", "forced"], "").ok);
    case.kubectl(&["annotate", "dsec", "forced", "supercargo.dev/force-delete=true"]);
    case.kubectl(&["delete", "dsec", "forced", "--timeout=30s"]);
    case.kubectl(&["delete", "ddep", "web", "forced", "--timeout=60s"]);
    case.kubectl(&["delete", "dsec", "db", "--timeout=30s"]);
    case.secret("db", &[("password", &value)]);
    case.apply_json(&deployment(
        "web",
        1,
        json!([from_secret("PASSWORD", "db", "password")]),
    ));
    case.ready("web");
    let said = case.ask(&["delete", "namespace", &case.ns, "--timeout=120s"], "");
    assert!(said.ok, "{}", said.err);
    asked.finish();
}

/// Nobody answers: objects are written, and the guard refuses what is wrong; a secret in use begins to go, and its finalizer
/// holds it; only the definitions of the kinds cannot be deleted.
pub fn nobody_answers() {
    let asked = Asked::start("nobody", None);
    let case = &asked.case;
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    case.apply_json(&deployment(
        "user",
        1,
        json!([from_secret("PASSWORD", "db", "password")]),
    ));
    case.ready("user");
    case.take_operator().stop();
    case.apply_json(&invalid("web"));
    case.kubectl(&["delete", "dsec", "db", "--wait=false"]);
    let said = case.ask(
        &[
            "delete",
            "crd",
            "dockersecrets.supercargo.dev",
            "--dry-run=server",
        ],
        "",
    );
    assert!(
        !said.ok
            && said
                .err
                .contains("failed calling webhook \"definitions.supercargo.dev\""),
        "{}",
        said.err
    );
    // Definitions of others are none of ours.
    let other = case.ask(&["delete", "crd", "nobodys.example.com", "--dry-run=server"], "");
    assert!(other.err.contains("not found"), "{}", other.err);
    case.start_operator();
    case.not_ready("web", "InvalidSpec");
    assert!(case.containers("web").is_empty());
    assert!(case.get("dsec/db").unwrap()["metadata"]["deletionTimestamp"].is_string());
    until("the operator to be asked again", SOON, || {
        let said = asked.try_apply(&["--dry-run=server"], &privileged("probe"));
        if said.ok { Err(said.err) } else { Ok(()) }
    });
    asked.finish();
}

/// A certificate that is due is replaced while requests come all the time, and none fails; one that has ended is replaced
/// when the operator starts; one that was removed comes back; a second operator serves the same one.
pub fn renewed_while_asked() {
    let asked = Asked::start("renewed", Some("Fail"));
    let case = &asked.case;
    let now = System.now();
    asked.backdate(now - DAY * 61);
    until("both authorities to be trusted", SOON, || {
        same(asked.trusted(), Ok(2))
    });
    let due = asked.certificate();
    let (done, mut count) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until(
                "the next certificate to be served",
                Duration::from_secs(150),
                || {
                    if asked.certificate() == due {
                        Err("the old one is".to_owned())
                    } else {
                        Ok(())
                    }
                },
            );
            done.store(true, Ordering::SeqCst);
        });
        // A dozen after the change, too.
        let mut after = 0;
        while after < 12 {
            let said = asked.try_apply(&["--dry-run=server"], &privileged("web"));
            assert!(
                said.err.contains("is forbidden: violates the policy"),
                "{}",
                said.err
            );
            count += 1;
            after += usize::from(done.load(Ordering::SeqCst));
        }
    });
    assert!(count > 100, "{count} requests");
    assert_eq!(
        asked.trusted(),
        Ok(2),
        "who serves the old one is trusted until it ends"
    );

    let answers = || {
        until("an answer", SOON, || {
            let said = asked.try_apply(&["--dry-run=server"], &privileged("web"));
            if said.err.contains("is forbidden") {
                Ok(())
            } else {
                Err(said.err)
            }
        });
    };
    case.take_operator().stop();
    asked.backdate(now - DAY * 100);
    case.start_operator();
    answers();
    until("only one authority to be trusted", SOON, || {
        same(asked.trusted(), Ok(1))
    });

    let before = asked.certificate();
    let gone = case.ask(&["delete", "secret", "-n", "supercargo-system", &case.ns], "");
    assert!(gone.ok, "{}", gone.err);
    until("another certificate", SOON, || {
        let found = asked.certificate();
        if found.is_empty() || found == before {
            Err(found)
        } else {
            Ok(())
        }
    });
    answers();
    asked.finish();
}

/// Two operators, of which one leads: the one that stands by answers with the certificate that the other one made, and
/// keeps it when it leads.
pub fn both_answer() {
    let ns = "{ns}";
    let flags = [
        "--leader-elect",
        "--webhook-addr",
        "127.0.0.1:0",
        "--webhook-configuration",
        ns,
        "--webhook-secret",
        ns,
    ];
    let case = Case::start("both", &flags);
    let first = case.take_operator();
    until("the first operator to lead", SOON, || {
        let log = std::fs::read_to_string(&first.log).unwrap();
        if log.contains("this operator leads") {
            Ok(())
        } else {
            Err(log)
        }
    });
    let second = case.start_another();
    let log = std::fs::read_to_string(&second.log).unwrap();
    let address = log
        .split("webhooks=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let asked = Asked { case, port };
    asked.configure(Some("Fail"));
    let before = asked.certificate();
    first.stop();
    until("the second operator to lead", SOON, || {
        let log = std::fs::read_to_string(&second.log).unwrap();
        if log.contains("this operator leads") {
            Ok(())
        } else {
            Err(log)
        }
    });
    assert_eq!(asked.certificate(), before);
    let gone = asked.case.ask(
        &["delete", "secret", "-n", "supercargo-system", &asked.case.ns],
        "",
    );
    assert!(gone.ok, "{}", gone.err);
    until("an answer with another certificate", SOON, || {
        let said = asked.try_apply(&["--dry-run=server"], &privileged("web"));
        if asked.certificate() != before && said.err.contains("is forbidden") {
            Ok(())
        } else {
            Err(said.err)
        }
    });
    second.stop();
    asked.case.start_operator();
    asked.finish();
}
