//! `${VAR:-default}` and its kin in texts, with the grammar of Compose: `$$` is a dollar sign.
//! Owns the grammar; where variables come from is the caller's. Called by `compose` for every text of a file, by `dotenv`
//! for values of env files, and by `ring`, whose `$NAME` is a part of it.

use zeroize::Zeroizing;

/// Looks a variable up; `None` when it is not set.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Zeroizing<String>> + 'a;

/// How deep a default may hold further variables.
const MAX_DEPTH: usize = 16;

/// What is wrong with a text. No variant carries a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A dollar sign that begins nothing.
    #[error("a $ here begins no variable: write $$ for a dollar sign, or ${{NAME}}")]
    Syntax,
    /// `${NAME:?message}` of a variable that is not set.
    #[error("{0} is required and not set: set it in the environment or in .env")]
    Required(String),
}

/// Replaces every variable. Names that are not set and have no default are added to `unset` and become nothing.
///
/// # Errors
/// The text is not of the grammar, or a required variable is not set.
pub fn interpolate(
    text: &str,
    lookup: &Lookup<'_>,
    unset: &mut Vec<String>,
) -> Result<Zeroizing<String>, Problem> {
    replace(text, lookup, unset, 0)
}

fn replace(
    text: &str,
    lookup: &Lookup<'_>,
    unset: &mut Vec<String>,
    depth: usize,
) -> Result<Zeroizing<String>, Problem> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = closing(inner).ok_or(Problem::Syntax)?;
            let (expression, tail) = inner.split_at_checked(end).ok_or(Problem::Syntax)?;
            out.push_str(&braced(expression, lookup, unset, depth + 1)?);
            rest = tail.strip_prefix('}').unwrap_or(tail);
        } else {
            let (name, tail) = name_of(after).ok_or(Problem::Syntax)?;
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => unset.push(name.to_owned()),
            }
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the brace closes that is open already.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

fn name_of(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, tail) = text.split_at_checked(end)?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts.then_some((name, tail))
}

fn braced(
    expression: &str,
    lookup: &Lookup<'_>,
    unset: &mut Vec<String>,
    depth: usize,
) -> Result<Zeroizing<String>, Problem> {
    let (name, operation) = name_of(expression)
        .filter(|_| depth <= MAX_DEPTH)
        .ok_or(Problem::Syntax)?;
    let found = lookup(name);
    let filled = found.as_ref().is_some_and(|value| !value.is_empty());
    let mut other = |text: &str| replace(text, lookup, unset, depth);
    if operation.is_empty() {
        if found.is_none() {
            unset.push(name.to_owned());
        }
        return Ok(found.unwrap_or_default());
    }
    let (colon, sign) = match operation.strip_prefix(':') {
        Some(sign) => (true, sign),
        None => (false, operation),
    };
    let there = if colon { filled } else { found.is_some() };
    if let Some(default) = sign.strip_prefix('-') {
        return if there {
            Ok(found.unwrap_or_default())
        } else {
            other(default)
        };
    }
    if let Some(instead) = sign.strip_prefix('+') {
        return if there {
            other(instead)
        } else {
            Ok(Zeroizing::default())
        };
    }
    if sign.starts_with('?') {
        return found
            .filter(|_| there)
            .ok_or_else(|| Problem::Required(name.to_owned()));
    }
    Err(Problem::Syntax)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look(name: &str) -> Option<Zeroizing<String>> {
        let value = match name {
            "A" => "1",
            "EMPTY" => "",
            _ => return None,
        };
        Some(Zeroizing::new(value.to_owned()))
    }

    #[test]
    fn variables_are_replaced_as_compose_does() {
        for (written, meant) in [
            ("$A-${A}", "1-1"),
            ("$$A $${A}", "$A ${A}"),
            ("${B:-x}${B-y}${EMPTY:-z}${EMPTY-w}", "xyz"),
            ("${A:+x}${B:+x}${EMPTY+y}${EMPTY:+z}", "xy"),
            ("${B:-${C:-deep ${A}}}", "deep 1"),
            ("${A:?no}${EMPTY?no}", "1"),
            ("${B:-a:b}c}", "a:bc}"),
            ("${B}$B.", "."),
            ("plain", "plain"),
        ] {
            let found = interpolate(written, &look, &mut Vec::new()).unwrap();
            assert_eq!(*found, meant, "{written}");
        }
        let mut unset = Vec::new();
        interpolate("$B ${C} ${D:-} $A", &look, &mut unset).unwrap();
        assert_eq!(unset, ["B", "C"]);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        for text in ["a$", "$(A)", "${A", "${A!x}", "${}", "$1"] {
            assert_eq!(
                interpolate(text, &look, &mut Vec::new()),
                Err(Problem::Syntax),
                "{text}"
            );
        }
        for text in ["${B:?hunter2}", "${EMPTY:?hunter2}", "${B?}"] {
            let error = interpolate(text, &look, &mut Vec::new()).unwrap_err().to_string();
            assert!(
                error.contains("is required") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[${}A:?+ä-]*") {
            let _ = interpolate(&text, &look, &mut Vec::new());
        }
    }
}
