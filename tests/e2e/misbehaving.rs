//! Programs that behave badly on a real engine: one that ends at once, one that will not end, one that leaves children, one
//! that writes until nothing is left, and one that gets ready late and then by turns.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{
    IMAGE, IMAGE_2, SOON,
    case::{Case, container, deployment},
    same, socket, until,
};

fn shell(line: &str) -> Value {
    let mut manifest = deployment("web", 1, json!([]));
    container(&mut manifest)["command"] = json!(["sh", "-c", line]);
    manifest
}

fn instance(case: &Case) -> Result<Value, String> {
    Ok(case.get("ddep/web")?["status"]["instances"][0].clone())
}

fn moment(text: &Value) -> Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

/// At once, then after ten seconds: no hot loop, and the status says what became of it.
pub fn ends_at_once() {
    let case = Case::start("ends", &[]);
    let mark = case.proxy.mark();
    case.apply_json(&shell("exit 3"));
    let message = case.not_ready("web", "BackOff");
    assert!(message.contains("exit code 3"), "{message}");
    let id = case.one("web");
    let state = |restarts: u32| {
        until(&format!("{restarts} restarts"), SOON, || {
            same(instance(&case)?["restarts"].clone(), json!(restarts))?;
            let state = case.inspect(&id)?["State"].clone();
            same(state["Running"].clone(), json!(false)).map(|()| state)
        })
    };
    let (second, third) = (state(1), state(2));
    let pause = moment(&third["StartedAt"]).duration_since(moment(&second["FinishedAt"]));
    assert!(pause.as_secs() >= 10, "{pause:?}");
    let starts = case.proxy.mutations(mark);
    let starts = starts
        .iter()
        .filter(|line| line.contains(&format!("{id}/start")))
        .count();
    assert_eq!(starts, 3, "one for each run");
    assert_eq!(instance(&case).unwrap()["lastExit"]["code"], json!(3));
    case.finish();
}

