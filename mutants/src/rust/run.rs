//! Runs the tests that reach a mutant, until one notices it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::list::Mutant;
use super::reach::Test;
use crate::suite::{self, Outcome, Program, Run};

/// How many tests of a program run at once: many of them wait for a server.
const THREADS: usize = 4;

/// What a run may take beyond several times as long as without the mutant.
const GRACE: Duration = Duration::from_secs(10);

/// The same for a test that runs again: longer than a test waits for its condition.
const LONG_GRACE: Duration = Duration::from_secs(70);

/// A test, and the program that has it.
pub(super) type Reaching<'a> = (&'a Program, &'a Test);

/// How the tests with a mutant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Caught,
    TimedOut,
    Survived,
}

/// How often a test has noticed a mutant of a file.
pub(super) type Failures = BTreeMap<(String, String), usize>;

/// Runs the tests that reach a mutant, first those that have noticed most others of its file, then the quickest: one, then more and more at
/// once. Also returns what has noticed it, or how many tests have not.
pub(super) fn test_mutant(
    mutant: &Mutant,
    reaching: &[Reaching<'_>],
    failures: &Mutex<Failures>,
) -> Result<(Ended, String), String> {
    let reaches = |(_, test): &&Reaching<'_>| test.reached.contains(&mutant.number);
    let mut tests: Vec<&Reaching<'_>> = reaching.iter().filter(reaches).collect();
    let key = |test: &str| (mutant.file.clone(), test.to_owned());
    if let Ok(failures) = failures.lock() {
        tests.sort_by_key(|(_, test)| Reverse(failures.get(&key(&test.name)).copied()));
    }
    let mut rest = tests.as_slice();
    let mut size = 1;
    while !rest.is_empty() {
        let (some, later) = rest.split_at(size.min(rest.len()));
        let mut by_program: BTreeMap<&Path, Vec<&Reaching<'_>>> = BTreeMap::new();
        for one in some {
            by_program.entry(&one.0.path).or_default().push(one);
        }
        for tests in by_program.values() {
            match run_some(mutant, tests, GRACE)? {
                Outcome::Passed(_) => {}
                Outcome::Failed(test) => {
                    if let Ok(mut failures) = failures.lock() {
                        *failures.entry(key(&test)).or_default() += 1;
                    }
                    return Ok((Ended::Caught, test));
                }
                Outcome::TimedOut => {
                    if let Some(ended) = run_alone(mutant, tests)? {
                        return Ok(ended);
                    }
                }
            }
        }
        rest = later;
        size *= 3;
    }
    Ok((Ended::Survived, format!("{} tests", tests.len())))
}

/// Runs tests that have not ended in time again, each alone and with a longer limit: the machine may have been busy. Returns
/// `None` if all of them pass.
fn run_alone(mutant: &Mutant, tests: &[&Reaching<'_>]) -> Result<Option<(Ended, String)>, String> {
    for one in tests {
        let name = one.1.name.clone();
        match run_some(mutant, &[one], LONG_GRACE)? {
            Outcome::Passed(_) => {}
            Outcome::Failed(test) => return Ok(Some((Ended::Caught, test))),
            Outcome::TimedOut => return Ok(Some((Ended::TimedOut, name))),
        }
    }
    Ok(None)
}

/// Runs some tests of one program.
fn run_some(mutant: &Mutant, tests: &[&Reaching<'_>], grace: Duration) -> Result<Outcome, String> {
    let milliseconds = tests.iter().map(|(_, test)| test.milliseconds).sum();
    let names = tests.iter().map(|(_, test)| test.name.as_str());
    suite::run(&Run {
        program: &tests[0].0.path,
        folder: &tests[0].0.folder,
        arguments: ["--exact"].into_iter().chain(names).collect(),
        variables: vec![("CLOAKROOM_MUTANT", mutant.number.to_string())],
        threads: THREADS,
        timeout: grace + Duration::from_millis(milliseconds) * 4,
    })
}
