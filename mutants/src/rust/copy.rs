//! A copy of the sources in which all mutants are, each behind a switch.
//!
//! What does not compile is left out: the compiler's errors say which mutants they are about. The rest is built again, until
//! it compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blame::{LeftOut, blame};
use super::edits::Place;
use super::list::Mutant;
use super::switches;
use crate::say;
use crate::script::{self, root};
use crate::suite::{self, Program};

/// How often the copy is built.
const MAX_ROUNDS: usize = 40;

/// What each crate gets as a module, with the functions that know which mutant is switched on.
const SWITCH: &str = include_str!("../../switch.rs");

/// The mutants that are left out.
pub(crate) type AllLeftOut = BTreeMap<u32, LeftOut>;

/// Copies the project, adds the switches, and builds the tests. `target/mutated/errors.txt` shows the compiler's errors, with the
/// mutants that were left out for each.
pub(crate) fn build(
    mutants: &[Mutant],
    crates: &[&str],
    targets: &[&str],
) -> Result<(Vec<Program>, AllLeftOut), String> {
    let folder = root().join("target/mutated/code");
    let roots: Vec<String> = crates
        .iter()
        .map(|name| format!("crates/{name}/src/lib.rs"))
        .collect();
    let files = mutants.iter().map(|mutant| &mutant.file).chain(&roots);
    let files: BTreeSet<&str> = files.map(String::as_str).collect();
    copy(&folder, &files)?;
    for name in crates {
        write(
            &folder.join(format!("crates/{name}/src/mutant_switch.rs")),
            SWITCH,
        )?;
    }
    let mut left_out = left_out_before(mutants)?;
    let mut changed = files.clone();
    let mut log = String::new();
    let mut places: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for round in 1..=MAX_ROUNDS {
        for file in &changed {
            let here = add_switches(&folder, file, mutants, &mut left_out)?;
            places.insert(file, here);
        }
        let messages = cargo(&folder, crates, targets)?;
        let errors: Vec<&Value> = messages.iter().filter(|one| is_error(one)).collect();
        if errors.is_empty() {
            remember(mutants, &left_out)?;
            return Ok((suite::programs(&messages), left_out));
        }
        changed.clear();
        let before = left_out.len();
        for error in &errors {
            let rendered = error["message"]["rendered"].as_str();
            log += rendered.unwrap_or_default();
            for (file, number, reason) in blame(&error["message"], &places) {
                changed.insert(files.get(file).ok_or("a file without mutants")?);
                if reason == LeftOut::Unviable || !left_out.contains_key(&number) {
                    left_out.insert(number, reason);
                }
                let mutant = mutants.iter().find(|mutant| mutant.number == number);
                log +=
                    &mutant.map_or_else(String::new, |one| format!("{reason:?}: {}\n\n", one.name));
            }
        }
        let dropped = left_out.len() - before;
        say(format!(
            "round {round}: {} errors, {dropped} mutants left out",
            errors.len()
        ));
        write(&folder.with_file_name("errors.txt"), &log)?;
        if dropped == 0 {
            let shown = errors.iter().take(5);
            let shown = shown.filter_map(|error| error["message"]["rendered"].as_str());
            return Err(shown.collect::<Vec<_>>().join("\n"));
        }
    }
    Err(format!(
        "the code does not compile after {MAX_ROUNDS} rounds"
    ))
}

/// The file that keeps which mutants were left out, so that the next build begins with the text that compiles.
fn memory() -> PathBuf {
    root().join("target/mutated/left-out.json")
}

/// The mutants that were left out, by name, and the digests of the files that have mutants.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    files: BTreeMap<String, String>,
    left_out: BTreeMap<String, LeftOut>,
}

