//! The one table of every field of a Kubernetes Deployment: acted upon, harmless, or refused by name.
//! Owns what is said about each field; the schema, the CEL rules (`crd.rs`) and the walk over an object (`unsupported.rs`) follow it.
//! A test holds it complete against the schema of `apps/v1`: a field that Kubernetes gains breaks the build until it is decided here.

/// The fields of one object in the tree.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Where the object is: property names joined by `.`, `[]` after a list.
    pub at: &'static str,
    /// The Kubernetes definition that it mirrors; empty for an object of ours.
    pub definition: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// One field and what is done about it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// JSON name.
    pub name: &'static str,
    /// What is done about it.
    pub treatment: Treatment,
}

/// What is done about a field.
#[derive(Debug, Clone, Copy)]
pub enum Treatment {
    /// Acted upon; its schema comes from the Rust type.
    Used,
    /// Acted upon and not a field of Kubernetes; its schema comes from the Rust type.
    Ours,
    /// An object that has a table of its own and no Rust type, because nothing in it is acted upon.
    Nested,
    /// Accepted in any value, without effect.
    Ignored(Shape),
    /// Accepted in these values, which are what happens anyway; refused in any other.
    Only(Shape, &'static [Literal], &'static str),
    /// Refused; the text is the next step. An empty list or map is no use of the field and is accepted.
    Refused(Shape, &'static str),
    /// Refused like `Refused`, and not a field of Kubernetes but one of ours that is still to come.
    ToCome(Shape, &'static str),
}

/// The JSON form of a field that has no Rust type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A boolean.
    Bool,
    /// An integer.
    Int,
    /// A string.
    Text,
    /// An object of any content.
    Object,
    /// A list of objects.
    Objects,
    /// A list of strings.
    Texts,
    /// A list of integers.
    Ints,
    /// A map to strings.
    Map,
    /// A map to quantities.
    Quantities,
}

/// A value that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal {
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(&'static str),
    /// An integer.
    Int(i64),
}

use Literal::{Bool as IsBool, Int as IsInt, Text as IsText};
use Shape::{Bool, Int, Ints, Map, Object, Objects, Quantities, Text, Texts};
use Treatment::{Ignored, Nested, Only, Ours, Refused, ToCome, Used};

const FALSE: &[Literal] = &[IsBool(false)];
const TRUE: &[Literal] = &[IsBool(true)];
const EMPTY: &[Literal] = &[IsText("")];
const REMOVE: &str = "remove it";
const ONE_HOST: &str = "nothing is scheduled here, the Docker host is given: remove it";
const NO_ACCOUNT: &str = "a Docker container gets no Kubernetes identity: remove it";
const IN_CONTAINER: &str = "set it in containers[].securityContext";
const USER: &str = "set runAsUser to a number above 0 instead";
const CREATED: &str = "it belongs to objects that exist, not to a template: remove it";
const KINDS: &str = "use emptyDir, dockerVolume or hostPath";

const fn f(name: &'static str, treatment: Treatment) -> Field {
    Field { name, treatment }
}

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
            f("revisionHistoryLimit", Ignored(Int)),
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
        fields: &[f("name", Used), f("kind", Ours)],
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
    CONTAINER,
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
            f(
                "subPath",
                Only(
                    Text,
                    EMPTY,
                    "mount the whole volume, or use one volume for each path",
                ),
            ),
            f(
                "subPathExpr",
                Only(
                    Text,
                    EMPTY,
                    "mount the whole volume, or use one volume for each path",
                ),
            ),
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
            f("fileRef", ToCome(Object, "use valueFrom.secretKeyRef")),
        ],
    },
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

const POD: Table = Table {
    at: "spec.template.spec",
    definition: "io.k8s.api.core.v1.PodSpec",
    fields: &[
        f("containers", Used),
        f("imagePullSecrets", Used),
        f("restartPolicy", Used),
        f("terminationGracePeriodSeconds", Used),
        f("volumes", Used),
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

const CONTAINER: Table = Table {
    at: "spec.template.spec.containers[]",
    definition: "io.k8s.api.core.v1.Container",
    fields: &[
        f("args", Used),
        f("command", Used),
        f("env", Used),
        f("envFrom", Used),
        f("image", Used),
        f("imagePullPolicy", Used),
        f("name", Used),
        f("ports", Used),
        f("resources", Used),
        f("securityContext", Used),
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
        f("livenessProbe", Refused(Object, REMOVE)),
        f("readinessProbe", Refused(Object, REMOVE)),
        f("resizePolicy", Refused(Objects, REMOVE)),
        f("restartPolicyRules", Refused(Objects, REMOVE)),
        f("startupProbe", Refused(Object, REMOVE)),
        f("volumeDevices", Refused(Objects, "use volumeMounts")),
    ],
};

const VOLUME: Table = Table {
    at: "spec.template.spec.volumes[]",
    definition: "io.k8s.api.core.v1.Volume",
    fields: &[
        f("emptyDir", Used),
        f("hostPath", Used),
        f("name", Used),
        f("dockerVolume", Ours),
        f("awsElasticBlockStore", Refused(Object, KINDS)),
        f("azureDisk", Refused(Object, KINDS)),
        f("azureFile", Refused(Object, KINDS)),
        f("cephfs", Refused(Object, KINDS)),
        f("cinder", Refused(Object, KINDS)),
        f(
            "configMap",
            Refused(
                Object,
                "use env[].valueFrom.configMapKeyRef or envFrom[].configMapRef",
            ),
        ),
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
        f("projected", Refused(Object, "use env[].valueFrom.secretKeyRef")),
        f("quobyte", Refused(Object, KINDS)),
        f("rbd", Refused(Object, KINDS)),
        f("scaleIO", Refused(Object, KINDS)),
        f(
            "secret",
            Refused(Object, "use env[].valueFrom.secretKeyRef or envFrom[].secretRef"),
        ),
        f("storageos", Refused(Object, KINDS)),
        f("vsphereVolume", Refused(Object, KINDS)),
    ],
};

impl Table {
    /// The field of this name, if it is known.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// Whether the field is a map, which may be empty without being used.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(
            self.treatment,
            Refused(Map | Quantities, _) | ToCome(Map | Quantities, _)
        )
    }

    /// Why the field is refused, with the next step; `None` if it is accepted in every value.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let name = self.name;
        match self.treatment {
            Used | Ours | Nested | Ignored(_) => None,
            Only(_, accepted, next) => {
                let values: Vec<String> = accepted
                    .iter()
                    .map(Literal::to_string)
                    .filter(|value| value != "\"\"")
                    .collect();
                Some(match values.as_slice() {
                    [] => format!("{name} is not supported: {next}"),
                    values => format!("{name} is supported only as {}: {next}", values.join(" or ")),
                })
            }
            Refused(_, next) => Some(format!("{name} is not supported: {next}")),
            ToCome(_, next) => Some(format!("{name} is not supported yet: {next}")),
        }
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text("") => f.write_str("\"\""),
            Self::Text(value) => f.write_str(value),
        }
    }
}
