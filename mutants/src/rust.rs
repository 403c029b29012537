//! The results of `cargo-mutants`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::results::{self, RUST, Results, RustResult};
use crate::say;

/// Adds the outcomes of runs to the saved results of a part, in place of earlier ones. Each folder is what `--output`
/// named; each run tested a different shard of the same mutants.
pub(crate) fn record(part: &str, folders: &[String]) -> Result<bool, String> {
    let mut saved: Results<RustResult> = results::read(RUST)?;
    let mut result = RustResult::default();
    for folder in folders {
        let folder = Path::new(folder).join("mutants.out");
        let read = |file: &str| {
            let path = folder.join(file);
            let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            serde_json::from_slice::<Value>(&text).map_err(|error| format!("{file}: {error}"))
        };
        add(&mut result, &read("outcomes.json")?);
    }
    result.survivors.sort();
    result.survivors.dedup();
    say(format!(
        "{part}: {} tested, {} caught, {} survive",
        result.tested,
        result.caught + result.timeouts,
        result.survivors.len()
    ));
    saved.insert(part.to_owned(), result);
    results::write(RUST, &saved)?;
    Ok(true)
}

fn add(result: &mut RustResult, outcomes: &Value) {
    for outcome in outcomes["outcomes"].as_array().into_iter().flatten() {
        let Some(mutant) = outcome["scenario"].get("Mutant") else {
            continue; // the code as it is
        };
        result.tested += 1;
        match outcome["summary"].as_str() {
            Some("CaughtMutant") => result.caught += 1,
            Some("Timeout") => result.timeouts += 1,
            Some("Unviable") => result.unviable += 1,
            _ => result.survivors.push(name(mutant)),
        }
    }
}

/// The name of a mutant without the place in the file, which other changes move.
fn name(mutant: &Value) -> String {
    mutant["name"].as_str().unwrap_or_default().to_owned()
}
