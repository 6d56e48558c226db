//! Env files as Compose reads them: `.env` beside the file, and `env_file` of services.
//! Owns lines, quotes, escapes and comments; variables in values are `interpolate`'s. Errors give a line and never its text.
//! Called by `compose` and by `cli`'s `convert`.

use zeroize::Zeroizing;

use super::interpolate::{Lookup, interpolate};

/// Names and values in the order of the file; `None` is a name alone, whose value is the environment's.
pub type Variables = Vec<(String, Option<Zeroizing<String>>)>;

/// Reads a file. Values may name variables of `lookup` and earlier ones of the file. `raw` takes values as they are.
///
/// # Errors
/// The number of the line that cannot be read, and what is wrong there.
pub fn read(text: &str, raw: bool, lookup: &Lookup<'_>) -> Result<Variables, String> {
    let mut found = Variables::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = text;
    while !rest.is_empty() {
        let number = text.len() - rest.len();
        let line = 1 + text
            .get(..number)
            .unwrap_or_default()
            .bytes()
            .filter(|b| *b == b'\n')
            .count();
        let (this, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let this = this.trim();
        if this.is_empty() || this.starts_with('#') {
            rest = after;
            continue;
        }
        let this = this.strip_prefix("export ").unwrap_or(this);
        let Some((name, _)) = this.split_once('=') else {
            if !is_name(this) {
                return Err(format!("line {line}: not NAME=VALUE"));
            }
            found.push((this.to_owned(), None));
            rest = after;
            continue;
        };
        let name = name.trim_end();
        if !is_name(name) {
            return Err(format!(
                "line {line}: the name has other characters than letters, digits, '_', '-' and '.'"
            ));
        }
        let (_, from) = rest.split_once('=').unwrap_or_default();
        let (value, next) = if raw {
            let value = from.split('\n').next().unwrap_or_default();
            (Zeroizing::new(value.trim_end_matches('\r').to_owned()), after)
        } else {
            let earlier = |name: &str| {
                let known = found.iter().rev().find(|(other, _)| other == name);
                lookup(name).or_else(|| known.and_then(|(_, value)| value.clone()))
            };
            value_of(from, &earlier).map_err(|e| format!("line {line}: {e}"))?
        };
        found.push((name.to_owned(), Some(value)));
        rest = next;
    }
    Ok(found)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// The value that begins here, and what follows its last line.
fn value_of<'a>(from: &'a str, lookup: &Lookup<'_>) -> Result<(Zeroizing<String>, &'a str), String> {
    let trimmed = from.trim_start_matches([' ', '\t']);
    let quote = trimmed.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let (line, after) = from.split_once('\n').unwrap_or((from, ""));
        let line = line.trim();
        // A comment stands after a blank; a # within a value is part of it.
        let plain = match line.find(" #") {
            _ if line.starts_with('#') => "",
            Some(at) => line.get(..at).unwrap_or(line).trim_end(),
            None => line,
        };
        let value = interpolate(plain, lookup, &mut Vec::new()).map_err(|e| e.to_string())?;
        return Ok((value, after));
    };
    let inner = trimmed.strip_prefix(quote).unwrap_or(trimmed);
    let mut escaped = false;
    let end = inner.char_indices().find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let (end, _) = end.ok_or("the quote is not closed")?;
    let (body, after) = inner.split_at_checked(end).unwrap_or((inner, ""));
    let (_, after) = after.split_once('\n').unwrap_or_default();
    if quote == '\'' {
        return Ok((Zeroizing::new(body.replace("\\'", "'")), after));
    }
    let value = interpolate(&unescape(body), lookup, &mut Vec::new()).map_err(|e| e.to_string())?;
    Ok((value, after))
}

fn unescape(body: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(body.len()));
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('$') => out.push_str("$$"),
            Some(other @ ('"' | '\\' | '\'')) => out.push(other),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, raw: bool) -> Vec<(String, Option<String>)> {
        let found = read(text, raw, &|name| {
            (name == "OUT").then(|| Zeroizing::new("o".to_owned()))
        })
        .unwrap();
        found
            .into_iter()
            .map(|(name, value)| (name, value.map(|value| value.as_str().to_owned())))
            .collect()
    }

    #[test]
    fn lines_quotes_comments_and_variables_are_read_as_compose_does() {
        let text = "# c\n\nA=1\nexport B = x y # c\nC='$A \"q\"'\nD=\"a\\nb ${A} \\$A\"\nE=${OUT}${F:-f}#g\nH\nI=\r\nJ=\"two\nlines\"\nK= '' \n";
        let pairs: Vec<(&str, Option<&str>)> = vec![
            ("A", Some("1")),
            ("B", Some("x y")),
            ("C", Some("$A \"q\"")),
            ("D", Some("a\nb 1 $A")),
            ("E", Some("of#g")),
            ("H", None),
            ("I", Some("")),
            ("J", Some("two\nlines")),
            ("K", Some("")),
        ];
        let found = all(text, false);
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect();
        assert_eq!(found, pairs);
        assert_eq!(
            all("A='$B' # x\r\n", true),
            [("A".to_owned(), Some("'$B' # x".to_owned()))]
        );
    }

    #[test]
    fn a_bad_line_is_named_and_not_repeated() {
        for text in [
            "A=1\nhunter2 x\n",
            "A=1\nhunter 2=x\n",
            "A=1\nB='hunter2\n",
            "A=1\nB=$\n",
        ] {
            let error = read(text, false, &|_| None).unwrap_err();
            assert!(
                error.starts_with("line 2: ") && !error.contains("hunter"),
                "{error}"
            );
        }
    }
}
