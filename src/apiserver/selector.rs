//! Label and field selectors: their text, and whether an object matches. Pure.
//! The grammar and the words of its errors are those of `k8s.io/apimachinery/pkg/labels` and `fields`.
//! Which fields can be selected is the kind's. Called by `verbs` for lists, watches and collections.

mod label_syntax;
mod lexer;
#[cfg(test)]
mod tests;

use super::status::{Result, Status};

pub use label_syntax::{label_key_faults, label_value_faults};

/// `a=b,c!=d,e in (f,g),h notin (i),j,!k`, and `a>1`, `a<2`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One term: a label and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    key: String,
    asks: Asks,
}

/// What is asked of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asks {
    /// It is there and has one of these values.
    In(Vec<String>),
    /// It is absent or has none of these values.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
    /// It is an integer above this one.
    Above(i64),
    /// It is an integer below this one.
    Below(i64),
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let integer = || value.and_then(|text| text.parse::<i64>().ok());
        match &self.asks {
            Asks::In(values) => value.is_some_and(|value| values.iter().any(|known| known == value)),
            Asks::NotIn(values) => value.is_none_or(|value| values.iter().all(|known| known != value)),
            Asks::Exists => value.is_some(),
            Asks::DoesNotExist => value.is_none(),
            Asks::Above(bound) => integer().is_some_and(|value| value > *bound),
            Asks::Below(bound) => integer().is_some_and(|value| value < *bound),
        }
    }
}

impl LabelSelector {
    /// Parses; empty selects everything.
    ///
    /// # Errors
    /// 400 with the words of the API server.
    pub fn parse(text: &str) -> Result<Self> {
        let requirements = lexer::parse(text).map_err(Status::bad_request)?;
        Ok(Self { requirements })
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether these labels match.
    #[must_use]
    pub fn matches<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> bool {
        self.requirements.iter().all(|requirement| {
            let found = labels.clone().find(|(key, _)| *key == requirement.key);
            requirement.matches(found.map(|(_, value)| value))
        })
    }
}

/// `metadata.name=x,spec.host!=y`: field, whether equal is asked for, value; all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    /// In the order written.
    pub terms: Vec<(String, bool, String)>,
}

impl FieldSelector {
    /// Parses `a=b`, `a==b`, `a!=b`, comma separated, `\\`, `\,` and `\=` escaped.
    ///
    /// # Errors
    /// 400 with the words of the API server.
    pub fn parse(text: &str) -> Result<Self> {
        let mut terms = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let Some((field, equal, raw)) = split_term(part) else {
                return Err(Status::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            terms.push((field.to_owned(), equal, unescape(raw)?));
        }
        Ok(Self { terms })
    }
}

/// At commas without a backslash before them.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// At the first operator; nothing is escaped before it.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    term.char_indices().find_map(|(at, _)| {
        let rest = &term[at..];
        [("!=", false), ("==", true), ("=", true)]
            .into_iter()
            .find_map(|(operator, equal)| Some((&term[..at], equal, rest.strip_prefix(operator)?)))
    })
}

fn unescape(raw: &str) -> Result<String> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c @ ('\\' | ',' | '=')) => value.push(c),
                other => {
                    let shown = other.map(String::from).unwrap_or_default();
                    return Err(Status::bad_request(format!(
                        "invalid field selector: invalid escape sequence: \\{shown}"
                    )));
                }
            },
            ',' | '=' => {
                return Err(Status::bad_request(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                )));
            }
            c => value.push(c),
        }
    }
    Ok(value)
}
