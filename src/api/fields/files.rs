//! The tables of the volumes of files: secret, configMap and projected, with their sources and items.
//! Owns the decision on each of their fields. Read by `tables.rs` only.

use super::Shape::{Int, Object};
use super::Treatment::{Ours, Refused, Used};
use super::{Field, Table, f};

const OWNER: &str = "files belong to the user that the container runs as: remove it";
const SOURCES: &str = "use secret or configMap";
const ITEM: &[Field] = &[
    f("key", Used),
    f("mode", Used),
    f("path", Used),
    f("user", Refused(Int, OWNER)),
];

const fn items(at: &'static str) -> Table {
    Table {
        at,
        definition: "io.k8s.api.core.v1.KeyToPath",
        fields: ITEM,
    }
}

/// The objects of volumes of files, parents before children.
pub(super) const FILES: [Table; 11] = [
    Table {
        at: "spec.template.spec.volumes[].secret",
        definition: "io.k8s.api.core.v1.SecretVolumeSource",
        fields: &[
            f("defaultMode", Used),
            f("items", Used),
            f("optional", Used),
            f("secretName", Used),
            f("kind", Ours),
            f("namespace", Ours),
            f("onChange", Ours),
            f("signal", Ours),
            f("defaultUser", Refused(Int, OWNER)),
        ],
    },
    items("spec.template.spec.volumes[].secret.items[]"),
    Table {
        at: "spec.template.spec.volumes[].configMap",
        definition: "io.k8s.api.core.v1.ConfigMapVolumeSource",
        fields: &[
            f("defaultMode", Used),
            f("items", Used),
            f("name", Used),
            f("optional", Used),
            f("onChange", Ours),
            f("signal", Ours),
            f("defaultUser", Refused(Int, OWNER)),
        ],
    },
    items("spec.template.spec.volumes[].configMap.items[]"),
    Table {
        at: "spec.template.spec.volumes[].projected",
        definition: "io.k8s.api.core.v1.ProjectedVolumeSource",
        fields: &[
            f("defaultMode", Used),
            f("sources", Used),
            f("onChange", Ours),
            f("signal", Ours),
            f("defaultUser", Refused(Int, OWNER)),
        ],
    },
    Table {
        at: "spec.template.spec.volumes[].projected.sources[]",
        definition: "io.k8s.api.core.v1.VolumeProjection",
        fields: &[
            f("configMap", Used),
            f("secret", Used),
            f("clusterTrustBundle", Refused(Object, SOURCES)),
            f("downwardAPI", Refused(Object, "use env[].valueFrom.fieldRef")),
            f("podCertificate", Refused(Object, SOURCES)),
            f("serviceAccountToken", Refused(Object, super::pod::NO_ACCOUNT)),
        ],
    },
    Table {
        at: "spec.template.spec.volumes[].projected.sources[].secret",
        definition: "io.k8s.api.core.v1.SecretProjection",
        fields: &[
            f("items", Used),
            f("name", Used),
            f("optional", Used),
            f("kind", Ours),
            f("namespace", Ours),
        ],
    },
    items("spec.template.spec.volumes[].projected.sources[].secret.items[]"),
    Table {
        at: "spec.template.spec.volumes[].projected.sources[].configMap",
        definition: "io.k8s.api.core.v1.ConfigMapProjection",
        fields: &[f("items", Used), f("name", Used), f("optional", Used)],
    },
    items("spec.template.spec.volumes[].projected.sources[].configMap.items[]"),
    Table {
        at: "spec.template.spec.containers[].env[].fileRef",
        definition: "",
        fields: &[f("key", Ours), f("volume", Ours)],
    },
];
