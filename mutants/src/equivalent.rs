//! Mutants that behave as the original does, each with the reason.

use std::collections::BTreeMap;
use std::fs;

use crate::script::root;

/// The file, relative to the root of the project.
pub(crate) const FILE: &str = "mutants/equivalent.txt";

/// Reads the list: the reasons by the script's name and the mutant's.
///
/// A line `redis/end: MUTANT` names a mutant as `scripts/mutants lua --list` prints it; indented lines below it give the reason, which
/// may be that of several mutants above it. Those of Rust code have the name that `scripts/mutants rust` prints. Lines that begin with `#` are comments.
pub(crate) fn read() -> Result<BTreeMap<(String, String), String>, String> {
    let text = fs::read_to_string(root().join(FILE)).map_err(|error| format!("{FILE}: {error}"))?;
    parse(&text)
}

/// Whether the mutants of a place are those of Rust code.
pub(crate) fn is_rust(place: &str) -> bool {
    place.ends_with(".rs")
}

fn parse(text: &str) -> Result<BTreeMap<(String, String), String>, String> {
    let mut reasons = BTreeMap::new();
    let (mut named, mut reason) = (Vec::new(), Vec::new());
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if let Some(part) = line.strip_prefix("    ") {
            reason.push(part);
            continue;
        }
        if !reason.is_empty() {
            let text = reason.join(" ");
            reasons.extend(named.drain(..).map(|name| (name, text.clone())));
            reason.clear();
        }
        if !line.is_empty() {
            let (script, mutant) = line
                .split_once(": ")
                .ok_or_else(|| format!("{FILE}: `{line}` names no mutant"))?;
            named.push((script.to_owned(), mutant.to_owned()));
        }
    }
    if named.is_empty() {
        Ok(reasons)
    } else {
        Err(format!("{FILE}: the last mutants have no reason"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_mutants_may_have_one_reason() {
        let text = "# A comment.\na: `b` -> `c`\na: `d` -> `e`\n    One\n    reason.\n\na: `f` -> `g`\n    Another.\n";
        let reasons = parse(text).unwrap();
        let reason = |mutant: &str| reasons[&("a".to_owned(), mutant.to_owned())].as_str();
        assert_eq!(reason("`b` -> `c`"), "One reason.");
        assert_eq!(reason("`d` -> `e`"), "One reason.");
        assert_eq!(reason("`f` -> `g`"), "Another.");
        assert!(parse("a: `b` -> `c`\n").is_err());
        assert!(parse("something\n    reason\n").is_err());
    }
}
