//! Manifests of Kubernetes as a whole: references mean core Secrets unless they are sealed, and what is refused is named.

use serde_json::json;

use super::super::Options;
use super::super::fixture::{Fake, options, run};
use super::super::report::Weight;

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  uid: 1
  managedFields: []
  annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2, deployment.kubernetes.io/revision: '3'}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      imagePullSecrets: [{name: registry}]
      containers:
      - name: web
        image: nginx:1.29
        lifecycle: {preStop: {exec: {command: [x]}}}
        env:
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}
        - {name: API_TOKEN, value: hunter2}
        envFrom: [{secretRef: {name: all}}]
      volumes:
      - {name: tls, secret: {secretName: db}}
      - {name: data, persistentVolumeClaim: {claimName: data}}
status: {replicas: 1}
";

#[test]
fn a_deployment_means_core_secrets_until_they_are_sealed() {
    let around = Fake::default();
    let all = run(WEB, &options(&around));
    assert_eq!(all.paths(Weight::Wrong), [""; 0], "{:#?}", all.report.notes());
    assert_eq!(
        all.paths(Weight::Unmapped),
        [
            "Deployment web spec.template.spec.containers[0].lifecycle",
            "Deployment web spec.template.spec.serviceAccountName"
        ]
    );
    let web = all.object("DockerDeployment", "web");
    assert_eq!(web["metadata"], json!({"name": "web", "namespace": "shop"}));
    assert!(web.get("status").is_none());
    let (pod, container) = (&web["spec"]["template"]["spec"], all.container("web"));
    assert_eq!(
        container["env"][0]["valueFrom"]["secretKeyRef"],
        json!({"name": "db", "key": "password", "kind": "Secret"})
    );
    assert_eq!(
        container["envFrom"][0]["secretRef"],
        json!({"name": "all", "kind": "Secret"})
    );
    assert_eq!(
        pod["imagePullSecrets"],
        json!([{"name": "registry", "kind": "Secret"}])
    );
    assert_eq!(
        pod["volumes"][0]["secret"],
        json!({"secretName": "db", "kind": "Secret"})
    );
    assert_eq!(
        pod["volumes"][1],
        json!({"name": "data", "dockerVolume": {"name": "data"}})
    );
    assert_eq!(all.paths(Weight::Plain), ["Deployment web env API_TOKEN"]);

    let sealed = ["db".to_owned()];
    let sealed = run(
        WEB,
        &Options {
            seal_env: true,
            sealed: &sealed,
            ..options(&around)
        },
    );
    let container = sealed.container("web");
    assert_eq!(
        container["env"][0]["valueFrom"]["secretKeyRef"],
        json!({"name": "db", "key": "password"})
    );
    assert_eq!(
        container["env"][1]["valueFrom"]["secretKeyRef"],
        json!({"name": "web-env", "key": "API_TOKEN"})
    );
    assert_eq!(container["envFrom"][0]["secretRef"]["kind"], "Secret");
    assert!(!format!("{:?} {:?}", sealed.objects, sealed.report.notes()).contains("hunter2"));
}

#[test]
fn other_kinds_pass_or_are_named_with_what_to_do() {
    let around = Fake::default();
    let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, uid: x}, data: {a: b}}\n\
                - {apiVersion: v1, kind: Service, metadata: {name: web}}\n- {apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {p: hunter2}}\n\
                - {apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: old}}\n- {apiVersion: supercargo.dev/v1alpha1, kind: DockerSecret, metadata: {name: o}, spec: {stringData: {p: hunter2}}}\n\
                - {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}}\n";
    let all = run(text, &options(&around));
    assert_eq!(
        all.object("ConfigMap", "c")["metadata"],
        json!({"name": "c", "namespace": "shop"})
    );
    assert_eq!(
        all.paths(Weight::Unmapped),
        ["Secret db", "SealedSecret old", "StatefulSet s"]
    );
    assert!(
        all.said("SealedSecret old")
            .contains("kubectl get secret old -o json | supercargo seal -f -")
    );
    assert!(all.said("Secret db").contains("--seal"));
    assert_eq!(all.paths(Weight::Differs), ["Service web", "DockerSecret o"]);
    assert!(!format!("{:?} {:?}", all.objects, all.report.notes()).contains("hunter2"));
}
