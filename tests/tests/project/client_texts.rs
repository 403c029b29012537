//! The texts of the Redis client's errors that `classify` relies on: they decide whether a command may have been
//! executed, and the client does not promise them.

use std::path::PathBuf;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::tree::{files, read, root};

/// How many error texts of fred's `classify.rs` relies on.
const TEXTS: usize = 6;

/// fred's package, as the lock file has it.
fn fred() -> (String, PathBuf) {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let fred = packages.iter().find(|package| package["name"] == "fred");
    let fred = fred.expect("it is a dependency");
    let text = |name: &str| fred[name].as_str().expect("a text").to_owned();
    let manifest = PathBuf::from(text("manifest_path"));
    let folder = manifest.parent().expect("it is in a folder");
    (text("version"), folder.join("src"))
}

/// The constants of `classify.rs` that are documented as texts of fred.
fn texts() -> Vec<String> {
    let source = read("crates/cloakroom-redis/src/classify.rs");
    let constant = Regex::new(r"(?s)/// The texts? of fred 10\.1[^;]*?const [^=]*= (.*?);\n");
    let constant = constant.expect("it is valid");
    let literal = Regex::new(r#""([^"]*)""#).expect("it is valid");
    let values = constant
        .captures_iter(&source)
        .map(|found| found[1].to_owned());
    let values: Vec<_> = values.collect();
    let literals = values.iter().flat_map(|value| literal.captures_iter(value));
    literals.map(|found| found[1].to_owned()).collect()
}

#[test]
fn fred_is_pinned_to_one_release() {
    let (version, _) = fred();
    let manifest = read("Cargo.toml");
    let pinned = format!("fred = {{ version = \"={version}\"");
    assert!(manifest.contains(&pinned), "Cargo.toml: {pinned}");
}

#[test]
fn every_error_text_that_is_relied_on_is_one_of_fred() {
    let texts = texts();
    assert_eq!(texts.len(), TEXTS, "{texts:?}");
    let (_, folder) = fred();
    let sources = files(&folder, &["rs"]);
    assert!(!sources.is_empty(), "{folder:?}");
    for text in texts {
        let error = format!("\"{text}\"");
        let is_there = sources.iter().any(|(_, source)| {
            let mut lines = source.lines();
            lines.any(|line| line.contains("Error::new(") && line.contains(&error))
        });
        assert!(is_there, "fred has no error {error}: see classify.rs");
    }
}
