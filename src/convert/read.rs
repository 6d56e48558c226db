//! Values as Compose writes them: durations, sizes, counts, command lines, lists or maps of pairs, and names as DNS labels.
//! Owns each of these small grammars; what a value is for is the caller's. Read by `compose` and `ring`.

use zeroize::Zeroizing;

use super::node::Node;

/// A duration in milliseconds: `1h30m`, `1.5s`, `500ms`, `10us`. A bare number is no duration.
#[must_use]
pub fn milliseconds(text: &str) -> Option<u64> {
    let (mut rest, mut nanos) = (text.trim(), 0_f64);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(unit_end)?;
        let factor = match unit {
            "ns" => 1e-6,
            "us" | "µs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3_600e3,
            "d" => 86_400e3,
            _ => return None,
        };
        nanos += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    whole(nanos)
}

/// A duration in whole seconds, rounded up and at least `least`; the flag says whether that changed it.
#[must_use]
pub fn seconds(text: &str, least: i32) -> Option<(i32, bool)> {
    let millis = milliseconds(text)?;
    let seconds = i32::try_from(millis.div_ceil(1000)).ok()?.max(least);
    let exact = u64::try_from(seconds).ok()?.checked_mul(1000)? == millis;
    Some((seconds, exact))
}

/// A size in bytes: `512m`, `1gb`, `1.5g`, `64KiB`, or a number. Units are powers of 1024, as in Docker.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let power = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    whole(number.parse::<f64>().ok()? * 1024_f64.powi(power))
}

/// A size as a quantity: in mebibytes or kibibytes where it is whole, else in bytes.
#[must_use]
pub fn quantity(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        n if n % (1 << 30) == 0 => format!("{}Gi", n >> 30),
        n if n % (1 << 20) == 0 => format!("{}Mi", n >> 20),
        n if n % (1 << 10) == 0 => format!("{}Ki", n >> 10),
        n => n.to_string(),
    }
}

/// CPUs as a quantity in thousandths: `0.5` is `500m`, `2` is `2`.
#[must_use]
pub fn cpus(text: &str) -> Option<String> {
    let millis = whole((text.trim().parse::<f64>().ok()? * 1000.0).ceil())?;
    Some(if millis % 1000 == 0 {
        (millis / 1000).to_string()
    } else {
        format!("{millis}m")
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded right before"
)]
fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && (0.0..9e15).contains(&number)).then(|| number.round() as u64)
}

/// A whole number, also when it is written as text.
#[must_use]
pub fn integer(node: &Node) -> Option<i64> {
    node.text()?.trim().parse().ok()
}

/// True or false, also when it is written as text.
#[must_use]
pub fn truth(node: &Node) -> Option<bool> {
    match node.text()?.as_str() {
        "true" | "True" | "yes" | "on" | "1" => Some(true),
        "false" | "False" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A mode of a file: a number as YAML read it, or octal text such as `"0440"`.
#[must_use]
pub fn mode(node: &Node) -> Option<i32> {
    match node {
        Node::Int(number) => i32::try_from(*number).ok(),
        Node::Text(text) => i32::from_str_radix(text.trim_start_matches("0o"), 8).ok(),
        Node::Null | Node::Bool(_) | Node::Float(_) | Node::List(_) | Node::Map(_) => None,
    }
}

/// One text or a list of them.
#[must_use]
pub fn texts(node: &Node) -> Option<Vec<Zeroizing<String>>> {
    match node {
        Node::List(list) => list.iter().map(Node::text).collect(),
        Node::Null => Some(Vec::new()),
        Node::Map(_) => None,
        Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_) => Some(vec![node.text()?]),
    }
}

/// Pairs, written as a map or as a list of `NAME=VALUE`. `None` as a value is a name alone, or a null.
#[must_use]
pub fn pairs(node: &Node) -> Option<Vec<(String, Option<Zeroizing<String>>)>> {
    match node {
        Node::Map(map) => map
            .iter()
            .map(|(key, value)| match value {
                Node::List(_) | Node::Map(_) => None,
                scalar => Some((key.clone(), scalar.text())),
            })
            .collect(),
        Node::List(list) => list
            .iter()
            .map(|item| {
                let text = item.text()?;
                Some(match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(Zeroizing::new(value.to_owned()))),
                    None => (text.as_str().to_owned(), None),
                })
            })
            .collect(),
        Node::Null => Some(Vec::new()),
        Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_) => None,
    }
}

/// A command line in words, with the quotes of a shell. `None` when a quote is not closed.
#[must_use]
pub fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t' | '\n' | '\r') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if open == c => quote = None,
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some('"'), '\\') => match chars.next()? {
                escaped @ ('"' | '\\' | '$' | '`') => word.get_or_insert_default().push(escaped),
                other => word.get_or_insert_default().extend(['\\', other]),
            },
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// The name as a DNS label: lower case, `-` for what is no letter or digit.
#[must_use]
pub fn label(name: &str) -> String {
    let mapped: String = name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
            _ => '-',
        })
        .take(63)
        .collect();
    mapped.trim_matches('-').to_owned()
}

/// Text that Kubernetes' `$(VAR)` leaves as it is.
#[must_use]
pub fn literal(text: &str) -> String {
    if text.contains("$(") || text.contains("$$") {
        text.replace('$', "$$")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_those_of_compose() {
        for (text, millis) in [
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            ("500ms", Some(500)),
            ("10us", Some(0)),
            ("2h", Some(7_200_000)),
            ("0", Some(0)),
            ("30", None),
            ("s", None),
            ("", None),
            ("1x", None),
        ] {
            assert_eq!(milliseconds(text), millis, "{text}");
        }
        assert_eq!(seconds("500ms", 1), Some((1, false)));
        assert_eq!(seconds("10s", 1), Some((10, true)));
        for (text, size) in [
            ("512m", Some(512 << 20)),
            ("1gb", Some(1 << 30)),
            ("1.5K", Some(1536)),
            ("100", Some(100)),
            ("1q", None),
            ("-1", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
        assert_eq!(
            [quantity(64 << 20), quantity(3 << 30), quantity(1500)],
            ["64Mi", "3Gi", "1500"]
        );
        assert_eq!(
            [cpus("0.5"), cpus("2"), cpus("x")],
            [Some("500m".into()), Some("2".into()), None]
        );
    }

    #[test]
    fn command_lines_are_split_as_a_shell_does() {
        for (line, split) in [
            ("a b  c", Some(vec!["a", "b", "c"])),
            (
                r#"sh -c "echo \"$X\" 'y'""#,
                Some(vec!["sh", "-c", "echo \"$X\" 'y'"]),
            ),
            (r"a\ b ''", Some(vec!["a b", ""])),
            ("'a", None),
            ("", Some(vec![])),
        ] {
            let split = split.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(words(line), split, "{line}");
        }
    }

    #[test]
    fn text_that_kubernetes_would_expand_is_kept_from_it() {
        assert_eq!(literal("$(A) $$ $B"), "$$(A) $$$$ $$B");
        assert_eq!(literal("$B"), "$B");
        for text in ["$(A)", "$$(A)", "a$$", "$$$", "$A"] {
            assert_eq!(
                crate::api::expansion::expand(&literal(text), |_| Some("no")),
                text
            );
        }
    }

    #[test]
    fn names_become_labels() {
        assert_eq!(label("My_Service.1"), "my-service-1");
        assert_eq!(label("_x_"), "x");
    }
}
