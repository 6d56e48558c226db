//! CEL rules (`x-kubernetes-validations`).

use serde_json::{Map, Value};

/// The compiled rules of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Program;

impl Program {
    pub(super) fn read(_map: &Map<String, Value>) -> Option<Self> {
        None
    }
}
