//! The syntax of names: DNS labels and subdomains, label keys and values, path segments. Owns the rules and their words
//! (`k8s.io/apimachinery/pkg/util/validation`). Every function answers with what is wrong, nothing when all is well.
//! Used by `metadata` and by the rules of kinds.

/// A rule for `metadata.name`; with the second argument, for `metadata.generateName`, to which letters are appended.
pub type NameRule = fn(name: &str, prefix: bool) -> Vec<String>;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// Names that are DNS subdomains: most kinds.
#[must_use]
pub fn subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    subdomain(&masked(name, prefix))
}

/// Names that are DNS labels: namespaces.
#[must_use]
pub fn label_name(name: &str, prefix: bool) -> Vec<String> {
    label(&masked(name, prefix))
}

/// Names that are any path segment: roles and bindings.
#[must_use]
pub fn path_segment_name(name: &str, prefix: bool) -> Vec<String> {
    if !prefix && matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|part| name.contains(**part))
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// A trailing dash is fine where letters follow it.
fn masked(name: &str, prefix: bool) -> String {
    match name.strip_suffix('-') {
        Some(rest) if prefix && !rest.is_empty() => {
            let mut chars = rest.chars();
            chars.next_back();
            format!("{}a", chars.as_str())
        }
        _ => name.to_owned(),
    }
}

/// RFC 1123 label.
#[must_use]
pub fn label(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, 63, "bytes");
    if !is_label(text) {
        wrong.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            syntax(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    characters(wrong)
}

/// RFC 1123 subdomain.
#[must_use]
pub fn subdomain(text: &str) -> Vec<String> {
    characters(subdomain_bytes(text))
}

fn subdomain_bytes(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, 253, "bytes");
    if !is_subdomain(text) {
        wrong.push(syntax(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    wrong
}

/// RFC 1035 label: begins with a letter.
#[must_use]
pub fn label_1035(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, 63, "characters");
    if !is_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        wrong.push(syntax(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            LABEL_1035,
            &["my-name", "abc-123"],
        ));
    }
    wrong
}

/// A label's key, also an annotation's (in lower case) and a finalizer: `[prefix/]name`.
#[must_use]
pub fn qualified(text: &str) -> Vec<String> {
    const WORDS: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    const EXAMPLES: [&str; 3] = ["MyName", "my.name", "123-abc"];
    let mut parts = text.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        let rule = syntax(WORDS, KEY, &EXAMPLES);
        return vec![format!(
            "a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        )];
    }
    let mut wrong = Vec::new();
    let name = match second {
        None => first,
        Some(name) => {
            if first.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(
                    subdomain_bytes(first)
                        .into_iter()
                        .map(|what| format!("prefix part {what}")),
                );
            }
            name
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_key(name) {
        wrong.push(format!("name part {}", syntax(WORDS, KEY, &EXAMPLES)));
    }
    wrong
}

/// A label's value.
#[must_use]
pub fn label_value(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, 63, "bytes");
    if !text.is_empty() && !is_key(text) {
        wrong.push(syntax(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            &format!("({KEY})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    wrong
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(inner)
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_key(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(edge)
        && text.ends_with(edge)
        && text.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
}

fn too_long(text: &str, max: usize, unit: &str) -> Vec<String> {
    let too_long = text.len() > max;
    too_long
        .then(|| format!("must be no more than {max} {unit}"))
        .into_iter()
        .collect()
}

/// Names count in characters where keys count in bytes: the two generations of the validation library differ.
fn characters(mut wrong: Vec<String>) -> Vec<String> {
    for what in &mut wrong {
        if what.starts_with("must be no more than") {
            *what = what.replace("bytes", "characters");
        }
    }
    wrong
}

fn syntax(words: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!(
        "{words} (e.g. {}regex used for validation is '{pattern}')",
        examples.join(" or ")
    )
}
