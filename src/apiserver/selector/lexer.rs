//! The grammar of label selectors, token by token, with upstream's words for what was found and what was expected.
//! Total over any text. Owns no matching. Called by `LabelSelector::parse`.

use std::collections::BTreeSet;

use super::{Asks, Requirement, label_key_faults, label_value_faults};
use crate::apiserver::field_error::FieldError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    End,
    Symbol(&'a str),
    Word(&'a str),
}

impl<'a> Token<'a> {
    const fn text(self) -> &'a str {
        match self {
            Self::End => "",
            Self::Symbol(text) | Self::Word(text) => text,
        }
    }

    fn is(self, symbol: &str) -> bool {
        matches!(self, Self::Symbol(text) if text == symbol)
    }
}

const fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n')
}

const fn is_special(c: u8) -> bool {
    matches!(c, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

struct Parser<'a> {
    text: &'a str,
}

/// The requirements of `text`, ordered by key.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { text };
    let mut found = Vec::new();
    loop {
        match parser.peek() {
            Token::End => break,
            Token::Symbol(symbol) if symbol != "!" => {
                return Err(format!(
                    "found '{symbol}', expected: !, identifier, or 'end of string'"
                ));
            }
            Token::Symbol(_) | Token::Word(_) => {}
        }
        found.push(
            parser
                .requirement()
                .map_err(|why| format!("unable to parse requirement: {why}"))?,
        );
        match parser.next() {
            Token::End => break,
            comma if comma.is(",") => match parser.peek() {
                Token::Word(_) => {}
                bang if bang.is("!") => {}
                other => {
                    return Err(format!(
                        "found '{}', expected: identifier after ','",
                        other.text()
                    ));
                }
            },
            other => {
                return Err(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    other.text()
                ));
            }
        }
    }
    found.sort_by(|a: &Requirement, b| a.key.cmp(&b.key));
    Ok(found)
}

impl<'a> Parser<'a> {
    /// The next token and how many bytes it takes. A NUL ends the text, as upstream reads it.
    fn scan(&self) -> (Token<'a>, usize) {
        let bytes = self.text.as_bytes();
        let start = bytes.iter().take_while(|c| is_space(**c)).count();
        let rest = &self.text[start..];
        match rest.as_bytes() {
            [] | [0, ..] => (Token::End, start),
            [b'=' | b'!', b'=', ..] => (Token::Symbol(&rest[..2]), start + 2),
            [c, ..] if is_special(*c) => (Token::Symbol(&rest[..1]), start + 1),
            word => {
                let length = word
                    .iter()
                    .take_while(|c| !is_special(**c) && !is_space(**c) && **c != 0)
                    .count();
                (Token::Word(&rest[..length]), start + length)
            }
        }
    }

    fn peek(&self) -> Token<'a> {
        self.scan().0
    }

    fn next(&mut self) -> Token<'a> {
        let (token, length) = self.scan();
        self.text = &self.text[length..];
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let absent = token.is("!");
        if absent {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        let faults = label_key_faults(key);
        if !faults.is_empty() {
            return Err(FieldError::invalid("<nil>", key, faults.join("; ")).to_string());
        }
        let ends = matches!(self.peek(), Token::End) || self.peek().is(",");
        let asks = match (absent, ends) {
            (true, _) => Asks::DoesNotExist,
            (false, true) => Asks::Exists,
            (false, false) => self.comparison(key)?,
        };
        Ok(Requirement {
            key: key.to_owned(),
            asks,
        })
    }

    fn comparison(&mut self, key: &str) -> Result<Asks, String> {
        let operator = self.next().text();
        let values = match operator {
            "in" | "notin" => self.values()?,
            "=" | "==" | "!=" | ">" | "<" => self.exact_value()?,
            other => {
                return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt"));
            }
        };
        let mut findings = Vec::new();
        let mut bound = 0;
        if matches!(operator, ">" | "<") {
            match values[0].parse() {
                Ok(integer) => bound = integer,
                Err(_) => findings.push(FieldError::invalid(
                    "values[0]",
                    values[0].as_str(),
                    "for 'Gt', 'Lt' operators, the value must be an integer",
                )),
            }
        }
        for (at, value) in values.iter().enumerate() {
            let faults = label_value_faults(value);
            if !faults.is_empty() {
                let field = format!("values[{at}][{key}]");
                findings.push(FieldError::invalid(field, value.as_str(), faults.join("; ")));
            }
        }
        match findings.as_slice() {
            [] => {}
            [one] => return Err(one.to_string()),
            many => {
                let texts: Vec<String> = many.iter().map(ToString::to_string).collect();
                return Err(format!("[{}]", texts.join(", ")));
            }
        }
        Ok(match operator {
            "in" | "=" | "==" => Asks::In(values),
            "notin" | "!=" => Asks::NotIn(values),
            ">" => Asks::Above(bound),
            _ => Asks::Below(bound),
        })
    }

    /// `(a,b)`: at least one value, ordered; nothing between two commas is the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if !open.is("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        match self.peek() {
            Token::Word(_) => {}
            token if token.is(",") || token.is(")") => {}
            other => {
                return Err(format!(
                    "found '{}', expected: ',', ')' or identifier",
                    other.text()
                ));
            }
        }
        let mut values = BTreeSet::new();
        // Whether a comma or the bracket came last, so that nothing now is the empty value.
        let mut open = true;
        loop {
            match self.next() {
                Token::Word(word) => {
                    values.insert(word.to_owned());
                    open = false;
                    let after = self.peek();
                    if !after.is(",") && !after.is(")") {
                        return Err(format!("found '{}', expected: ',' or ')'", after.text()));
                    }
                }
                token if token.is(",") || token.is(")") => {
                    if open {
                        values.insert(String::new());
                    }
                    open = true;
                    if token.is(")") {
                        return Ok(values.into_iter().collect());
                    }
                }
                other => {
                    return Err(format!("found '{}', expected: ',', or identifier", other.text()));
                }
            }
        }
    }

    fn exact_value(&mut self) -> Result<Vec<String>, String> {
        let next = self.peek();
        if matches!(next, Token::End) || next.is(",") {
            return Ok(vec![String::new()]);
        }
        match self.next() {
            Token::Word(word) => Ok(vec![word.to_owned()]),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}
