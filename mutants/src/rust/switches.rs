//! Puts all mutants of a file into its text, each behind a switch.
//!
//! - A function begins with `if active(1) { return VALUE; }`. If it returns an `impl Iterator`, its value is
//!   `either(active(1).then(|| VALUE), { BODY })`.
//! - An operator becomes `if active(1) { a - b } else { a + b }`. For `&&` and `||`, whose operands may be long chains, the left
//!   operand is evaluated first, and then whether the right one matters.
//! - A match arm that is left out has the guard `if !active(1)`; a guard becomes `active(1) || !active(2) && (GUARD)`.
//! - A struct expression becomes two, one of them without the field.
//!
//! The text keeps its lines. What is written is marked, so that an error of the compiler leads to the mutants that it is
//! about.

use std::collections::BTreeMap;
use std::ops::Range;

use proc_macro2::{LineColumn, Span};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Arm, BinOp, Block, Expr, ExprBinary, ExprStruct, ExprUnary, Pat, ReturnType, Signature, Stmt,
    Type, TypeParamBound,
};

use super::edits::{self, Edit, Kind, Part, Place};
use super::list::{Genre, Mutant};

/// A text with switches.
#[derive(Debug)]
pub(crate) struct Switched {
    pub(crate) text: String,
    pub(crate) places: Vec<Place>,
    /// Mutants in constants, which have no switch.
    pub(crate) constant: Vec<u32>,
    /// Mutants that do not parse: `||` in a chain with `let`.
    pub(crate) unviable: Vec<u32>,
}

/// Adds the switches of the mutants of a file.
pub(crate) fn add(text: &str, mutants: &[&Mutant]) -> Result<Switched, String> {
    let file = syn::parse_file(text).map_err(|error| error.to_string())?;
    let mut visitor = Visitor::default();
    for mutant in mutants {
        let at = (mutant.start.0, mutant.start.1 - 1);
        visitor.mutants.entry(at).or_default().push(mutant);
    }
    visitor.visit_file(&file);
    if let Some(mutant) = visitor.mutants.values().flatten().next() {
        return Err(format!("there is no such code: {}", mutant.name));
    }
    let (text, places) = edits::apply(text, visitor.edits);
    Ok(Switched {
        text,
        places,
        constant: visitor.constant,
        unviable: visitor.unviable,
    })
}

#[derive(Default)]
struct Visitor<'a> {
    /// Those without a switch, by line and column (from zero).
    mutants: BTreeMap<(usize, usize), Vec<&'a Mutant>>,
    edits: Vec<Edit>,
    constant: Vec<u32>,
    unviable: Vec<u32>,
    /// In a constant, outside of functions.
    in_constant: bool,
    /// Among the operands of a chain of `&&` that has a `let`.
    in_let_chain: bool,
}

fn active(mutant: &Mutant) -> String {
    format!("crate::mutant_switch::active({})", mutant.number)
}

fn bytes(code: &impl syn::spanned::Spanned) -> Range<usize> {
    code.span().byte_range()
}

