//! Rollouts under a plain client: it looks the deployment's name up for every request, takes the first address, and never
//! tries again. Twenty good rollouts, a broken one, and the death of the namespace's agent.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    IMAGE, SOON,
    case::{Case, container, deployment},
    docker_ok, same, until,
};

/// Serves a page over HTTP, and ends on the signal.
const SERVE: &str = "trap 'exit 0' TERM; echo fine > /www/index.html; httpd -p 8080 -h /www; while :; do sleep 1 & wait $!; done";
/// Asks and counts; a line for each failure, and one for every hundred.
const HAMMER: &str = "trap 'exit 0' TERM; n=0; f=0; while :; do n=$((n+1)); \
     timeout 5 wget -q -O /tmp/page http://TARGET/index.html 2>/tmp/why || { f=$((f+1)); echo \"FAILED $n $(cat /tmp/why)\"; }; \
     [ $((n%50)) = 0 ] && echo \"asked $n failed $f\"; done";

fn server(replicas: u32) -> Value {
    let mut manifest = deployment("web", replicas, json!([]));
    let one = container(&mut manifest);
    one["image"] = json!(IMAGE);
    one["command"] = json!(["sh", "-c", SERVE]);
    one["readinessProbe"] = json!({ "httpGet": { "port": 8080, "path": "/index.html" }, "periodSeconds": 1 });
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(5);
    manifest["spec"]["progressDeadlineSeconds"] = json!(8);
    manifest
}

fn client(name: &str, target: &str) -> Value {
    let mut manifest = deployment(name, 1, json!([]));
    let one = container(&mut manifest);
    one["image"] = json!(IMAGE);
    one["command"] = json!(["sh", "-c", HAMMER.replace("TARGET", target)]);
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    manifest
}

/// What a client has counted: how many it asked for, and the lines of those that failed.
fn counted(case: &Case, name: &str) -> (u64, Vec<String>) {
    let log = docker_ok(&["logs", &case.one(name)]);
    let asked = log
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("asked ")?.split(' ').next()?.parse().ok());
    let failed = log.lines().filter(|line| line.starts_with("FAILED"));
    (asked.unwrap_or_default(), failed.map(str::to_owned).collect())
}

/// Waits until the client has gone on, so that what came before is counted.
fn goes_on(case: &Case, name: &str) {
    let (before, _) = counted(case, name);
    until("the client to go on", SOON, || {
        let (now, _) = counted(case, name);
        if now > before {
            Ok(())
        } else {
            Err(format!("it asked {now} times"))
        }
    });
}

fn roll(case: &Case, number: usize) {
    let labels =
        json!({ "spec": { "template": { "metadata": { "labels": { "round": number.to_string() } } } } });
    case.kubectl(&["patch", "ddep/web", "--type=merge", "-p", &labels.to_string()]);
    until("the rollout to end", SOON, || {
        let (status, reason, message) = case.condition("web", "Ready")?;
        same((status.as_str(), reason.as_str()), ("True", "RolloutComplete")).map_err(|_| message)
    });
}

