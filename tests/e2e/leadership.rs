//! Two operators on one cluster: one leads. A leader that is stopped in the middle of its work and comes back does no harm.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    SOON,
    case::{Case, deployment},
    same, until,
};

/// As long as a lease lasts, and what a second operator needs to begin.
const TAKEOVER: Duration = Duration::from_secs(90);

/// SIGSTOP hits the leader while it makes containers. A second operator takes over, finishes, and the first one, let go
/// again, ends without a change: no container is there twice, none is missing.
pub fn a_stopped_leader() {
    let case = Case::start("leader", &["--leader-elect"]);
    let second = case.start_another();
    case.apply_json(&deployment("web", 2, json!([])));
    case.ready("web");
    let answer = second.get("/readyz").unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200"),
        "who stands by is ready: {answer}"
    );
    assert_eq!(second.reconciles(), Ok(0), "who stands by does nothing");
    let before = case.containers("web");

    let first = case.take_operator();
    case.kubectl(&["scale", "ddep/web", "--replicas=8"]);
    until("the first of the new containers", SOON, || {
        let count = case.containers("web").len();
        if count > 2 {
            Ok(())
        } else {
            Err(format!("{count} containers"))
        }
    });
    first.signal("STOP");
    until("the second operator to finish", TAKEOVER, || {
        let web = case.get("ddep/web")?;
        same(
            (
                &web["status"]["readyReplicas"],
                &web["status"]["observedGeneration"],
            ),
            (&json!(8), &web["metadata"]["generation"]),
        )
    });
    let after = case.containers("web");
    assert_eq!(after.len(), 8, "{after:?}");
    assert!(
        before.iter().all(|id| after.contains(id)),
        "those that ran run on"
    );

    first.signal("CONT");
    let said = first.end();
    assert!(said.contains("this operator no longer leads"), "{said}");
    assert_eq!(case.containers("web"), after, "it changed nothing");

    // Who is told to stop gives the lease back, and the next one need not wait.
    let third = case.start_another();
    second.stop();
    case.kubectl(&["scale", "ddep/web", "--replicas=1"]);
    until("the third operator", Duration::from_secs(20), || {
        same(case.containers("web").len(), 1)
    });
    third.stop();
}
