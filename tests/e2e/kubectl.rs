//! kubectl, as people use it on any resource.

use serde_json::json;

use crate::harness::{
    Form, IMAGE, IMAGE_2, SOON,
    case::{Case, container, deployment, from_secret},
    form, run, same, until,
};

pub fn verbs() {
    let case = Case::start("verbs", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let mut manifest = deployment("web", 1, json!([from_secret("PASSWORD", "db", "password")]));
    let text = manifest.to_string();
    let said = case.try_kubectl(&["apply", "--server-side", "-f", "-"], &text);
    assert!(said.ok, "{}", said.err);
    case.ready("web");
    assert!(
        case.try_kubectl(&["diff", "--server-side", "-f", "-"], &text).ok,
        "nothing differs from what was applied"
    );

    let explained = case.kubectl(&[
        "explain",
        "ddep.spec.template.spec.containers.env.valueFrom.secretKeyRef",
    ]);
    assert!(explained.contains("Name of the secret"), "{explained}");
    assert!(
        case.kubectl(&["explain", "dsec.spec.encryptedData"])
            .contains("encryptedData")
    );
    let listed = case.kubectl(&["get", "ddep,dsec"]);
    assert!(
        listed.contains("READY")
            && listed.contains("1/1")
            && listed.contains("RolloutComplete")
            && listed.contains("dockersecret"),
        "{listed}"
    );
    assert!(
        case.kubectl(&["get", "all", "-o", "name"])
            .contains("dockerdeployment.supercargo.dev/web")
    );
    assert!(
        case.kubectl(&["get", "supercargo"])
            .contains("dockersecret.supercargo.dev/db")
    );
    assert!(
        case.kubectl(&["get", "ddep", "web", "-o", "wide"])
            .contains(IMAGE)
    );

    case.kubectl(&["scale", "ddep/web", "--replicas=3"]);
    case.ready("web");
    assert_eq!(case.containers("web").len(), 3);
    case.kubectl(&["scale", "ddep/web", "--replicas=0"]);
    until("no container", SOON, || same(case.containers("web").len(), 0));
    case.ready("web");
    case.kubectl(&["scale", "ddep/web", "--replicas=2"]);
    case.ready("web");

    // An edit rolls from one image to the other.
    let mut edit = case.kubectl_command();
    edit.args(["-n", &case.ns, "edit", "ddep/web"]);
    edit.env("KUBE_EDITOR", "sed -i s/busybox:1/busybox:2/");
    let said = run(&mut edit, b"");
    assert!(said.ok, "{}", said.err);
    case.ready("web");
    for id in case.containers("web") {
        assert_eq!(case.exec(&id, "cat /etc/version").unwrap(), "2");
    }
    let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": IMAGE}])
        .to_string();
    case.kubectl(&["patch", "ddep/web", "--type=json", "-p", &patch]);
    case.ready("web");
    for id in case.containers("web") {
        assert_eq!(case.exec(&id, "cat /etc/version").unwrap(), "1");
    }
    let merge =
        json!({"spec": {"template": {"metadata": {"annotations": {"supercargo.dev/restartedAt": "now"}}}}})
            .to_string();
    let before = case.containers("web");
    case.kubectl(&["patch", "ddep/web", "--type=merge", "-p", &merge]);
    case.ready("web");
    assert!(
        case.containers("web").iter().all(|id| !before.contains(id)),
        "a restart makes new containers"
    );

    container(&mut manifest)["image"] = json!(IMAGE_2);
    let diff = case.try_kubectl(
        &["diff", "--server-side", "--force-conflicts", "-f", "-"],
        &manifest.to_string(),
    );
    assert!(diff.out.contains("busybox:2"), "{}{}", diff.out, diff.err);
    let described = case.kubectl(&["describe", "ddep", "web"]);
    assert!(
        described.contains("Conditions:") && described.contains("Events:"),
        "{described}"
    );

    // Where nobody is asked before, the deletion begins and waits; `admission` has the other way.
    if form() == Form::Cluster {
        let said = case.try_kubectl(&["delete", "dsec", "db", "--wait=false"], "");
        assert!(said.ok, "{}", said.err);
        let object = case
            .get("dsec/db")
            .expect("a secret in use stays until nobody uses it");
        assert!(object["metadata"]["deletionTimestamp"].is_string());
    }
    case.kubectl(&["delete", "ddep", "web", "--timeout=60s"]);
    assert!(case.containers("web").is_empty());
    if form() == Form::Cluster {
        case.kubectl(&["wait", "dsec/db", "--for=delete", "--timeout=30s"]);
    }
    case.finish();
}

pub fn apps_v1() {
    let case = Case::start("apps", &[]);
    let apps = format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
  labels:
    app: hello
spec:
  replicas: 2
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      app: hello
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 25%
      maxUnavailable: 25%
  template:
    metadata:
      labels:
        app: hello
    spec:
      restartPolicy: Always
      terminationGracePeriodSeconds: 5
      containers:
      - name: hello
        image: {IMAGE}
        imagePullPolicy: IfNotPresent
        command: ["sh", "-c", "trap 'exit 0' TERM; httpd -p 8080 -h /www; while :; do sleep 60 & wait; done"]
        ports:
        - containerPort: 8080
          protocol: TCP
        env:
        - name: GREETING
          value: "hello, $(WHO)"
        resources:
          requests:
            cpu: 100m
            memory: 16Mi
          limits:
            cpu: 500m
            memory: 32Mi
"#
    );
    let ours = apps
        .replace("apiVersion: apps/v1", "apiVersion: supercargo.dev/v1alpha1")
        .replace("kind: Deployment", "kind: DockerDeployment");
    case.apply(&ours);
    case.ready("hello");
    assert_eq!(case.containers("hello").len(), 2);
    let refused = ours.replace(
        "      restartPolicy: Always\n",
        "      restartPolicy: Always\n      serviceAccountName: robot\n      affinity:\n        nodeAffinity: {}\n      securityContext:\n        runAsNonRoot: true\n",
    );
    let said = case.try_kubectl(
        &["apply", "-f", "-"],
        &refused.replace("name: hello\n  labels", "name: refused\n  labels"),
    );
    assert!(!said.ok, "unsupported fields are refused");
    for field in ["runAsNonRoot", "affinity", "serviceAccountName"] {
        assert!(said.err.contains(field), "{field} is not named: {}", said.err);
    }
    let wrong = ours
        .replace("containerPort: 8080", "containerPort: 80800")
        .replace("32Mi", "32Mib");
    let said = case.try_kubectl(&["apply", "-f", "-"], &wrong);
    assert!(
        !said.ok && said.err.contains("containerPort") && said.err.contains("limits"),
        "{}",
        said.err
    );
    let said = case.try_kubectl(
        &["apply", "-f", "-"],
        &ours.replace("replicas: 2", "replicas: 2\n  replica: 3"),
    );
    assert!(!said.ok && said.err.contains("replica"), "{}", said.err);
    case.finish();
}
