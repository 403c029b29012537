//! The results of `cargo-mutants`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::results::{self, RUST, Results, RustResult};
use crate::say;

/// How the run with a mutant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Caught,
    TimedOut,
    /// It does not compile.
    Unviable,
    Survived,
}

/// Saves the outcomes of runs as the results of a part that has so many mutants, in place of earlier ones. Each folder is what `--output` named. The
/// runs test different shards of the same mutants, or some of them again: then the later folder counts.
pub(crate) fn record(part: &str, mutants: usize, folders: &[String]) -> Result<bool, String> {
    let mut saved: Results<RustResult> = results::read(RUST)?;
    let mut outcomes = BTreeMap::new();
    for folder in folders {
        let path = Path::new(folder).join("mutants.out/outcomes.json");
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let text: Value = serde_json::from_slice(&text)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        outcomes.extend(outcomes_in(&text));
    }
    let result = sum(&outcomes, mutants);
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

fn outcomes_in(outcomes: &Value) -> BTreeMap<String, Ended> {
    let outcomes = outcomes["outcomes"].as_array().into_iter().flatten();
    // Without a mutant, it is the run of the code as it is.
    let mutants =
        outcomes.filter_map(|outcome| Some((outcome, outcome["scenario"].get("Mutant")?)));
    let ended = mutants.map(|(outcome, mutant)| {
        let ended = match outcome["summary"].as_str() {
            Some("CaughtMutant") => Ended::Caught,
            Some("Timeout") => Ended::TimedOut,
            Some("Unviable") => Ended::Unviable,
            _ => Ended::Survived,
        };
        (name(mutant), ended)
    });
    ended.collect()
}

fn sum(outcomes: &BTreeMap<String, Ended>, mutants: usize) -> RustResult {
    let count = |wanted| outcomes.values().filter(|&&ended| ended == wanted).count();
    let survivors = outcomes
        .iter()
        .filter(|(_, ended)| **ended == Ended::Survived);
    RustResult {
        mutants,
        tested: outcomes.len(),
        caught: count(Ended::Caught),
        timeouts: count(Ended::TimedOut),
        unviable: count(Ended::Unviable),
        survivors: survivors.map(|(name, _)| name.clone()).collect(),
    }
}

/// What cargo-mutants calls a mutant: its place and what is changed.
fn name(mutant: &Value) -> String {
    mutant["name"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_later_run_replaces_the_outcome_of_an_earlier_one() {
        let outcome = |name: &str, summary: &str| json!({"scenario": {"Mutant": {"name": name}}, "summary": summary});
        let baseline = json!({"scenario": "Baseline", "summary": "Success"});
        let first = json!({"outcomes": [
            baseline, outcome("a", "MissedMutant"), outcome("b", "CaughtMutant"), outcome("c", "Timeout"),
        ]});
        let second = json!({"outcomes": [outcome("a", "CaughtMutant"), outcome("d", "Unviable"), outcome("e", "MissedMutant")]});
        let mut outcomes = outcomes_in(&first);
        outcomes.extend(outcomes_in(&second));
        let expected = RustResult {
            mutants: 9,
            tested: 5,
            caught: 2,
            timeouts: 1,
            unviable: 1,
            survivors: vec!["e".to_owned()],
        };
        assert_eq!(sum(&outcomes, 9), expected);
    }
}