fn text(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

impl<'a> Visitor<'a> {
    /// The mutants of a kind at a place, whose switches are about to be written.
    fn take(&mut self, genre: Genre, span: Span) -> Vec<&'a Mutant> {
        let LineColumn { line, column } = span.start();
        let Some(here) = self.mutants.get_mut(&(line, column)) else {
            return Vec::new();
        };
        let taken: Vec<_> = here
            .extract_if(.., |mutant| mutant.genre == genre)
            .collect();
        if here.is_empty() {
            self.mutants.remove(&(line, column));
        }
        let numbers = taken.iter().map(|mutant| mutant.number);
        if self.in_constant {
            self.constant.extend(numbers);
            return Vec::new();
        }
        taken
    }

    fn edit(&mut self, range: Range<usize>, parts: Vec<Part>) {
        self.edits.push(Edit { range, parts });
    }

    /// An expression that is `original`, or with a mutant its replacement.
    fn choose(
        &mut self,
        range: Range<usize>,
        replacements: Vec<(&Mutant, Vec<Part>)>,
        original: Vec<Part>,
    ) {
        let numbers = replacements.iter().map(|(mutant, _)| mutant.number);
        let mut parts = vec![Part::Begin(Kind::Switch, numbers.collect()), text("(")];
        for (mutant, replacement) in replacements {
            parts.push(text(format!("if {} {{ ", active(mutant))));
            parts.push(Part::Begin(Kind::Replacement, vec![mutant.number]));
            parts.extend(replacement);
            parts.extend([Part::End, text(" } else ")]);
        }
        parts.push(text("{ "));
        parts.extend(original);
        parts.extend([text(" })"), Part::End]);
        self.edit(range, parts);
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        let was = std::mem::replace(&mut self.in_constant, false);
        let first = block.stmts.first().map(Stmt::span);
        let mutants = first.map_or_else(Vec::new, |first| self.take(Genre::FnValue, first));
        self.in_constant = was;
        let numbers = mutants.iter().map(|mutant| mutant.number).collect();
        self.edit(
            bytes(&signature.fn_token),
            vec![Part::Begin(Kind::Function, numbers), text("fn")],
        );
        let (begin, between, end, close) = if returns_iterator(signature) {
            ("crate::mutant_switch::either(", ".then(|| ", "), ", ")")
        } else {
            ("if ", " { return ", "; }", "")
        };
        let mut parts = vec![text("{")];
        let count = mutants.len();
        for mutant in mutants {
            parts.push(text(format!(" {begin}{}{between}", active(mutant))));
            parts.push(Part::Begin(Kind::Replacement, vec![mutant.number]));
            parts.extend([text(&mutant.replacement), Part::End, text(end)]);
        }
        if !close.is_empty() {
            parts.push(text("{"));
        }
        let brace = &block.brace_token.span;
        self.edit(brace.open().byte_range(), parts);
        let close = if close.is_empty() {
            String::new()
        } else {
            format!("}}{}", close.repeat(count))
        };
        let parts = vec![text(close), text("}"), Part::End];
        self.edit(brace.close().byte_range(), parts);
    }

    fn in_function(&mut self, visit: impl FnOnce(&mut Self)) {
        let was = std::mem::replace(&mut self.in_constant, false);
        visit(self);
        self.in_constant = was;
    }

    fn in_constant(&mut self, visit: impl FnOnce(&mut Self)) {
        let was = std::mem::replace(&mut self.in_constant, true);
        visit(self);
        self.in_constant = was;
    }

    /// `a && b` becomes `let left = a; if left != active(1) { b } else { left }`, where `!=` is `==` for `||`.
    fn lazy(&mut self, expression: &ExprBinary, mutant: &Mutant) {
        let is_and = matches!(expression.op, BinOp::And(_));
        let comparison = if is_and { "!=" } else { "==" };
        let parts = vec![
            Part::Begin(Kind::Switch, vec![mutant.number]),
            text("({ let mutant_left: bool = "),
            Part::Source(bytes(&expression.left)),
            text(format!(
                "; if mutant_left {comparison} {} {{ ",
                active(mutant)
            )),
            Part::Source(bytes(&expression.right)),
            text(" } else { mutant_left } })"),
            Part::End,
        ];
        self.edit(bytes(expression), parts);
    }

    fn binary(&mut self, expression: &ExprBinary, mutants: Vec<&Mutant>, original: &str) {
        let is_assignment =
            original.ends_with('=') && !matches!(original, "==" | "!=" | "<=" | ">=");
        let with = |operator: &str| {
            let (before, after) = if is_assignment { ("", "") } else { ("(", ")") };
            vec![
                text(before),
                Part::Source(bytes(&expression.left)),
                text(format!("{after} {operator} (")),
                Part::Source(bytes(&expression.right)),
                text(")"),
            ]
        };
        let replacements = mutants
            .into_iter()
            .map(|mutant| (mutant, with(&mutant.replacement)));
        self.choose(bytes(expression), replacements.collect(), with(original));
    }
}

/// Whether a function returns an `impl Iterator`, which is one type, whatever the mutant.
fn returns_iterator(signature: &Signature) -> bool {
    let ReturnType::Type(_, output) = &signature.output else {
        return false;
    };
    let Type::ImplTrait(output) = &**output else {
        return false;
    };
    output.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let name = bound.path.segments.last();
            name.is_some_and(|name| name.ident == "Iterator")
        }
        _ => false,
    })
}

