//! The saved results.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::script::root;

/// The results of one script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScriptResult {
    /// The digest of the text that was tested.
    pub(crate) digest: String,
    pub(crate) mutants: usize,
    /// Those at which a test failed, or did not end.
    pub(crate) caught: usize,
    /// Those that are listed as equivalent.
    pub(crate) equivalent: usize,
    /// The others, by name.
    pub(crate) survivors: Vec<String>,
}

/// The results of a part of a crate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RustResult {
    pub(crate) mutants: usize,
    /// Those that do not compile.
    pub(crate) unviable: usize,
    /// Those whose switch does not compile.
    pub(crate) unswitched: usize,
    /// Those at which a test failed.
    pub(crate) caught: usize,
    /// Those at which the tests did not end in time.
    pub(crate) timeouts: usize,
    /// Those that are listed as equivalent.
    pub(crate) equivalent: usize,
    /// The others, by name.
    pub(crate) survivors: Vec<String>,
}

/// A file with results by name.
pub(crate) type Results<T> = BTreeMap<String, T>;

fn path(file: &str) -> PathBuf {
    root().join("mutants/results").join(file)
}

pub(crate) const LUA: &str = "lua.json";
pub(crate) const RUST: &str = "rust.json";

/// Reads a file of results; a file that is missing has none.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(file: &str) -> Result<Results<T>, String> {
    let path = path(file);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| format!("{path:?}: {error}")),
        Err(_) => Ok(Results::new()),
    }
}

pub(crate) fn write<T: Serialize>(file: &str, results: &Results<T>) -> Result<(), String> {
    let text = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
    fs::write(path(file), text + "\n").map_err(|error| format!("{file}: {error}"))
}
