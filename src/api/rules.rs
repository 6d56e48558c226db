//! The CEL rules of the CRDs: what a schema alone cannot say about fields that are acted upon; those of volumes of files and
//! of `DockerSecret` are in files of their own. Owns expressions and messages; rules for refused fields follow from `fields.rs`, the same checks in Rust are in `validate.rs`.
//! Every list and string has a maximum, so that the API server's cost estimate accepts these. Read by `crd.rs`.

use super::fields::{Field, Literal, Shape, Treatment};

mod files;
mod secret;

pub(super) use files::FILE_RULES;
pub(super) use secret::{SECRET_RULES, SECRET_TABLES};

/// One CEL rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The object that `self` is, in the syntax of [`Table::at`].
    pub at: &'static str,
    /// The field that the error names, below `at`; empty for `at` itself.
    pub field: &'static str,
    /// The expression.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub message: &'static str,
}

const fn r(at: &'static str, field: &'static str, rule: &'static str, message: &'static str) -> Rule {
    Rule {
        at,
        field,
        rule,
        message,
    }
}

const POD: &str = "spec.template.spec";
const CONTAINER: &str = "spec.template.spec.containers[]";
const PORT: &str = "spec.template.spec.containers[].ports[]";
const MOUNT: &str = "spec.template.spec.containers[].volumeMounts[]";
const VOLUME: &str = "spec.template.spec.volumes[]";
const ENV: &str = "spec.template.spec.containers[].env[]";

const NAME: &str = "self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')";
const NAME_MESSAGE: &str =
    "name is not a DNS label: use lower-case letters, digits and - (not first or last)";

const RESOURCES: &str = "spec.template.spec.containers[].resources";
const LIMITS: &str = "!has(self.limits) || self.limits.all(k, isQuantity(string(self.limits[k])) && \
     quantity(string(self.limits[k])).isGreaterThan(quantity('0')))";
const REQUESTS: &str = "!has(self.requests) || self.requests.all(k, isQuantity(string(self.requests[k])) && \
     !quantity(string(self.requests[k])).isLessThan(quantity('0')))";
const QUANTITIES_MESSAGE: &str = "must be quantities: write positive numbers such as 2, 500m, 256Mi or 1Gi";
const PERCENT_MESSAGE: &str = "must be a number from 0, or a percentage such as 25%: write one of these";
const MOUNTS: &str = "self.containers.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, has(self.volumes) && \
     self.volumes.exists(v, v.name == m.name)))";

