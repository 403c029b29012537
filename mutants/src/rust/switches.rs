//! Puts all mutants of a file into its text, each behind a switch.
//!
//! - A function begins with `if active(1) { return VALUE; }`.
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
use syn::{Arm, BinOp, Block, Expr, ExprBinary, ExprStruct, ExprUnary, Pat, Signature, Stmt};

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

/// A range of the text that was written for some mutants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
    pub(crate) mutants: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The code that replaces the original.
    Replacement,
    /// The code that chooses, with both.
    Switch,
    /// A whole function. Its mutants are those that return a value at once.
    Function,
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
    visitor
        .edits
        .sort_by_key(|edit| (edit.range.start, std::cmp::Reverse(edit.range.end)));
    let mut output = Output::default();
    output.source(text, &visitor.edits, 0..text.len());
    Ok(Switched {
        text: output.text,
        places: output.places,
        constant: visitor.constant,
        unviable: visitor.unviable,
    })
}

/// A change of a range of the text.
struct Edit {
    range: Range<usize>,
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    /// The original text, with the edits in it.
    Source(Range<usize>),
    Begin(Kind, Vec<u32>),
    End,
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
        let mut parts = vec![text("{")];
        for mutant in mutants {
            parts.push(text(format!(" if {} {{ return ", active(mutant))));
            parts.push(Part::Begin(Kind::Replacement, vec![mutant.number]));
            parts.extend([text(&mutant.replacement), Part::End, text("; }")]);
        }
        self.edit(block.brace_token.span.open().byte_range(), parts);
        self.edit(
            block.brace_token.span.close().byte_range(),
            vec![text("}"), Part::End],
        );
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

#[derive(Default)]
struct Output {
    text: String,
    places: Vec<Place>,
    /// The indexes of the places that have begun.
    open: Vec<usize>,
}

impl Output {
    /// Writes a range of the original text, with the edits in it. They are sorted: those that contain others come first.
    fn source(&mut self, original: &str, edits: &[Edit], range: Range<usize>) {
        let mut at = range.start;
        for (index, edit) in edits.iter().enumerate() {
            if edit.range.start >= range.end {
                break;
            }
            if edit.range.start < at || edit.range.end > range.end {
                continue;
            }
            self.text.push_str(&original[at..edit.range.start]);
            self.parts(original, &edits[index + 1..], &edit.parts);
            at = edit.range.end;
        }
        self.text.push_str(&original[at..range.end]);
    }

