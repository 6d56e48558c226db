//! The constraints on values that OpenAPI v3 knows: bounds, patterns. Owns their reading and the compiled pattern.
//! Applied by `validate`.

use std::sync::{Arc, OnceLock};

use regex::Regex;
use serde_json::{Map, Number, Value};

/// Bounds on numbers, texts, lists and maps. Absent ones are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bounds {
    /// `minimum`.
    pub minimum: Option<Number>,
    /// `exclusiveMinimum`: the minimum itself is out.
    pub exclusive_minimum: bool,
    /// `maximum`.
    pub maximum: Option<Number>,
    /// `exclusiveMaximum`: the maximum itself is out.
    pub exclusive_maximum: bool,
    /// `multipleOf`.
    pub multiple_of: Option<Number>,
    /// `minLength`, in characters.
    pub min_length: Option<i64>,
    /// `maxLength`, in characters.
    pub max_length: Option<i64>,
    /// `minItems`.
    pub min_items: Option<i64>,
    /// `maxItems`.
    pub max_items: Option<i64>,
    /// `uniqueItems`.
    pub unique_items: bool,
    /// `minProperties`.
    pub min_properties: Option<i64>,
    /// `maxProperties`.
    pub max_properties: Option<i64>,
}

impl Bounds {
    pub(super) fn read(map: &Map<String, Value>) -> Self {
        let number = |key: &str| map.get(key).and_then(Value::as_number).cloned();
        let count = |key: &str| map.get(key).and_then(Value::as_i64);
        let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or_default();
        Self {
            minimum: number("minimum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            maximum: number("maximum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            multiple_of: number("multipleOf"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            unique_items: flag("uniqueItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
        }
    }
}

/// A pattern; compiled when it is first used, because most never are.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As it was written.
    pub source: Arc<str>,
    compiled: Arc<OnceLock<Option<Regex>>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Pattern {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            compiled: Arc::default(),
        }
    }

    /// Whether `text` has a match anywhere. A pattern that cannot be compiled matches nothing.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        (self.compiled.get_or_init(|| compile(&self.source).ok()).as_ref())
            .is_some_and(|regex| regex.is_match(text))
    }
}

/// Compiles a pattern of Go's `regexp` (RE2). The syntax is nearly that of `regex`; the classes `\d \s \w \b` are ASCII in
/// Go and Unicode here, hence the translation.
///
/// # Errors
/// What is wrong with it, on one line.
pub fn compile(source: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&ascii_classes(source))
        .size_limit(4 << 20)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        })
}

/// Turns the Perl classes and word boundaries of `source` into their ASCII forms.
fn ascii_classes(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str("[\\t\\n\\x0c\\r ]"),
            Some('S') => out.push_str("[^\\t\\n\\x0c\\r ]"),
            Some('b') => out.push_str("(?-u:\\b)"),
            Some('B') => out.push_str("(?-u:\\B)"),
            Some('Q') => quote(&mut chars, &mut out),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// `\Q...\E`: literal text.
fn quote(chars: &mut std::str::Chars<'_>, out: &mut String) {
    let rest = chars.as_str();
    let (literal, after) = rest.split_once("\\E").unwrap_or((rest, ""));
    out.push_str(&regex::escape(literal));
    *chars = after.chars();
}
