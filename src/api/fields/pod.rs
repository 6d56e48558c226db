//! The tables of the three large objects: pod, container, volume.
//! Owns the decision on each of their fields; the smaller objects are in `tables.rs`.
//! Read by `tables.rs` only.

use super::Literal::{Bool as IsBool, Int as IsInt, Text as IsText};
use super::Shape::{Bool, Int, Map, Object, Objects, Quantities, Text};
use super::Treatment::{Ignored, Nested, Only, Ours, Refused, ToCome, Used};
use super::{Literal, Table, f};

pub(super) const FALSE: &[Literal] = &[IsBool(false)];
const TRUE: &[Literal] = &[IsBool(true)];
pub(super) const REMOVE: &str = "remove it";
const ONE_HOST: &str = "nothing is scheduled here, the Docker host is given: remove it";
pub(super) const NO_ACCOUNT: &str = "a Docker container gets no Kubernetes identity: remove it";
const KINDS: &str = "use secret, configMap, projected, emptyDir, dockerVolume or hostPath";

pub(super) const POD: Table = Table {
    at: "spec.template.spec",
    definition: "io.k8s.api.core.v1.PodSpec",
    fields: &[
        f("containers", Used),
        f("imagePullSecrets", Used),
        f("restartPolicy", Used),
        f("terminationGracePeriodSeconds", Used),
        f("volumes", Used),
        f("useHostCredentials", Ours),
        f("os", Nested),
        f("securityContext", Nested),
        f("enableServiceLinks", Ignored(Bool)),
        f("preemptionPolicy", Ignored(Text)),
        f("automountServiceAccountToken", Only(Bool, FALSE, NO_ACCOUNT)),
        f(
            "dnsPolicy",
            Only(
                Text,
                &[IsText("ClusterFirst")],
                "set it to ClusterFirst or remove it",
            ),
        ),
        f("hostIPC", Only(Bool, FALSE, REMOVE)),
        f(
            "hostNetwork",
            Only(Bool, FALSE, "publish ports with ports[].hostPort instead"),
        ),
        f("hostPID", Only(Bool, FALSE, REMOVE)),
        f("hostUsers", Only(Bool, TRUE, REMOVE)),
        f("priority", Only(Int, &[IsInt(0)], ONE_HOST)),
        f(
            "schedulerName",
            Only(Text, &[IsText("default-scheduler")], ONE_HOST),
        ),
        f("setHostnameAsFQDN", Only(Bool, FALSE, REMOVE)),
        f("shareProcessNamespace", Only(Bool, FALSE, REMOVE)),
        f("activeDeadlineSeconds", Refused(Int, REMOVE)),
        f("affinity", Refused(Object, ONE_HOST)),
        f("dnsConfig", Refused(Object, REMOVE)),
        f("ephemeralContainers", Refused(Objects, REMOVE)),
        f("evictionResponders", Refused(Objects, ONE_HOST)),
        f("hostAliases", Refused(Objects, REMOVE)),
        f("hostname", Refused(Text, REMOVE)),
        f("hostnameOverride", Refused(Text, REMOVE)),
        f(
            "initContainers",
            Refused(Objects, "one container is supported: remove them"),
        ),
        f("nodeName", Refused(Text, ONE_HOST)),
        f("nodeSelector", Refused(Map, ONE_HOST)),
        f("overhead", Refused(Quantities, ONE_HOST)),
        f("priorityClassName", Refused(Text, ONE_HOST)),
        f("readinessGates", Refused(Objects, REMOVE)),
        f("resourceClaims", Refused(Objects, REMOVE)),
        f(
            "resources",
            Refused(Object, "set limits in containers[].resources"),
        ),
        f("runtimeClassName", Refused(Text, REMOVE)),
        f("schedulingGates", Refused(Objects, ONE_HOST)),
        f("schedulingGroup", Refused(Object, ONE_HOST)),
        f("serviceAccount", Refused(Text, NO_ACCOUNT)),
        f("serviceAccountName", Refused(Text, NO_ACCOUNT)),
        f("subdomain", Refused(Text, REMOVE)),
        f("tolerations", Refused(Objects, ONE_HOST)),
        f("topologySpreadConstraints", Refused(Objects, ONE_HOST)),
        f("docker", ToCome(Object, REMOVE)),
    ],
};

pub(super) const CONTAINER: Table = Table {
    at: "spec.template.spec.containers[]",
    definition: "io.k8s.api.core.v1.Container",
    fields: &[
        f("args", Used),
        f("command", Used),
        f("env", Used),
        f("envFrom", Used),
        f("image", Used),
        f("imagePullPolicy", Used),
        f("livenessProbe", Used),
        f("name", Used),
        f("ports", Used),
        f("readinessProbe", Used),
        f("resources", Used),
        f("securityContext", Used),
        f("startupProbe", Used),
        f("volumeMounts", Used),
        f("workingDir", Used),
        f("terminationMessagePath", Ignored(Text)),
        f("terminationMessagePolicy", Ignored(Text)),
        f(
            "restartPolicy",
            Only(
                Text,
                &[IsText("Always")],
                "instances are always restarted: remove it",
            ),
        ),
        f("stdin", Only(Bool, FALSE, REMOVE)),
        f("stdinOnce", Only(Bool, FALSE, REMOVE)),
        f("tty", Only(Bool, FALSE, REMOVE)),
        f("lifecycle", Refused(Object, REMOVE)),
        f("resizePolicy", Refused(Objects, REMOVE)),
        f("restartPolicyRules", Refused(Objects, REMOVE)),
        f("volumeDevices", Refused(Objects, "use volumeMounts")),
    ],
};

pub(super) const VOLUME: Table = Table {
    at: "spec.template.spec.volumes[]",
    definition: "io.k8s.api.core.v1.Volume",
    fields: &[
        f("configMap", Used),
        f("emptyDir", Used),
        f("hostPath", Used),
        f("name", Used),
        f("projected", Used),
        f("secret", Used),
        f("dockerVolume", Ours),
        f("awsElasticBlockStore", Refused(Object, KINDS)),
        f("azureDisk", Refused(Object, KINDS)),
        f("azureFile", Refused(Object, KINDS)),
        f("cephfs", Refused(Object, KINDS)),
        f("cinder", Refused(Object, KINDS)),
        f("csi", Refused(Object, KINDS)),
        f("downwardAPI", Refused(Object, "use env[].valueFrom.fieldRef")),
        f("ephemeral", Refused(Object, KINDS)),
        f("fc", Refused(Object, KINDS)),
        f("flexVolume", Refused(Object, KINDS)),
        f("flocker", Refused(Object, KINDS)),
        f("gcePersistentDisk", Refused(Object, KINDS)),
        f("gitRepo", Refused(Object, KINDS)),
        f("glusterfs", Refused(Object, KINDS)),
        f("image", Refused(Object, KINDS)),
        f("iscsi", Refused(Object, KINDS)),
        f("nfs", Refused(Object, KINDS)),
        f(
            "persistentVolumeClaim",
            Refused(Object, "use dockerVolume, which outlives the instances"),
        ),
        f("photonPersistentDisk", Refused(Object, KINDS)),
        f("portworxVolume", Refused(Object, KINDS)),
        f("quobyte", Refused(Object, KINDS)),
        f("rbd", Refused(Object, KINDS)),
        f("scaleIO", Refused(Object, KINDS)),
        f("storageos", Refused(Object, KINDS)),
        f("vsphereVolume", Refused(Object, KINDS)),
    ],
};
