//! The tables of the three probes, which are the same objects in three places.
//! Owns the decision on each of their fields. Read by `tables.rs` only.

use super::Literal::Text as IsText;
use super::Shape::{Object, Text};
use super::Treatment::{Only, Refused, Used};
use super::{Field, Table, f};

const PROBE: &[Field] = &[
    f("exec", Used),
    f("failureThreshold", Used),
    f("httpGet", Used),
    f("initialDelaySeconds", Used),
    f("periodSeconds", Used),
    f("successThreshold", Used),
    f("tcpSocket", Used),
    f("terminationGracePeriodSeconds", Used),
    f("timeoutSeconds", Used),
    f("grpc", Refused(Object, "use httpGet, tcpSocket or exec")),
];
const OWN_ADDRESS: &str = "a probe goes to the instance's own address; set the header Host instead";
const HTTP_GET: &[Field] = &[
    f("httpHeaders", Used),
    f("path", Used),
    f("port", Used),
    f("scheme", Used),
    f("host", Only(Text, &[IsText("")], OWN_ADDRESS)),
    f("protocol", Refused(Text, "HTTP/1.1 is spoken: remove it")),
];
const HTTP_HEADER: &[Field] = &[f("name", Used), f("value", Used)];
const TCP_SOCKET: &[Field] = &[
    f("port", Used),
    f(
        "host",
        Only(
            Text,
            &[IsText("")],
            "a probe goes to the instance's own address: remove it",
        ),
    ),
];
const EXEC: &[Field] = &[f("command", Used)];

const fn table(at: &'static str, definition: &'static str, fields: &'static [Field]) -> Table {
    Table {
        at,
        definition,
        fields,
    }
}

/// The five objects of one probe, parents before children.
macro_rules! probe {
    ($name:literal) => {
        [
            table(
                concat!("spec.template.spec.containers[].", $name),
                "io.k8s.api.core.v1.Probe",
                PROBE,
            ),
            table(
                concat!("spec.template.spec.containers[].", $name, ".httpGet"),
                "io.k8s.api.core.v1.HTTPGetAction",
                HTTP_GET,
            ),
            table(
                concat!(
                    "spec.template.spec.containers[].",
                    $name,
                    ".httpGet.httpHeaders[]"
                ),
                "io.k8s.api.core.v1.HTTPHeader",
                HTTP_HEADER,
            ),
            table(
                concat!("spec.template.spec.containers[].", $name, ".tcpSocket"),
                "io.k8s.api.core.v1.TCPSocketAction",
                TCP_SOCKET,
            ),
            table(
                concat!("spec.template.spec.containers[].", $name, ".exec"),
                "io.k8s.api.core.v1.ExecAction",
                EXEC,
            ),
        ]
    };
}

pub(super) const STARTUP: [Table; 5] = probe!("startupProbe");
pub(super) const READINESS: [Table; 5] = probe!("readinessProbe");
pub(super) const LIVENESS: [Table; 5] = probe!("livenessProbe");
