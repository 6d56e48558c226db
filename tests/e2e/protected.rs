//! Variables that no inspection shows, on a real engine: images of every shape start through our program as they would alone,
//! and the values are in the process and nowhere else.

use serde_json::{Value, json};

use crate::harness::{
    IMAGE, SOON,
    case::{Case, container, deployment, from_secret},
    docker, docker_ok, same, until,
};

/// What stands before a command that is to get the variables.
const THROUGH: [&str; 3] = ["/run/supercargo/bin/supercargo", "run", "--"];

/// Images of this case alone, which go with it.
struct Images(Vec<String>);

impl Drop for Images {
    fn drop(&mut self) {
        for image in &self.0 {
            let _ = docker(&["rmi", "-f", image]);
        }
    }
}

impl Images {
    /// The test image with other words of a Dockerfile.
    fn changed(&mut self, case: &Case, name: &str, changes: &[&str]) -> String {
        let image = format!("supercargo-test/{name}:{}", case.ns);
        let from = docker_ok(&["create", IMAGE, "true"]);
        let mut args = vec!["commit"];
        changes
            .iter()
            .for_each(|change| args.extend(["--change", change]));
        args.extend([from.trim(), &image]);
        docker_ok(&args);
        docker_ok(&["rm", from.trim()]);
        self.0.push(image.clone());
        image
    }

    /// Nothing but two programs, under names of their own: no shell, no list of users.
    fn bare(&mut self, case: &Case) -> String {
        let image = format!("supercargo-test/bare:{}", case.ns);
        let root = case.dir.join("bare/bin");
        std::fs::create_dir_all(&root).unwrap();
        let from = docker_ok(&["create", IMAGE, "true"]);
        let tail = root.join("tail").display().to_string();
        docker_ok(&["cp", &format!("{}:/bin/busybox", from.trim()), &tail]);
        docker_ok(&["rm", from.trim()]);
        std::fs::copy(&tail, root.join("env")).unwrap();
        let tar = case.dir.join("bare.tar").display().to_string();
        let directory = case.dir.join("bare").display().to_string();
        let made = std::process::Command::new("tar")
            .args(["-C", &directory, "-cf", &tar, "bin"])
            .status();
        assert!(made.unwrap().success());
        docker_ok(&[
            "import",
            "--change",
            "ENTRYPOINT [\"tail\"]",
            "--change",
            "CMD [\"-f\", \"/dev/null\"]",
            &tar,
            &image,
        ]);
        self.0.push(image.clone());
        image
    }
}

/// A deployment of this image, as the image itself says.
fn as_is(name: &str, image: &str) -> Value {
    let mut manifest = deployment(name, 1, json!([from_secret("PASSWORD", "db", "password")]));
    manifest["spec"]["secretEnv"] = json!("Protected");
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    let app = container(&mut manifest);
    app["image"] = json!(image);
    app.as_object_mut().unwrap().remove("command");
    manifest
}

fn with_command(name: &str, command: &[&str]) -> Value {
    let mut manifest = as_is(name, IMAGE);
    container(&mut manifest)["command"] = json!(command);
    manifest
}

/// Waits until the first process of the one container has the value, and answers which container that is.
fn has(case: &Case, name: &str, value: &str) -> String {
    until(&format!("{name} to have its variable"), SOON, || {
        let ids = case.containers(name);
        same(ids.len(), 1)?;
        // As its own user, and without a shell.
        let said = case.docker(&["exec", &ids[0], "tail", "-c", "+1", "/proc/1/environ"]);
        let wanted = format!("PASSWORD={value}");
        // Values are compared and never shown.
        same(said.out.split('\0').any(|variable| variable == wanted), true)?;
        Ok(ids[0].clone())
    })
}

fn command_of(case: &Case, id: &str) -> String {
    case.docker(&["exec", id, "tail", "-c", "+1", "/proc/1/cmdline"])
        .out
        .replace('\0', " ")
}

/// How the last run of a deployment's container ended.
fn ended_with(case: &Case, name: &str, code: i64) -> String {
    until(&format!("{name} to end with {code}"), SOON, || {
        let id = case.containers(name).into_iter().next().ok_or("none yet")?;
        same(case.inspect(&id)?["State"]["ExitCode"].as_i64(), Some(code))?;
        Ok(docker(&["logs", &id]).err)
    })
}