pub fn ignores_sigterm() {
    let case = Case::start("ignores", &[]);
    let mut manifest = shell("trap '' TERM; while :; do sleep 1; done");
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(2);
    case.apply_json(&manifest);
    case.ready("web");
    let old = case.one("web");
    let told = case.dir.join("events");
    let mut events = Command::new("docker");
    events.env("DOCKER_HOST", format!("unix://{}", socket().display()));
    events.args(["events", "--filter", &format!("container={old}"), "--format"]);
    events.arg("{{.Action}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.exitCode}} {{.TimeNano}}");
    // It begins to listen a moment later, and is told what was then.
    events
        .args(["--since", "10m"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut events = events.stdout(File::create(&told).unwrap()).spawn().unwrap();
    let said = || std::fs::read_to_string(&told).unwrap();
    container(&mut manifest)["image"] = json!(IMAGE_2);
    case.apply_json(&manifest);
    let at = until("the old one's end", SOON, || {
        let find = |start: &str| {
            let all = said();
            let line = all.lines().find(|line| line.starts_with(start))?.to_owned();
            line.rsplit(' ').next()?.parse::<i128>().ok()
        };
        let [asked, killed, died] = ["kill 15 ", "kill 9 ", "die "].map(|start| find(start).ok_or_else(said));
        Ok::<_, String>([asked?, killed?, died?])
    });
    let _ = events.kill();
    let _ = events.wait();
    assert!(said().contains(" 137 "), "{}", said());
    assert!(at[1] - at[0] >= 2_000_000_000, "it has its grace: {}", said());
    case.ready("web");
    until("the new one to be alone", SOON, || {
        same(case.containers("web").len(), 1)?;
        same(
            case.inspect(&case.one("web"))?["Config"]["Image"].clone(),
            json!(IMAGE_2),
        )
    });
    case.finish();
}

/// Children that hear no signal and have left their session go with their container.
pub fn forks() {
    let case = Case::start("forks", &[]);
    let mut manifest = shell(
        "trap 'exit 0' TERM; for n in 1 2 3; do (trap '' TERM HUP; setsid sleep 100000 &); done; \
         while :; do sleep 60 & wait; done",
    );
    case.apply_json(&manifest);
    case.ready("web");
    let old = case.one("web");
    let processes = |id: &str| {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter(|one| {
            let groups = std::fs::read_to_string(one.path().join("cgroup"));
            groups.is_ok_and(|groups| groups.contains(id))
        })
        .count()
    };
    until("its children", SOON, || same(processes(&old) >= 5, true));
    container(&mut manifest)["image"] = json!(IMAGE_2);
    case.apply_json(&manifest);
    case.ready("web");
    until("all of it to be gone", SOON, || {
        same(case.containers("web").contains(&old), false)?;
        same(processes(&old), 0)
    });
    // Its first process alone dies: the others go with it, and all come anew.
    let new = case.one("web");
    until("its children", SOON, || same(processes(&new) >= 5, true));
    let pid = case.inspect(&new).unwrap()["State"]["Pid"].to_string();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
    until("another run", SOON, || {
        same(instance(&case)?["restarts"].clone(), json!(1))?;
        same(case.inspect(&new)?["State"]["Running"].clone(), json!(true))
    });
    until("no child too many", SOON, || {
        same((5..=6).contains(&processes(&new)), true)
    });
    case.finish();
}

/// It fills what it was given and no more; whoever is beside it is unharmed, and the way back is an edit.
pub fn fills_its_disk() {
    let case = Case::start("fills", &[]);
    let mut manifest = shell("dd if=/dev/zero of=/scratch/all bs=64k || exit 28; exit 0");
    let pod = &mut manifest["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]);
    container(&mut manifest)["volumeMounts"] = json!([{"name": "scratch", "mountPath": "/scratch"}]);
    case.apply_json(&manifest);
    let message = case.not_ready("web", "BackOff");
    assert!(message.contains("exit code 28"), "{message}");
    assert_eq!(instance(&case).unwrap()["lastExit"]["code"], json!(28));
    case.apply_json(&deployment("beside", 1, json!([])));
    case.ready("beside");
    // One that stays when nothing is left is full, and runs.
    container(&mut manifest)["command"] = json!([
        "sh",
        "-c",
        "trap 'exit 0' TERM; dd if=/dev/zero of=/scratch/all bs=64k; while :; do sleep 60 & wait; done"
    ]);
    case.apply_json(&manifest);
    case.ready("web");
    let id = case.one("web");
    until("it to be full", SOON, || {
        same(case.exec(&id, "stat -c %s /scratch/all")?, (1 << 20).to_string())
    });
    case.settle();
    case.finish();
}

/// The startup probe holds the others back; a readiness that goes and comes takes a name away and gives it again, at its
/// threshold, and restarts nobody.
pub fn late_and_flapping() {
    let case = Case::start("flaps", &[]);
    let mut manifest = deployment("web", 2, json!([]));
    let one = container(&mut manifest);
    one["image"] = json!(IMAGE);
    one["command"] = json!([
        "sh",
        "-c",
        "trap 'exit 0' TERM; sleep 3; echo fine > /www/index.html; httpd -p 8080 -h /www; while :; do sleep 60 & wait; done"
    ]);
    let page = json!({ "port": 8080, "path": "/index.html" });
    one["startupProbe"] =
        json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1, "failureThreshold": 60 });
    one["livenessProbe"] =
        json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1, "failureThreshold": 1 });
    one["readinessProbe"] = json!({ "httpGet": page, "periodSeconds": 1, "failureThreshold": 2 });
    case.apply_json(&manifest);
    case.ready("web");
    let ids = case.containers("web");
    let started = || {
        ids.iter()
            .map(|id| case.inspect(id).unwrap()["State"]["StartedAt"].clone())
    };
    let before: Vec<Value> = started().collect();
    let mark = case.proxy.mark();
    let address = case.exec(&ids[0], "hostname -i").unwrap();
    let is_named = |wanted: bool| {
        let found = case.exec(&ids[1], "timeout 2 nslookup web | grep -A9 Name: | grep Address")?;
        same(found.contains(&address), wanted)
    };
    until("its name", SOON, || is_named(true));
    for _ in 0..3 {
        for (line, ready) in [
            ("mv /www/index.html /www/away", 1),
            ("mv /www/away /www/index.html", 2),
        ] {
            case.exec(&ids[0], line).unwrap();
            until(&format!("{ready} to be ready"), SOON, || {
                same(
                    case.get("ddep/web")?["status"]["readyReplicas"].clone(),
                    json!(ready),
                )?;
                is_named(ready == 2)
            });
        }
    }
    case.ready("web");
    assert_eq!(started().collect::<Vec<_>>(), before, "the same runs");
    assert_eq!(case.proxy.mutations(mark), Vec::<String>::new());
    let status = case.get("ddep/web").unwrap()["status"].clone();
    for one in status["instances"].as_array().unwrap() {
        assert_eq!(one["restarts"], json!(0), "{status}");
    }
    assert!(case.event("Unhealthy").contains("readiness probe"));
    case.finish();
}
