//! Runs the tests of the scripts with each mutant.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use test_support::redis::RedisServer;

use crate::binary::Binary;
use crate::mutate::{Mutant, mutants, names};
use crate::results::{self, LUA, Results, ScriptResult};
use crate::script::{self, Script, root};
use crate::suite::{self, Outcome, Run};
use crate::{equivalent, say};

/// How many mutants are tested at once.
const WORKERS: usize = 6;

/// How long the tests of one script may take.
const SHORT_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a whole suite may take.
const LONG_TIMEOUT: Duration = Duration::from_secs(900);

/// What to run.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The names of scripts; empty for those whose results are missing or of another text.
    pub(crate) scripts: Vec<String>,
    /// Run all scripts.
    pub(crate) all: bool,
    /// Run the end-to-end suites for mutants that the tests of the script do not notice.
    pub(crate) suites: bool,
    /// Only print the mutants.
    pub(crate) list: bool,
}

/// The programs of the tests.
struct Tests {
    /// The tests of single scripts, and the server that they use.
    scripts: Binary,
    server: RedisServer,
    /// End-to-end suites by the group of scripts that they use.
    suites: Vec<(&'static str, Binary)>,
    /// The folder of the programs, which is removed in the end.
    folder: PathBuf,
}

impl Drop for Tests {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The end-to-end suites, in the order in which they are tried.
const SUITES: [(&str, &str); 5] = [
    ("limit", "limits"),
    ("cache", "cache"),
    ("redis", "store"),
    ("redis", "redis"),
    ("redis", "users"),
];

/// Runs the tests with the mutants of some scripts, saves and prints the results. Returns whether all were noticed.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let mut saved: Results<ScriptResult> = results::read(LUA)?;
    let scripts = script::all();
    saved.retain(|name, _| scripts.iter().any(|script| script.name() == *name));
    let chosen = choose(&scripts, options, &saved)?;
    if options.list {
        return list(&chosen);
    }
    if chosen.is_empty() {
        say("the saved results are those of the present scripts: --all runs them again");
    } else {
        let reasons = equivalent::read()?;
        let workers = Tests::build(options.suites)?;
        for script in chosen {
            let result = test_script(&workers, script, &reasons)?;
            saved.insert(script.name(), result);
            results::write(LUA, &saved)?;
        }
    }
    Ok(saved.values().all(|result| result.survivors.is_empty()))
}

fn choose<'a>(
    scripts: &'a [Script],
    options: &Options,
    saved: &Results<ScriptResult>,
) -> Result<Vec<&'a Script>, String> {
    if let Some(unknown) = options
        .scripts
        .iter()
        .find(|name| scripts.iter().all(|script| script.name() != **name))
    {
        return Err(format!("there is no script {unknown}"));
    }
    let is_chosen = |script: &&Script| {
        if options.scripts.is_empty() {
            let result = saved.get(&script.name());
            options.all || options.list || result.is_none_or(|one| one.digest != script.digest())
        } else {
            options.scripts.contains(&script.name())
        }
    };
    Ok(scripts.iter().filter(is_chosen).collect())
}

fn list(scripts: &[&Script]) -> Result<bool, String> {
    for script in scripts {
        for name in names(&script.text, &mutants(&script.text)?) {
            say(format!("{}: {name}", script.name()));
        }
    }
    Ok(true)
}

impl Tests {
    /// Builds the tests, and copies their programs for each worker.
    fn build(with_suites: bool) -> Result<Vec<Self>, String> {
        let targets = SUITES.map(|(_, target)| target);
        let scripts = suite::build("mutants", &["scripts"])?;
        let suites = if with_suites {
            suite::build("tests", &targets)?
        } else {
            Vec::new()
        };
        (0..WORKERS)
            .map(|worker| Self::copy(worker, &scripts[0], &suites))
            .collect()
    }

    fn copy(worker: usize, scripts: &Path, suites: &[PathBuf]) -> Result<Self, String> {
        let name = format!("target/mutated/{}-{worker}", std::process::id());
        let folder = root().join(name);
        let copy = |target: &str, program: &Path| {
            Binary::copy(target, program, &folder).map_err(|error| format!("{target}: {error}"))
        };
        let copied: Result<Vec<_>, String> = SUITES
            .into_iter()
            .zip(suites)
            .map(|((group, target), program)| Ok((group, copy(target, program)?)))
            .collect();
        Ok(Self {
            scripts: copy("scripts", scripts)?,
            server: RedisServer::start(),
            suites: copied?,
            folder,
        })
    }

