//! The list of layers in docs/layers.md.
//!
//! Its section `## Layers` has one `###` heading for each crate, with the crate's name in backticks, and below that a
//! numbered list from the lowest layer to the highest. Each item begins with the names of its modules in backticks,
//! separated by commas; after a colon there may be text. Other lines that are indented or begin a paragraph are text.
//!
//! ```text
//! ## Layers
//!
//! ### `a-crate`
//!
//! 1. `clock`, `error`: what everything else may use
//! 2. `store`
//! ```

use std::collections::BTreeMap;

/// The layers of a crate, from the lowest to the highest: names of top-level modules.
pub(super) type Layers = Vec<Vec<String>>;

/// Reads the lists of all crates.
pub(super) fn parse(document: &str) -> Result<BTreeMap<String, Layers>, String> {
    let mut lists: BTreeMap<String, Layers> = BTreeMap::new();
    let mut current: Option<String> = None;
    for (index, line) in section(document)? {
        let at = |problem: String| format!("line {index}: {problem}");
        if let Some(heading) = line.strip_prefix("### ") {
            let name = backticked(heading.trim())
                .ok_or_else(|| at(format!("not the name of a crate in backticks: {heading}")))?;
            if lists.insert(name.to_owned(), Layers::new()).is_some() {
                return Err(at(format!("a second list for `{name}`")));
            }
            current = Some(name.to_owned());
        } else if let Some((number, item)) = numbered(line) {
            let name = current.as_ref();
            let name = name.ok_or_else(|| at("a list before the heading of a crate".to_owned()))?;
            let layers = lists.get_mut(name).expect("it was inserted");
            if number != layers.len() + 1 {
                let expected = layers.len() + 1;
                return Err(at(format!("number {number}, where {expected} is next")));
            }
            let modules = modules(item).map_err(at)?;
            let twice = modules
                .iter()
                .find(|one| layers.iter().flatten().any(|known| known == *one));
            if let Some(twice) = twice {
                return Err(at(format!("`{twice}` is in two layers")));
            }
            layers.push(modules);
        }
    }
    match lists.iter().find(|(_, layers)| layers.is_empty()) {
        Some((name, _)) => Err(format!("no numbered list below the heading `{name}`")),
        None if lists.is_empty() => Err("no crate below the heading \"## Layers\"".to_owned()),
        None => Ok(lists),
    }
}

/// Returns the lines of the section with their numbers.
fn section(document: &str) -> Result<Vec<(usize, &str)>, String> {
    let lines = document.lines().enumerate();
    let mut lines = lines.map(|(index, line)| (index + 1, line));
    if !lines.any(|(_, line)| line.trim_end() == "## Layers") {
        return Err("no heading \"## Layers\"".to_owned());
    }
    let ends = |line: &str| line.starts_with("## ") || line.starts_with("# ");
    Ok(lines.take_while(|(_, line)| !ends(line)).collect())
}

/// Splits `3. text` into its number and its text.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let (number, text) = line.split_once(". ")?;
    Some((number.parse().ok()?, text))
}

fn modules(item: &str) -> Result<Vec<String>, String> {
    let (names, _) = item.split_once(':').unwrap_or((item, ""));
    let mut modules: Vec<String> = Vec::new();
    for name in names.split(',') {
        let module = backticked(name.trim());
        let module = module
            .ok_or_else(|| format!("{:?} is not a module's name in backticks", name.trim()))?;
        if modules.iter().any(|known| known == module) {
            return Err(format!("`{module}` is there twice"));
        }
        modules.push(module.to_owned());
    }
    Ok(modules)
}

/// Returns what is between the backticks, if that is all, and one name.
fn backticked(text: &str) -> Option<&str> {
    let name = text.strip_prefix('`')?.strip_suffix('`')?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    (!name.is_empty() && name.chars().all(is_plain)).then_some(name)
}

#[test]
fn the_list_is_read() {
    let document = "# Page\n\n1. `no`\n\n## Layers\n\nText.\n\n### `a-crate`\n\n1. `one`, `two`: why, `not_this`\n   \
        more text\n2. `three`\n\n### `b-crate`\n1. `one`\n\n## Next\n\n2. `no`\n";
    let lists = parse(document).expect("a list");
    let expected = [
        vec!["one".to_owned(), "two".to_owned()],
        vec!["three".to_owned()],
    ];
    assert_eq!(lists["a-crate"], expected);
    assert_eq!(lists["b-crate"], [["one"]]);
    assert_eq!(lists.len(), 2);
}

#[test]
fn a_list_with_a_mistake_is_refused() {
    let refused = [
        ("## Layer\n", "no heading \"## Layers\""),
        ("## Layers\n", "no crate"),
        ("## Layers\n### `a`\n", "no numbered list"),
        ("## Layers\n1. `x`\n", "line 2: a list before"),
        ("## Layers\n### a\n", "line 2: not the name of a crate"),
        (
            "## Layers\n### `a`\n1. `x`\n### `a`\n",
            "line 4: a second list",
        ),
        ("## Layers\n### `a`\n2. `x`\n", "line 3: number 2, where 1"),
        (
            "## Layers\n### `a`\n1. `x` and `y`\n",
            "is not a module's name",
        ),
        ("## Layers\n### `a`\n1. x\n", "is not a module's name"),
        ("## Layers\n### `a`\n1. `x`, `x`\n", "there twice"),
        (
            "## Layers\n### `a`\n1. `x`\n2. `x`\n",
            "line 4: `x` is in two",
        ),
    ];
    for (document, message) in refused {
        let error = parse(document).expect_err("a mistake");
        assert!(error.contains(message), "{document:?}: {error}");
    }
}
