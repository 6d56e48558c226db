//! The JSONPath of printer columns, as `k8s.io/client-go/util/jsonpath` reads it: fields with escaped dots, `[n]`,
//! `[a:b:c]`, `[*]`, unions, quoted keys (whose dots separate all the same), filters of one comparison, `..`.
//! Total: what cannot be parsed or followed gives nothing. Bounded in how much it visits. Called by `table`.

use serde_json::Value;

/// How many values one step may give.
const VISITED: usize = 10_000;
/// How many steps a path may have, those of filters included.
const STEPS: usize = 100;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    Slice(Slice),
    Union(Vec<JsonPath>),
    Filter(JsonPath, Option<(Comparison, Operand)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Slice {
    from: Option<i64>,
    to: Option<i64>,
    step: Option<i64>,
    single: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Value(Value),
    Path(JsonPath),
}

impl JsonPath {
    /// Parses; `None` for what is no path.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut steps = STEPS;
        parse(text, &mut steps)
    }

    /// The first value that the path leads to.
    pub(super) fn first<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.all(object)?.first().copied()
    }

    /// Everything it leads to; `None` when it cannot be followed.
    fn all<'a>(&self, object: &'a Value) -> Option<Vec<&'a Value>> {
        let mut found = vec![object];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                step.follow(value, &mut next)?;
                if next.len() > VISITED {
                    return None;
                }
            }
            found = next;
        }
        Some(found)
    }
}

impl Step {
    fn follow<'a>(&self, value: &'a Value, next: &mut Vec<&'a Value>) -> Option<()> {
        match self {
            Self::Field(name) => next.extend(value.get(name)),
            Self::Wildcard => match value {
                Value::Array(items) => next.extend(items),
                Value::Object(map) => next.extend(map.values()),
                _ => {}
            },
            Self::Recursive => descend(value, next),
            Self::Slice(slice) => match value {
                Value::Array(items) => next.extend(slice.of(items)?),
                Value::Null => {}
                _ => return None,
            },
            Self::Union(paths) => {
                for path in paths {
                    next.extend(path.all(value)?);
                }
            }
            Self::Filter(left, comparison) => {
                let Value::Array(items) = value else {
                    return if value.is_null() { Some(()) } else { None };
                };
                for item in items {
                    if passes(item, left, comparison.as_ref())? {
                        next.push(item);
                    }
                }
            }
        }
        Some(())
    }
}

/// The value and everything below it. Documents are at most 100 levels deep, so this returns.
fn descend<'a>(value: &'a Value, next: &mut Vec<&'a Value>) {
    if next.len() > VISITED {
        return;
    }
    next.push(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| descend(item, next)),
        Value::Object(map) => map.values().for_each(|item| descend(item, next)),
        _ => {}
    }
}

impl Slice {
    /// `None` outside of the bounds, as upstream refuses those.
    fn of<'a>(&self, items: &'a [Value]) -> Option<Vec<&'a Value>> {
        let length = i64::try_from(items.len()).ok()?;
        let place = |at: i64| if at < 0 { at + length } else { at };
        let from = place(self.from.unwrap_or(0));
        if self.single {
            return Some(vec![items.get(usize::try_from(from).ok()?)?]);
        }
        let to = place(self.to.unwrap_or(length));
        if items.is_empty() {
            return Some(Vec::new());
        }
        if from < 0 || from >= length || to > length || to < from {
            return None;
        }
        let step = usize::try_from(self.step.unwrap_or(1))
            .ok()
            .filter(|step| *step > 0)?;
        let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
        Some(items.get(range)?.iter().step_by(step).collect())
    }
}

fn passes(item: &Value, left: &JsonPath, comparison: Option<&(Comparison, Operand)>) -> Option<bool> {
    let found = left.all(item)?;
    let Some((comparison, right)) = comparison else {
        return Some(!found.is_empty());
    };
    let Some(left) = found.first() else {
        return Some(false);
    };
    let right = match right {
        Operand::Value(value) => value,
        Operand::Path(path) => match path.first(item) {
            Some(value) => value,
            None => return Some(false),
        },
    };
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => return Some(*comparison == Comparison::NotEqual),
    }?;
    Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

fn parse(text: &str, budget: &mut usize) -> Option<JsonPath> {
    let text = text.trim();
    let mut rest = text.strip_prefix(['$', '@']).unwrap_or(text);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        *budget = budget.checked_sub(1)?;
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Recursive);
            rest = after;
            if !rest.starts_with('[') {
                rest = field(rest, &mut steps)?;
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = if after.starts_with('[') {
                after
            } else {
                field(after, &mut steps)?
            };
        } else {
            let (inner, after) = bracket(rest.strip_prefix('[')?)?;
            subscript(inner, &mut steps, budget)?;
            rest = after;
        }
    }
    Some(JsonPath(steps))
}

/// A name up to what ends one; a backslash takes the next character as it is.
fn field<'a>(text: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}' | ' ' => {
                end = at;
                break;
            }
            c => name.push(c),
        }
    }
    if name == "*" {
        steps.push(Step::Wildcard);
    } else if !name.is_empty() {
        steps.push(Step::Field(name));
    }
    Some(&text[end..])
}

