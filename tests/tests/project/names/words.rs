//! The words of a file that are code: identifiers, and what stands between backticks.

use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A word, and where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) line: usize,
    pub(super) text: String,
    /// Whether it is called, or declared as a function.
    pub(super) is_call: bool,
}

/// Returns the words of a file that are code.
pub(super) fn code(file: &Path, text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => {
            let tokens: Result<TokenStream, _> = text.parse();
            let tokens = tokens.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            identifiers(tokens, &mut words);
            for (index, line) in text.lines().enumerate() {
                if let Some((_, comment)) = line.split_once("//") {
                    quoted(index + 1, comment, &mut words);
                }
            }
        }
        Some("md") => {
            let mut is_code = false;
            for (index, line) in text.lines().enumerate() {
                if line.trim_start().starts_with("```") {
                    is_code = !is_code;
                } else if is_code {
                    plain(index + 1, line, &mut words);
                } else {
                    quoted(index + 1, line, &mut words);
                }
            }
        }
        extension => {
            let comment = match extension {
                Some("lua") => "--",
                Some("js") => "//",
                Some("css") => "/*",
                _ => "#",
            };
            for (index, line) in text.lines().enumerate() {
                let (code, comment) = line.split_once(comment).unwrap_or((line, ""));
                plain(index + 1, code, &mut words);
                quoted(index + 1, comment, &mut words);
            }
        }
    }
    words
}

fn identifiers(tokens: TokenStream, words: &mut Vec<Word>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => identifiers(group.stream(), words),
            TokenTree::Ident(word) => {
                let before = index.checked_sub(1).map(|before| &tokens[before]);
                let is_declared = before.is_some_and(|token| token.to_string() == "fn");
                let is_called = tokens.get(index + 1).is_some_and(is_arguments);
                words.push(Word {
                    line: word.span().start().line,
                    text: word.to_string(),
                    is_call: is_declared || is_called,
                });
            }
            _ => {}
        }
    }
}

fn is_arguments(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis)
}

/// The words between backticks in a line.
fn quoted(line: usize, text: &str, words: &mut Vec<Word>) {
    for span in text.split('`').skip(1).step_by(2) {
        plain(line, span, words);
    }
}

/// All words of a line.
fn plain(line: usize, text: &str, words: &mut Vec<Word>) {
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let after = &rest[start..];
        let end = after.find(|letter| !is_word(letter));
        let (word, next) = after.split_at(end.unwrap_or(after.len()));
        words.push(Word {
            line,
            text: word.to_owned(),
            is_call: next.starts_with('('),
        });
        rest = next;
    }
}

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn words_of_prose_are_not_code() {
    let words = |file: &str, text: &str| {
        let words = code(Path::new(file), text);
        let words = words.into_iter().map(|word| (word.text, word.is_call));
        words.collect::<Vec<_>>()
    };
    let word = |text: &str, is_call| (text.to_owned(), is_call);
    let (call, name) = (word("gone", true), word("gone", false));
    let once = std::slice::from_ref(&name);
    assert_eq!(words("a.rs", "// gone away\n\"gone\""), []);
    assert_eq!(words("a.rs", "/// gone, or `gone`\n").last(), Some(&name));
    assert_eq!(words("a.rs", "let gone;").last(), Some(&name));
    assert_eq!(words("a.rs", "a.gone(1)").get(1), Some(&call));
    assert_eq!(words("a.rs", "fn gone<T>()").get(1), Some(&call));
    assert_eq!(words("a.md", "gone `gone()` (gone)"), [call]);
    assert_eq!(words("a.md", "```\ngone\n```\n"), once);
    assert_eq!(words("a.lua", "gone -- gone away"), once);
    assert_eq!(words("a.toml", "gone # gone away"), once);
}
