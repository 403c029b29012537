//! No old name and no refused turn of phrase is left in the project's files.

mod list;
mod phrases;
mod words;

use std::path::{Path, PathBuf};

use self::list::{Kind, Rule};
use self::phrases::Phrases;
use crate::tree::{files, root};

/// The files that are looked through.
const EXTENSIONS: [&str; 7] = ["rs", "md", "toml", "lua", "sh", "js", "css"];

/// What names old names because it is about them.
const CHECKS: &str = "tests/tests/project/names";

/// Returns the project's files with their paths below the root.
fn all_files() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut all = files(&root, &EXTENSIONS);
    // Scripts have no extension.
    for folder in ["scripts", ".ci"] {
        all.extend(files(&root.join(folder), &[""]));
    }
    let all = all.into_iter();
    let relative = all.map(|(path, text)| {
        let path = path.strip_prefix(&root).expect("it is below the root");
        (path.to_owned(), text)
    });
    relative
        .filter(|(path, _)| !path.starts_with(CHECKS))
        .collect()
}

/// Returns where a file has old names.
fn old_names(file: &Path, text: &str, rules: &[Rule]) -> Vec<String> {
    let code = words::code(file, text);
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.holds_for(file)) {
        let is_function = rule.old.ends_with("()");
        let mut lines: Vec<usize> = match rule.kind {
            Kind::Code => {
                let words = code.iter().filter(|word| rule.is(&word.text));
                let words = words.filter(|word| word.is_call || !is_function);
                words.map(|word| word.line).collect()
            }
            Kind::Word => lines_with(text, |line| has_word(line, rule)),
            Kind::Text => lines_with(text, |line| line.contains(&rule.old)),
            Kind::Path => Vec::new(),
        };
        lines.sort_unstable();
        lines.dedup();
        for line in lines {
            let (file, old, new) = (file.display(), &rule.old, &rule.new);
            found.push(format!("{file}:{line}: `{old}` is now `{new}`"));
        }
    }
    found
}

fn lines_with(text: &str, has_it: impl Fn(&str) -> bool) -> Vec<usize> {
    let lines = text.lines().enumerate();
    let found = lines.filter(|(_, line)| has_it(line));
    found.map(|(index, _)| index + 1).collect()
}

/// Tells whether a line has the old name as a whole word, which may have hyphens or colons inside.
fn has_word(line: &str, rule: &Rule) -> bool {
    let old = rule.old.trim_end_matches('*');
    let is_open = old.len() < rule.old.len();
    line.match_indices(old).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + old.len()..].chars().next();
        let is_inside = |letter: Option<char>| letter.is_some_and(words::is_word);
        !is_inside(before) && (is_open || !is_inside(after))
    })
}

#[test]

fn no_old_name_is_left() {
    let rules = list::parse(include_str!("names.txt"));
    let rules = rules.unwrap_or_else(|error| panic!("names.txt: {error}"));
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.kind == Kind::Path) {
        if root().join(&rule.old).exists() {
            found.push(format!("{} is now {}", rule.old, rule.new));
        }
    }
    for (file, text) in all_files() {
        if file != Path::new("CHANGELOG.md") {
            found.extend(old_names(&file, &text, &rules));
        }
    }
    let count = found.len();
    assert!(count == 0, "{count} old names:\n{}", found.join("\n"));
}

#[test]

fn no_refused_phrase_is_left() {
    let phrases = Phrases::parse(include_str!("phrases.txt"));
    let phrases = phrases.unwrap_or_else(|error| panic!("phrases.txt: {error}"));
    let files = all_files().into_iter();
    let found: Vec<String> = files
        .flat_map(|(file, text)| phrases.find(&file, &text))
        .collect();
    let count = found.len();
    assert!(count == 0, "{count} phrases:\n{}", found.join("\n"));
}

#[test]
fn the_lists_can_be_read() {
    list::parse(include_str!("names.txt")).unwrap_or_else(|error| panic!("names.txt: {error}"));
    let phrases = Phrases::parse(include_str!("phrases.txt"));
    phrases.unwrap_or_else(|error| panic!("phrases.txt: {error}"));
}

#[test]
fn old_names_are_found_as_whole_words_and_where_the_rule_holds() {
    let rules = "word NotFresh -> Stale\nword moving-in -> migration\nword carry_out* -> run\ncode Due -> Pending in src\n\
        code gone() -> mark_ended\ntext .of( -> .list(\nword told -> logged in *.rs\nexcept src/a.rs NotFresh: so";
    let rules = list::parse(rules).expect("a list");
    let count = |file: &str, text: &str| old_names(Path::new(file), text, &rules).len();
    for (file, text, expected) in [
        ("b.rs", "NotFresh", 1),
        ("b.rs", "// NotFresh, NotFresh\n// NotFresh", 2),
        ("b.rs", "NotFreshly", 0),
        ("b.rs", "IsNotFresh", 0),
        ("src/a.rs", "NotFresh", 0),
        ("b.md", "the feature `moving-in`", 1),
        ("b.md", "moving in", 0),
        ("b.rs", "carry_out_alone()", 1),
        ("b.rs", "do_carry_out()", 0),
        ("src/b.rs", "Due", 1),
        ("src/b.rs", "// Due to this", 0),
        ("src/b.rs", "// [`Due`] to this", 1),
        ("b.rs", "Due", 0),
        ("b.rs", "self.gone()", 1),
        ("b.rs", "let gone = 1;", 0),
        ("b.md", "All is gone (really).", 0),
        ("b.rs", "sessions.of(user)", 1),
        ("b.rs", "// told", 1),
        ("b.md", "told", 0),
    ] {
        assert_eq!(count(file, text), expected, "{file}: {text}");
    }
}
