//! CEL rules (`x-kubernetes-validations`): the compiled rules of one node of a schema, and how a compiled rule is bounded.
//! Owns the compilation. `check` finds mistakes in rules, `run` asks them, `value` makes CEL values of JSON.
//! The interpreter has no cost limit of its own, so what a rule may loop over is bounded before it runs.

mod check;
mod needs;
mod patterns;
mod run;
mod value;

use std::sync::{Arc, LazyLock};

use kube_cel::{
    KubeCelExt,
    cel::{
        self, Context, IdedExpr,
        common::ast::{EntryExpr, Expr},
    },
};
use serde_json::{Map, Value};

use self::needs::Needs;
use super::parse::{flag, text};

pub(super) use check::findings;
pub(super) use run::check;

/// The longest rule that is compiled, in bytes.
const MAX_SOURCE: usize = 16 * 1024;

/// The deepest tree that is evaluated: evaluation recurses.
const MAX_DEPTH: usize = 200;

/// The stack on which a rule is parsed. The parser recurses a dozen calls per bracket.
const STACK: usize = 64 << 20;

/// All functions that Kubernetes knows.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default().with_all();
    context.add_function("type", value::type_of);
    context.add_function("matches", patterns::matches);
    for name in TYPES {
        context.add_variable_from_value(name, name.to_owned());
    }
    context
});

/// Types as values of rules: the interpreter has none, so that their names stand for them.
const TYPES: [&str; 12] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "type",
    "null_type",
    "timestamp",
    "duration",
];

/// The compiled rules of one node.
#[derive(Debug, Clone)]
pub struct Program {
    rules: Arc<[Rule]>,
    /// What they look at of `self`.
    needs: Arc<Needs>,
    uses_old: bool,
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

/// One rule.
#[derive(Debug)]
struct Rule {
    source: String,
    compiled: Result<Expression, String>,
    message: String,
    message_source: Option<String>,
    message_expression: Option<Expression>,
    message_mistake: Option<String>,
    reason: Option<String>,
    /// Relative to the node: `spec.x`, without the leading dot.
    field_path: Option<String>,
    optional_old_self: bool,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
            && self.message == other.message
            && self.message_source == other.message_source
            && self.reason == other.reason
            && self.field_path == other.field_path
            && self.optional_old_self == other.optional_old_self
    }
}

/// A compiled expression and its shape.
#[derive(Debug)]
struct Expression {
    tree: cel::parser::Expression,
    shape: Shape,
}

/// What bounds the cost of an expression.
#[derive(Debug, Default, Clone)]
struct Shape {
    depth: usize,
    nodes: usize,
    /// How many loops are inside of each other.
    loops: u32,
    uses_old: bool,
    /// Loops may go over the parts of texts.
    splits: bool,
    /// Names that are neither variables nor bound by a loop.
    unknown: Option<String>,
}

impl Program {
    /// The rules of the schema node `map`; `None` when it has none.
    pub(super) fn read(map: &Map<String, Value>) -> Option<Self> {
        let rules = map.get("x-kubernetes-validations")?.as_array()?;
        let rules: Arc<[Rule]> = rules
            .iter()
            .filter_map(Value::as_object)
            .map(Rule::read)
            .collect();
        let expressions = || rules.iter().flat_map(Rule::expressions);
        let mut needs = Needs::default();
        expressions().for_each(|expression| needs.read(&expression.tree, "self"));
        let uses_old = expressions().any(|expression| expression.shape.uses_old);
        (!rules.is_empty()).then_some(Self {
            rules,
            needs: Arc::new(needs),
            uses_old,
        })
    }
}

impl Rule {
    fn read(map: &Map<String, Value>) -> Self {
        let owned = |key: &str| text(map, key).map(str::to_owned);
        let source = owned("rule").unwrap_or_default();
        let message_source = owned("messageExpression").filter(|text| !text.is_empty());
        let (message_expression, message_mistake) = match message_source.as_deref().map(compile) {
            None => (None, None),
            Some(Ok(expression)) => (Some(expression), None),
            Some(Err(mistake)) => (None, Some(mistake)),
        };
        Self {
            compiled: compile(&source),
            message: owned("message").unwrap_or_default().trim().to_owned(),
            message_source,
            message_expression,
            message_mistake,
            reason: owned("reason"),
            field_path: text(map, "fieldPath")
                .map(normalized)
                .filter(|path| !path.is_empty()),
            optional_old_self: flag(map, "optionalOldSelf"),
            source,
        }
    }

    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.compiled
            .as_ref()
            .ok()
            .into_iter()
            .chain(&self.message_expression)
    }

    /// How the rule is called in a finding.
    fn title(&self) -> &str {
        if self.message.is_empty() {
            self.source.trim()
        } else {
            &self.message
        }
    }
}