fn read_memory() -> Memory {
    let text = fs::read(memory()).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// The mutants that earlier builds have left out, in files that have not changed.
fn left_out_before(mutants: &[Mutant]) -> Result<AllLeftOut, String> {
    let memory = read_memory();
    let digests = digests(mutants)?;
    let known = mutants
        .iter()
        .filter(|mutant| memory.files.get(&mutant.file) == digests.get(&mutant.file));
    Ok(known
        .filter_map(|mutant| Some((mutant.number, *memory.left_out.get(&mutant.name)?)))
        .collect())
}

fn remember(mutants: &[Mutant], left_out: &AllLeftOut) -> Result<(), String> {
    let named = mutants
        .iter()
        .filter_map(|mutant| Some((mutant.name.clone(), *left_out.get(&mutant.number)?)));
    let mut new = Memory {
        files: digests(mutants)?,
        left_out: named.collect(),
    };
    // A build with other parts has other files.
    let old = read_memory();
    let is_kept = |file: &str| !new.files.contains_key(file);
    let kept = old.left_out.into_iter().filter(|(name, _)| {
        let file = name.split(": ").next().unwrap_or_default();
        is_kept(&format!("crates/{file}"))
    });
    let kept: Vec<_> = kept.collect();
    let files: Vec<_> = old
        .files
        .into_iter()
        .filter(|(file, _)| is_kept(file))
        .collect();
    new.left_out.extend(kept);
    new.files.extend(files);
    let text = serde_json::to_string(&new).map_err(|error| error.to_string())?;
    write(&memory(), &text)
}

/// The digests of the original files that have mutants.
fn digests(mutants: &[Mutant]) -> Result<BTreeMap<String, String>, String> {
    let files: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.file.as_str()).collect();
    let digest = |file: &str| {
        let bytes = fs::read(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
        Ok((file.to_owned(), script::digest(&bytes)))
    };
    files.into_iter().map(digest).collect()
}

/// Copies the files of the project which have changed since, but for those that get switches.
fn copy(folder: &Path, with_switches: &BTreeSet<&str>) -> Result<(), String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    let list = String::from_utf8_lossy(&output.stdout);
    remove_former(folder, &list)?;
    let is_copied = |file: &&str| {
        !file.starts_with("bench/") && *file != "Cargo.toml" && !with_switches.contains(file)
    };
    for file in list.lines().filter(is_copied) {
        copy_file(&root().join(file), &folder.join(file))
            .map_err(|error| format!("{file}: {error}"))?;
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml"));
    let manifest = manifest.map_err(|error| format!("Cargo.toml: {error}"))?;
    write(&folder.join("Cargo.toml"), &without_lints(&manifest)?)
}

/// Removes the files of an earlier copy that the project does not have any more: two tests of one name do not compile.
fn remove_former(folder: &Path, list: &str) -> Result<(), String> {
    let memory = folder.with_file_name("files.txt");
    let there = |file: &&str| fs::symlink_metadata(root().join(file)).is_ok();
    let now: BTreeSet<&str> = list.lines().filter(there).collect();
    let before = fs::read_to_string(&memory).unwrap_or_default();
    for file in before.lines().filter(|file| !now.contains(file)) {
        drop(fs::remove_file(folder.join(file)));
    }
    let now: Vec<&str> = now.into_iter().collect();
    write(&memory, &now.join("\n"))
}

fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(from) else {
        return Ok(()); // deleted, and not yet committed
    };
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    #[cfg(unix)]
    if metadata.is_symlink() {
        drop(fs::remove_file(to));
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if !metadata.is_file()
        || fs::read(to).is_ok_and(|there| fs::read(from).is_ok_and(|new| new == there))
    {
        return Ok(());
    }
    fs::copy(from, to).map(drop)
}

/// The root's manifest with warnings allowed, and `unsafe`.
fn without_lints(manifest: &str) -> Result<String, String> {
    let lints = manifest.find("[workspace.lints.rust]");
    let end = manifest.find("[profile.dev]");
    let (Some(lints), Some(end)) = (lints, end) else {
        return Err("the manifest has no lints".to_owned());
    };
    let allowed = "[workspace.lints.rust]\nwarnings = \"allow\"\n\n";
    Ok([&manifest[..lints], allowed, &manifest[end..]].concat())
}

/// Writes a file, unless it has this text.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

fn add_switches(
    folder: &Path,
    file: &str,
    mutants: &[Mutant],
    left_out: &mut AllLeftOut,
) -> Result<Vec<Place>, String> {
    let original =
        fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let is_here = |mutant: &&Mutant| mutant.file == file && !left_out.contains_key(&mutant.number);
    let here: Vec<&Mutant> = mutants.iter().filter(is_here).collect();
    let switched = switches::add(&original, &here).map_err(|error| format!("{file}: {error}"))?;
    for (numbers, reason) in [
        (switched.constant, LeftOut::Unswitched),
        (switched.unviable, LeftOut::Unviable),
    ] {
        left_out.extend(numbers.into_iter().map(|number| (number, reason)));
    }
    let is_root = file.ends_with("/src/lib.rs");
    let module = if is_root { "mod mutant_switch;\n" } else { "" };
    write(&folder.join(file), &(switched.text + module))?;
    Ok(switched.places)
}

/// Builds the tests of the crates and end-to-end suites, and returns cargo's messages.
fn cargo(folder: &Path, crates: &[&str], targets: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = Command::new("cargo");
    command
        .args([
            "test",
            "--offline",
            "--no-run",
            "--no-fail-fast",
            "--all-features",
        ])
        .args(["--message-format=json", "--package=tests", "--lib"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", root().join("target"))
        .stderr(Stdio::null());
    for name in crates {
        command.arg(format!("--package={name}"));
        for target in own_targets(folder, name) {
            command.args(["--test", &target]);
        }
    }
    for target in targets {
        command.args(["--test", target]);
    }
    let output = command
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let messages = suite::messages(&output.stdout);
    if output.status.success() || messages.iter().any(is_error) {
        Ok(messages)
    } else {
        Err(format!("cargo test in {} does not start", folder.display()))
    }
}

/// The integration tests of a crate.
fn own_targets(folder: &Path, name: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.join("crates").join(name).join("tests"));
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let is_target = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists()
    };
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    paths.filter(is_target).filter_map(stem).collect()
}

fn is_error(message: &Value) -> bool {
    message["reason"] == "compiler-message"
        && message["message"]["level"] == "error"
        && message["message"]["spans"]
            .as_array()
            .is_some_and(|spans| !spans.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lints_of_the_copy_allow_everything() {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let changed = without_lints(&manifest).unwrap();
        assert!(manifest.contains("unsafe_code") && !changed.contains("unsafe_code"));
        assert!(changed.contains("[profile.dev]"));
        assert!(without_lints("[package]").is_err());
    }
}
