//! The CEL rules of volumes of files and of variables that name one. What concerns each item is not here: so many rules
//! would cost more than the API server permits; `validate/files.rs` holds it. Read by `crd.rs`.

use super::{ENV, POD, Rule, r};

const SIGNAL: &str = "!has(self.signal) || has(self.onChange) && self.onChange == 'Signal'";
const SIGNAL_MESSAGE: &str = "is sent only with onChange Signal: set onChange to Signal, or remove it";
const FILE_REFS: &str = "self.containers.all(c, !has(c.env) || c.env.all(e, !has(e.fileRef) || has(self.volumes) && \
     self.volumes.exists(v, v.name == e.fileRef.volume && (has(v.secret) || has(v.configMap) || has(v.projected)))))";

/// The rules of volumes of files.
pub(in crate::api) const FILE_RULES: &[Rule] = &[
    r(
        "spec.template.spec.volumes[].secret",
        "signal",
        SIGNAL,
        SIGNAL_MESSAGE,
    ),
    r(
        "spec.template.spec.volumes[].configMap",
        "signal",
        SIGNAL,
        SIGNAL_MESSAGE,
    ),
    r(
        "spec.template.spec.volumes[].projected",
        "signal",
        SIGNAL,
        SIGNAL_MESSAGE,
    ),
    r(
        ENV,
        "fileRef",
        "!has(self.fileRef) || !has(self.valueFrom) && (!has(self.value) || self.value == '')",
        "stands besides value or valueFrom: keep one of them",
    ),
    r(
        POD,
        "containers",
        FILE_REFS,
        "a fileRef names no secret, configMap or projected volume of spec.template.spec.volumes: add it there, or correct the name",
    ),
];
