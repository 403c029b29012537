//! Counts the lines of the tasks in [`before`](super::before) and [`after`](super::after).

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The tasks, by the names of their files.
const TASKS: [(&str, &str); 4] = [
    ("guards", "guards, `next`, roles, recent sign-in"),
    ("oauth", "the transactions of OAuth sign-ins"),
    ("flash", "flash messages"),
    ("impersonation", "acting as a user"),
];

/// Returns the table of `docs/recipes.md`.
///
/// # Panics
///
/// When a source cannot be read.
#[must_use]
pub fn table() -> String {
    let mut table =
        "| task | by hand, on tower-sessions | with Cloakroom |\n|---|---|---|\n".to_owned();
    for (file, task) in TASKS {
        let [before, after] = ["before", "after"].map(|folder| count(folder, file));
        writeln!(table, "| {task} | {before} | {after} |").expect("a text can be extended");
    }
    table
}

/// Lines of code: without those that are empty, comments, or imports.
fn count(folder: &str, file: &str) -> usize {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/recipes");
    let path = sources.join(folder).join(file).with_extension("rs");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut is_import = false;
    let lines = text.lines().map(str::trim).filter(|line| {
        is_import |= line.starts_with("use ");
        let counts = !is_import && !line.is_empty() && !line.starts_with("//");
        is_import &= !line.ends_with(';');
        counts
    });
    lines.count()
}
