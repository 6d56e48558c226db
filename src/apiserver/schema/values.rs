//! Validation of values by OpenAPI v3: types, bounds, formats, patterns, compositions, with ratcheting. Owns the walk and
//! the words (`k8s.io/kube-openapi/pkg/validation`). Knows neither list types nor CEL: those are `lists`' and `cel`'s.
//! Fields are visited in alphabetical order; the real server visits them in any.

use serde_json::{Map, Value};

use super::{Additional, Rules, Schema, Type, correlate::Correlated, format, numbers};
use crate::apiserver::field_error::{FieldError, FieldErrorKind};

/// More findings than these help nobody.
pub(super) const MAX_FINDINGS: usize = 1_000;

/// The findings of `object`. What is as it was in `old` has none.
pub(super) fn check(object: &Value, old: Option<&Value>, schema: &Schema) -> Vec<FieldError> {
    let mut walk = Walk::default();
    walk.ratcheted(object, Correlated::root(old), schema);
    walk.findings.into_iter().map(|finding| finding.error).collect()
}

/// A finding and the whole sentence that tells it from others.
#[derive(Clone)]
pub(super) struct Finding {
    error: FieldError,
    sentence: String,
}

#[derive(Default)]
pub(super) struct Walk {
    path: String,
    findings: Vec<Finding>,
}

/// What distinguishes the alternatives of `anyOf` when none fits: the more checks were made, the better.
type Matches = u32;

impl Walk {
    /// Validates one field or item; with an equal old value, its findings are dropped.
    fn ratcheted(&mut self, value: &Value, old: Correlated<'_>, schema: &Schema) -> Matches {
        let mark = self.findings.len();
        let matches = self.node(value, old, schema);
        if self.findings.len() > mark && old.value == Some(value) {
            self.findings.truncate(mark);
        }
        matches
    }

    fn node(&mut self, value: &Value, old: Correlated<'_>, schema: &Schema) -> Matches {
        let rules = schema.rules.as_deref();
        let type_fits = self.kind(value, schema);
        if value.is_null() {
            self.enumerated(value, rules);
            return Matches::from(type_fits);
        }
        let has_type = schema.kind.is_some() || rules.is_some_and(|rules| rules.format.is_some());
        let mut matches = 3 + if has_type { 1 + Matches::from(type_fits) } else { 0 };
        if let Some(rules) = rules {
            matches += 1 + self.compositions(value, old, rules);
        } else {
            matches += 1;
        }
        match value {
            Value::String(text) => {
                matches += 1;
                if let Some(rules) = rules {
                    self.text(text, rules);
                    matches += self.format(text, schema, rules);
                }
            }
            Value::Number(number) => {
                matches += 2;
                let format = rules.and_then(|rules| rules.format.as_deref());
                for (sentence, value) in numbers::check(
                    number,
                    schema.kind,
                    format,
                    rules.map(|rules| &rules.bounds),
                    &self.path,
                ) {
                    match value {
                        Some(value) => self.invalid(value, sentence),
                        None => self.whole(sentence),
                    }
                }
            }
            Value::Array(items) => matches += 2 + self.array(items, old, schema),
            Value::Object(map) => matches += 1 + self.object(map, old, schema),
            Value::Null | Value::Bool(_) => {}
        }
        // The enumeration comes after the items of a list and before the fields of a map; neither has one in practice.
        self.enumerated(value, rules);
        matches
    }

    /// Whether the type fits; a finding when not.
    fn kind(&mut self, value: &Value, schema: &Schema) -> bool {
        let Some(kind) = schema.kind else { return true };
        let fits = match (kind, value) {
            (_, Value::Null) => schema.nullable,
            (Type::Object, Value::Object(_))
            | (Type::Array, Value::Array(_))
            | (Type::String | Type::IntOrString, Value::String(_))
            | (Type::Boolean, Value::Bool(_))
            | (Type::Number, Value::Number(_)) => true,
            (Type::Integer | Type::IntOrString, Value::Number(number)) => numbers::is_integer(number),
            _ => false,
        };
        if !fits {
            let (expected, actual) = (kind.name(), name_of_value(value));
            let detail = format!("{} in body must be of type {expected}: {actual:?}", self.path);
            self.push(
                FieldErrorKind::TypeInvalid,
                Some(actual.into()),
                detail.clone(),
                detail,
            );
        }
        fits
    }