    fn parts(&mut self, original: &str, edits: &[Edit], parts: &[Part]) {
        for part in parts {
            match part {
                Part::Text(text) => self.text.push_str(text),
                Part::Source(range) => self.source(original, edits, range.clone()),
                Part::Begin(kind, mutants) => {
                    self.open.push(self.places.len());
                    self.places.push(Place {
                        range: self.text.len()..self.text.len(),
                        kind: *kind,
                        mutants: mutants.clone(),
                    });
                }
                Part::End => {
                    let place = self.open.pop().expect("it has begun");
                    self.places[place].range.end = self.text.len();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a switch for the code of a kind that begins at `at`, with each replacement, to a function with this body.
    fn switched_in(source: &str, genre: Genre, at: &str, replacements: &[&str]) -> Switched {
        let offset = source.find(at).unwrap();
        let line = source[..offset].matches('\n').count() + 1;
        let column = offset - source[..offset].rfind('\n').map_or(0, |end| end + 1) + 1;
        let mutant = |(number, replacement): (u32, &&str)| Mutant {
            number,
            file: "a.rs".to_owned(),
            genre,
            start: (line, column),
            replacement: (*replacement).to_owned(),
            name: format!("a.rs: {at}"),
        };
        let mutants: Vec<Mutant> = (1..).zip(replacements).map(mutant).collect();
        let mutants: Vec<&Mutant> = mutants.iter().collect();
        add(source, &mutants).unwrap()
    }

    fn switched(body: &str, genre: Genre, at: &str, replacements: &[&str]) -> String {
        let switched = switched_in(&format!("fn f() {{ {body} }}"), genre, at, replacements);
        let text = switched.text.replace("crate::mutant_switch::", "");
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        text.strip_prefix("fn f() { ")
            .unwrap()
            .strip_suffix(" }")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_function_returns_at_once() {
        let source = "impl A {\n    fn g(&self) -> u8 {\n        self.0\n    }\n}\n";
        let text = switched_in(source, Genre::FnValue, "self.0", &["0", "1"]).text;
        let begin = "{ if crate::mutant_switch::active(1) { return 0; } if crate::mutant_switch::active(2) { return 1; }\n";
        assert_eq!(text, source.replacen("u8 {\n", &format!("u8 {begin}"), 1));
    }

    #[test]
    fn an_operator_is_replaced() {
        assert_eq!(
            switched("a.b <= c + 1", Genre::BinaryOperator, "<=", &["<", ">"]),
            "(if active(1) { (a.b) < (c + 1) } else if active(2) { (a.b) > (c + 1) } else { (a.b) <= (c + 1) })"
        );
        assert_eq!(
            switched("a += 1;", Genre::BinaryOperator, "+=", &["-="]),
            "(if active(1) { a -= (1) } else { a += (1) });"
        );
        assert_eq!(
            switched("!a.b()", Genre::UnaryOperator, "!", &[""]),
            "(if active(1) { a.b() } else { !(a.b()) })"
        );
    }

    #[test]
    fn the_right_operand_of_and_and_or_stands_once() {
        assert_eq!(
            switched("a && b || c", Genre::BinaryOperator, "&&", &["||"]),
            "({ let mutant_left: bool = a; if mutant_left != active(1) { b } else { mutant_left } }) || c"
        );
        assert_eq!(
            switched("a && b || c", Genre::BinaryOperator, "||", &["&&"]),
            "({ let mutant_left: bool = a && b; if mutant_left == active(1) { c } else { mutant_left } })"
        );
    }

    #[test]
    fn or_in_a_chain_with_let_does_not_compile() {
        let add = |condition: &str| {
            let source = format!("fn f() {{ if {condition} {{}} }}");
            switched_in(&source, Genre::BinaryOperator, "&& b", &["||"])
        };
        assert_eq!(add("a && b && let c = d").unviable, [1]);
        assert_eq!(add("let c = d && b").unviable, [1]);
        assert!(add("(a && b) && let c = d").unviable.is_empty());
    }

    #[test]
    fn an_arm_is_left_out_and_a_guard_replaced() {
        assert_eq!(
            switched(
                "match a { Some(1) => b, _ => c }",
                Genre::MatchArm,
                "Some",
                &[""]
            ),
            "match a { Some(1) if !active(1) && true => b, _ => c }"
        );
        assert_eq!(
            switched(
                "match a { Some(1) if d => b, _ => c }",
                Genre::MatchArm,
                "Some",
                &[""]
            ),
            "match a { Some(1) if !active(1) && ((d)) => b, _ => c }"
        );
        assert_eq!(
            switched(
                "match a { d if e => b, _ => c }",
                Genre::MatchArmGuard,
                "e =>",
                &["false", "true"]
            ),
            "match a { d if (active(2) || !active(1) && (e)) => b, _ => c }"
        );
    }

    #[test]
    fn a_field_is_left_out() {
        assert_eq!(
            switched("A { b: 1, c: 2, ..d }", Genre::StructField, "b: 1", &[""]),
            "(if active(1) { A {  c: 2, ..d } } else { A { b: 1, c: 2, ..d } })"
        );
    }

    #[test]
    fn constants_have_no_switch() {
        let add = |source: &str| switched_in(source, Genre::BinaryOperator, "+", &["-"]);
        assert_eq!(add("const A: u8 = 1 + 2;").constant, [1]);
        assert_eq!(add("fn f() { let a = [0; 1 + 2]; }").constant, [1]);
        assert!(add("fn f() -> u8 { 1 + 2 }").constant.is_empty());
    }

    #[test]
    fn what_was_written_is_found_by_its_place() {
        let switched = switched_in("fn f() { a + b }", Genre::BinaryOperator, "+", &["-"]);
        let kind_of = |text: &str| {
            let around = switched
                .places
                .iter()
                .filter(|place| switched.text[place.range.clone()].contains(text));
            around.min_by_key(|place| place.range.len()).unwrap().kind
        };
        assert_eq!(kind_of("(a) - (b)"), Kind::Replacement);
        assert_eq!(kind_of("(a) + (b)"), Kind::Switch);
        assert_eq!(kind_of("fn f"), Kind::Function);
    }

    #[test]
    fn switches_stand_in_one_another() {
        let source = "fn f() -> bool { !(a < b) }";
        let mutant = |number, genre, column, replacement: &str| Mutant {
            number,
            file: String::new(),
            genre,
            start: (1, column),
            replacement: replacement.to_owned(),
            name: String::new(),
        };
        let mutants = [
            mutant(1, Genre::FnValue, 18, "true"),
            mutant(2, Genre::UnaryOperator, 18, ""),
            mutant(3, Genre::BinaryOperator, 22, "=="),
        ];
        let text = add(source, &mutants.iter().collect::<Vec<_>>())
            .unwrap()
            .text;
        let inner = "((if active(3) { (a) == (b) } else { (a) < (b) }))";
        assert_eq!(
            text.replace("crate::mutant_switch::", ""),
            format!(
                "fn f() -> bool {{ if active(1) {{ return true; }} (if active(2) {{ {inner} }} else {{ !({inner}) }}) }}"
            )
        );
        let unknown = [mutant(4, Genre::MatchArm, 5, "")];
        assert!(add(source, &unknown.iter().collect::<Vec<_>>()).is_err());
    }
}
