//! Numbers as Kubernetes reads them: whole ones are `int64`, all others `float64`. Owns their bounds, formats and equality.
//! Used by `values`.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::{Bounds, Type};

/// The largest whole number that a `float64` holds exactly.
const EXACT: f64 = 9_007_199_254_740_991.0;

/// Whether `number` may stand where an integer is asked for.
pub(super) fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.as_f64().is_some_and(is_whole)
}

fn is_whole(number: f64) -> bool {
    number.is_finite() && number.abs() <= EXACT && number.fract() == 0.0
}

/// Equality that knows `1` and `1.0` as the same, as enumerations do.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// The findings of a number: the sentence, and the value shown with it (none when it is about no field).
pub(super) fn check(
    number: &Number,
    kind: Option<Type>,
    format: Option<&str>,
    bounds: Option<&Bounds>,
    path: &str,
) -> Vec<(String, Option<Value>)> {
    let mut found = Vec::new();
    let value = number.as_f64().unwrap_or(f64::NAN);
    if let Some(sentence) = out_of_format(number, value, kind, format, path) {
        found.push((sentence, None));
    }
    let Some(bounds) = bounds else { return found };
    let shown = || Some(Value::Number(number.clone()));
    let bound_of = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
    if let Some(factor) = bound_of(&bounds.multiple_of) {
        found.extend(out_of_bound("MultipleOf", factor, kind, format, path));
        let native = found.is_empty() && number.is_i64();
        let factor = if native { factor.trunc() } else { factor };
        if factor <= 0.0 {
            let sentence = format!(
                "factor MultipleOf declared for {path} must be positive: {}",
                show(factor)
            );
            found.push((sentence, Number::from_f64(factor).map(Value::Number)));
        } else if !is_multiple(number, factor) {
            found.push((
                format!("{path} in body should be a multiple of {}", show(factor)),
                shown(),
            ));
        }
    }
    let (low, high) = (bound_of(&bounds.minimum), bound_of(&bounds.maximum));
    for (bound, exclusive, out, name, words) in [
        (
            low,
            bounds.exclusive_minimum,
            Ordering::Less,
            "Minimum boundary",
            "greater than",
        ),
        (
            high,
            bounds.exclusive_maximum,
            Ordering::Greater,
            "Maximum boundary",
            "less than",
        ),
    ] {
        let Some(bound) = bound else { continue };
        let odd = out_of_bound(name, bound, kind, format, path);
        // Against a whole number, the bound is cut to one.
        let bound = if number.is_i64() && odd.is_none() {
            bound.trunc()
        } else {
            bound
        };
        found.extend(odd);
        let order = compare(number, bound);
        if order == Some(out) || (exclusive && order == Some(Ordering::Equal)) {
            let or_equal = if exclusive { "" } else { " or equal to" };
            found.push((
                format!("{path} in body should be {words}{or_equal} {}", show(bound)),
                shown(),
            ));
        }
    }
    found
}

/// A bound that the type cannot hold makes every value invalid.
fn out_of_bound(
    name: &str,
    bound: f64,
    kind: Option<Type>,
    format: Option<&str>,
    path: &str,
) -> Option<(String, Option<Value>)> {
    let number = whole(&Number::from_f64(bound)?)
        .map_or_else(|| Number::from_f64(bound), |whole| Some(whole.into()))?;
    let sentence = out_of_format(&number, bound, kind, format, path)?;
    Some((sentence.replacen("Checked", name, 1), None))
}

/// `number` as a whole one, if it is.
#[expect(
    clippy::cast_possible_truncation,
    reason = "exact, as it is whole and small enough"
)]
pub(super) fn whole(number: &Number) -> Option<i64> {
    number
        .as_f64()
        .filter(|number| is_whole(*number))
        .map(|number| number as i64)
}

/// Compares without loss where both are whole.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a bound outside of int64 saturates, which keeps the order"
)]
fn compare(number: &Number, bound: f64) -> Option<Ordering> {
    match number.as_i64() {
        Some(whole) if bound.fract() == 0.0 => Some(whole.cmp(&(bound as i64))),
        _ => number.as_f64()?.partial_cmp(&bound),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a factor outside of int64 saturates and divides nothing"
)]
fn is_multiple(number: &Number, factor: f64) -> bool {
    if let (Some(whole), true) = (number.as_i64(), is_whole(factor)) {
        return whole.checked_rem(factor as i64) == Some(0);
    }
    let value = number.as_f64().unwrap_or(f64::NAN);
    let ratio = if factor < 1.0 {
        1.0 / factor * value
    } else {
        value / factor
    };
    factor > 0.0 && is_whole((ratio * 1e9).round() / 1e9)
}

#[expect(clippy::cast_possible_truncation, reason = "the cast is the question")]
fn out_of_format(
    number: &Number,
    value: f64,
    kind: Option<Type>,
    format: Option<&str>,
    path: &str,
) -> Option<String> {
    let fits = match (kind?, format) {
        (Type::Integer, Some("int32")) => {
            is_integer(number) && value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX)
        }
        (Type::Integer, _) => number.is_i64() || is_whole(value),
        (Type::Number, Some("float")) => (value as f32).is_finite(),
        _ => true,
    };
    let (name, known) = match kind? {
        Type::Integer => (
            "integer",
            format.filter(|format| matches!(*format, "int32" | "int64")),
        ),
        _ => (
            "number",
            format.filter(|format| matches!(*format, "float" | "double")),
        ),
    };
    (!fits).then(|| match known {
        Some(format) => format!("Checked value must be of type {name} with format {format} in {path}"),
        None => format!("Checked value must be of type {name} (default format) in {path}"),
    })
}

/// A `float64` as Go prints it with `%v`.
fn show(number: f64) -> String {
    let size = number.abs();
    if number != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent
            .strip_prefix('-')
            .map_or(("+", exponent), |rest| ("-", rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{number}")
}
