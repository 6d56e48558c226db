//! What of a value a rule looks at: most rules ask one field of a large object, and only what they ask is converted.
//! Owns the reading of an expression for paths from a variable; anything but a path needs the whole. Pure.
//! Used by `Program` when it is read, and by `value` when it converts.

use std::collections::BTreeMap;

use kube_cel::cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr},
};

/// What of a value is looked at. Without fields: that it is there.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// All of it.
    pub(super) whole: bool,
    /// By name, as rules write it.
    pub(super) fields: BTreeMap<String, Needs>,
}

impl Needs {
    /// Adds what `node` looks at of the variable `name`.
    pub(super) fn read(&mut self, node: &IdedExpr, name: &str) {
        let mut path = Vec::new();
        if let Some(presence) = path_of(node, name, &mut path) {
            self.add(&path, presence);
            return;
        }
        match &node.expr {
            Expr::Select(select) => self.read(&select.operand, name),
            Expr::Call(call) => {
                for part in call.target.iter().map(|target| &**target).chain(&call.args) {
                    self.read(part, name);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|part| self.read(part, name)),
            Expr::Map(map) => self.entries(&map.entries, name),
            Expr::Struct(of) => self.entries(&of.entries, name),
            Expr::Comprehension(inner) => {
                for part in [
                    &inner.iter_range,
                    &inner.accu_init,
                    &inner.loop_cond,
                    &inner.loop_step,
                    &inner.result,
                ] {
                    self.read(part, name);
                }
            }
            Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
            #[expect(unreachable_patterns, reason = "the crate may add kinds of expressions")]
            _ => self.whole = true,
        }
    }

    fn entries(&mut self, entries: &[kube_cel::cel::common::ast::IdedEntryExpr], name: &str) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.read(&field.value, name),
                EntryExpr::MapEntry(entry) => {
                    self.read(&entry.key, name);
                    self.read(&entry.value, name);
                }
            }
        }
    }

    fn add(&mut self, path: &[&str], presence: bool) {
        let mut at = self;
        for field in path {
            at = at.fields.entry((*field).to_owned()).or_default();
        }
        at.whole |= !presence;
    }
}

/// Fills `path` when `node` is a path of fields from the variable, and answers whether only its presence is asked.
fn path_of<'a>(node: &'a IdedExpr, name: &str, path: &mut Vec<&'a str>) -> Option<bool> {
    match &node.expr {
        Expr::Ident(ident) => (ident == name).then_some(false),
        Expr::Select(select) => {
            // The presence of something is no value with fields.
            let of_presence = path_of(&select.operand, name, path)?;
            path.push(&select.field);
            (!of_presence).then_some(select.test)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(source: &str) -> String {
        let tree = kube_cel::cel::parser::Parser::new()
            .enable_optional_syntax(true)
            .parse(source)
            .unwrap();
        let mut needs = Needs::default();
        needs.read(&tree, "self");
        shown(&needs)
    }

    fn shown(needs: &Needs) -> String {
        let fields: Vec<String> = needs
            .fields
            .iter()
            .map(|(name, of)| format!("{name}{}", shown(of)))
            .collect();
        let whole = if needs.whole { "*" } else { "" };
        if fields.is_empty() {
            return whole.to_owned();
        }
        format!("{whole}({})", fields.join(" "))
    }

    #[test]
    fn a_path_is_needed_from_its_end_on_and_a_question_for_presence_needs_no_value() {
        assert_eq!(needs("!has(self.a)"), "(a)");
        assert_eq!(needs("!has(self.a) || self.a.b == 'x'"), "(a(b*))");
        assert_eq!(needs("has(self.a.b) && size(self.a.c) == 0"), "(a(b c*))");
        assert_eq!(needs("self.a.all(x, has(x.b))"), "(a*)");
        assert_eq!(needs("{'k': self.a}['k'] == [self.b][0]"), "(a* b*)");
    }

    #[test]
    fn the_variable_without_a_path_is_needed_as_a_whole() {
        for source in [
            "self == 'x'",
            "size(self) > 1",
            "self.all(x, x != '')",
            "self['a'] == 1",
            "self.?a.hasValue()",
        ] {
            assert!(needs(source).starts_with('*'), "{source}: {}", needs(source));
        }
        assert_eq!(needs("1 + 1 == 2"), "");
    }
}
