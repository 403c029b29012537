//! Runs test binaries.

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How a run of tests ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// So many tests ran, and none failed.
    Passed(usize),
    /// The first test that failed.
    Failed(String),
    /// The tests did not end in time.
    TimedOut,
}

/// A program with tests.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The test target, such as `scripts`; for the tests of a library in its own package, the name of that.
    pub(crate) suite: String,
    pub(crate) path: PathBuf,
    /// The folder of its package, in which it runs.
    pub(crate) folder: PathBuf,
}

/// Builds test targets of a package, and returns their programs.
pub(crate) fn build(package: &str, targets: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--locked", "--all-features", "--no-run"]);
    command.args(["--message-format=json", "--package", package]);
    for target in targets {
        command.args(["--test", target]);
    }
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("the tests of {package} cannot be built"));
    }
    let built = programs(&messages(&output.stdout));
    let find = |target: &&str| {
        let program = built.iter().find(|program| program.suite == **target);
        let program = program.ok_or_else(|| format!("cargo has built no {target}"))?;
        Ok(program.path.clone())
    };
    targets.iter().map(find).collect()
}

/// The messages of cargo in its output.
pub(crate) fn messages(output: &[u8]) -> Vec<Value> {
    let lines = output.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// The programs with tests that cargo has built.
pub(crate) fn programs(messages: &[Value]) -> Vec<Program> {
    let program = |message: &Value| {
        let path = PathBuf::from(message["executable"].as_str()?);
        message["profile"]["test"].as_bool().filter(|test| *test)?;
        let manifest = Path::new(message["manifest_path"].as_str()?);
        let folder = manifest.parent()?.to_owned();
        let is_library = folder.parent()?.ends_with("crates");
        let suite = if is_library {
            folder.file_name()?.to_str()?
        } else {
            message["target"]["name"].as_str()?
        };
        Some(Program {
            suite: suite.to_owned(),
            path,
            folder,
        })
    };
    messages.iter().filter_map(program).collect()
}

/// A run of tests.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) program: &'a Path,
    pub(crate) folder: &'a Path,
    /// What the harness gets, such as filters.
    pub(crate) arguments: Vec<&'a str>,
    pub(crate) variables: Vec<(&'a str, String)>,
    /// How many tests run at once.
    pub(crate) threads: usize,
    pub(crate) timeout: Duration,
}

/// Runs tests, until one fails. A test that fails, or a run that takes too long, is ended with everything that it has started.
pub(crate) fn run(run: &Run<'_>) -> Result<Outcome, String> {
    let mut command = Command::new(run.program);
    command
        .current_dir(run.folder)
        .arg(format!("--test-threads={}", run.threads))
        .args(&run.arguments)
        .envs(run.variables.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let deadline = Instant::now() + run.timeout;
    let name = run.program.display();
    let mut child = spawn(&mut command, deadline).map_err(|error| format!("{name}: {error}"))?;
    let outcome = watch(&mut child, deadline);
    if !matches!(outcome, Ok(Outcome::Passed(_))) {
        kill_group(&child);
    }
    drop(child.wait());
    outcome
}

/// Starts a program that was just written. Another thread that starts a process at this moment may have its file open
/// for writing until that process has begun, and so long it cannot be run.
fn spawn(command: &mut Command, deadline: Instant) -> io::Result<Child> {
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

fn watch(child: &mut Child, deadline: Instant) -> Result<Outcome, String> {
    let output = child.stdout.take().ok_or("the output is piped")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut passed = 0;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => match result_of(&line) {
                Some((_, true)) => passed += 1,
                Some((name, false)) => return Ok(Outcome::Failed(name.to_owned())),
                None => {}
            },
            Err(RecvTimeoutError::Timeout) => return Ok(Outcome::TimedOut),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        Ok(Outcome::Passed(passed))
    } else {
        Ok(Outcome::Failed("the whole program".to_owned()))
    }
}

/// The name of a test in a line of output, and whether it has passed.
fn result_of(line: &str) -> Option<(&str, bool)> {
    let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some((name.trim_end_matches(" - should panic"), result == "ok"))
}

/// Kills the program and the servers that it has started.
fn kill_group(child: &Child) {
    let group = format!("-{}", child.id());
    let kill = Command::new("kill")
        .args(["-s", "KILL", "--", &group])
        .status();
    drop(kill);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_a_test_is_read_from_its_line() {
        assert_eq!(
            result_of("test redis::end::a ... ok"),
            Some(("redis::end::a", true))
        );
        assert_eq!(result_of("test a ... FAILED"), Some(("a", false)));
        assert_eq!(result_of("test result: ok. 3 passed"), None);
        assert_eq!(result_of("running 3 tests"), None);
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let start = Instant::now();
        let folder = Path::new("/");
        let run_text = |text: &str, timeout| {
            let file = std::env::temp_dir().join(format!("mutants-run-{}", std::process::id()));
            std::fs::write(&file, text).unwrap();
            let made = Command::new("chmod").arg("+x").arg(&file).status().unwrap();
            assert!(made.success());
            let outcome = run(&Run {
                program: &file,
                folder,
                arguments: Vec::new(),
                variables: Vec::new(),
                threads: 1,
                timeout,
            });
            let outcome = outcome.unwrap();
            std::fs::remove_file(&file).unwrap();
            outcome
        };
        let minute = Duration::from_secs(60);
        let failed = run_text("#!/bin/sh\necho 'test a ... FAILED'; sleep 600\n", minute);
        assert_eq!(failed, Outcome::Failed("a".to_owned()));
        let slow = run_text("#!/bin/sh\nsleep 600\n", Duration::from_millis(100));
        assert_eq!(slow, Outcome::TimedOut);
        let passed = run_text("#!/bin/sh\necho 'test a ... ok'\n", minute);
        assert_eq!(passed, Outcome::Passed(1));
        assert!(start.elapsed() < minute);
    }
}