/// The rules of `DockerDeployment`.
pub(super) const DEPLOYMENT_RULES: &[Rule] = &[
    r(
        "spec",
        "selector",
        "!has(self.selector) || !has(self.selector.matchLabels) || self.selector.matchLabels.all(k, \
         has(self.template.metadata) && has(self.template.metadata.labels) && k in self.template.metadata.labels && \
         self.template.metadata.labels[k] == self.selector.matchLabels[k])",
        "must match spec.template.metadata.labels: correct one of them, or remove the selector",
    ),
    r(
        "spec",
        "progressDeadlineSeconds",
        "(has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 600) > \
         (has(self.minReadySeconds) ? self.minReadySeconds : 0)",
        "must be larger than minReadySeconds: raise it, 600 if absent",
    ),
    r(
        "spec.strategy",
        "rollingUpdate",
        "!has(self.rollingUpdate) || !has(self.type) || self.type != 'Recreate'",
        "must be absent when the strategy's type is Recreate: remove one of them",
    ),
    r(
        "spec.strategy.rollingUpdate",
        "",
        "!has(self.maxSurge) || !has(self.maxUnavailable) || !(string(self.maxSurge) in ['0', '0%']) || \
         !(string(self.maxUnavailable) in ['0', '0%'])",
        "maxSurge and maxUnavailable must not both be 0: nothing could be replaced, raise one of them",
    ),
    r(
        "spec.template.metadata",
        "labels",
        "!has(self.labels) || self.labels.all(k, !k.startsWith('supercargo.dev/'))",
        "keys under supercargo.dev/ are set by the operator only: use another prefix",
    ),
    r(
        "spec.template.metadata",
        "annotations",
        "!has(self.annotations) || self.annotations.all(k, k == 'supercargo.dev/restartedAt' || \
         !k.startsWith('supercargo.dev/'))",
        "keys under supercargo.dev/ are set by the operator only: use another prefix",
    ),
    r(
        POD,
        "containers",
        "size(self.containers) == 1",
        "must have exactly one entry, groups of containers are not supported yet: use one deployment for each",
    ),
    r(
        POD,
        "restartPolicy",
        "!has(self.restartPolicy) || self.restartPolicy == 'Always'",
        "only Always is supported: remove it",
    ),
    r(
        POD,
        "containers",
        MOUNTS,
        "a volumeMount names a volume that is not in spec.template.spec.volumes: add it there, or correct the name",
    ),
    r(CONTAINER, "name", NAME, NAME_MESSAGE),
    r(
        CONTAINER,
        "workingDir",
        "!has(self.workingDir) || self.workingDir == '' || self.workingDir.startsWith('/')",
        "is not an absolute path: start it with /",
    ),
    r(
        CONTAINER,
        "ports",
        "!has(self.ports) || self.ports.all(p, !has(p.hostPort) || self.ports.exists_one(q, has(q.hostPort) && \
         q.hostPort == p.hostPort && (has(q.protocol) ? q.protocol : 'TCP') == (has(p.protocol) ? p.protocol : 'TCP') && \
         (!has(q.hostIP) || !has(p.hostIP) || q.hostIP in [p.hostIP, '', '0.0.0.0', '::'] || \
         p.hostIP in ['', '0.0.0.0', '::'])))",
        "a hostPort is published twice: change or remove one",
    ),
    r(
        PORT,
        "hostIP",
        "!has(self.hostIP) || self.hostIP.matches('^[0-9a-fA-F.:]*$')",
        "is not an IP address: write one such as 127.0.0.1, or remove it",
    ),
    r(
        "spec.template.spec.containers[].resources",
        "limits",
        "!has(self.limits) || self.limits.all(k, k in ['cpu', 'memory'])",
        "only cpu and memory are supported: remove the others",
    ),
    r(RESOURCES, "limits", LIMITS, QUANTITIES_MESSAGE),
    r(RESOURCES, "requests", REQUESTS, QUANTITIES_MESSAGE),
    r(
        "spec.template.spec.volumes[].emptyDir",
        "sizeLimit",
        "!has(self.sizeLimit) || isQuantity(string(self.sizeLimit)) && quantity(string(self.sizeLimit)).isGreaterThan(quantity('0'))",
        QUANTITIES_MESSAGE,
    ),
    r(
        "spec.strategy.rollingUpdate",
        "maxSurge",
        "!has(self.maxSurge) || (type(self.maxSurge) == int ? self.maxSurge >= 0 : self.maxSurge.matches('^[0-9]{1,9}%$'))",
        PERCENT_MESSAGE,
    ),
    r(
        "spec.strategy.rollingUpdate",
        "maxUnavailable",
        "!has(self.maxUnavailable) || (type(self.maxUnavailable) == int ? self.maxUnavailable >= 0 : self.maxUnavailable.matches('^[0-9]{1,9}%$'))",
        PERCENT_MESSAGE,
    ),
    r(
        "spec.template.spec.containers[].securityContext",
        "runAsGroup",
        "!has(self.runAsGroup) || has(self.runAsUser)",
        "needs runAsUser: set both or neither",
    ),
    r(
        "spec.template.spec.containers[].securityContext",
        "allowPrivilegeEscalation",
        "!has(self.privileged) || !self.privileged || !has(self.allowPrivilegeEscalation) || self.allowPrivilegeEscalation",
        "cannot be false for a privileged container: remove one of them",
    ),
    r(
        MOUNT,
        "mountPath",
        "self.mountPath.startsWith('/')",
        "is not an absolute path: start it with /",
    ),
    r(
        MOUNT,
        "mountPath",
        "!self.mountPath.matches('^/+$|:|(^|/)[.][.](/|$)')",
        "is the root of the container, or contains : or ..: write a plain path below /",
    ),
    r(
        ENV,
        "name",
        "self.name.matches('^[ -<>-~]+$')",
        "is not the name of a variable: use printable ASCII without =",
    ),
    r(
        ENV,
        "valueFrom",
        "!has(self.valueFrom) || !has(self.value) || self.value == ''",
        "has both value and valueFrom: remove one",
    ),
    r(
        "spec.template.spec.containers[].env[].valueFrom.fieldRef",
        "fieldPath",
        "self.fieldPath in ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName'] || \
         self.fieldPath.matches('^metadata[.](labels|annotations)[[]\\'[^\\']+\\'[]]$')",
        "is not supported: use metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], \
         metadata.annotations['KEY'] or spec.nodeName",
    ),
    r(
        "spec.template.spec.containers[].env[].valueFrom.fieldRef",
        "apiVersion",
        "!has(self.apiVersion) || self.apiVersion in ['', 'v1']",
        "must be v1: remove it",
    ),
    r(
        "spec.template.spec.containers[].envFrom[]",
        "",
        "has(self.secretRef) != has(self.configMapRef)",
        "must have exactly one of secretRef and configMapRef",
    ),
    r(
        "spec.template.spec.containers[].envFrom[]",
        "prefix",
        "!has(self.prefix) || self.prefix.matches('^[ -<>-~]*$')",
        "cannot begin the name of a variable: use printable ASCII without =",
    ),
    r(VOLUME, "name", NAME, NAME_MESSAGE),
    r(
        "spec.template.spec.volumes[].dockerVolume",
        "name",
        NAME,
        NAME_MESSAGE,
    ),
    r(
        "spec.template.spec.volumes[].emptyDir",
        "medium",
        "!has(self.medium) || self.medium in ['', 'Memory']",
        "must be Memory, or empty for the disk: write one of these",
    ),
    r(
        "spec.template.spec.volumes[].emptyDir",
        "sizeLimit",
        "!has(self.sizeLimit) || has(self.medium) && self.medium == 'Memory'",
        "can only be enforced for medium Memory: set the medium or remove it",
    ),
    r(
        "spec.template.spec.volumes[].hostPath",
        "path",
        "self.path.startsWith('/') && !self.path.matches('(^|/)[.][.](/|$)')",
        "is not an absolute path without ..: start it with / and write the path that is meant",
    ),
    r(
        "spec.template.spec.volumes[].hostPath",
        "type",
        "!has(self.type) || self.type in ['', 'DirectoryOrCreate']",
        "only DirectoryOrCreate can be told to Docker: remove it, a path that does not exist is refused anyway",
    ),
];

