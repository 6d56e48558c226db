//! `$(VAR)` in commands, arguments and values, with the grammar of Kubernetes: `$$` is a dollar sign.
//! Owns finding and replacing; which variables may be named is decided by the caller, so that no secret ends in argv.
//! Called by `validate.rs` to refuse, and by the rooms that build containers to expand.

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a str),
    Variable { name: &'a str, written: &'a str },
}

/// The names of all variables that `text` refers to, in order.
#[must_use]
pub fn references(text: &str) -> Vec<&str> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Variable { name, .. } => Some(name),
            Piece::Plain(_) => None,
        })
        .collect()
}

/// Replaces every `$(VAR)` that `lookup` knows; what it does not know stays as written, as in Kubernetes.
#[must_use]
pub fn expand<'v>(text: &str, lookup: impl Fn(&str) -> Option<&'v str>) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(plain) => plain,
            Piece::Variable { name, written } => lookup(name).unwrap_or(written),
        })
        .collect()
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        pieces.push(Piece::Plain(&rest[..dollar]));
        let after = &rest[dollar + 1..];
        let (piece, length) = match after.as_bytes().first() {
            Some(b'$') => (Piece::Plain("$"), 2),
            Some(b'(') => match after.find(')') {
                Some(close) => {
                    let written = &rest[dollar..dollar + close + 2];
                    (
                        Piece::Variable {
                            name: &after[1..close],
                            written,
                        },
                        close + 2,
                    )
                }
                None => (Piece::Plain("$("), 2),
            },
            _ => (Piece::Plain("$"), 1),
        };
        pieces.push(piece);
        rest = &rest[dollar + length..];
    }
    pieces.push(Piece::Plain(rest));
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expands_as_kubernetes_does() {
        let lookup = |name: &str| match name {
            "A" => Some("1"),
            "EMPTY" => Some(""),
            _ => None,
        };
        for (written, meant) in [
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(B)", "$(B)"),
            ("$(EMPTY)", ""),
            ("$(A", "$(A"),
            ("$A", "$A"),
            ("a$", "a$"),
            ("$$", "$"),
            ("$(A)$(", "1$("),
        ] {
            assert_eq!(expand(written, lookup), meant, "{written}");
        }
        assert_eq!(references("$(A) $$(B) $(C)"), ["A", "C"]);
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_stays(text in "[^$]*") {
            prop_assert_eq!(expand(&text, |_| None), text);
        }

        #[test]
        fn never_panics(text in "[$()A]*") {
            let _ = (references(&text), expand(&text, |_| Some("v")));
        }
    }
}
