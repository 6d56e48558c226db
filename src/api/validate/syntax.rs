//! The syntax of names, keys and percentages, as Kubernetes defines it.
//! Owns yes-or-no questions and the hints that messages end with; knows no paths.
//! Called by the other files of validation.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(super) const LABEL_HINT: &str = "use 1 to 63 lower-case letters, digits and - (not first or last)";
pub(super) const SUBDOMAIN_HINT: &str =
    "use 1 to 253 lower-case letters, digits, - and . (not first or last)";
pub(super) const QUALIFIED_NAME_HINT: &str =
    "use 1 to 63 letters, digits and - _ . (not first or last), after an optional DNS name and /";
pub(super) const LABEL_VALUE_HINT: &str = "use at most 63 letters, digits and - _ . (not first or last)";
pub(super) const ENV_NAME_HINT: &str = "use printable ASCII without =";

pub(in crate::api) fn is_dns_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub(super) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty()
                && label.bytes().all(is_inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

pub(super) fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

fn is_name_part(text: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.chars().all(|c| is_edge(c) || matches!(c, '-' | '_' | '.'))
        && text.starts_with(is_edge)
        && text.ends_with(is_edge)
}

/// Letters of a key in a secret or a ConfigMap.
pub(in crate::api) fn is_data_key(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && text != "."
        && !text.starts_with("..")
}

/// Name of an environment variable, as relaxed since Kubernetes 1.30.
pub(super) fn is_env_name(text: &str) -> bool {
    !text.is_empty() && is_env_prefix(text)
}

pub(super) fn is_env_prefix(text: &str) -> bool {
    text.bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

/// The number, of instances or of percent; `None` if it is neither.
pub(super) fn int_or_percent(value: &IntOrString) -> Option<i32> {
    let number = match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let digits = text
                .strip_suffix('%')
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            digits.parse().ok()?
        }
    };
    (number >= 0).then_some(number)
}

/// Whether a path has a `..` between its slashes.
pub(super) fn has_parent_step(path: &str) -> bool {
    path.split('/').any(|step| step == "..")
}

/// Whether `path` is `prefix` or below it; `/data` is not a prefix of `/database`. Neither has `..`.
pub(super) fn is_below(path: &str, prefix: &str) -> bool {
    let steps = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|step| !step.is_empty() && *step != ".")
            .map(str::to_owned)
            .collect()
    };
    prefix.starts_with('/') && !has_parent_step(prefix) && steps(path).starts_with(&steps(prefix))
}
