//! Runs the tests with each mutant of the Rust code. One build has all of them, and a variable of the environment switches
//! one on.

mod blame;
mod copy;
mod edits;
mod list;
mod parts;
mod reach;
mod run;
mod switches;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::results::{self, RUST, Results, RustResult};
use crate::suite::Program;
use crate::{equivalent, say};
use blame::LeftOut;
use list::Mutant;
use parts::{PARTS, Part};
use reach::Test;
use run::{Ended, Failures, Reaching, test_mutant};

/// How many tests, and how many mutants are run at once.
const WORKERS: usize = 2;

/// In a quick run, tests that take longer alone are left out, in milliseconds.
const LONGEST_QUICK: u64 = 300;

/// What to run.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The names of parts; empty for all.
    pub(crate) parts: Vec<String>,
    /// Only the quick tests.
    pub(crate) quick: bool,
    /// Only those that have survived in the saved results.
    pub(crate) survivors: bool,
}

/// Runs the tests with the mutants of some parts, saves and prints the results. Returns whether all were noticed.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let is_chosen = |part: &&Part| {
        options.parts.is_empty() || options.parts.iter().any(|name| *name == part.name)
    };
    let parts: Vec<&Part> = PARTS.iter().filter(is_chosen).collect();
    let unknown = options
        .parts
        .iter()
        .find(|name| PARTS.iter().all(|part| part.name != **name));
    if let Some(unknown) = unknown {
        return Err(format!("there is no part {unknown}"));
    }
    let packages: BTreeSet<&str> = parts.iter().map(|part| part.package).collect();
    let mut mutants = list::list(&packages)?;
    mutants.retain(|mutant| parts.iter().any(|part| part.has(&mutant.file)));
    let suites: BTreeSet<&str> = parts.iter().flat_map(|part| part.suites).copied().collect();
    let (crates, targets): (Vec<&str>, Vec<&str>) = suites
        .into_iter()
        .partition(|suite| suite.starts_with("cloakroom"));
    let (programs, left_out) = copy::build(&mutants, &crates, &targets)?;
    let mut saved: Results<RustResult> = results::read(RUST)?;
    saved.retain(|name, _| PARTS.iter().any(|part| part.name == name));
    let mut all_caught = true;
    for part in parts {
        let longest = if options.quick {
            LONGEST_QUICK
        } else {
            part.longest
        };
        let before = options.survivors.then(|| saved.get(part.name)).flatten();
        let result = test_part(part, &mutants, &left_out, &programs, before, longest)?;
        all_caught &= result.survivors.is_empty();
        saved.insert(part.name.to_owned(), result);
        results::write(RUST, &saved)?;
    }
    Ok(all_caught)
}

fn test_part(
    part: &Part,
    mutants: &[Mutant],
    left_out: &copy::AllLeftOut,
    programs: &[Program],
    before: Option<&RustResult>,
    longest: u64,
) -> Result<RustResult, String> {
    let has_suite = |program: &&Program| part.suites.contains(&program.suite.as_str());
    let programs: Vec<&Program> = programs.iter().filter(has_suite).collect();
    let tests: Result<Vec<Vec<Test>>, String> = programs
        .iter()
        .map(|program| reach::tests(program))
        .collect();
    let tests = tests?;
    let mut reaching: Vec<Reaching<'_>> = Vec::new();
    for (program, tests) in programs.iter().zip(&tests) {
        let quick = tests.iter().filter(|test| test.milliseconds <= longest);
        reaching.extend(quick.map(|test| (*program, test)));
    }
    reaching.sort_by_key(|(_, test)| test.milliseconds);
    say(format!("{}: {} tests", part.name, reaching.len()));
    let mine: Vec<&Mutant> = mutants
        .iter()
        .filter(|mutant| part.has(&mutant.file))
        .collect();
    for mutant in &mine {
        if let Some(reason) = left_out.get(&mutant.number) {
            say(format!("{reason:?}: {}", mutant.name));
        }
    }
    let listed = listed_as_equivalent(&mine)?;
    let is_tested = |mutant: &&&Mutant| {
        let survived = before.is_none_or(|before| before.survivors.contains(&mutant.name));
        survived && !left_out.contains_key(&mutant.number) && !listed.contains(&mutant.number)
    };
    let tested: Vec<&Mutant> = mine.iter().filter(is_tested).copied().collect();
    let ended = test_all(&tested, &reaching)?;
    let result = sum(&mine, left_out, &listed, &ended, before);
    say(format!("{}: {result:?}", part.name));
    Ok(result)
}