    fn enumerated(&mut self, value: &Value, rules: Option<&Rules>) {
        let Some(rules) = rules else { return };
        let allowed = &rules.one_of_values;
        if allowed.is_empty() || (!value.is_null() && allowed.iter().any(|one| numbers::equal(one, value))) {
            return;
        }
        let names: Vec<String> = allowed
            .iter()
            .map(|one| {
                format!(
                    "{:?}",
                    one.as_str().map_or_else(|| one.to_string(), str::to_owned)
                )
            })
            .collect();
        let sentence = format!("{} in body should be one of {}", self.path, names.join(" "));
        let detail = format!("supported values: {}", names.join(", "));
        self.push(
            FieldErrorKind::NotSupported,
            Some(value.clone()),
            detail,
            sentence,
        );
    }

    fn text(&mut self, text: &str, rules: &Rules) {
        let bounds = &rules.bounds;
        if bounds.max_length.is_some() || bounds.min_length.is_some() {
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if let Some(max) = bounds.max_length.filter(|max| length > *max) {
                let sentence = format!("{} in body should be at most {max} chars long", self.path);
                let unit = if max == 1 { "byte" } else { "bytes" };
                self.push(
                    FieldErrorKind::TooLong,
                    None,
                    format!("may not be more than {max} {unit}"),
                    sentence,
                );
                return;
            }
            if let Some(min) = bounds.min_length.filter(|min| length < *min) {
                self.invalid(
                    text.into(),
                    format!("{} in body should be at least {min} chars long", self.path),
                );
                return;
            }
        }
        if let Some(pattern) = &rules.pattern
            && !pattern.matches(text)
        {
            self.invalid(
                text.into(),
                format!("{} in body should match '{}'", self.path, pattern.source),
            );
        }
    }

    fn format(&mut self, text: &str, schema: &Schema, rules: &Rules) -> Matches {
        let Some(name) = rules.format.as_deref() else {
            return 0;
        };
        if !matches!(schema.kind, None | Some(Type::String | Type::IntOrString)) {
            return 0;
        }
        let Some(fits) = format::matches(name, text) else {
            return 0;
        };
        if !fits {
            let detail = format!("{} in body must be of type {name}: {text:?}", self.path);
            self.push(
                FieldErrorKind::TypeInvalid,
                Some(text.into()),
                detail.clone(),
                detail,
            );
        }
        1
    }

    fn array(&mut self, items: &[Value], old: Correlated<'_>, schema: &Schema) -> Matches {
        let mut matches = 0;
        if let Some(child) = &schema.items {
            let correlation = old.items(schema);
            for (index, item) in items.iter().enumerate() {
                if self.findings.len() >= MAX_FINDINGS {
                    break;
                }
                let mark = self.path.len();
                self.path.push_str(&format!("[{index}]"));
                matches += self.ratcheted(item, correlation.item(item), child);
                self.path.truncate(mark);
            }
        }
        let Some(bounds) = schema.rules.as_ref().map(|rules| &rules.bounds) else {
            return matches;
        };
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(min) = bounds.min_items.filter(|min| count < *min) {
            self.invalid(
                count.into(),
                format!("{} in body should have at least {min} items", self.path),
            );
        }
        if let Some(max) = bounds.max_items.filter(|max| count > *max) {
            let sentence = format!("{} in body should have at most {max} items", self.path);
            self.too_many(count, max, sentence);
        }
        if bounds.unique_items && has_duplicates(items) {
            self.invalid(
                "".into(),
                format!("{} in body shouldn't contain duplicates", self.path),
            );
        }
        matches
    }

    fn object(&mut self, map: &Map<String, Value>, old: Correlated<'_>, schema: &Schema) -> Matches {
        let mut matches = 0;
        if let Some(bounds) = schema.rules.as_ref().map(|rules| &rules.bounds) {
            let count = i64::try_from(map.len()).unwrap_or(i64::MAX);
            if let Some(min) = bounds.min_properties.filter(|min| count < *min) {
                self.invalid(
                    count.into(),
                    format!("{} in body should have at least {min} properties", self.path),
                );
            }
            if let Some(max) = bounds.max_properties.filter(|max| count > *max) {
                let sentence = format!("{} in body should have at most {max} properties", self.path);
                self.too_many(count, max, sentence);
            }
        }
        for (key, value) in map {
            if self.findings.len() >= MAX_FINDINGS {
                break;
            }
            let child = match (schema.properties.get(key), &schema.additional) {
                (Some(property), _) => property,
                (None, Some(Additional::Of(values))) => values,
                _ => continue,
            };
            let mark = self.enter(key);
            matches += self.ratcheted(value, old.field(key), child);
            self.path.truncate(mark);
        }
        for name in &schema.required {
            if !map.contains_key(name) {
                let mark = self.enter(name);
                let sentence = format!("{} in body is required", self.path);
                self.push(FieldErrorKind::Required, None, String::new(), sentence);
                self.path.truncate(mark);
            }
        }
        matches
    }