    /// Runs the tests of a script with another text of it.
    fn run(&self, script: &Script, text: &str) -> Result<Outcome, String> {
        let filter = format!("{}::{}::", script.group, script.stem);
        let folder = root().join("mutants");
        self.scripts.with_replaced(&script.text, text, || {
            let port = self.server.port().to_string();
            suite::run(&Run {
                program: &self.scripts.path,
                folder: &folder,
                arguments: vec![&filter],
                variables: vec![("SCRIPTS_REDIS_PORT", port)],
                threads: 1,
                timeout: SHORT_TIMEOUT,
            })
        })?
    }

    /// Runs the end-to-end suites with another text of a script, until one notices it.
    fn run_suites(&self, script: &Script, text: &str) -> Result<Option<Outcome>, String> {
        let folder = root().join("tests");
        for (group, binary) in &self.suites {
            if *group == script.group {
                let outcome = binary.with_replaced(&script.text, text, || {
                    suite::run(&Run {
                        program: &binary.path,
                        folder: &folder,
                        arguments: Vec::new(),
                        variables: Vec::new(),
                        threads: 2,
                        timeout: LONG_TIMEOUT,
                    })
                })??;
                if !matches!(outcome, Outcome::Passed(_)) {
                    return Ok(Some(outcome));
                }
            }
        }
        Ok(None)
    }
}

/// Tests the mutants of a script, several at once: a run waits for its server most of the time.
fn test_script(
    workers: &[Tests],
    script: &Script,
    reasons: &BTreeMap<(String, String), String>,
) -> Result<ScriptResult, String> {
    let name = script.name();
    check_tests(&workers[0], script)?;
    let found = mutants(&script.text)?;
    let mut result = ScriptResult {
        digest: script.digest(),
        mutants: found.len(),
        ..ScriptResult::default()
    };
    let mut tested = Vec::new();
    for (mutant, mutant_name) in found.iter().zip(names(&script.text, &found)) {
        if reasons.contains_key(&(name.clone(), mutant_name.clone())) {
            result.equivalent += 1;
        } else {
            tested.push((mutant, mutant_name));
        }
    }
    let next = AtomicUsize::new(0);
    let run = |tests: &Tests| {
        let mut survivors = Vec::new();
        while let Some((mutant, mutant_name)) = tested.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !is_noticed(tests, script, mutant, mutant_name)? {
                survivors.push(mutant_name.clone());
            }
        }
        Ok::<_, String>(survivors)
    };
    let survivors = thread::scope(|scope| {
        let run = &run;
        let workers: Vec<_> = workers
            .iter()
            .map(|tests| scope.spawn(move || run(tests)))
            .collect();
        let lists: Result<Vec<_>, String> = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| "a worker has panicked")?)
            .collect();
        lists.map(|lists| lists.concat())
    })?;
    result.caught = tested.len() - survivors.len();
    result.survivors = survivors;
    result.survivors.sort();
    say(format!(
        "{name}: {} mutants, {} caught, {} equivalent",
        result.mutants, result.caught, result.equivalent
    ));
    Ok(result)
}

/// Whether a test fails with a mutant, or does not end.
fn is_noticed(tests: &Tests, script: &Script, mutant: &Mutant, name: &str) -> Result<bool, String> {
    let text = mutant.apply(&script.text);
    if !matches!(tests.run(script, &text)?, Outcome::Passed(_)) {
        return Ok(true);
    }
    let (place, line) = (script.name(), mutant.line(&script.text));
    if let Some(outcome) = tests.run_suites(script, &text)? {
        say(format!("{place}:{line}: only by {outcome:?}: {name}"));
        return Ok(true);
    }
    say(format!("{place}:{line}: survives: {name}"));
    Ok(false)
}

/// Checks that the tests pass with the script as it is, and fail if it does nothing but raise an error: so that they run
/// the text that was written into the program.
fn check_tests(tests: &Tests, script: &Script) -> Result<(), String> {
    let name = script.name();
    match tests.run(script, &script.text)? {
        Outcome::Passed(0) => return Err(format!("{name} has no tests in mutants/tests/scripts")),
        Outcome::Passed(_) => {}
        other => return Err(format!("{name}: without a mutant: {other:?}")),
    }
    let broken = script.text.replacen('\n', "\nerror('broken')\n", 1);
    match tests.run(script, &broken)? {
        Outcome::Passed(_) => Err(format!("{name}: no test notices a script that fails")),
        _ => Ok(()),
    }
}
