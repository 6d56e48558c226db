//! What controller revisions do of their own: `data` is an object, is there from the start and stays what it was; only the
//! number and the metadata change. Owns these rules in the words of a Kubernetes API server
//! (`k8s.io/kubernetes/pkg/apis/apps/validation`), but for one: no finding repeats the data. Called by `verbs` for every write.

use serde_json::Value;

use crate::apiserver::{field_error::FieldError, kinds::Rules};

/// Of `controllerrevisions`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ControllerRevisionRules;

impl Rules for ControllerRevisionRules {
    fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut found = Vec::new();
        if let Some(number) = object
            .get("revision")
            .and_then(Value::as_i64)
            .filter(|number| *number < 0)
        {
            let why = "must be greater than or equal to 0";
            found.push(FieldError::invalid("revision", number, why));
        }
        let data = object.get("data").filter(|data| !data.is_null());
        match (data, old) {
            (_, Some(old)) => {
                if data != old.get("data").filter(|data| !data.is_null()) {
                    found.push(FieldError::invalid(
                        "data",
                        "<value omitted>",
                        "field is immutable",
                    ));
                }
            }
            (None, None) => found.push(FieldError::required("data", "data is mandatory")),
            (Some(data), None) if !data.is_object() => {
                found.push(FieldError::required("data", "data must be a valid JSON object"));
            }
            (Some(_), None) => {}
        }
        found
    }
}
