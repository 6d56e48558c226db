//! Secrets on their way into containers: the main story, what waits for a missing one, and what changes nothing.

use serde_json::json;

use crate::harness::{
    SOON, canary,
    case::{Case, container, deployment, from_secret},
    same, until,
};

pub fn main_story() {
    let case = Case::start("story", &[]);
    let (password, token) = (case.value(), case.value());
    case.secret("db", &[("password", &password), ("token", &token)]);
    let env = json!([from_secret("PASSWORD", "db", "password"), from_secret("TOKEN", "db", "token"), {"name": "PLAIN", "value": "seen"}]);
    case.apply_json(&deployment("web", 2, env));
    case.ready("web");
    case.all_have("web", 2, "PASSWORD", &password);
    case.all_have("web", 2, "TOKEN", &token);
    for id in case.containers("web") {
        assert_eq!(case.exec(&id, "printf %s \"$PLAIN\"").unwrap(), "seen");
    }
    // Containers of a namespace find each other by the deployment's name.
    let id = &case.containers("web")[0];
    until("the name web to resolve", SOON, || {
        case.exec(id, "nslookup web 127.0.0.11")
    });
    canary::sees(password.trim_start_matches('/').split('+').next().unwrap());
    let explained = case.supercargo(&["explain", "web", "--namespace", &case.ns], b"");
    assert!(
        explained.ok && explained.out.contains("db") && explained.out.contains("2/2"),
        "{}{}",
        explained.out,
        explained.err
    );
    case.finish();
}

pub fn missing() {
    let case = Case::start("missing", &[]);
    let env = json!([from_secret("ONE", "absent", "a"), from_secret("TWO", "half", "b")]);
    let (one, half, two) = (case.value(), case.value(), case.value());
    case.secret("half", &[("other", &half)]);
    case.apply_json(&deployment("web", 2, env));
    let message = case.not_ready("web", "SecretResolutionError");
    for part in [
        "SecretNotFound: DockerSecret",
        "absent key \"a\"",
        "KeyNotFound",
        "half key \"b\"",
        "spec.template.spec.containers[0].env[1]",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let described = until("describe to show the event", SOON, || {
        let text = case.kubectl(&["describe", "ddep", "web"]);
        if text.contains("Warning  SecretResolutionError") {
            Ok(text)
        } else {
            Err(text)
        }
    });
    assert!(described.contains("supercargo seal"), "{described}");
    assert!(case.containers("web").is_empty());
    let metrics = case.operator().as_ref().unwrap().get("/metrics").unwrap();
    assert!(metrics.contains("cause=\"SecretNotFound\""), "{metrics}");
    case.secret("absent", &[("a", &one)]);
    case.secret("half", &[("other", &half), ("b", &two)]);
    case.ready("web");
    case.all_have("web", 2, "ONE", &one);
    case.all_have("web", 2, "TWO", &two);
    let (status, ..) = case.condition("web", "SecretsResolved").unwrap();
    assert_eq!(status, "True");
    // What runs is left alone while a secret is away, and mended all the same.
    case.kubectl(&["annotate", "dsec", "absent", "supercargo.dev/force-delete=true"]);
    case.kubectl(&["delete", "dsec", "absent", "--timeout=30s"]);
    case.not_ready("web", "SecretResolutionError");
    let before = case.containers("web");
    crate::harness::docker_ok(&["kill", &before[0]]);
    until("the killed container to run again", SOON, || {
        let running = case.inspect(&before[0])?["State"]["Running"].clone();
        same(running, json!(true))
    });
    assert_eq!(case.containers("web"), before);
    case.finish();
}

/// Rotation rolls; the same value under a new seal, the same manifest again and a restart of the operator do not, and
/// nothing that changes anything reaches the engine's socket.
pub fn quiet() {
    let case = Case::start("quiet", &[]);
    let (first, second) = (case.value(), case.value());
    case.secret("db", &[("password", &first)]);
    let manifest = deployment("web", 2, json!([from_secret("PASSWORD", "db", "password")]));
    case.apply_json(&manifest);
    case.ready("web");
    case.all_have("web", 2, "PASSWORD", &first);
    let before = case.containers("web");
    case.secret("db", &[("password", &second)]);
    case.all_have("web", 2, "PASSWORD", &second);
    case.ready("web");
    case.settle();
    let rolled = case.containers("web");
    assert!(
        rolled.iter().all(|id| !before.contains(id)),
        "a rotation makes new containers"
    );

    let mark = case.proxy.mark();
    let generation = |case: &Case| {
        case.get("dsec/db").map(|o| {
            (
                o["metadata"]["generation"].clone(),
                o["status"]["observedGeneration"].clone(),
            )
        })
    };
    let (old, _) = generation(&case).unwrap();
    case.secret("db", &[("password", &second)]);
    until("the new envelope to be looked at", SOON, || {
        let (new, observed) = generation(&case)?;
        if new != old && new == observed {
            Ok(())
        } else {
            Err(format!("{new} {observed}"))
        }
    });
    case.settle();
    case.apply_json(&manifest);
    case.kubectl(&["annotate", "ddep", "web", "note=nothing"]);
    case.settle();
    case.take_operator().stop();
    case.start_operator();
    case.settle();
    // The new process has seen everything once it answers that it is ready.
    until("readiness", SOON, || {
        let answer = case.operator().as_ref().unwrap().get("/readyz")?;
        if answer.starts_with("HTTP/1.1 200") {
            Ok(())
        } else {
            Err(answer)
        }
    });
    case.settle();
    assert_eq!(
        case.proxy.mutations(mark),
        Vec::<String>::new(),
        "nothing had changed"
    );
    assert!(case.proxy.mark() > mark, "the socket sees the operator's calls");
    assert_eq!(case.containers("web"), rolled);

    // A key that nobody uses is no reason to roll either.
    let (unused, mark) = (case.value(), case.proxy.mark());
    case.secret("db", &[("password", &second), ("unused", &unused)]);
    case.settle();
    assert_eq!(case.proxy.mutations(mark), Vec::<String>::new());
    // The template is.
    let mut changed = manifest;
    container(&mut changed)["workingDir"] = json!("/tmp");
    case.apply_json(&changed);
    case.ready("web");
    assert!(case.containers("web").iter().all(|id| !rolled.contains(id)));
    case.finish();
}
