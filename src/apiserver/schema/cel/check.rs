//! Mistakes in CEL rules, found when a CRD is written. Owns the findings; the interpreter has no type checker, so what is
//! found is what cannot be parsed, unknown names, fields that the schema has not, and `oldSelf` where none can be found.
//! Called by `parse`.

use kube_cel::cel::{IdedExpr, common::ast::Expr};
use serde_json::{Value, json};

use super::{
    super::{Additional, ListType, Schema, Type},
    Program, Rule,
    value::escape,
};
use crate::apiserver::field_error::{FieldError, FieldErrorKind};

/// The mistakes in the rules of `schema`, at `at`.
pub(in super::super) fn findings(schema: &Schema, at: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(schema, at, None, &mut found);
    found
}

/// `loose`: the list whose items have no old values.
fn walk(schema: &Schema, at: &str, loose: Option<&str>, found: &mut Vec<FieldError>) {
    if !schema.has_cel {
        return;
    }
    if let Some(program) = schema.rules.as_deref().and_then(|rules| rules.cel.as_ref()) {
        mistakes(program, schema, at, loose, found);
    }
    for (name, child) in &schema.properties {
        walk(child, &format!("{at}.properties[{name}]"), loose, found);
    }
    if let Some(items) = &schema.items {
        let here = (!matches!(schema.list, ListType::Map(_))).then_some(at);
        walk(items, &format!("{at}.items"), loose.or(here), found);
    }
    if let Some(Additional::Of(values)) = &schema.additional {
        walk(values, &format!("{at}.additionalProperties"), loose, found);
    }
}

fn mistakes(program: &Program, schema: &Schema, at: &str, loose: Option<&str>, found: &mut Vec<FieldError>) {
    for (index, rule) in program.rules.iter().enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{index}]");
        let uses_old = rule
            .compiled
            .as_ref()
            .is_ok_and(|compiled| compiled.shape.uses_old);
        if let Some(mistake) = mistake(rule, schema) {
            found.push(about(
                rule,
                format!("{at}.rule"),
                &format!("compilation failed: {mistake}"),
            ));
        }
        if let Some(mistake) = &rule.message_mistake {
            let detail = format!("messageExpression compilation failed: {mistake}");
            found.push(about(rule, format!("{at}.messageExpression"), &detail));
        }
        if let (true, Some(list)) = (uses_old, loose) {
            let detail =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
            found.push(FieldError::invalid(
                format!("{at}.rule"),
                rule.source.as_str(),
                detail,
            ));
        }
        if !uses_old && rule.compiled.is_ok() && rule.optional_old_self {
            let detail = "may not be set if oldSelf is not used in rule";
            found.push(FieldError::invalid(format!("{at}.optionalOldSelf"), true, detail));
        }
    }
}

/// The real server shows the whole rule; in its order of fields, hence as text.
fn about(rule: &Rule, field: String, detail: &str) -> FieldError {
    let text = |text: &str| Value::from(text).to_string();
    let shown = format!(
        r#"{{"Rule":{},"Message":{},"MessageExpression":{},"Reason":{},"FieldPath":{},"OptionalOldSelf":{}}}"#,
        text(&rule.source),
        text(&rule.message),
        text(rule.message_source.as_deref().unwrap_or_default()),
        rule.reason.as_deref().map_or_else(|| "null".to_owned(), text),
        text(rule.field_path.as_deref().unwrap_or_default()),
        if rule.optional_old_self {
            json!(true)
        } else {
            Value::Null
        },
    );
    FieldError {
        kind: FieldErrorKind::Invalid,
        field,
        value: None,
        detail: format!("{shown}: {detail}"),
    }
}

fn mistake(rule: &Rule, schema: &Schema) -> Option<String> {
    let compiled = match &rule.compiled {
        Err(mistake) => return Some(mistake.clone()),
        Ok(compiled) => compiled,
    };
    if let Some(name) = &compiled.shape.unknown {
        let place = rule.source.find(name.as_str()).unwrap_or_default();
        return Some(told(
            rule,
            place,
            &format!("undeclared reference to '{name}' (in container '')"),
        ));
    }
    let mut unknown = None;
    visit(&compiled.tree, schema, &mut unknown);
    let field = unknown?;
    let place = rule.source.find(&format!(".{field}")).unwrap_or_default();
    Some(told(rule, place, &format!("undefined field '{field}'")))
}

/// A mistake at the byte `place` of the rule.
fn told(rule: &Rule, place: usize, what: &str) -> String {
    let before = &rule.source[..place];
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count());
    let text = rule.source.lines().nth(line).unwrap_or_default();
    format!(
        "ERROR: <input>:{}:{}: {what}\n | {text}\n | {}^",
        line + 1,
        column + 1,
        ".".repeat(column)
    )
}

/// The schema of an expression when it is a path from `self` or `oldSelf`; on the way, the first field that is not there.
fn visit<'a>(node: &IdedExpr, root: &'a Schema, unknown: &mut Option<String>) -> Option<&'a Schema> {
    match &node.expr {
        Expr::Ident(name) => return matches!(name.as_str(), "self" | "oldSelf").then_some(root),
        Expr::Select(select) => {
            let of = visit(&select.operand, root, unknown)?;
            if of.kind != Some(Type::Object) {
                return None;
            }
            let property = of
                .properties
                .iter()
                .find(|(name, _)| escape(name) == select.field);
            let whole =
                of.embedded_resource && matches!(select.field.as_str(), "apiVersion" | "kind" | "metadata");
            match (property, &of.additional) {
                (Some((_, child)), _) => return Some(child),
                (None, Some(Additional::Of(values))) => return Some(values),
                (None, None) if !whole && !is_root_field(of, root, &select.field) => {
                    unknown.get_or_insert_with(|| select.field.clone());
                }
                _ => {}
            }
        }
        Expr::Call(call) => {
            for part in call.target.iter().map(|target| &**target).chain(&call.args) {
                visit(part, root, unknown);
            }
        }
        Expr::List(list) => {
            for element in &list.elements {
                visit(element, root, unknown);
            }
        }
        Expr::Comprehension(inner) => {
            for part in [
                &inner.iter_range,
                &inner.accu_init,
                &inner.loop_cond,
                &inner.loop_step,
                &inner.result,
            ] {
                visit(part, root, unknown);
            }
        }
        _ => {}
    }
    None
}

/// Of a whole object, the fields that every object has; and `optionalOldSelf`, whose functions look like fields.
fn is_root_field(of: &Schema, root: &Schema, field: &str) -> bool {
    std::ptr::eq(of, root) && matches!(field, "apiVersion" | "kind" | "metadata")
}
