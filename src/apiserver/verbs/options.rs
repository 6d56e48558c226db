//! The options of writes as the verbs take them: who the field manager is and how unknown fields are taken.
//! Judging what options say is `request`'s. Pure. Called by `respond`.

use http::{HeaderMap, header};

use super::{super::request::Query, FieldValidation};

/// The longest name of a field manager, in bytes.
const LONGEST_MANAGER: usize = 128;

/// The field manager: as asked for, else what the client calls itself up to the first slash.
pub(super) fn manager(query: &Query, headers: &HeaderMap) -> String {
    if !query.field_manager.is_empty() {
        return query.field_manager.clone();
    }
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let name = agent.unwrap_or_default().split('/').next().unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_MANAGER)
        .collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// How unknown fields are taken. What else `fieldValidation` may say was refused before.
pub(super) fn validation(query: &Query) -> FieldValidation {
    match &*query.field_validation {
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        _ => FieldValidation::Warn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_what_the_client_calls_itself() {
        let mut headers = HeaderMap::new();
        assert_eq!(manager(&Query::default(), &headers), "unknown");
        headers.insert(header::USER_AGENT, "kubectl/v1.33 (linux/amd64)".parse().unwrap());
        assert_eq!(manager(&Query::default(), &headers), "kubectl");
        headers.insert(header::USER_AGENT, "x".repeat(200).parse().unwrap());
        assert_eq!(manager(&Query::default(), &headers).len(), LONGEST_MANAGER);
        let query = Query {
            field_manager: "me".into(),
            ..Query::default()
        };
        assert_eq!(manager(&query, &headers), "me");
    }
}
