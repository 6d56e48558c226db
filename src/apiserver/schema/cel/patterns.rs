//! `matches`: patterns of rules, compiled once and not at every question. Owns the function and the memory of patterns,
//! which is bounded because a rule may make patterns of what an object says. Called by rules.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube_cel::cel::{ExecutionError, extractors::This};
use regex::Regex;

use super::super::rules;

/// Patterns that are remembered; beyond, all are forgotten.
const REMEMBERED: usize = 256;

static PATTERNS: Mutex<BTreeMap<Arc<String>, Regex>> = Mutex::new(BTreeMap::new());

/// `text.matches(pattern)`: whether there is a match anywhere.
pub(super) fn matches(This(text): This<Arc<String>>, pattern: Arc<String>) -> Result<bool, ExecutionError> {
    let known = || PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(&pattern).cloned();
    let regex = match found {
        Some(regex) => regex,
        None => {
            let made = rules::compile(&pattern).map_err(|error| ExecutionError::FunctionError {
                function: "matches".to_owned(),
                message: format!("'{pattern}' not a valid regex:\n{error}"),
            })?;
            let mut known = known();
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(pattern, made.clone());
            made
        }
    };
    Ok(regex.is_match(&text))
}

#[cfg(test)]
mod tests {
    use kube_cel::cel::{Program, Value};

    use super::{super::FUNCTIONS, *};

    fn ask(rule: &str) -> Result<Value, ExecutionError> {
        Program::compile(rule).unwrap().execute(&FUNCTIONS)
    }

    #[test]
    fn a_pattern_matches_anywhere_again_and_again_and_digits_are_those_of_ascii() {
        for _ in 0..2 {
            assert_eq!(ask("'abc'.matches('b')").unwrap(), Value::Bool(true));
            assert_eq!(ask("'abc'.matches('^b')").unwrap(), Value::Bool(false));
            assert_eq!(ask(r"'\u0661'.matches('\\d')").unwrap(), Value::Bool(false));
        }
    }

    #[test]
    fn a_broken_pattern_is_a_mistake_and_many_patterns_are_no_burden() {
        assert!(ask("'a'.matches('(')").is_err());
        for number in 0..=REMEMBERED {
            assert_eq!(
                ask(&format!("'{number}'.matches('^{number}$')")).unwrap(),
                Value::Bool(true)
            );
        }
        assert!(PATTERNS.lock().unwrap().len() <= REMEMBERED);
    }
}
