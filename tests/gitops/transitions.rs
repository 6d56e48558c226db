//! A deployment and a secret through every transition, on a real engine. Every event of their watches is judged: by kstatus,
//! which must not call a deployment current before it is, and by Argo CD's check, which must say the same as kstatus. Where
//! a transition has come to rest, the verdict is the one that a person would give.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    harness::{
        IMAGE, IMAGE_2, SOON,
        case::{Case, container, deployment, from_secret},
        same, until,
    },
    health::{agree, kstatus, lua},
    stream::{Event, Stream},
};

/// Two streams, and what was seen where a transition rested.
struct Seen<'a> {
    case: &'a Case,
    deployments: Stream,
    secrets: Stream,
}

impl<'a> Seen<'a> {
    /// Begins before there is anything to see: each stream has shown its first object when this returns.
    fn start(case: &'a Case) -> Self {
        let seen = Self {
            case,
            deployments: Stream::start(case, "ddep"),
            secrets: Stream::start(case, "dsec"),
        };
        case.apply_json(&deployment("first", 0, json!([])));
        case.secret("first", &[("key", "of no interest")]);
        seen.deployments
            .find("the first deployment", |e| e.name() == "first");
        seen.secrets.find("the first secret", |e| e.name() == "first");
        seen
    }

    /// Waits until the object has a condition like this, of its generation; then both judges are asked.
    fn rests(&self, what: &str, condition: [&str; 3], verdict: [&str; 2]) {
        let [kind, status, reason] = condition;
        let object = until(&format!("{what} to say {reason}"), SOON, || {
            let object = self.case.get(what)?;
            let found = crate::flux::condition(&object, kind).clone();
            if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
                return Err("it was not seen yet".to_owned());
            }
            same(
                (&found["status"], &found["reason"]),
                (&json!(status), &json!(reason)),
            )
            .map_err(|why| format!("{why}: {}", object["status"]["conditions"]))?;
            Ok(object)
        });
        let told = [
            kstatus(std::slice::from_ref(&object)),
            lua(std::slice::from_ref(&object)),
        ]
        .concat();
        assert_eq!(told, verdict, "{}", object["status"]);
    }
}

/// Whether all that was asked for is there, as the status counts it.
fn is_there(object: &Value) -> bool {
    let (wanted, status) = (
        object["spec"]["replicas"].as_i64().unwrap_or(1),
        &object["status"],
    );
    let counts = [
        "replicas",
        "readyReplicas",
        "updatedReplicas",
        "availableReplicas",
    ];
    status["observedGeneration"] == object["metadata"]["generation"]
        && object["metadata"].get("deletionTimestamp").is_none()
        && counts
            .iter()
            .all(|count| status[count].as_i64().unwrap_or(0) == wanted)
}

/// What an event shows, in words for the count at the end.
fn situation(object: &Value) -> &'static str {
    let (status, metadata) = (&object["status"], &object["metadata"]);
    if metadata.get("deletionTimestamp").is_some() {
        "being deleted"
    } else if status["observedGeneration"] == -1 || status["observedGeneration"].is_null() {
        "just created"
    } else if status["observedGeneration"] != metadata["generation"] {
        "changed, and not seen yet"
    } else {
        "seen"
    }
}

fn judge(events: &[Event]) -> BTreeMap<(String, &'static str, String), usize> {
    let events: Vec<&Event> = events.iter().filter(|event| event.kind != "DELETED").collect();
    let objects: Vec<Value> = events.iter().map(|event| event.object.clone()).collect();
    let mut counts = BTreeMap::new();
    for ((event, kstatus), health) in events.iter().zip(kstatus(&objects)).zip(lua(&objects)) {
        let object = &event.object;
        assert!(
            agree(&kstatus, &health),
            "kstatus says {kstatus}, Argo CD {health}: {object}"
        );
        let kind = object["kind"].as_str().unwrap().to_owned();
        let current = kstatus == "Current";
        if kind == "DockerDeployment" {
            assert!(
                !current || is_there(object),
                "called current, and is not: {object}"
            );
        } else {
            let valid = event.condition("Valid")["status"] == "True" && event.is_observed();
            assert!(!current || valid, "called current, and is not: {object}");
        }
        let wanted = match situation(object) {
            "being deleted" => "Terminating",
            "seen" => kstatus.as_str(),
            _ => "InProgress",
        };
        assert_eq!(kstatus, wanted, "{}: {object}", situation(object));
        assert!(
            event.kind != "ADDED" || event.name() == "first" || situation(object) == "just created",
            "the watch began late: {object}"
        );
        *counts.entry((kind, situation(object), kstatus)).or_insert(0) += 1;
    }
    counts
}

pub fn judged() {
    let case = Case::start("judged", &[]);
    until("the public keys", SOON, || case.public_keys());
    let value = case.value();
    let seen = Seen::start(&case);
    deployments(&case, &seen, &value);
    secrets(&case, &seen);
    let counts: BTreeMap<_, _> = [&seen.deployments, &seen.secrets]
        .iter()
        .flat_map(|stream| judge(&stream.events()))
        .collect();
    for ((kind, situation, verdict), count) in &counts {
        println!("{count:4} events of a {kind}, {situation}: {verdict}");
    }
    for (kind, situation, verdict) in [
        ("DockerDeployment", "just created", "InProgress"),
        ("DockerDeployment", "changed, and not seen yet", "InProgress"),
        ("DockerDeployment", "seen", "InProgress"),
        ("DockerDeployment", "seen", "Failed"),
        ("DockerDeployment", "seen", "Current"),
        ("DockerDeployment", "being deleted", "Terminating"),
        ("DockerSecret", "just created", "InProgress"),
        ("DockerSecret", "seen", "Current"),
        ("DockerSecret", "seen", "Failed"),
        ("DockerSecret", "being deleted", "Terminating"),
    ] {
        let found = counts
            .keys()
            .any(|(k, s, v)| (k.as_str(), *s, v.as_str()) == (kind, situation, verdict));
        assert!(found, "no event of a {kind}, {situation}, was {verdict}");
    }
    drop(seen);
    case.finish();
}

