//! The list of old names, `names.txt`.
//!
//! Each line has a kind, an old name, `->` and its new name, and may end with ` in ` and where the rule holds: a folder or
//! a file, or `*.md` for all files with an extension; several are separated by spaces. Lines that begin with `#` are
//! comments. The kinds:
//!
//! - `word`: the name anywhere, as a whole word. With a `*` at the end, any word that begins with it.
//! - `code`: the name as an identifier in code, or between backticks, for names that are English words as well. With
//!   `()` at the end, only where it is called or declared as a function.
//! - `text`: these letters, anywhere.
//! - `path`: a file or a folder that must not be there.
//!
//! A line `except FILE NAME: REASON` allows a name in a file, or in a folder.

use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Code,
    Text,
    Path,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) kind: Kind,
    pub(super) old: String,
    pub(super) new: String,
    scopes: Vec<String>,
    exceptions: Vec<String>,
}

impl Rule {
    /// Tells whether the rule holds for a file, whose path is relative to the project's root.
    pub(super) fn holds_for(&self, file: &Path) -> bool {
        let is_in = |scope: &String| match scope.strip_prefix("*.") {
            Some(wanted) => file
                .extension()
                .is_some_and(|extension| extension == wanted),
            None => file.starts_with(scope),
        };
        let is_in_scope = self.scopes.is_empty() || self.scopes.iter().any(is_in);
        is_in_scope && !self.exceptions.iter().any(is_in)
    }

    /// Tells whether a whole word is the old name.
    pub(super) fn is(&self, word: &str) -> bool {
        match self.old.strip_suffix('*') {
            Some(start) => word.starts_with(start),
            None => self.old.trim_end_matches("()") == word,
        }
    }
}

/// Reads the list.
pub(super) fn parse(list: &str) -> Result<Vec<Rule>, String> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut exceptions: Vec<(usize, &str)> = Vec::new();
    for (index, line) in list.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(exception) = line.strip_prefix("except ") {
            exceptions.push((index + 1, exception));
            continue;
        }
        let rule = rule(line).ok_or_else(|| format!("line {}: not a rule: {line}", index + 1))?;
        rules.push(rule);
    }
    for (line, exception) in exceptions {
        let (what, _) = exception
            .split_once(": ")
            .ok_or_else(|| format!("line {line}: an exception without a reason"))?;
        let (file, name) = what
            .split_once(' ')
            .ok_or_else(|| format!("line {line}: an exception without a name"))?;
        let mut known = rules.iter_mut().filter(|rule| rule.old == name).peekable();
        if known.peek().is_none() {
            return Err(format!("line {line}: no rule for {name}"));
        }
        known.for_each(|rule| rule.exceptions.push(file.to_owned()));
    }
    Ok(rules)
}

fn rule(line: &str) -> Option<Rule> {
    let (old, new) = line.split_once(" -> ")?;
    let (kind, old) = old.split_once(' ')?;
    let kind = match kind {
        "word" => Kind::Word,
        "code" => Kind::Code,
        "text" => Kind::Text,
        "path" => Kind::Path,
        _ => return None,
    };
    let (new, scopes) = new.split_once(" in ").unwrap_or((new, ""));
    Some(Rule {
        kind,
        old: old.trim().to_owned(),
        new: new.trim().to_owned(),
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        exceptions: Vec::new(),
    })
}

#[test]
fn a_list_with_a_mistake_is_refused() {
    for (list, message) in [
        ("word A B", "line 1: not a rule"),
        ("# fine\nworld A -> B", "line 2: not a rule"),
        (
            "word A -> B\nexcept a.md A",
            "line 2: an exception without a reason",
        ),
        (
            "word A -> B\nexcept a.md: so",
            "line 2: an exception without a name",
        ),
        ("word A -> B\nexcept a.md B: so", "line 2: no rule for B"),
    ] {
        let error = parse(list).expect_err("a mistake");
        assert!(error.starts_with(message), "{error}");
    }
}
