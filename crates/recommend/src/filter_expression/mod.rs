//! Filter expressions in CEL: checked once, compiled once, kept in a bounded cache.
//!
//! The text comes from callers, so everything about it is bounded before the first item is looked
//! at: its length, its depth, the functions it may call and the steps one evaluation can take.
//! `map` and `filter` are refused, because lists made from lists are how an expression of 100
//! bytes fills a machine's memory.

mod cache;
mod evaluate;

pub(crate) use cache::ExpressionCache;
pub(crate) use evaluate::{BoundExpression, Outcome};

use cel::common::ast::{Expr, SourceInfo, operators};
use cel::parser::Parser;
use cel::{IdedExpr, ParseErrors};
use thiserror::Error;

/// Deepest nesting of brackets and conditions; bounds the stack that parsing takes.
const NESTING_MAX: u16 = 16;
/// Deepest tree, of which a chain such as `a + b + c` is one level per operator; bounds the stack
/// that an evaluation takes.
const DEPTH_MAX: usize = 48;
/// Most steps that one evaluation may take, by [`Check::cost`].
const COST_MAX: u64 = 4_096;
/// Elements that a list of unknown length is taken to have.
const LIST_LEN_ASSUMED: u64 = 64;

/// What an expression may call, operators included.
const FUNCTIONS: [&str; 24] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
    operators::NOT_STRICTLY_FALSE,
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "double",
];
/// What an expression may name.
pub(crate) const VARIABLES: [&str; 2] = ["item", "context"];

/// Why an expression was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (line {line}, column {column})")]
pub struct ExpressionError {
    /// Line of the expression, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// A checked and compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) ast: IdedExpr,
}

impl Expression {
    /// Compiles `text`.
    pub(crate) fn compile(text: &str) -> Result<Self, ExpressionError> {
        let parsed = Parser::new()
            .max_recursion_depth(NESTING_MAX)
            .error_recovery_limit(1)
            .parse_with_source_info(text);
        let (ast, source) = parsed.map_err(|errors| first_error(&errors))?;
        let check = Check {
            text,
            source: &source,
        };
        let cost = check.cost(&ast, 1, &mut VARIABLES.to_vec())?;
        if cost > COST_MAX {
            let message = format!("may take {cost} steps per item, at most {COST_MAX} are allowed");
            return Err(error_at(text, 0, message));
        }
        Ok(Self { ast })
    }
}

/// One walk over the tree: everything is known and allowed, and what it may cost.
struct Check<'s> {
    text: &'s str,
    source: &'s SourceInfo,
}

impl Check<'_> {
    /// Bound of the steps that evaluating `node` takes: one per node, and the body of `exists` or
    /// `all` once per element of its list.
    fn cost<'n>(
        &self,
        node: &'n IdedExpr,
        depth: usize,
        scope: &mut Vec<&'n str>,
    ) -> Result<u64, ExpressionError> {
        if depth > DEPTH_MAX {
            let message = format!("is nested deeper than {DEPTH_MAX} levels");
            return Err(self.refuse(node, message));
        }
        let mut sum = 1_u64;
        let mut add = |child: &'n IdedExpr, scope: &mut Vec<&'n str>| {
            let cost = self.cost(child, depth + 1, scope)?;
            sum = sum.saturating_add(cost);
            Ok::<(), ExpressionError>(())
        };
        match &node.expr {
            Expr::Literal(_) => {}
            Expr::Ident(name) => self.known(node, "name", name, scope)?,
            Expr::Select(select) => add(&select.operand, scope)?,
            Expr::List(list) => list.elements.iter().try_for_each(|e| add(e, scope))?,
            Expr::Call(call) => {
                self.known(node, "function", &call.func_name, &FUNCTIONS)?;
                let operands = call.target.as_deref().into_iter().chain(&call.args);
                operands
                    .into_iter()
                    .try_for_each(|operand| add(operand, scope))?;
            }
            Expr::Comprehension(each) => {
                if matches!(each.accu_init.expr, Expr::List(_)) {
                    let message = "map() and filter() are not supported, exists() and all() are";
                    return Err(self.refuse(node, message.to_owned()));
                }
                let len = match &each.iter_range.expr {
                    Expr::List(list) => list.elements.len() as u64,
                    _ => LIST_LEN_ASSUMED,
                };
                add(&each.iter_range, scope)?;
                scope.extend([each.accu_var.as_str(), each.iter_var.as_str()]);
                let step = self.cost(&each.loop_step, depth + 1, scope)?;
                scope.truncate(scope.len() - 2);
                sum = sum.saturating_add(len.saturating_mul(step.saturating_add(2)));
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                let message = "map and message literals are not supported".to_owned();
                return Err(self.refuse(node, message));
            }
        }
        Ok(sum)
    }

    fn known(
        &self,
        node: &IdedExpr,
        what: &str,
        name: &str,
        valid: &[&str],
    ) -> Result<(), ExpressionError> {
        if valid.contains(&name) {
            return Ok(());
        }
        let is_word = |name: &&&str| name.starts_with(|c: char| c.is_ascii_alphabetic());
        let words: Vec<&str> = valid.iter().filter(is_word).copied().collect();
        let message = format!(
            "there is no {what} `{name}`; valid are: {}",
            words.join(", ")
        );
        Err(self.refuse(node, message))
    }

    fn refuse(&self, node: &IdedExpr, message: String) -> ExpressionError {
        let offset = self
            .source
            .offset_for(node.id)
            .map_or(0, |(start, _)| start);
        error_at(self.text, offset as usize, message)
    }
}

/// An error at the `offset`-th character of `text`.
fn error_at(text: &str, offset: usize, message: String) -> ExpressionError {
    let before = text.chars().take(offset);
    let (mut line, mut column) = (1, 1);
    for character in before {
        if character == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    ExpressionError {
        line,
        column,
        message,
    }
}

fn first_error(errors: &ParseErrors) -> ExpressionError {
    let Some(error) = errors.errors.first() else {
        return error_at("", 0, "cannot be parsed".to_owned());
    };
    // The parser counts lines from 1 and columns from 1; 0 where it does not know.
    let from_one = |n: isize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
    ExpressionError {
        line: from_one(error.pos.0),
        column: from_one(error.pos.1),
        message: error.msg.chars().take(200).collect(),
    }
}