/// The numbers of the part's mutants that are listed as equivalent.
fn listed_as_equivalent(mine: &[&Mutant]) -> Result<BTreeSet<u32>, String> {
    let mut listed = equivalent::read()?;
    let is_listed = |mutant: &&&Mutant| {
        let key = mutant.name.split_once(": ");
        key.is_some_and(|(file, change)| {
            listed
                .remove(&(file.to_owned(), change.to_owned()))
                .is_some()
        })
    };
    let numbers = mine
        .iter()
        .filter(is_listed)
        .map(|mutant| mutant.number)
        .collect();
    let is_mine = |file: &str| mine.iter().any(|mutant| mutant.name.starts_with(file));
    match listed.keys().find(|(file, _)| is_mine(file)) {
        Some((file, change)) => Err(format!(
            "{}: there is no mutant {file}: {change}",
            equivalent::FILE
        )),
        None => Ok(numbers),
    }
}

/// Runs the tests that reach each mutant.
fn test_all(
    tested: &[&Mutant],
    reaching: &[Reaching<'_>],
) -> Result<BTreeMap<u32, (String, Ended)>, String> {
    let next = AtomicUsize::new(0);
    let all_ended = Mutex::new(BTreeMap::new());
    let failures = Mutex::new(Failures::new());
    let work = || {
        while let Some(mutant) = tested.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (ended, by) = test_mutant(mutant, reaching, &failures)?;
            say(format!("{ended:?}: {}: {by}", mutant.name));
            let mut all_ended = all_ended.lock().map_err(|_| "a worker has panicked")?;
            all_ended.insert(mutant.number, (mutant.name.clone(), ended));
        }
        Ok::<_, String>(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a worker has panicked")?)
    })?;
    all_ended
        .into_inner()
        .map_err(|_| "a worker has panicked".to_owned())
}

fn sum(
    mine: &[&Mutant],
    left_out: &copy::AllLeftOut,
    listed: &BTreeSet<u32>,
    ended: &BTreeMap<u32, (String, Ended)>,
    before: Option<&RustResult>,
) -> RustResult {
    let count = |wanted| ended.values().filter(|(_, ended)| *ended == wanted).count();
    let left_out = |wanted| {
        let numbers = mine.iter().map(|mutant| mutant.number);
        numbers
            .filter(|number| left_out.get(number) == Some(&wanted))
            .count()
    };
    let survivors = ended
        .values()
        .filter(|(_, ended)| *ended == Ended::Survived);
    RustResult {
        mutants: mine.len(),
        unviable: left_out(LeftOut::Unviable),
        unswitched: left_out(LeftOut::Unswitched),
        caught: before.map_or(0, |before| before.caught) + count(Ended::Caught),
        timeouts: before.map_or(0, |before| before.timeouts) + count(Ended::TimedOut),
        equivalent: listed.len(),
        survivors: survivors.map(|(name, _)| name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(number: u32, file: &str) -> Mutant {
        Mutant {
            number,
            file: file.to_owned(),
            genre: list::Genre::FnValue,
            start: (1, 1),
            replacement: String::new(),
            name: format!("{file}: {number}"),
        }
    }

    #[test]
    fn survivors_that_run_again_replace_those_of_the_earlier_run() {
        let mutants: Vec<Mutant> = (1..=6).map(|number| mutant(number, "a.rs")).collect();
        let mine: Vec<&Mutant> = mutants.iter().collect();
        let left_out = BTreeMap::from([(1, LeftOut::Unviable), (2, LeftOut::Unswitched)]);
        let ended = |list: &[(u32, Ended)]| {
            let ended = list
                .iter()
                .map(|&(number, ended)| (number, (format!("a.rs: {number}"), ended)));
            ended.collect::<BTreeMap<_, _>>()
        };
        let first = ended(&[
            (3, Ended::Caught),
            (4, Ended::TimedOut),
            (5, Ended::Survived),
            (6, Ended::Survived),
        ]);
        let first = sum(&mine, &left_out, &BTreeSet::new(), &first, None);
        assert_eq!(first.survivors, ["a.rs: 5", "a.rs: 6"]);
        let again = sum(
            &mine,
            &left_out,
            &BTreeSet::from([6]),
            &ended(&[(5, Ended::Caught)]),
            Some(&first),
        );
        let expected = RustResult {
            mutants: 6,
            unviable: 1,
            unswitched: 1,
            caught: 2,
            timeouts: 1,
            equivalent: 1,
            survivors: Vec::new(),
        };
        assert_eq!(again, expected);
    }
}
