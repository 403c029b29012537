//! Compares the imports of a crate with its layers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::imports::{Import, imports};
use super::list::Layers;
use crate::source::Source;

/// Returns everything that is wrong, each as one text that begins with a file.
pub(super) fn problems(source: &Source, layers: &Layers) -> Vec<String> {
    let imports = imports(source);
    let mut problems = unlisted(source, layers);
    problems.extend(upward(&imports, layers));
    problems.extend(cycles(&imports));
    problems
}

/// The top-level modules that the list does not name, and names that are no modules.
fn unlisted(source: &Source, layers: &Layers) -> Vec<String> {
    let listed: BTreeSet<&str> = layers.iter().flatten().map(String::as_str).collect();
    let top = source
        .modules
        .iter()
        .filter(|module| module.path.len() == 1);
    let there: BTreeSet<&str> = top.map(|module| module.path[0].as_str()).collect();
    let missing = there.difference(&listed);
    let missing = missing.map(|name| format!("lib.rs: module `{name}` is in no layer of the list"));
    let gone = listed.difference(&there);
    let gone = gone.map(|name| format!("lib.rs: the list names `{name}`, which is not a module"));
    missing.chain(gone).collect()
}

/// The imports of a module in a higher layer. The crate's root is above all.
fn upward(imports: &[Import], layers: &Layers) -> Vec<String> {
    let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
    for (rank, modules) in layers.iter().enumerate() {
        ranks.extend(modules.iter().map(|module| (module.as_str(), rank + 1)));
    }
    let mut problems = Vec::new();
    for import in imports {
        let Some(from) = &import.from_module else {
            continue;
        };
        let Some(from_rank) = ranks.get(from.as_str()) else {
            continue;
        };
        let higher = match &import.to_module {
            None => "the crate's root".to_owned(),
            Some(to) => match ranks.get(to.as_str()) {
                Some(rank) if rank > from_rank => format!("`{to}` (layer {rank})"),
                _ => continue,
            },
        };
        let problem = format!("upward import: `{from}` (layer {from_rank}) imports {higher}");
        problems.push(format!("{}: {problem}", place(import)));
    }
    problems
}

/// The groups of files that import each other, each with the imports inside of it.
fn cycles(imports: &[Import]) -> Vec<String> {
    let mut edges: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for import in imports {
        edges.entry(&import.from).or_default().insert(&import.to);
    }
    let mut reached: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for file in edges.keys() {
        reached.insert(file, reachable(file, &edges));
    }
    let reaches = |from: &Path, to: &Path| reached.get(from).is_some_and(|all| all.contains(to));

    let mut groups: BTreeSet<BTreeSet<&Path>> = BTreeSet::new();
    for file in edges.keys().filter(|file| reaches(file, file)) {
        let together = edges.keys().copied();
        let together = together.filter(|other| reaches(file, other) && reaches(other, file));
        groups.insert(together.collect());
    }
    groups
        .iter()
        .map(|group| describe(group, imports))
        .collect()
}

fn reachable<'a>(
    file: &'a Path,
    edges: &BTreeMap<&'a Path, BTreeSet<&'a Path>>,
) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(next) = open.pop() {
        for to in edges.get(next).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}

/// Names a cycle's files, and between each two of them the first import.
fn describe(group: &BTreeSet<&Path>, imports: &[Import]) -> String {
    let mut first: BTreeMap<(&Path, &Path), &Import> = BTreeMap::new();
    let is_inside = |file: &Path| group.contains(file);
    for import in imports {
        if is_inside(&import.from) && is_inside(&import.to) {
            first.entry((&import.from, &import.to)).or_insert(import);
        }
    }
    let files: Vec<String> = group
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut text = format!("{}: import cycle: {}", files[0], files.join(", "));
    for import in first.into_values() {
        text.push_str(&format!(
            "\n    {} in {}",
            place(import),
            import.to.display()
        ));
    }
    text
}

fn place(import: &Import) -> String {
    let (file, line, path) = (import.from.display(), import.line, &import.path);
    format!("{file}:{line}: `{path}`")
}
