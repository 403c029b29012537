//! What the documents say is there.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the package lies in the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust sources below a folder, in one text for each.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            found.push((path, text));
        }
    }
}

/// The words of a document between backticks that look like `package::file::test`.
fn proofs(document: &str) -> Vec<[&str; 3]> {
    let words = document.split('`').skip(1).step_by(2);
    words
        .filter_map(|word| {
            let parts: Vec<&str> = word.split("::").collect();
            let lower = |part: &&str| {
                part.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"_-0123456789".contains(&byte))
            };
            let parts: [&str; 3] = parts.try_into().ok()?;
            parts.iter().all(lower).then_some(parts)
        })
        .collect()
}

#[test]
fn every_proof_that_security_names_is_a_test() {
    let document = read("SECURITY.md");
    let proofs = proofs(&document);
    assert!(proofs.len() > 40, "{}", proofs.len());
    for [package, file, test] in proofs {
        let folder = match package {
            "tests" => root().join("tests/tests"),
            library => root().join("crates").join(library),
        };
        let mut found = Vec::new();
        sources(&folder, &mut found);
        let function = format!("fn {test}(");
        let is_there = found.iter().any(|(path, text)| {
            let names = path.iter().filter_map(|part| part.to_str());
            let in_file = names
                .map(|part| part.trim_end_matches(".rs"))
                .any(|part| part == file);
            in_file && text.contains(&function)
        });
        assert!(is_there, "SECURITY.md names {package}::{file}::{test}");
    }
}

#[test]
fn the_readme_shows_the_quickstart_as_it_is() {
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once("<!-- examples/quickstart/src/main.rs -->\n```rust\n")
        .expect("the README has the quickstart");
    let (shown, _) = rest.split_once("```\n").expect("the block ends");
    assert_eq!(shown, read("examples/quickstart/src/main.rs"));
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let readme = read("README.md");
    let words = readme.split(['`', '(', ')', ' ', '\n']);
    let paths = words.filter(|word| {
        word.starts_with("docs/") || word.starts_with("tests/") || word.starts_with("examples/")
    });
    for path in paths {
        assert!(root().join(path).exists(), "README.md names {path}");
    }
}
