//! The CEL rules of `DockerSecret` and the fields that it refuses by name: there is no field for plaintext.
//! Owns expressions and messages, none of which contains a value. Read by `crd.rs`.

use super::super::fields::{Field, Shape, Table, Treatment};
use super::{Rule, r};

/// The rules of `DockerSecret`. No message and no error contains a value: a `pattern` in the schema would echo it.
pub(in crate::api) const SECRET_RULES: &[Rule] = &[
    r(
        "",
        "",
        "has(self.spec)",
        "spec is missing: put the sealed values in spec.encryptedData",
    ),
    r(
        "spec",
        "immutable",
        "!has(oldSelf.immutable) || !oldSelf.immutable || has(self.immutable) && self.immutable",
        "is immutable once true: make a secret with another name",
    ),
    r(
        "spec",
        "encryptedData",
        "!has(oldSelf.immutable) || !oldSelf.immutable || (has(self.encryptedData) == has(oldSelf.encryptedData) && \
         (!has(self.encryptedData) || self.encryptedData == oldSelf.encryptedData))",
        "is immutable: make a secret with another name",
    ),
    // To compare a date is to read it: what `date-time` permits beyond the calendar, such as an offset of days, ends here.
    r(
        "spec",
        "notAfter",
        "!has(self.notAfter) || self.notAfter < timestamp('3000-01-01T00:00:00Z')",
        "notAfter is not a time before the year 3000: write one such as 2030-06-30T00:00:00Z",
    ),
    r(
        "spec",
        "rotateAfter",
        "!has(self.rotateAfter) || self.rotateAfter < timestamp('3000-01-01T00:00:00Z')",
        "rotateAfter is not a time before the year 3000: write one such as 2030-06-30T00:00:00Z",
    ),
    r(
        "spec",
        "stopUse",
        "!has(self.stopUse) || !self.stopUse || has(self.notAfter)",
        "needs spec.notAfter: say when use stops, or remove it",
    ),
    r(
        "spec",
        "encryptedData",
        // The whole grammar is 17 times what the API server's cost estimate permits for values of this size.
        "!has(self.encryptedData) || self.encryptedData.all(k, self.encryptedData[k].startsWith('sc1.'))",
        "a value is not sealed: seal it with `supercargo seal`, and change it, since it was sent in the clear",
    ),
];

const SEALED: &str = "there is no field for plaintext: seal the value with `supercargo seal` and put the result in spec.encryptedData";

const fn plaintext(name: &'static str) -> Field {
    Field {
        name,
        treatment: Treatment::Refused(Shape::Object, SEALED),
    }
}

/// Fields that `DockerSecret` refuses by name. They are declared although nothing may be stored in them, because an
/// undeclared field is dropped without a word for clients that do not ask for strict validation, while kubectl keeps the
/// plaintext in its annotation of the last applied object.
pub(in crate::api) const SECRET_TABLES: &[Table] = &[
    Table {
        at: "",
        definition: "",
        fields: &[
            plaintext("data"),
            plaintext("stringData"),
            Field {
                name: "type",
                treatment: Treatment::Refused(Shape::Text, "write it as spec.type"),
            },
            Field {
                name: "immutable",
                treatment: Treatment::Refused(Shape::Bool, "write it as spec.immutable"),
            },
        ],
    },
    Table {
        at: "spec",
        definition: "",
        fields: &[plaintext("data"), plaintext("stringData")],
    },
];