    /// `anyOf`, `oneOf`, `allOf`, `not`, in this order.
    fn compositions(&mut self, value: &Value, old: Correlated<'_>, rules: &Rules) -> Matches {
        let mut matches = 1;
        if !rules.any_of.is_empty() {
            matches += self.any_of(value, old, &rules.any_of);
        }
        if !rules.one_of.is_empty() {
            matches += self.one_of(value, old, &rules.one_of);
        }
        if !rules.all_of.is_empty() {
            let mut valid = 0;
            for schema in &rules.all_of {
                let (found, count) = self.aside(value, old, schema);
                valid += usize::from(found.is_empty());
                self.merge(found);
                matches += count;
            }
            if valid != rules.all_of.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                self.whole(format!(
                    "{:?} must validate all the schemas (allOf){none}",
                    self.path
                ));
            }
        }
        if let Some(not) = &rules.not
            && self.aside(value, old, not).0.is_empty()
        {
            self.whole(format!("{:?} must not validate the schema (not)", self.path));
        }
        matches
    }

    fn any_of(&mut self, value: &Value, old: Correlated<'_>, schemas: &[Schema]) -> Matches {
        let mut best: Option<(Vec<Finding>, Matches)> = None;
        for schema in schemas {
            let (found, count) = self.aside(value, old, schema);
            if found.is_empty() {
                return count;
            }
            if best.as_ref().is_none_or(|(_, most)| count > *most) {
                best = Some((found, count));
            }
        }
        self.whole(format!(
            "{:?} must validate at least one schema (anyOf)",
            self.path
        ));
        let (found, count) = best.unwrap_or_default();
        self.merge(found);
        count
    }

    fn one_of(&mut self, value: &Value, old: Correlated<'_>, schemas: &[Schema]) -> Matches {
        let mut best: Option<(Vec<Finding>, Matches)> = None;
        let (mut valid, mut first) = (0, 0);
        for schema in schemas {
            let (found, count) = self.aside(value, old, schema);
            if found.is_empty() {
                first = if valid == 0 { count } else { first };
                valid += 1;
                best = None;
            } else if valid == 0 && best.as_ref().is_none_or(|(_, most)| count > *most) {
                best = Some((found, count));
            }
        }
        if valid == 1 {
            return first;
        }
        let how = if valid == 0 {
            "Found none valid".to_owned()
        } else {
            format!("Found {valid} valid alternatives")
        };
        self.whole(format!(
            "{:?} must validate one and only one schema (oneOf). {how}",
            self.path
        ));
        let (found, count) = best.unwrap_or_default();
        self.merge(found);
        count
    }

    /// Validates without keeping the findings.
    fn aside(&mut self, value: &Value, old: Correlated<'_>, schema: &Schema) -> (Vec<Finding>, Matches) {
        let kept = std::mem::take(&mut self.findings);
        let matches = self.node(value, old, schema);
        (std::mem::replace(&mut self.findings, kept), matches)
    }

    fn merge(&mut self, found: Vec<Finding>) {
        for finding in found {
            self.add(finding);
        }
    }

    fn enter(&mut self, field: &str) -> usize {
        let mark = self.path.len();
        if mark > 0 {
            self.path.push('.');
        }
        self.path.push_str(field);
        mark
    }

    fn invalid(&mut self, value: Value, sentence: String) {
        self.push(FieldErrorKind::Invalid, Some(value), sentence.clone(), sentence);
    }

    fn too_many(&mut self, count: i64, max: i64, sentence: String) {
        let unit = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {unit}");
        self.push(FieldErrorKind::TooMany, Some(count.into()), detail, sentence);
    }

    /// A finding about no field in particular, as compositions are reported.
    fn whole(&mut self, sentence: String) {
        let error = FieldError::invalid("<nil>", "", sentence.clone());
        self.add(Finding { error, sentence });
    }

    fn push(&mut self, kind: FieldErrorKind, value: Option<Value>, detail: String, sentence: String) {
        let field = if self.path.is_empty() { "<nil>" } else { &self.path };
        let error = FieldError {
            kind,
            field: field.to_owned(),
            value,
            detail,
        };
        self.add(Finding { error, sentence });
    }

    /// The same sentence is said once.
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS
            && self.findings.iter().all(|said| said.sentence != finding.sentence)
        {
            self.findings.push(finding);
        }
    }
}

fn has_duplicates(items: &[Value]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    items.iter().any(|item| !seen.insert(item.to_string()))
}

fn name_of_value(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
