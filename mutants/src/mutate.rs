//! Which mutants a script has.
//!
//! - A condition of `if`, `elseif` or `while` is replaced by `true` and by `false`.
//! - Of `a and b`, and of `a or b`, one operand is left out, each in turn.
//! - `not a` becomes `a`.
//! - A comparison is negated.
//! - A boundary is moved by one in either direction: `<` becomes `<=`, a number in a comparison becomes the next one on
//!   the other side; so do the limits of a loop, and a number that `math.min` or `math.max` compares with.
//! - `math.min` and `math.max` return one of their arguments, each in turn.
//! - A command that writes is left out; where its reply is used, it is that of a success.

use std::collections::BTreeMap;

use full_moon::ast::{BinOp, ElseIf, Expression, FunctionArgs, FunctionCall, If, NumericFor};
use full_moon::ast::{Call, Index, Prefix, Stmt, Suffix, UnOp, While};
use full_moon::node::Node;
use full_moon::tokenizer::{Position, TokenReference, TokenType};
use full_moon::visitors::Visitor;

/// A change of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// The bytes of the text that are replaced.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) replacement: String,
}

impl Mutant {
    /// The text of the script with the change.
    pub(crate) fn apply(&self, text: &str) -> String {
        [&text[..self.start], &self.replacement, &text[self.end..]].concat()
    }

    /// The changed lines, before and after.
    fn lines(&self, text: &str) -> String {
        let first = text[..self.start].rfind('\n').map_or(0, |at| at + 1);
        let last = text[self.end..]
            .find('\n')
            .map_or(text.len(), |at| self.end + at);
        let after = [
            &text[first..self.start],
            &self.replacement,
            &text[self.end..last],
        ];
        let on_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (before, after) = (
            on_one_line(&text[first..last]),
            on_one_line(&after.concat()),
        );
        format!("`{before}` -> `{after}`")
    }

    /// The number of the first line that is changed.
    pub(crate) fn line(&self, text: &str) -> usize {
        text[..self.start].matches('\n').count() + 1
    }
}

/// The names of mutants in results, which do not depend on other lines: the changed lines, before and after. A change
/// of a line that occurs again has a number.
pub(crate) fn names(text: &str, mutants: &[Mutant]) -> Vec<String> {
    let mut counts = BTreeMap::new();
    let numbered = mutants.iter().map(|mutant| {
        let lines = mutant.lines(text);
        let count: &mut usize = counts.entry(lines.clone()).or_default();
        *count += 1;
        if *count == 1 {
            lines
        } else {
            format!("{lines} ({count})")
        }
    });
    numbered.collect()
}

/// Returns the mutants of a script, in the order of the text.
///
/// # Errors
///
/// What is wrong with the text, if it is not Lua.
pub(crate) fn mutants(text: &str) -> Result<Vec<Mutant>, String> {
    let ast = full_moon::parse(text).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })?;
    let mut finder = Finder {
        text,
        found: Vec::new(),
    };
    finder.visit_ast(&ast);
    let mut found = finder.found;
    found.sort_by(|a, b| (a.start, a.end, &a.replacement).cmp(&(b.start, b.end, &b.replacement)));
    found.dedup();
    Ok(found)
}

struct Finder<'a> {
    text: &'a str,
    found: Vec<Mutant>,
}

impl Finder<'_> {
    fn range(node: &impl Node) -> (usize, usize) {
        // The range that the parser gives for `a[1]` ends before the bracket; its tokens include it.
        let starts = node.tokens().filter_map(Node::start_position);
        let ends = node.tokens().filter_map(Node::end_position);
        let start = starts.map(Position::bytes).min();
        let end = ends.map(Position::bytes).max();
        (start.unwrap_or_default(), end.unwrap_or_default())
    }

    fn source(&self, node: &impl Node) -> String {
        let (start, end) = Self::range(node);
        self.text[start..end].to_owned()
    }

    fn replace(&mut self, node: &impl Node, replacement: &str) {
        let (start, end) = Self::range(node);
        self.found.push(Mutant {
            start,
            end,
            replacement: replacement.to_owned(),
        });
    }

    fn condition(&mut self, condition: &Expression) {
        self.replace(condition, "true");
        self.replace(condition, "false");
    }

    fn comparison(&mut self, lhs: &Expression, operator: &BinOp, rhs: &Expression) {
        let (negated, moved, step) = match operator {
            BinOp::TwoEqual(_) => ("~=", None, 1),
            BinOp::TildeEqual(_) => ("==", None, 1),
            BinOp::LessThan(_) => (">=", Some("<="), -1),
            BinOp::LessThanEqual(_) => (">", Some("<"), 1),
            BinOp::GreaterThan(_) => ("<=", Some(">="), 1),
            BinOp::GreaterThanEqual(_) => ("<", Some(">"), -1),
            _ => return,
        };
        self.replace(operator.token(), negated);
        if let Some(moved) = moved {
            self.replace(operator.token(), moved);
        }
        self.step_numbers(lhs, -step);
        self.step_numbers(rhs, step);
    }

    /// Moves a number, or those of a sum, so that the sum becomes larger by `step`.
    fn step_numbers(&mut self, expression: &Expression, step: i64) {
        match expression {
            Expression::Number(_) => {
                let source = self.source(expression);
                if let Ok(number) = source.parse::<i64>() {
                    self.replace(expression, &(number + step).to_string());
                }
            }
            Expression::BinaryOperator { lhs, binop, rhs } => {
                let sign = match binop {
                    BinOp::Plus(_) => 1,
                    BinOp::Minus(_) => -1,
                    _ => return,
                };
                self.step_numbers(lhs, step);
                self.step_numbers(rhs, sign * step);
            }
            _ => {}
        }
    }

    /// `math.min` and `math.max`.
    fn clamp(&mut self, call: &FunctionCall) {
        for argument in arguments(call) {
            let source = self.source(argument);
            self.replace(call, &format!("({source})"));
            let step = if function(call) == Some(("math", "min")) {
                1
            } else {
                -1
            };
            // Zero and one are often no boundary but the least that makes sense: so in both directions.
            self.step_numbers(argument, step);
            self.step_numbers(argument, -step);
        }
    }
}

