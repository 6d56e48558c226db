//! The list of all tables, with those of the smaller objects.
//! Owns the order (parents before children) and the decision on each field outside pod, container and volume (`pod.rs`).
//! Read by the schema, the CEL rules and the walk over an object.

use super::Literal::Text as IsText;
use super::Shape::{Bool, Int, Ints, Map, Object, Objects, Text, Texts};
use super::Treatment::{Ignored, Only, Ours, Refused, ToCome, Used};
use super::files::FILES;
use super::pod::{CONTAINER, FALSE, POD, REMOVE, VOLUME};
use super::probe::{LIVENESS, READINESS, STARTUP};
use super::{Literal, Table, f};

const EMPTY: &[Literal] = &[IsText("")];
const IN_CONTAINER: &str = "set it in containers[].securityContext";
const USER: &str = "set runAsUser to a number above 0 instead";
const WHOLE: &str = "a single file would never change with its secret: mount the whole volume, or use one volume for each path";
const CREATED: &str = "it belongs to objects that exist, not to a template: remove it";

/// Every table, parents before children.
pub const TABLES: &[Table] = &[
    Table {
        at: "spec",
        definition: "io.k8s.api.apps.v1.DeploymentSpec",
        fields: &[
            f("minReadySeconds", Used),
            f("paused", Used),
            f("progressDeadlineSeconds", Used),
            f("replicas", Used),
            f("revisionHistoryLimit", Used),
            f("selector", Used),
            f("strategy", Used),
            f("template", Used),
            f("secretEnv", Ours),
            f("hostName", ToCome(Text, REMOVE)),
            f("hostSelector", ToCome(Object, REMOVE)),
        ],
    },
    Table {
        at: "spec.selector",
        definition: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
        fields: &[f("matchExpressions", Used), f("matchLabels", Used)],
    },
    Table {
        at: "spec.selector.matchExpressions[]",
        definition: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
        fields: &[f("key", Used), f("operator", Used), f("values", Used)],
    },
    Table {
        at: "spec.strategy",
        definition: "io.k8s.api.apps.v1.DeploymentStrategy",
        fields: &[f("rollingUpdate", Used), f("type", Used)],
    },
    Table {
        at: "spec.strategy.rollingUpdate",
        definition: "io.k8s.api.apps.v1.RollingUpdateDeployment",
        fields: &[f("maxSurge", Used), f("maxUnavailable", Used)],
    },
    Table {
        at: "spec.template",
        definition: "io.k8s.api.core.v1.PodTemplateSpec",
        fields: &[f("metadata", Used), f("spec", Used)],
    },
    Table {
        at: "spec.template.metadata",
        definition: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
        fields: &[
            f("annotations", Used),
            f("labels", Used),
            f("creationTimestamp", Ignored(Text)),
            f("generateName", Ignored(Text)),
            f("name", Ignored(Text)),
            f("namespace", Ignored(Text)),
            f("deletionGracePeriodSeconds", Refused(Int, CREATED)),
            f("deletionTimestamp", Refused(Text, CREATED)),
            f("finalizers", Refused(Texts, CREATED)),
            f("generation", Refused(Int, CREATED)),
            f("managedFields", Refused(Objects, CREATED)),
            f("ownerReferences", Refused(Objects, CREATED)),
            f("resourceVersion", Refused(Text, CREATED)),
            f("selfLink", Refused(Text, CREATED)),
            f("uid", Refused(Text, CREATED)),
        ],
    },
    POD,
    Table {
        at: "spec.template.spec.os",
        definition: "io.k8s.api.core.v1.PodOS",
        fields: &[f(
            "name",
            Only(
                Text,
                &[IsText("linux")],
                "only linux is supported: set it to linux or remove it",
            ),
        )],
    },
    Table {
        at: "spec.template.spec.securityContext",
        definition: "io.k8s.api.core.v1.PodSecurityContext",
        fields: &[
            f("appArmorProfile", Refused(Object, REMOVE)),
            f(
                "fsGroup",
                Refused(Int, "prepare the owner of the volume instead and remove it"),
            ),
            f("fsGroupChangePolicy", Refused(Text, REMOVE)),
            f("runAsGroup", Refused(Int, IN_CONTAINER)),
            f("runAsNonRoot", Only(Bool, FALSE, USER)),
            f("runAsUser", Refused(Int, IN_CONTAINER)),
            f("seLinuxChangePolicy", Refused(Text, REMOVE)),
            f("seLinuxOptions", Refused(Object, REMOVE)),
            f(
                "seccompProfile",
                Refused(Object, "the engine's own profile applies: remove it"),
            ),
            f("supplementalGroups", Refused(Ints, REMOVE)),
            f("supplementalGroupsPolicy", Refused(Text, REMOVE)),
            f("sysctls", Refused(Objects, REMOVE)),
            f("windowsOptions", Refused(Object, REMOVE)),
        ],
    },
    Table {
        at: "spec.template.spec.imagePullSecrets[]",
        definition: "io.k8s.api.core.v1.LocalObjectReference",
        fields: &[f("name", Used), f("kind", Ours), f("namespace", Ours)],
    },
    VOLUME,
    Table {
        at: "spec.template.spec.volumes[].emptyDir",
        definition: "io.k8s.api.core.v1.EmptyDirVolumeSource",
        fields: &[
            f("medium", Used),
            f("sizeLimit", Used),
            f("mode", Refused(Int, REMOVE)),
        ],
    },
    Table {
        at: "spec.template.spec.volumes[].hostPath",
        definition: "io.k8s.api.core.v1.HostPathVolumeSource",
        fields: &[f("path", Used), f("type", Used)],
    },
    Table {
        at: "spec.template.spec.volumes[].dockerVolume",
        definition: "",
        fields: &[
            f("name", Ours),
            f("driver", ToCome(Text, REMOVE)),
            f("driverOpts", ToCome(Map, REMOVE)),
        ],
    },
    FILES[0],
    FILES[1],
    FILES[2],
    FILES[3],
    FILES[4],
    FILES[5],
    FILES[6],
    FILES[7],
    FILES[8],
    FILES[9],
    CONTAINER,
    STARTUP[0],
    STARTUP[1],
    STARTUP[2],
    STARTUP[3],
    STARTUP[4],
    READINESS[0],
    READINESS[1],
    READINESS[2],
    READINESS[3],
    READINESS[4],
    LIVENESS[0],
    LIVENESS[1],
    LIVENESS[2],
    LIVENESS[3],
    LIVENESS[4],
    Table {
        at: "spec.template.spec.containers[].ports[]",
        definition: "io.k8s.api.core.v1.ContainerPort",
        fields: &[
            f("containerPort", Used),
            f("hostIP", Used),
            f("hostPort", Used),
            f("name", Used),
            f("protocol", Used),
        ],
    },
    Table {
        at: "spec.template.spec.containers[].resources",
        definition: "io.k8s.api.core.v1.ResourceRequirements",
        fields: &[
            f("limits", Used),
            f("requests", Used),
            f("claims", Refused(Objects, REMOVE)),
        ],
    },
    Table {
        at: "spec.template.spec.containers[].volumeMounts[]",
        definition: "io.k8s.api.core.v1.VolumeMount",
        fields: &[
            f("mountPath", Used),
            f("name", Used),
            f("readOnly", Used),
            f("bindMountOptions", Refused(Texts, REMOVE)),
            f(
                "mountPropagation",
                Only(Text, &[IsText("None"), IsText("")], REMOVE),
            ),
            f(
                "recursiveReadOnly",
                Only(Text, &[IsText("Disabled"), IsText("")], REMOVE),
            ),
            f("subPath", Only(Text, EMPTY, WHOLE)),
            f("subPathExpr", Only(Text, EMPTY, WHOLE)),
        ],
    },
    Table {
        at: "spec.template.spec.containers[].securityContext",
        definition: "io.k8s.api.core.v1.SecurityContext",
        fields: &[
            f("allowPrivilegeEscalation", Used),
            f("capabilities", Used),
            f("privileged", Used),
            f("readOnlyRootFilesystem", Used),
            f("runAsGroup", Used),
            f("runAsUser", Used),
            f("appArmorProfile", Refused(Object, REMOVE)),
            f("procMount", Only(Text, &[IsText("Default"), IsText("")], REMOVE)),
            f("runAsNonRoot", Only(Bool, FALSE, USER)),
            f("seLinuxOptions", Refused(Object, REMOVE)),
            f(
                "seccompProfile",
                Refused(Object, "the engine's own profile applies: remove it"),
            ),
            f("windowsOptions", Refused(Object, REMOVE)),
        ],
    },
    Table {
        at: "spec.template.spec.containers[].securityContext.capabilities",
        definition: "io.k8s.api.core.v1.Capabilities",
        fields: &[f("add", Used), f("drop", Used)],
    },
    Table {
        at: "spec.template.spec.containers[].env[]",
        definition: "io.k8s.api.core.v1.EnvVar",
        fields: &[
            f("name", Used),
            f("value", Used),
            f("valueFrom", Used),
            f("fileRef", Ours),
        ],
    },
    FILES[10],
    Table {
        at: "spec.template.spec.containers[].env[].valueFrom",
        definition: "io.k8s.api.core.v1.EnvVarSource",
        fields: &[
            f("configMapKeyRef", Used),
            f("fieldRef", Used),
            f("secretKeyRef", Used),
            f(
                "fileKeyRef",
                Refused(Object, "use secretKeyRef, configMapKeyRef or fieldRef"),
            ),
            f(
                "resourceFieldRef",
                Refused(Object, "use secretKeyRef, configMapKeyRef or fieldRef"),
            ),
        ],
    },
    Table {
        at: "spec.template.spec.containers[].env[].valueFrom.configMapKeyRef",
        definition: "io.k8s.api.core.v1.ConfigMapKeySelector",
        fields: &[f("key", Used), f("name", Used), f("optional", Used)],
    },
    Table {
        at: "spec.template.spec.containers[].env[].valueFrom.fieldRef",
        definition: "io.k8s.api.core.v1.ObjectFieldSelector",
        fields: &[f("apiVersion", Used), f("fieldPath", Used)],
    },
    Table {
        at: "spec.template.spec.containers[].env[].valueFrom.secretKeyRef",
        definition: "io.k8s.api.core.v1.SecretKeySelector",
        fields: &[
            f("key", Used),
            f("name", Used),
            f("optional", Used),
            f("kind", Ours),
            f("namespace", Ours),
        ],
    },
    Table {
        at: "spec.template.spec.containers[].envFrom[]",
        definition: "io.k8s.api.core.v1.EnvFromSource",
        fields: &[f("configMapRef", Used), f("prefix", Used), f("secretRef", Used)],
    },
    Table {
        at: "spec.template.spec.containers[].envFrom[].configMapRef",
        definition: "io.k8s.api.core.v1.ConfigMapEnvSource",
        fields: &[f("name", Used), f("optional", Used)],
    },
    Table {
        at: "spec.template.spec.containers[].envFrom[].secretRef",
        definition: "io.k8s.api.core.v1.SecretEnvSource",
        fields: &[
            f("name", Used),
            f("optional", Used),
            f("kind", Ours),
            f("namespace", Ours),
        ],
    },
];
