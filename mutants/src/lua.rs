//! Runs the tests of the scripts with each mutant.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use test_support::redis::RedisServer;

use crate::binary::Binary;
use crate::mutate::{mutants, names};
use crate::results::{self, LUA, Results, ScriptResult};
use crate::script::{self, Script, root};
use crate::suite::{self, Outcome};
use crate::{equivalent, say};

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
        let tests = Tests::build(options.suites)?;
        for script in chosen {
            let result = test_script(&tests, script, &reasons)?;
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
    fn build(with_suites: bool) -> Result<Self, String> {
        let folder = root().join(format!("target/mutated/{}", std::process::id()));
        let copy = |target: &str, program: PathBuf| {
            Binary::copy(target, &program, &folder).map_err(|error| format!("{target}: {error}"))
        };
        let [program] = <[PathBuf; 1]>::try_from(suite::build("mutants", &["scripts"])?)
            .map_err(|_| "one program was asked for")?;
        let scripts = copy("scripts", program)?;
        let mut suites = Vec::new();
        if with_suites {
            let targets = SUITES.map(|(_, target)| target);
            let programs = suite::build("tests", &targets)?;
            for ((group, target), program) in SUITES.into_iter().zip(programs) {
                suites.push((group, copy(target, program)?));
            }
        }
        Ok(Self {
            scripts,
            server: RedisServer::start(),
            suites,
            folder,
        })
    }

    /// Runs the tests of a script with another text of it.
    fn run(&self, script: &Script, text: &str) -> Result<Outcome, String> {
        let filter = format!("{}::{}::", script.group, script.stem);
        let folder = root().join("mutants");
        self.scripts.with_replaced(&script.text, text, || {
            let port = Some(self.server.port());
            suite::run(&self.scripts.path, &folder, &filter, port, SHORT_TIMEOUT)
        })?
    }

    /// Runs the end-to-end suites with another text of a script, until one notices it.
    fn run_suites(&self, script: &Script, text: &str) -> Result<Option<Outcome>, String> {
        let folder = root().join("tests");
        for (group, binary) in &self.suites {
            if *group == script.group {
                let outcome = binary.with_replaced(&script.text, text, || {
                    suite::run(&binary.path, &folder, "", None, LONG_TIMEOUT)
                })??;
                if !matches!(outcome, Outcome::Passed(_)) {
                    return Ok(Some(outcome));
                }
            }
        }
        Ok(None)
    }
}

fn test_script(
    tests: &Tests,
    script: &Script,
    reasons: &BTreeMap<(String, String), String>,
) -> Result<ScriptResult, String> {
    let name = script.name();
    check_tests(tests, script)?;
    let found = mutants(&script.text)?;
    let mut result = ScriptResult {
        digest: script.digest(),
        mutants: found.len(),
        ..ScriptResult::default()
    };
    for (mutant, mutant_name) in found.iter().zip(names(&script.text, &found)) {
        if reasons.contains_key(&(name.clone(), mutant_name.clone())) {
            result.equivalent += 1;
            continue;
        }
        let text = mutant.apply(&script.text);
        let mut outcome = tests.run(script, &text)?;
        if let Outcome::Passed(_) = outcome
            && let Some(noticed) = tests.run_suites(script, &text)?
        {
            say(format!("{name}: only by {noticed:?}: {mutant_name}"));
            outcome = noticed;
        }
        if let Outcome::Passed(_) = outcome {
            say(format!("{name}:{}: survives: {mutant_name}", mutant.line(&script.text)));
            result.survivors.push(mutant_name);
        } else {
            result.caught += 1;
        }
    }
    say(format!(
        "{name}: {} mutants, {} caught, {} equivalent",
        result.mutants, result.caught, result.equivalent
    ));
    Ok(result)
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