impl Visitor for Finder<'_> {
    fn visit_if(&mut self, node: &If) {
        self.condition(node.condition());
    }

    fn visit_else_if(&mut self, node: &ElseIf) {
        self.condition(node.condition());
    }

    fn visit_while(&mut self, node: &While) {
        self.condition(node.condition());
    }

    fn visit_numeric_for(&mut self, node: &NumericFor) {
        for limit in [node.start(), node.end()] {
            self.step_numbers(limit, 1);
            self.step_numbers(limit, -1);
        }
    }

    fn visit_stmt(&mut self, node: &Stmt) {
        if let Stmt::FunctionCall(call) = node
            && written(call).is_some()
        {
            self.replace(call, "do end");
        }
    }

    fn visit_expression(&mut self, node: &Expression) {
        match node {
            Expression::BinaryOperator {
                lhs,
                binop: BinOp::And(_) | BinOp::Or(_),
                rhs,
            } => {
                for operand in [lhs, rhs] {
                    let source = self.source(&**operand);
                    self.replace(node, &source);
                }
            }
            Expression::BinaryOperator { lhs, binop, rhs } => self.comparison(lhs, binop, rhs),
            Expression::UnaryOperator {
                unop: UnOp::Not(_),
                expression,
            } => {
                let source = self.source(&**expression);
                self.replace(node, &source);
            }
            Expression::FunctionCall(call) => {
                if let Some(reply) = written(call) {
                    self.replace(call, reply);
                }
                if matches!(function(call), Some(("math", "min" | "max"))) {
                    self.clamp(call);
                }
            }
            _ => {}
        }
    }
}

/// The names of a call like `redis.call(...)`.
fn function(call: &FunctionCall) -> Option<(&str, &str)> {
    let Prefix::Name(library) = call.prefix() else {
        return None;
    };
    match call.suffixes().next() {
        Some(Suffix::Index(Index::Dot { name, .. })) => Some((text_of(library), text_of(name))),
        _ => None,
    }
}

fn text_of(token: &TokenReference) -> &str {
    match token.token().token_type() {
        TokenType::Identifier { identifier } => identifier.as_str(),
        TokenType::StringLiteral { literal, .. } => literal.as_str(),
        _ => "",
    }
}

fn arguments(call: &FunctionCall) -> Vec<&Expression> {
    let arguments = call.suffixes().find_map(|suffix| match suffix {
        Suffix::Call(Call::AnonymousCall(arguments)) => match &**arguments {
            FunctionArgs::Parentheses { arguments, .. } => Some(arguments),
            _ => None,
        },
        _ => None,
    });
    arguments.into_iter().flatten().collect()
}

/// For a call that sends a command that writes, or publishes: what the command replies when it succeeds.
fn written(call: &FunctionCall) -> Option<&'static str> {
    let Some(("redis", "call" | "pcall")) = function(call) else {
        return None;
    };
    let Some(Expression::String(command)) = arguments(call).first().copied() else {
        return None;
    };
    match text_of(command) {
        "SET" => Some("{ ok = 'OK' }"),
        "GET" | "GETRANGE" | "PTTL" | "TIME" | "ZCARD" | "ZCOUNT" | "ZRANDMEMBER" | "ZRANGE"
        | "ZRANGEBYSCORE" | "ZRANK" | "ZSCORE" => None,
        // Those that write reply with how much, and so may one that is not known here.
        _ => Some("1"),
    }
}
