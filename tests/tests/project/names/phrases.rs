//! Turns of phrase that the project's texts do without, `phrases.txt`.
//!
//! Each line has a regular expression, ` -> ` and what to write instead; a space in the expression also matches the end of
//! a line, in a comment too. A line `allow EXPRESSION: REASON` names what is right although an expression matches in it, and
//! `except FILE EXPRESSION: REASON` allows an expression of the list in a file, or in a folder. Lines that begin with `#`
//! are comments. Case does not matter.

use std::path::Path;

use regex::{Regex, RegexBuilder};

/// What lies between two words: spaces, or the end of a line and the marks of a comment.
const SPACE: &str = r"[ \t]*(?:[ \t]|\r?\n[ \t]*(?:(?://[/!]?|#|--|\*)[ \t]+)?)";

pub(super) struct Phrases {
    refused: Vec<Phrase>,
    allowed: Vec<Regex>,
}

struct Phrase {
    written: String,
    expression: Regex,
    advice: String,
    exceptions: Vec<String>,
}

impl Phrases {
    /// Reads the list.
    pub(super) fn parse(list: &str) -> Result<Self, String> {
        let mut phrases = Self {
            refused: Vec::new(),
            allowed: Vec::new(),
        };
        for (index, line) in list.lines().enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                let added = phrases.add(line);
                added.map_err(|problem| format!("line {}: {problem}", index + 1))?;
            }
        }
        Ok(phrases)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        if let Some(allowed) = line.strip_prefix("allow ") {
            let (written, _) = allowed.split_once(": ").ok_or("no reason")?;
            self.allowed.push(expression(written)?);
        } else if let Some(exception) = line.strip_prefix("except ") {
            let (what, _) = exception.split_once(": ").ok_or("no reason")?;
            let (file, written) = what.split_once(' ').ok_or("no expression")?;
            let mut known = self.refused.iter_mut();
            let known = known.find(|phrase| phrase.written == written);
            let known = known.ok_or_else(|| format!("no such expression before: {written}"))?;
            known.exceptions.push(file.to_owned());
        } else {
            let (written, advice) = line.split_once(" -> ").ok_or("no advice")?;
            self.refused.push(Phrase {
                written: written.to_owned(),
                expression: expression(written)?,
                advice: advice.to_owned(),
                exceptions: Vec::new(),
            });
        }
        Ok(())
    }

    /// Returns what is found in a file, each with its line and the advice.
    pub(super) fn find(&self, file: &Path, text: &str) -> Vec<String> {
        let mut text = text.to_owned();
        for allowed in &self.allowed {
            text = blanked(&text, allowed);
        }
        let mut found = Vec::new();
        for phrase in &self.refused {
            if phrase.exceptions.iter().any(|one| file.starts_with(one)) {
                continue;
            }
            for place in phrase.expression.find_iter(&text) {
                let line = text[..place.start()].matches('\n').count() + 1;
                let (file, advice) = (file.display(), &phrase.advice);
                let words: Vec<&str> = place.as_str().split_whitespace().collect();
                found.push(format!("{file}:{line}: \"{}\": {advice}", words.join(" ")));
            }
        }
        found
    }
}

fn expression(written: &str) -> Result<Regex, String> {
    let pattern = written.replace(' ', SPACE);
    let mut builder = RegexBuilder::new(&pattern);
    let built = builder.case_insensitive(true).build();
    built.map_err(|error| error.to_string())
}

/// Puts spaces in place of what an expression matches. Lines stay where they are.
fn blanked(text: &str, expression: &Regex) -> String {
    let blank = |found: &regex::Captures<'_>| {
        let kept = |letter: char| if letter == '\n' { '\n' } else { ' ' };
        found[0].chars().map(kept).collect::<String>()
    };
    expression.replace_all(text, blank).into_owned()
}

#[test]
fn phrases_are_found_across_lines_and_exceptions_are_kept() {
    let list = "# comment\n\\bof before\\b -> previous\n\\blog-?in\\b -> sign-in\nallow axum-login: its name\n\
        except README.md \\blog-?in\\b: so\n";
    let phrases = Phrases::parse(list).expect("a list");
    let find = |file: &str, text: &str| phrases.find(Path::new(file), text);
    assert_eq!(
        find("a.rs", "/// The one\n    /// Of\n    /// before it.\n"),
        ["a.rs:2: \"Of /// before\": previous"]
    );
    assert_eq!(
        find("a.md", "x\nthe log-in\n"),
        ["a.md:2: \"log-in\": sign-in"]
    );
    for text in [
        "axum-login",
        "of beforehand",
        "blog in",
        "before of",
        "logging",
    ] {
        assert_eq!(find("a.md", text), [""; 0], "{text}");
    }
    assert_eq!(find("README.md", "login"), [""; 0]);
    for (list, problem) in [
        ("x", "line 1: no advice"),
        ("( -> x", "line 1: regex"),
        ("allow x", "line 1: no reason"),
        ("except a.md x: so", "line 1: no such expression"),
    ] {
        let error = Phrases::parse(list).err().expect("a mistake");
        assert!(error.starts_with(problem), "{error}");
    }
}
