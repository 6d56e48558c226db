//! The history and the way back, with the verbs that people use and on a real engine.

use serde_json::{Value, json};

use crate::harness::{
    IMAGE, IMAGE_2, SOON,
    case::{Case, container, deployment, from_secret},
    same, until,
};

fn rollout(case: &Case, args: &[&str]) -> String {
    let said = case.supercargo(&[&["rollout"], args, &["-n", &case.ns]].concat(), b"");
    assert!(said.ok, "{args:?}: {}", said.err);
    said.out
}

/// Waits until the verb says that the rollout is done.
fn rolled_out(case: &Case) {
    let out = rollout(case, &["status", "web", "--timeout=120s"]);
    assert!(
        out.ends_with("deployment \"web\" successfully rolled out\n"),
        "{out}"
    );
}

/// Number and image of every entry, once they are these.
fn history(case: &Case, wanted: &[(i64, &str)]) {
    until("the history", SOON, || {
        let rows: Value = serde_json::from_str(&rollout(case, &["history", "web", "-o", "json"])).unwrap();
        let image = |row: &Value| row["template"]["spec"]["containers"][0]["image"].clone();
        let found: Vec<Value> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| json!([row["revision"], image(row)]))
            .collect();
        same(
            found,
            wanted
                .iter()
                .map(|(number, image)| json!([number, image]))
                .collect(),
        )
    });
}

pub fn undo() {
    let case = Case::start("undo", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let mut manifest = deployment("web", 2, json!([from_secret("PASSWORD", "db", "password")]));
    manifest["metadata"]["annotations"] = json!({ "kubernetes.io/change-cause": "the first image" });
    case.apply_json(&manifest);
    rolled_out(&case);
    history(&case, &[(1, IMAGE)]);
    container(&mut manifest)["image"] = json!(IMAGE_2);
    manifest["metadata"]["annotations"] = json!({ "kubernetes.io/change-cause": "the second image" });
    case.apply_json(&manifest);
    rolled_out(&case);
    history(&case, &[(1, IMAGE), (2, IMAGE_2)]);
    let table = rollout(&case, &["history", "web"]);
    assert!(
        table.ends_with("1          the first image\n2          the second image\n"),
        "{table}"
    );
    let table = case.kubectl(&["get", "controllerrevisions"]);
    assert_eq!(
        table.matches("dockerdeployment.supercargo.dev/web").count(),
        2,
        "{table}"
    );
    assert!(!table.contains("REVISIONS"), "{table}");

    // A broken image: what ran goes on, and after the way back it is still the same.
    let before = case.containers("web");
    let mut broken = manifest.clone();
    container(&mut broken)["image"] = json!("supercargo-test/no-such-image:1");
    container(&mut broken)["imagePullPolicy"] = json!("Never");
    case.apply_json(&broken);
    let said = case.supercargo(&["rollout", "status", "web", "--timeout=3s", "-n", &case.ns], b"");
    assert!(
        !said.ok && said.err.contains("was not rolled out within"),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(
        rollout(&case, &["undo", "web"]),
        "dockerdeployment.supercargo.dev/web rolled back\n"
    );
    rolled_out(&case);
    let mut after = case.containers("web");
    let mut expected = before;
    after.sort();
    expected.sort();
    assert_eq!(after, expected);
    history(
        &case,
        &[(1, IMAGE), (3, "supercargo-test/no-such-image:1"), (4, IMAGE_2)],
    );

    // Back to a revision by its number, and then there is nothing to do.
    rollout(&case, &["undo", "ddep/web", "--to-revision=1"]);
    rolled_out(&case);
    case.all_have("web", 2, "PASSWORD", &value);
    let images = case
        .containers("web")
        .iter()
        .map(|id| case.inspect(id).unwrap()["Config"]["Image"].clone())
        .collect::<Vec<_>>();
    assert_eq!(images, [json!(IMAGE), json!(IMAGE)]);
    history(
        &case,
        &[(3, "supercargo-test/no-such-image:1"), (4, IMAGE_2), (5, IMAGE)],
    );
    assert_eq!(
        rollout(&case, &["undo", "web", "--to-revision=5"]),
        "dockerdeployment.supercargo.dev/web skipped rollback (current template already matches revision 5)\n"
    );

    // A restart makes every container anew and is no history.
    let before = case.containers("web");
    rollout(&case, &["restart", "web"]);
    rolled_out(&case);
    assert!(case.containers("web").iter().all(|id| !before.contains(id)));
    history(
        &case,
        &[(3, "supercargo-test/no-such-image:1"), (4, IMAGE_2), (5, IMAGE)],
    );

    // The history goes with its deployment.
    case.kubectl(&["delete", "ddep", "web"]);
    until("the history to be gone", SOON, || {
        same(
            case.kubectl(&["get", "controllerrevisions", "-o", "name"]),
            String::new(),
        )
    });
    case.finish();
}
