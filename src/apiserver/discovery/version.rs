//! `/version`: which Kubernetes this server behaves as. Owns the numbers; clients compare them with what they need.
//! Not the version of the program, which is its own business.
//! Called by the answering function of this folder; the numbers also go into OpenAPI.

use serde_json::{Value, json};

/// The minor version whose behaviour is emulated.
pub const MINOR: &str = "37";

/// A semantic version with build metadata: a prerelease (`-x`) would be older than `1.37.0` to those who compare.
pub const GIT_VERSION: &str = "v1.37.0+supercargo";

/// `version.Info`. Every field is there, because some clients' types know no absent one.
pub fn info() -> Value {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "36",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{machine}", std::env::consts::OS),
    })
}