const READY: [&str; 3] = ["Ready", "True", "RolloutComplete"];
const FINE: [&str; 2] = ["Current", "Healthy"];

fn deployments(case: &Case, seen: &Seen<'_>, value: &str) {
    let rests = |condition, verdict| seen.rests("ddep/web", condition, verdict);
    let mut web = deployment("web", 2, json!([from_secret("PASSWORD", "db", "password")]));
    case.apply_json(&web);
    rests(
        ["Ready", "False", "SecretResolutionError"],
        ["InProgress", "Progressing"],
    );
    case.secret("db", &[("password", value)]);
    rests(READY, FINE);
    container(&mut web)["image"] = json!(IMAGE_2);
    case.apply_json(&web);
    rests(READY, FINE);

    // Held on purpose, with a change that waits.
    let pause = |paused: &str| {
        let patch = format!(r#"{{"spec":{{"paused":{paused}}}}}"#);
        case.kubectl(&["patch", "ddep", "web", "--type=merge", "-p", &patch])
    };
    pause("true");
    rests(READY, FINE);
    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": IMAGE}]);
    case.kubectl(&["patch", "ddep", "web", "--type=json", "-p", &image.to_string()]);
    rests(["Ready", "False", "RolloutStarted"], ["InProgress", "Suspended"]);
    pause("null");
    rests(READY, FINE);

    // A version that cannot run: under way until its deadline, failed from then on, and fine again with the next.
    let mut broken = web.clone();
    container(&mut broken)["image"] = json!("supercargo-test/no-such-image:1");
    container(&mut broken)["imagePullPolicy"] = json!("Never");
    broken["spec"]["progressDeadlineSeconds"] = json!(3);
    case.apply_json(&broken);
    rests(
        ["Stalled", "True", "ProgressDeadlineExceeded"],
        ["Failed", "Degraded"],
    );
    case.apply_json(&web);
    rests(READY, FINE);

    // What ends again and again is not current between two ends.
    let mut ends = deployment("ends", 1, json!([]));
    container(&mut ends)["command"] = json!(["sh", "-c", "exit 1"]);
    ends["spec"]["progressDeadlineSeconds"] = json!(4);
    case.apply_json(&ends);
    seen.rests(
        "ddep/ends",
        ["Stalled", "True", "ProgressDeadlineExceeded"],
        ["Failed", "Degraded"],
    );
    case.kubectl(&["delete", "ddep", "ends", "--timeout=60s"]);

    // Slow to be ready, and then ready.
    let mut slow = deployment("slow", 1, json!([]));
    container(&mut slow)["readinessProbe"] =
        json!({"exec": {"command": ["test", "-e", "/tmp/open"]}, "periodSeconds": 1});
    slow["spec"]["minReadySeconds"] = json!(1);
    case.apply_json(&slow);
    seen.rests(
        "ddep/slow",
        ["Ready", "False", "Unhealthy"],
        ["InProgress", "Progressing"],
    );
    crate::harness::docker_ok(&["exec", &case.one("slow"), "touch", "/tmp/open"]);
    seen.rests("ddep/slow", READY, FINE);

    case.kubectl(&["scale", "ddep/web", "--replicas=3"]);
    rests(READY, FINE);
    case.kubectl(&["scale", "ddep/web", "--replicas=0"]);
    rests(READY, FINE);
    same(case.containers("web"), Vec::new()).unwrap();
    case.kubectl(&["scale", "ddep/web", "--replicas=1"]);
    rests(READY, FINE);
}

fn secrets(case: &Case, seen: &Seen<'_>) {
    seen.rests("dsec/db", ["Valid", "True", "SecretsResolved"], FINE);
    // Sealed for another place: its values open nowhere else.
    let moved = case.sealed("elsewhere", &[("password", "of no interest")]);
    case.apply(&moved.replace("name: elsewhere", "name: moved"));
    seen.rests(
        "dsec/moved",
        ["Valid", "False", "DecryptionError"],
        ["Failed", "Degraded"],
    );
    case.secret("moved", &[("password", "of no interest")]);
    seen.rests("dsec/moved", ["Valid", "True", "SecretsResolved"], FINE);

    // Flux and Argo CD delete in whatever order: the secret waits for who uses it.
    let kept = "kustomize.toolkit.fluxcd.io/name=shop";
    case.kubectl(&[
        "label",
        "dsec",
        "db",
        kept,
        "kustomize.toolkit.fluxcd.io/namespace=shop",
    ]);
    case.kubectl(&["delete", "dsec", "db", "--wait=false"]);
    seen.secrets.find("the secret to be deleted", |e| {
        e.name() == "db" && e.object["metadata"].get("deletionTimestamp").is_some()
    });
    case.kubectl(&["delete", "ddep", "web", "--timeout=60s"]);
    until("the secret to be gone", SOON, || match case.get("dsec/db") {
        Ok(_) => Err("it is there".to_owned()),
        Err(_) => Ok(()),
    });
}
