//! The mutants of the Rust code, as cargo-mutants lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::script::root;

/// What a mutant changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Genre {
    /// The function returns a value at once.
    FnValue,
    BinaryOperator,
    /// The operator is left out.
    UnaryOperator,
    /// The arm is left out. A later arm matches everything.
    MatchArm,
    MatchArmGuard,
    /// The field is left out, so that it comes from the struct's base expression.
    StructField,
}

/// A mutant.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// What switches it on; greater than zero.
    pub(crate) number: u32,
    /// The path below the root of the project.
    pub(crate) file: String,
    pub(crate) genre: Genre,
    /// Where the code that is changed begins: the line, and the column in characters, both from one.
    pub(crate) start: (usize, usize),
    pub(crate) replacement: String,
    /// What is changed, and where: unique, and independent of other lines.
    pub(crate) name: String,
}

#[derive(Deserialize)]
struct Listed {
    file: String,
    genre: Genre,
    name: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: Position,
}

#[derive(Deserialize)]
struct Position {
    line: usize,
    column: usize,
}

/// Lists the mutants of some crates.
pub(crate) fn list(crates: &BTreeSet<&str>) -> Result<Vec<Mutant>, String> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json"]);
    for package in crates {
        command.args(["--package", package]);
    }
    let output = command
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err("cargo-mutants is needed: cargo install cargo-mutants --locked".to_owned());
    }
    parse(&output.stdout, |file| {
        fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))
    })
}

/// Reads the list, and names the mutants by the lines of their files.
pub(crate) fn parse(
    json: &[u8],
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Mutant>, String> {
    let listed: Vec<Listed> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let mut texts = BTreeMap::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut mutants = Vec::new();
    for (number, one) in (1..).zip(listed) {
        if !texts.contains_key(&one.file) {
            texts.insert(one.file.clone(), read(&one.file)?);
        }
        let mut name = name(&one, &texts[&one.file]);
        let same = names.entry(name.clone()).or_default();
        *same += 1;
        if *same > 1 {
            name = format!("{name} ({same})");
        }
        mutants.push(Mutant {
            number,
            file: one.file,
            genre: one.genre,
            start: (one.span.start.line, one.span.start.column),
            replacement: one.replacement,
            name,
        });
    }
    Ok(mutants)
}

/// Such as `cloakroom/src/plan.rs: replace || with && in plan: LINE`.
fn name(mutant: &Listed, text: &str) -> String {
    let file = mutant.file.trim_start_matches("crates/");
    // cargo-mutants begins with `FILE:LINE:COLUMN: `.
    let change = mutant.name.splitn(4, ':').nth(3).unwrap_or_default().trim();
    if mutant.genre == Genre::FnValue {
        return format!("{file}: {change}");
    }
    let line = text.lines().nth(mutant.span.start.line - 1);
    format!("{file}: {change}: `{}`", line.unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_the_line_and_differ() {
        let one = |column: usize| {
            format!(
                r#"{{"file": "crates/a/src/b.rs", "genre": "BinaryOperator", "name": "crates/a/src/b.rs:2:{column}: replace + with * in f",
                "replacement": "*", "span": {{"start": {{"line": 2, "column": {column}}}}}}}"#
            )
        };
        let json = format!("[{}, {}]", one(3), one(7));
        let text = "fn f() -> u8 {\n  1 + 2 + 3\n}\n";
        let mutants = parse(json.as_bytes(), |_| Ok(text.to_owned())).unwrap();
        let names: Vec<&str> = mutants.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "a/src/b.rs: replace + with * in f: `1 + 2 + 3`",
                "a/src/b.rs: replace + with * in f: `1 + 2 + 3` (2)"
            ]
        );
        assert_eq!((mutants[1].number, mutants[1].start), (2, (2, 7)));
    }
}