/// What is before the closing bracket, outside of quotes and inner brackets, and what is after it.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn subscript(inner: &str, steps: &mut Vec<Step>, budget: &mut usize) -> Option<()> {
    let inner = inner.trim();
    if let Some(filter) = inner.strip_prefix('?') {
        let filter = filter.trim().strip_prefix('(')?.strip_suffix(')')?;
        steps.push(parse_filter(filter, budget)?);
    } else if inner == "*" {
        steps.push(Step::Slice(Slice::default()));
    } else if let Some(key) = quoted(inner) {
        // Dots in quotes separate fields, unless they are escaped.
        steps.extend(parse(&format!(".{key}"), budget)?.0);
    } else if inner.contains(',') {
        let parts = inner.split(',').map(|part| {
            let mut steps = Vec::new();
            *budget = budget.checked_sub(1)?;
            subscript(part, &mut steps, budget)?;
            Some(JsonPath(steps))
        });
        steps.push(Step::Union(parts.collect::<Option<_>>()?));
    } else {
        let numbers = inner.split(':').map(|part| match part.trim() {
            "" => Some(None),
            number => number.parse().ok().map(Some),
        });
        let numbers: Vec<Option<i64>> = numbers.collect::<Option<_>>()?;
        let slice = match numbers.as_slice() {
            [Some(at)] => Slice {
                from: Some(*at),
                single: true,
                ..Slice::default()
            },
            [from, to] => Slice {
                from: *from,
                to: *to,
                ..Slice::default()
            },
            [from, to, step] => Slice {
                from: *from,
                to: *to,
                step: *step,
                single: false,
            },
            _ => return None,
        };
        steps.push(Step::Slice(slice));
    }
    Some(())
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains(quote)).then_some(inner)
}

fn parse_filter(text: &str, budget: &mut usize) -> Option<Step> {
    let operator = |c: char| matches!(c, '=' | '!' | '<' | '>');
    let Some(at) = text.find(operator) else {
        return Some(Step::Filter(parse(text, budget)?, None));
    };
    let length = text[at..].find(|c| !operator(c))?;
    let comparison = match &text[at..at + length] {
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    };
    let right = text[at + length..].trim();
    let operand = if let Some(text) = quoted(right) {
        Operand::Value(text.into())
    } else if right.starts_with(['@', '$', '.']) {
        Operand::Path(parse(right, budget)?)
    } else {
        let scalar: Value = serde_json::from_str(right).ok()?;
        (scalar.is_number() || scalar.is_boolean()).then_some(Operand::Value(scalar))?
    };
    Some(Step::Filter(
        parse(&text[..at], budget)?,
        Some((comparison, operand)),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn first(path: &str) -> Option<Value> {
        let object = json!({
            "a": {"b.c/d": 1, "e": {"f": 2}},
            "l": [{"n": "x", "v": 1}, {"n": "y", "v": 2}, {"n": "z", "v": 3, "on": true}],
            "s": "text", "nil": null, "empty": [],
        });
        JsonPath::parse(path)?.first(&object).cloned()
    }

    #[test]
    fn paths_lead_to_the_first_value() {
        for (path, expected) in [
            (".s", json!("text")),
            ("$.s", json!("text")),
            (r".a.b\.c/d", json!(1)),
            ("['a']['e'].f", json!(2)),
            (".a['e.f']", json!(2)),
            (r".a['b\.c/d']", json!(1)),
            (".l[0].n", json!("x")),
            (".l[-1].n", json!("z")),
            (".l[-1:].n", json!("z")),
            (".l[1:3].n", json!("y")),
            (".l[0:3:2].n", json!("x")),
            (".l[*].n", json!("x")),
            (".l[2,0].n", json!("z")),
            (".l[?(@.n==\"y\")].v", json!(2)),
            (".l[?(@.n=='y')].v", json!(2)),
            (".l[?(@.v>=2)].n", json!("y")),
            (".l[?(@.v<2)].n", json!("x")),
            (".l[?(@.n!=\"x\")].n", json!("y")),
            (".l[?(@.on==true)].n", json!("z")),
            (".l[?(@.on)].n", json!("z")),
            (".l[?( @.v == @.v )].n", json!("x")),
            ("..f", json!(2)),
            (".a.*.f", json!(2)),
            (".nil", json!(null)),
        ] {
            assert_eq!(first(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_leads_nowhere_gives_nothing() {
        for path in [
            ".nope",
            ".s.x",
            ".s[0]",
            ".l[7]",
            ".l[-4]",
            ".l[0:4]",
            ".l[?(@.n==\"q\")].v",
            ".empty[0]",
            ".empty[-1:].n",
            ".l.n",
            "nope",
            ".l[",
            ".l[x]",
            ".l[?(@.n=y)]",
            ".l[?(@.n===\"y\")]",
            ".l[?@.n]",
            ".l[0:1:0]",
            ".l[1:2:3:4]",
            "]",
            ".l[?()=]",
        ] {
            assert_eq!(first(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_not(path in "(\\.|\\[|\\]|\\?|\\(|\\)|@|=|==|<|'|\"|\\*|:|,|-|[0-9]|l|n|\\\\|é| ){0,20}") {
            let _ = first(&path);
        }
    }
}
