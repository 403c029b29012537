//! Links between the documents, and how long two of them may be.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use crate::tree::{read, root};

/// The documents: those of the root and of `docs`, with their texts without blocks of code.
fn documents() -> HashMap<PathBuf, String> {
    let mut found = HashMap::new();
    for folder in [root(), root().join("docs")] {
        for entry in std::fs::read_dir(&folder).expect("it is a folder") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).expect("it is text");
                found.insert(path, without_code(&text));
            }
        }
    }
    found
}

fn without_code(text: &str) -> String {
    let outside = text.split("\n```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

/// The targets of a text's links: `[words](target)`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let rests = text.split("](").skip(1);
    rests.filter_map(|rest| Some(rest.split_once(')')?.0))
}

/// The anchors of a text's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// Resolves `..` and `.` by the names alone.
fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts
}

/// What is wrong with a link of a document.
fn problem(
    documents: &HashMap<PathBuf, String>,
    from: &Path,
    target: &str,
) -> Option<&'static str> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => from.to_owned(),
        path => normalized(&from.parent().expect("it is in a folder").join(path)),
    };
    if !path.exists() {
        return Some("no such file");
    }
    match documents.get(&path) {
        Some(text) if !anchor.is_empty() && !anchors(text).contains(anchor) => {
            Some("no such heading")
        }
        Some(_) | None => None,
    }
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let documents = documents();
    let mut count = 0;
    let mut problems = Vec::new();
    for (from, text) in &documents {
        let local = targets(text).filter(|it| !it.contains("://") && !it.contains("::"));
        for target in local {
            count += 1;
            if let Some(problem) = problem(&documents, from, target) {
                problems.push(format!("{}: {target}: {problem}", from.display()));
            }
        }
    }
    assert!(count > 200, "{count}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_contents_of_the_design_page_list_its_sections() {
    let page = read("DESIGN.md");
    let (_, rest) = page.split_once("## Contents\n").expect("it has contents");
    let (contents, rest) = rest.split_once("\n## ").expect("sections follow");
    let listed = contents.lines().filter_map(|line| line.strip_prefix("- ["));
    let listed: Vec<_> = listed
        .filter_map(|line| Some(line.split_once(']')?.0))
        .collect();
    let sections = format!("## {rest}");
    let sections: Vec<_> = sections
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(listed, sections);
}

/// Details belong on the pages of `docs` and in DESIGN.md.
#[test]
fn the_first_pages_stay_short() {
    for (page, limit) in [("README.md", 1300), ("ARCHITECTURE.md", 1800)] {
        let words = read(page).split_whitespace().count();
        assert!(words <= limit, "{page} has {words} words of {limit}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = root().join("docs/limits.md");
    let text = "# One page\n\n[a](#one-page), [b](#two), [c](missing.md), [d](../README.md)\n";
    let documents = HashMap::from([(page.clone(), text.to_owned())]);
    let found: Vec<_> = targets(text)
        .map(|target| problem(&documents, &page, target))
        .collect();
    let expected = [None, Some("no such heading"), Some("no such file"), None];
    assert_eq!(found, expected);
}
