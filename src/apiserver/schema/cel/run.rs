//! Asking the CEL rules of a schema about an object. Owns the walk, what `oldSelf` is, ratcheting, the budget and the words
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel`). A mistake at run time is a finding, never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kube_cel::cel::{self, Context, ExecutionError, Value as Cel};
use serde_json::Value;

use super::{
    super::{
        Additional, Schema, Type,
        correlate::{Correlated, aligned},
        values::MAX_FINDINGS,
    },
    Expression, FUNCTIONS, Program, Rule,
    value::{Converter, optional},
};
use crate::apiserver::field_error::{FieldError, FieldErrorKind};

/// The most steps of one rule; see [`super::Shape::cost`].
const MAX_COST: u64 = 5_000_000;

/// The most steps of all rules about one object.
const BUDGET: u64 = 20_000_000;

/// The longest message that an expression may make, in bytes.
const MAX_MESSAGE: usize = 5 * 1024;

/// The findings of all rules. With `old`, a rule without `oldSelf` finds nothing in what has not changed.
pub(in super::super) fn check(object: &Value, old: Option<&Value>, schema: &Schema) -> Vec<FieldError> {
    let mut walk = Walk {
        path: String::new(),
        found: Vec::new(),
        budget: BUDGET,
        over: false,
    };
    walk.node(object, Correlated::root(old), false, schema);
    walk.found
}

struct Walk {
    path: String,
    found: Vec<FieldError>,
    budget: u64,
    over: bool,
}

impl Walk {
    /// `kept`: an ancestor is as it was.
    fn node(&mut self, value: &Value, old: Correlated<'_>, kept: bool, schema: &Schema) {
        if value.is_null() || !schema.has_cel || self.over || self.found.len() >= MAX_FINDINGS {
            return;
        }
        if let Some(rules) = schema.rules.as_deref() {
            if let Some(program) = &rules.cel {
                self.rules(program, value, old, kept, schema);
            }
            for nested in &rules.all_of {
                self.nested(value, old, kept, (schema, nested));
            }
        }
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let (child, in_map) = match (schema.properties.get(key), &schema.additional) {
                        (Some(child), _) => (child, false),
                        (None, Some(Additional::Of(child))) => (child, true),
                        _ => continue,
                    };
                    if !child.has_cel {
                        continue;
                    }
                    let mark = self.path.len();
                    if in_map {
                        self.path.push_str(&format!("[{key}]"));
                    } else {
                        self.path.push_str(if mark == 0 { "" } else { "." });
                        self.path.push_str(key);
                    }
                    self.node(value, old.field(key), kept, child);
                    self.path.truncate(mark);
                }
            }
            Value::Array(items) => {
                let Some(child) = schema.items.as_deref().filter(|child| child.has_cel) else {
                    return;
                };
                let correlation = old.items(schema);
                for (index, item) in items.iter().enumerate() {
                    let mark = self.path.len();
                    self.path.push_str(&format!("[{index}]"));
                    let before = correlation.item(item);
                    let kept = kept
                        || (before.value.is_none()
                            && !matches!(schema.list, super::super::ListType::Map(_))
                            && old.value == Some(value));
                    self.node(item, before, kept, child);
                    self.path.truncate(mark);
                }
            }
            _ => {}
        }
    }

    /// Rules inside `allOf`, which see the types of the outer node.
    fn nested(
        &mut self,
        value: &Value,
        old: Correlated<'_>,
        kept: bool,
        (outer, nested): (&Schema, &Schema),
    ) {
        if let Some(program) = nested.rules.as_deref().and_then(|rules| rules.cel.as_ref()) {
            self.rules(program, value, old, kept, outer);
        }
    }

    fn rules(&mut self, program: &Program, value: &Value, old: Correlated<'_>, kept: bool, schema: &Schema) {
        let mut converter = Converter::default();
        let this = converter.part(value, Some(schema), &program.needs);
        let before = old.value.filter(|old| program.uses_old && !old.is_null());
        let before = before.map(|old| converter.convert(&aligned(old, value, schema), Some(schema)));
        let mut context = FUNCTIONS.new_inner_scope();
        context.add_variable_from_value("self", this);
        if let Some(before) = &before {
            context.add_variable_from_value("oldSelf", before.clone());
        }
        for rule in &*program.rules {
            let compiled = match &rule.compiled {
                Ok(compiled) => compiled,
                Err(mistake) => {
                    self.broken(schema, format!("rule compile error: {mistake}"));
                    continue;
                }
            };
            if compiled.shape.uses_old && before.is_none() && !rule.optional_old_self {
                continue;
            }
            let mut own;
            let context = if rule.optional_old_self {
                own = context.new_inner_scope();
                if let Some(before) = optional(before.clone()) {
                    own.add_variable_from_value("oldSelf", before);
                }
                &own
            } else {
                &context
            };
            let longest = if compiled.shape.splits {
                converter.longest.max(converter.longest_text)
            } else {
                converter.longest
            };
            if !self.afford(compiled.shape.cost(longest), rule, schema) {
                return;
            }
            match run(compiled, context) {
                Ok(Cel::Bool(true)) => {}
                Ok(_) => {
                    let unchanged = !compiled.shape.uses_old && (kept || old.value == Some(value));
                    if !unchanged {
                        self.violated(rule, value, schema, context);
                    }
                }
                Err(mistake) => self.failed(&mistake, rule, schema),
            }
        }
    }

    fn afford(&mut self, cost: u64, rule: &Rule, schema: &Schema) -> bool {
        if cost > MAX_COST {
            let words = "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule";
            self.broken(schema, format!("{words}: {}", rule.title()));
            self.over = true;
        } else if cost > self.budget {
            let words = "validation failed due to running out of cost budget, no further validation rules will be run";
            self.broken(schema, words.to_owned());
            self.over = true;
        } else {
            self.budget -= cost;
        }
        !self.over
    }

    fn violated(&mut self, rule: &Rule, value: &Value, schema: &Schema, context: &Context<'_>) {
        let said = (rule.message_expression.as_ref()).and_then(|expression| message(expression, context));
        let detail = said.unwrap_or_else(|| match rule.message.as_str() {
            "" => format!("failed rule: {}", rule.source.trim()),
            message => message.to_owned(),
        });
        let mut field = self.field().to_owned();
        if let Some(path) = &rule.field_path {
            field = if self.path.is_empty() {
                path.clone()
            } else {
                format!("{field}.{path}")
            };
        }
        let shown = (!matches!(schema.kind, Some(Type::Object | Type::Array))).then(|| value.clone());
        self.found.push(match rule.reason.as_deref() {
            Some("FieldValueForbidden") => FieldError::forbidden(field, detail),
            Some("FieldValueRequired") => FieldError::required(field, detail),
            Some("FieldValueDuplicate") => FieldError {
                kind: FieldErrorKind::Duplicate,
                field,
                value: shown,
                detail: String::new(),
            },
            _ => FieldError {
                kind: FieldErrorKind::Invalid,
                field,
                value: shown,
                detail,
            },
        });
    }

    fn failed(&mut self, mistake: &str, rule: &Rule, schema: &Schema) {
        let detail = if mistake == "no such overload" {
            let words =
                "call arguments did not match a supported operator, function or macro signature for rule";
            format!("'{mistake}': {words}: {}", rule.title())
        } else {
            format!("{mistake} evaluating rule: {}", rule.title())
        };
        self.broken(schema, detail);
    }

    fn broken(&mut self, schema: &Schema, detail: String) {
        let field = self.field().to_owned();
        self.found
            .push(FieldError::invalid(field, shown(schema.kind), detail));
    }

    fn field(&self) -> &str {
        if self.path.is_empty() { "<nil>" } else { &self.path }
    }
}

/// Evaluates; a mistake, or a panic of the interpreter, comes back as words.
fn run(expression: &Expression, context: &Context<'_>) -> Result<Cel, String> {
    let answer = catch_unwind(AssertUnwindSafe(|| Cel::resolve(&expression.tree, context)));
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(mistake)) => Err(words(&mistake)),
        Err(_) => Err("internal error".to_owned()),
    }
}

/// What a message expression says; nothing when it is no proper message.
fn message(expression: &Expression, context: &Context<'_>) -> Option<String> {
    let Ok(Cel::String(text)) = run(expression, context) else {
        return None;
    };
    let text = text.trim();
    (!text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n')).then(|| text.to_owned())
}

/// A mistake at run time in the words of the real interpreter, without values.
fn words(mistake: &ExecutionError) -> String {
    match mistake {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(cel::Value::Int(index)) => format!("index out of bounds: {index}"),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        _ => "no such overload".to_owned(),
    }
}

/// A type instead of a value: what the real server shows of a rule that cannot be asked.
const fn shown(kind: Option<Type>) -> &'static str {
    match kind {
        Some(Type::IntOrString) | None => "",
        Some(kind) => kind.name(),
    }
}