/// `.spec['a']` as `spec.a`.
fn normalized(path: &str) -> String {
    path.replace("['", ".")
        .replace("']", "")
        .trim_start_matches('.')
        .to_owned()
}

/// Parses on a stack of its own and measures. An answer for any text.
fn compile(source: &str) -> Result<Expression, String> {
    if source.len() > MAX_SOURCE {
        return Err(format!("the rule is longer than {MAX_SOURCE} bytes"));
    }
    let parse = || -> Result<Expression, String> {
        let parser = cel::parser::Parser::new().enable_optional_syntax(true);
        let tree = parser
            .parse(source)
            .map_err(|errors| one_line(&errors.to_string()))?;
        let mut shape = Shape::default();
        shape.measure(&tree, 0, 0, &mut vec!["self", "oldSelf"]);
        if shape.depth > MAX_DEPTH {
            // Dropping recurses as well, here on the large stack.
            drop(tree);
            return Err("expression recursion limit exceeded".to_owned());
        }
        Ok(Expression { tree, shape })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, parse);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("the expression cannot be parsed".to_owned()),
            Err(_) => Err("no thread to parse the expression".to_owned()),
        }
    })
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\n| ", "\n | ")
}

impl Shape {
    fn measure<'a>(&mut self, node: &'a IdedExpr, depth: usize, loops: u32, bound: &mut Vec<&'a str>) {
        self.nodes += 1;
        self.depth = self.depth.max(depth);
        self.loops = self.loops.max(loops);
        let deeper = depth + 1;
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                self.uses_old |= name == "oldSelf";
                if !bound.contains(&name.as_str()) && !is_type(name) && self.unknown.is_none() {
                    self.unknown = Some(name.clone());
                }
            }
            Expr::Select(select) => {
                // `sets.contains(...)`: a namespace of functions, not a variable.
                self.measure(&select.operand, deeper, loops, bound);
            }
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                self.splits |= matches!(name, "split" | "findAll" | "bytes");
                if let Some(target) = &call.target {
                    let is_namespace = matches!(&target.expr, Expr::Ident(space) if is_namespace(space));
                    if !is_namespace {
                        self.measure(target, deeper, loops, bound);
                    }
                }
                for argument in &call.args {
                    self.measure(argument, deeper, loops, bound);
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.measure(element, deeper, loops, bound);
                }
            }
            Expr::Map(map) => self.entries(&map.entries, deeper, loops, bound),
            Expr::Struct(of) => self.entries(&of.entries, deeper, loops, bound),
            Expr::Comprehension(inner) => {
                self.measure(&inner.iter_range, deeper, loops, bound);
                self.measure(&inner.accu_init, deeper, loops, bound);
                let mark = bound.len();
                bound.extend([inner.iter_var.as_str(), inner.accu_var.as_str(), "@result"]);
                bound.extend(inner.iter_var2.as_deref());
                for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
                    self.measure(part, deeper, loops + 1, bound);
                }
                bound.truncate(mark);
            }
            #[expect(unreachable_patterns, reason = "the crate may add kinds of expressions")]
            _ => {}
        }
    }

    fn entries<'a>(
        &mut self,
        entries: &'a [cel::common::ast::IdedEntryExpr],
        depth: usize,
        loops: u32,
        bound: &mut Vec<&'a str>,
    ) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.measure(&field.value, depth, loops, bound),
                EntryExpr::MapEntry(entry) => {
                    self.measure(&entry.key, depth, loops, bound);
                    self.measure(&entry.value, depth, loops, bound);
                }
            }
        }
    }

    /// About how many steps an evaluation takes when no list, map or text is longer than `longest`.
    fn cost(&self, longest: usize) -> u64 {
        let longest = u64::try_from(longest).unwrap_or(u64::MAX).max(1);
        let nodes = u64::try_from(self.nodes).unwrap_or(u64::MAX);
        longest.saturating_pow(self.loops).saturating_mul(nodes)
    }
}

fn is_namespace(name: &str) -> bool {
    matches!(
        name,
        "sets"
            | "math"
            | "base64"
            | "optional"
            | "format"
            | "jsonpatch"
            | "cel"
            | "ip"
            | "cidr"
            | "lists"
            | "strings"
    )
}

fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}
