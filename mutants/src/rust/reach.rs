//! Which mutants each test reaches, and how long it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::WORKERS;
use crate::say;
use crate::script::{self, root};
use crate::suite::{self, Outcome, Program, Run};

/// How long a test may take without a mutant. One that takes longer would be left out anyway.
const TIMEOUT: Duration = Duration::from_secs(12);

/// A test without a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) milliseconds: u64,
    /// The mutants whose switches it has asked for.
    pub(crate) reached: BTreeSet<u32>,
}

/// Runs each test of a program alone, or reads what was found in an earlier run of the same program. A test that fails is
/// left out, and named.
pub(crate) fn tests(program: &Program) -> Result<Vec<Test>, String> {
    let bytes =
        fs::read(&program.path).map_err(|error| format!("{}: {error}", program.path.display()))?;
    let digest = &script::digest(&bytes)[..16];
    let cache = root()
        .join("target/mutated")
        .join(format!("reached-{}-{digest}.json", program.suite));
    if let Ok(text) = fs::read(&cache) {
        return serde_json::from_slice(&text).map_err(|error| error.to_string());
    }
    let names = names(program)?;
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Some(test) = run(program, name)? {
                            let mut found = found.lock().map_err(|_| "a worker has panicked")?;
                            found.insert(name, test);
                        }
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a worker has panicked")?)
    })?;
    let found = found.into_inner().map_err(|_| "a worker has panicked")?;
    let tests: Vec<Test> = found.into_values().collect();
    let text = serde_json::to_string(&tests).map_err(|error| error.to_string())?;
    fs::write(&cache, text).map_err(|error| format!("{}: {error}", cache.display()))?;
    Ok(tests)
}

fn names(program: &Program) -> Result<Vec<String>, String> {
    let list = |arguments: &[&str]| {
        let output = Command::new(&program.path).args(arguments).output();
        let output = output.map_err(|error| format!("{}: {error}", program.path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok::<BTreeSet<String>, String>(names.map(str::to_owned).collect())
    };
    let ignored = list(&["--list", "--ignored"])?;
    let all = list(&["--list"])?;
    Ok(all.difference(&ignored).cloned().collect())
}

fn run(program: &Program, name: &str) -> Result<Option<Test>, String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let file: PathBuf = root().join(format!(
        "target/mutated/reached-{}-{number}",
        std::process::id()
    ));
    let start = Instant::now();
    let outcome = suite::run(&Run {
        program: &program.path,
        folder: &program.folder,
        arguments: vec!["--exact", name],
        variables: vec![("CLOAKROOM_MUTANTS_REACHED", file.display().to_string())],
        threads: 1,
        timeout: TIMEOUT,
    })?;
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    if outcome != Outcome::Passed(1) {
        say(format!(
            "left out: {}: {name}: without a mutant: {outcome:?}",
            program.suite
        ));
        return Ok(None);
    }
    let text = fs::read_to_string(&file).unwrap_or_default();
    drop(fs::remove_file(&file));
    Ok(Some(Test {
        name: name.to_owned(),
        milliseconds,
        reached: text.lines().filter_map(|line| line.parse().ok()).collect(),
    }))
}