pub fn hammered() {
    let case = Case::start("hammer", &[]);
    case.apply_json(&server(2));
    case.ready("web");
    case.apply_json(&client("client", "web:8080"));
    case.ready("client");
    goes_on(&case, "client");
    let begun = Instant::now();
    for number in 1..=20 {
        roll(&case, number);
    }
    let took = begun.elapsed();
    goes_on(&case, "client");
    let (asked, failed) = counted(&case, "client");
    assert_eq!(failed, Vec::<String>::new(), "of {asked} requests in 20 rollouts");
    println!(
        "hammer: {asked} requests, none failed, 20 rollouts of 2 replicas in {:.1} s",
        took.as_secs_f32()
    );

    // A version that runs and is never ready: the old one keeps serving, and nothing of it ends.
    let old = case.containers("web");
    let mut broken = server(2);
    container(&mut broken)["readinessProbe"]["httpGet"]["path"] = json!("/nothing");
    case.apply_json(&broken);
    let message = until("the deadline to pass", SOON, || {
        let (status, reason, message) = case.condition("web", "Stalled")?;
        same(
            (status.as_str(), reason.as_str()),
            ("True", "ProgressDeadlineExceeded"),
        )
        .map(|()| message)
    });
    assert!(message.contains("answered 404"), "{message}");
    case.event("ProgressDeadlineExceeded");
    assert!(case.event("Unhealthy").contains("readiness probe"));
    for id in &old {
        same(case.inspect(id).unwrap()["State"]["Running"].clone(), json!(true)).unwrap();
    }
    // One that ends at once: the same.
    let mut ends = server(2);
    container(&mut ends)["command"] = json!(["sh", "-c", "exit 3"]);
    case.apply_json(&ends);
    case.not_ready("web", "BackOff");
    goes_on(&case, "client");
    for id in &old {
        same(case.inspect(id).unwrap()["State"]["Running"].clone(), json!(true)).unwrap();
    }
    case.apply_json(&server(2));
    case.ready("web");
    // Fewer replicas is a change as well.
    case.kubectl(&["scale", "ddep/web", "--replicas=1"]);
    until("one to be left", SOON, || same(case.containers("web").len(), 1));
    case.ready("web");
    goes_on(&case, "client");
    let (asked, failed) = counted(&case, "client");
    assert_eq!(failed, Vec::<String>::new(), "of {asked} requests");
    case.finish();
}

/// Whoever holds an address goes on while the agent is killed, and the name comes back by itself.
pub fn agent_killed() {
    let case = Case::start("agent", &[]);
    case.apply_json(&server(1));
    case.ready("web");
    let web = case.one("web");
    let address = case.exec(&web, "hostname -i").unwrap();
    case.apply_json(&client("holder", &format!("{address}:8080")));
    case.apply_json(&client("namer", "web:8080"));
    case.ready("holder");
    case.ready("namer");
    goes_on(&case, "holder");
    goes_on(&case, "namer");
    let agent = || {
        let found = case.labelled("ps", &["supercargo.dev/agent"]);
        same(found.len(), 1).map(|()| found[0].clone())
    };
    let first = agent().unwrap();
    // Killed by hand, which no restart policy mends; then taken away; then its process dies.
    for round in ["kill", "rm", "die"] {
        let id = agent().unwrap();
        let began = case.inspect(&id).unwrap()["State"]["StartedAt"].clone();
        match round {
            "kill" => _ = docker_ok(&["kill", &id]),
            "rm" => _ = docker_ok(&["rm", "-f", &id]),
            _ => {
                let pid = case.inspect(&id).unwrap()["State"]["Pid"].to_string();
                let killed = std::process::Command::new("kill").args(["-9", &pid]).status();
                assert!(killed.unwrap().success());
            }
        }
        until("another agent to run", SOON, || {
            let seen = case.inspect(&agent()?)?["State"].clone();
            same(seen["Running"].clone(), json!(true))?;
            if seen["StartedAt"] == began {
                Err("not started yet".to_owned())
            } else {
                Ok(())
            }
        });
        until("the name to be answered again", Duration::from_secs(30), || {
            let holder = case.one("holder");
            let found = case.exec(&holder, "timeout 2 nslookup web | grep -A9 Name: | grep Address")?;
            same(found.contains(&address), true)
        });
        goes_on(&case, "holder");
        goes_on(&case, "namer");
    }
    assert_ne!(agent().unwrap(), first, "the one that was removed is another now");
    let (asked, failed) = counted(&case, "holder");
    assert_eq!(failed, Vec::<String>::new(), "of {asked} requests by address");
    let (asked, failed) = counted(&case, "namer");
    println!(
        "agent: of {asked} requests by name {} failed while it was killed three times",
        failed.len()
    );
    // It was ready before, and it was so all the time.
    same(
        case.get("ddep/web").unwrap()["status"]["ready"].clone(),
        json!("1/1"),
    )
    .unwrap();
    assert_eq!(case.one("web"), web);
    case.finish();
}
