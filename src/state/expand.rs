//! `$(NAME)` in commands, arguments and values, with the rules of Kubernetes: `$$` is a dollar, an unknown name stays
//! as it is written. A name that holds a secret is refused: its value would end in an argv, where everybody reads it.

/// What a name stands for.
pub enum Known<'a> {
    /// Plain text.
    Plain(&'a str),
    /// A secret.
    Secret,
    /// Nothing.
    Unknown,
}

/// A text that names a variable which holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "$({0}) holds a secret, which would become readable in the container's arguments; let the process read the variable itself"
)]
pub struct NamesSecret(pub String);

/// Expands `text`.
///
/// # Errors
/// [`NamesSecret`] for the first variable that holds a secret.
pub fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Known<'a>) -> Result<String, NamesSecret> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = &from[1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|t| t.split_once(')')) {
            match lookup(name) {
                Known::Plain(value) => out.push_str(value),
                Known::Secret => return Err(NamesSecret(name.to_owned())),
                Known::Unknown => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Known<'static> {
        match name {
            "A" => Known::Plain("a"),
            "S" => Known::Secret,
            _ => Known::Unknown,
        }
    }

    #[test]
    fn rules_are_those_of_kubernetes() {
        for (text, want) in [
            ("$(A)-$(A)", "a-a"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("$A", "$A"),
            ("$(A", "$(A"),
            ("cost: 5$", "cost: 5$"),
            ("$$$(A)", "$a"),
            ("$()", "$()"),
        ] {
            assert_eq!(expand(text, lookup).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn a_secret_is_refused_by_name() {
        assert_eq!(expand("x$(S)", lookup), Err(NamesSecret("S".into())));
        assert_eq!(expand("$$(S)", lookup).unwrap(), "$(S)");
    }

    proptest! {
        #[test]
        fn expansion_is_total(text in "\\PC*") {
            let _total = expand(&text, lookup);
        }
    }
}