/// Whether the operands of a chain of `&&` include a `let`.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(ExprBinary {
            op: BinOp::And(_),
            left,
            right,
            ..
        }) => has_let(left) || has_let(right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        self.in_function(|this| visit::visit_item_fn(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        self.in_function(|this| visit::visit_impl_item_fn(this, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        self.in_function(|this| visit::visit_trait_item_fn(this, item));
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.in_constant(|this| visit::visit_item_const(this, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.in_constant(|this| visit::visit_impl_item_const(this, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.in_constant(|this| visit::visit_item_static(this, item));
    }

    fn visit_expr_repeat(&mut self, expression: &'ast syn::ExprRepeat) {
        self.visit_expr(&expression.expr);
        self.in_constant(|this| this.visit_expr(&expression.len));
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.in_constant(|this| visit::visit_type_array(this, array));
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        // Only the operands of the same chain of `&&` are in it.
        let is_operand = matches!(
            expression,
            Expr::Binary(ExprBinary {
                op: BinOp::And(_),
                ..
            })
        );
        let was = self.in_let_chain;
        self.in_let_chain = is_operand && (was || has_let(expression));
        visit::visit_expr(self, expression);
        self.in_let_chain = was;
    }

    fn visit_expr_binary(&mut self, expression: &'ast ExprBinary) {
        let mutants = self.take(Genre::BinaryOperator, expression.op.span());
        match (&expression.op, mutants.as_slice()) {
            (_, []) => {}
            (BinOp::And(_), mutants) if self.in_let_chain => {
                self.unviable
                    .extend(mutants.iter().map(|mutant| mutant.number));
            }
            (BinOp::And(_) | BinOp::Or(_), [mutant]) => self.lazy(expression, mutant),
            (operator, _) => {
                let original = operator.span().source_text().unwrap_or_default();
                self.binary(expression, mutants, &original);
            }
        }
        visit::visit_expr_binary(self, expression);
    }

    fn visit_expr_unary(&mut self, expression: &'ast ExprUnary) {
        let operator = expression.op.span();
        if let [mutant] = self.take(Genre::UnaryOperator, operator).as_slice() {
            let operand = || Part::Source(bytes(&expression.expr));
            let negated = operator.source_text().unwrap_or_default() + "(";
            self.choose(
                bytes(expression),
                vec![(mutant, vec![operand()])],
                vec![text(negated), operand(), text(")")],
            );
        }
        visit::visit_expr_unary(self, expression);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        let deleted = self.take(Genre::MatchArm, arm.span());
        let not = |mutant: &&Mutant| format!("!{} && ", active(mutant));
        let without: String = deleted.iter().map(not).collect();
        let numbers = |mutants: &[&Mutant]| mutants.iter().map(|mutant| mutant.number).collect();
        if let Pat::Guard(pattern) = &arm.pat {
            let mut replaced = self.take(Genre::MatchArmGuard, pattern.guard.span());
            replaced.sort_by_key(|mutant| mutant.replacement != "true");
            let condition: String = replaced
                .iter()
                .map(|mutant| match mutant.replacement.as_str() {
                    "true" => format!("{} || ", active(mutant)),
                    _ => not(mutant),
                })
                .collect();
            let all = [deleted, replaced].concat();
            if !all.is_empty() {
                let parts = vec![
                    Part::Begin(Kind::Switch, numbers(&all)),
                    text(format!("{without}({condition}(")),
                    Part::Source(bytes(&pattern.guard)),
                    text("))"),
                    Part::End,
                ];
                self.edit(bytes(&pattern.guard), parts);
            }
        } else if !deleted.is_empty() {
            let parts = vec![
                Part::Begin(Kind::Switch, numbers(&deleted)),
                text(format!("if {without}true =>")),
                Part::End,
            ];
            self.edit(bytes(&arm.fat_arrow_token), parts);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, expression: &'ast ExprStruct) {
        let whole = bytes(expression);
        let mut replacements = Vec::new();
        for pair in expression.fields.pairs() {
            let field = bytes(*pair.value());
            let end = pair.punct().map_or(field.end, |comma| bytes(*comma).end);
            for mutant in self.take(Genre::StructField, pair.value().span()) {
                let before = Part::Source(whole.start..field.start);
                replacements.push((mutant, vec![before, Part::Source(end..whole.end)]));
            }
        }
        if !replacements.is_empty() {
            self.choose(whole.clone(), replacements, vec![Part::Source(whole)]);
        }
        visit::visit_expr_struct(self, expression);
    }
}

#[cfg(test)]
mod tests;