/// Images of every shape.
pub fn images() {
    let case = Case::start("protected", &[]);
    let mut images = Images(Vec::new());
    let value = case.file_value();
    case.secret("db", &[("password", &value)]);
    let entry = images.changed(
        &case,
        "entry",
        &["ENTRYPOINT [\"/bin/sleep\"]", "CMD [\"1000\"]", "USER app"],
    );
    let only = images.changed(&case, "only", &["CMD [\"sleep\", \"1001\"]"]);
    let bare = images.bare(&case);
    case.apply_json(&as_is("entry", &entry));
    case.apply_json(&as_is("only", &only));
    let mut args = as_is("args", &entry);
    container(&mut args)["args"] = json!(["1002"]);
    case.apply_json(&args);
    let mut alone = as_is("alone", &bare);
    container(&mut alone)["securityContext"] = json!({"runAsUser": 1234, "runAsGroup": 1234, "readOnlyRootFilesystem": true,
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    case.apply_json(&alone);
    for (name, command) in [
        ("entry", "/bin/sleep 1000"),
        ("only", "sleep 1001"),
        ("args", "/bin/sleep 1002"),
        ("alone", "tail -f /dev/null"),
    ] {
        case.ready(name);
        let id = has(&case, name, &value);
        assert_eq!(command_of(&case, &id).trim(), command, "{name}");
        assert!(
            !case.docker(&["inspect", &id]).out.contains("PASSWORD="),
            "{name}"
        );
    }
    let alone = case.one("alone");
    let through = |program: &[&str]| {
        let args = [&["exec", alone.as_str()], &THROUGH[..], program].concat();
        case.docker(&args)
    };
    let wrapped = through(&["env"]);
    assert!(
        wrapped.out.contains(&format!("PASSWORD={value}\n")),
        "wrapped, a command has it: {}",
        wrapped.err
    );
    let by_hand = case.docker(&["exec", &alone, "env"]);
    assert!(
        by_hand.ok && !by_hand.out.contains("PASSWORD="),
        "by hand it has not"
    );
    let (status, _, message) = case.condition("alone", "SecretsDelivered").unwrap();
    assert_eq!(status, "True", "{message}");
    let uses = case.get("ddep/alone").unwrap()["status"]["secrets"].clone();
    assert_eq!(
        (&uses[0]["form"], &uses[0]["loaded"]),
        (&json!("Env (protected)"), &json!(1))
    );
    case.finish();
}

/// The program is the process: its code, its signals, its directory, its probes; and what a change does.
pub fn process() {
    let case = Case::start("protected-process", &[]);
    let (first, second) = (case.file_value(), case.file_value());
    case.secret("db", &[("password", &first)]);
    let line = "pwd; id -u; trap 'echo told; exit 0' TERM; while :; do sleep 60 & wait; done";
    let mut web = with_command("web", &["sh", "-c", line]);
    container(&mut web)["securityContext"] = json!({"runAsUser": 1000, "readOnlyRootFilesystem": true});
    container(&mut web)["workingDir"] = json!("/home/app");
    container(&mut web)["readinessProbe"] = json!({"exec": {"command": ["sh", "-c", "test -n \"$PASSWORD\""]}, "periodSeconds": 1, "timeoutSeconds": 5});
    case.apply_json(&web);
    case.apply_json(&with_command("ends", &["sh", "-c", "exit 7"]));
    case.apply_json(&with_command("nowhere", &["nonesuch"]));
    case.ready("web");
    let id = has(&case, "web", &first);
    assert_eq!(docker(&["logs", &id]).out, "/home/app\n1000\n");
    let pinged = case.exec(
        &id,
        "touch /run/supercargo/bin/supercargo /run/supercargo/env/PASSWORD",
    );
    assert!(
        pinged.unwrap_err().contains("ead-only"),
        "nobody changes program or values"
    );
    docker_ok(&["kill", "-s", "TERM", &id]);
    until("the signal to arrive", SOON, || {
        same(docker(&["logs", &id]).out.contains("told"), true)
    });
    case.ready("web");
    ended_with(&case, "ends", 7);
    let words = ended_with(&case, "nowhere", 127);
    assert!(words.contains("supercargo: nonesuch was not found"), "{words}");
    case.kubectl(&["delete", "ddep", "ends", "nowhere"]);

    // Another value comes by a rolling update; the old container keeps what it had until it goes.
    case.secret("db", &[("password", &second)]);
    until("another container", SOON, || {
        same(case.containers("web").contains(&id), false)
    });
    let next = has(&case, "web", &second);
    case.ready("web");

    // Everything that is volatile goes while nobody is there.
    case.settle();
    case.take_operator().kill();
    let held = case.labelled("ps", &["supercargo.dev/holder=web"]);
    docker_ok(&["kill", &next, &held[0]]);
    docker_ok(&["start", &held[0]]);
    case.start_operator();
    assert_eq!(
        has(&case, "web", &second),
        next,
        "the same container, started again"
    );
    case.ready("web");
    case.kubectl(&["delete", "ddep", "web", "--timeout=90s"]);
    assert_eq!(
        case.labelled("volume ls", &[]),
        Vec::<String>::new(),
        "the program goes with the last who had it"
    );
    case.finish();
}