/// The rules of one probe; the field that is named is the probe's.
macro_rules! probe_rules {
    ($at:literal, $threshold:literal) => {
        [
            r(
                $at,
                "",
                "[has(self.httpGet), has(self.tcpSocket), has(self.exec), has(self.grpc)].exists_one(present, present)",
                "must have exactly one of httpGet, tcpSocket and exec",
            ),
            r($at, "", $threshold, PROBE_MESSAGE),
            r(
                $at,
                "exec",
                "!has(self.exec) || has(self.exec.command) && size(self.exec.command) > 0 && self.exec.command[0] != ''",
                "has no command: write the command and its arguments",
            ),
            r(
                $at,
                "httpGet",
                "!has(self.httpGet) || type(self.httpGet.port) != int || self.httpGet.port >= 1 && self.httpGet.port <= 65535",
                PORT_MESSAGE,
            ),
            r(
                $at,
                "tcpSocket",
                "!has(self.tcpSocket) || type(self.tcpSocket.port) != int || self.tcpSocket.port >= 1 && self.tcpSocket.port <= 65535",
                PORT_MESSAGE,
            ),
        ]
    };
}
const PROBE_MESSAGE: &str = "successThreshold must be 1 for startup and liveness, and terminationGracePeriodSeconds has no \
     meaning for readiness: remove it";
const PORT_MESSAGE: &str = "the port must be from 1 to 65535, or the name of a port: correct it";

/// The rules of the three probes.
pub(super) const PROBE_RULES: [[Rule; 5]; 3] = [
    probe_rules!(
        "spec.template.spec.containers[].startupProbe",
        "!has(self.successThreshold) || self.successThreshold == 1"
    ),
    probe_rules!(
        "spec.template.spec.containers[].readinessProbe",
        "!has(self.terminationGracePeriodSeconds)"
    ),
    probe_rules!(
        "spec.template.spec.containers[].livenessProbe",
        "!has(self.successThreshold) || self.successThreshold == 1"
    ),
];

/// Objects of which exactly one field must be set: `at`, and the message. The fields are those of the table, so that a
/// refused kind gets its own message and not this one besides.
pub(super) const EXACTLY_ONE: &[(&str, &str)] = &[
    (
        VOLUME,
        "must have exactly one of secret, configMap, projected, emptyDir, dockerVolume and hostPath",
    ),
    (
        "spec.template.spec.containers[].env[].valueFrom",
        "must have exactly one of secretKeyRef, configMapKeyRef and fieldRef",
    ),
    (
        "spec.template.spec.volumes[].projected.sources[]",
        "must have exactly one of secret and configMap",
    ),
];

/// The expression that accepts what the table accepts; `None` if it accepts everything.
pub(super) fn acceptance(field: &Field) -> Option<String> {
    let name = field.name;
    match field.treatment {
        Treatment::Used | Treatment::Ours | Treatment::Nested | Treatment::Ignored(_) => None,
        Treatment::Only(_, accepted, _) => {
            let values: Vec<String> = accepted.iter().map(literal).collect();
            Some(format!(
                "!has(self.{name}) || self.{name} in [{}]",
                values.join(", ")
            ))
        }
        Treatment::Refused(shape, _) | Treatment::ToCome(shape, _) => Some(match shape {
            Shape::Bool | Shape::Int | Shape::Text | Shape::Object => format!("!has(self.{name})"),
            Shape::Objects | Shape::Texts | Shape::Ints | Shape::Map | Shape::Quantities => {
                format!("!has(self.{name}) || size(self.{name}) == 0")
            }
        }),
    }
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Text(value) => format!("'{value}'"),
    }
}
