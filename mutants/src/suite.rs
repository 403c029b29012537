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
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    targets
        .iter()
        .map(|target| {
            program(&messages, target).ok_or_else(|| format!("cargo has built no {target}"))
        })
        .collect()
}

/// The program of a target in the messages of cargo.
fn program(messages: &str, target: &str) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == target)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

/// Runs the tests of a program whose names contain `filter`, until one fails. A test that fails, or a run that takes
/// too long, is ended with everything that it has started. With a port of a server, the tests use that one, one after
/// the other.
pub(crate) fn run(
    program: &Path,
    folder: &Path,
    filter: &str,
    server: Option<u16>,
    timeout: Duration,
) -> Result<Outcome, String> {
    let mut command = Command::new(program);
    if let Some(port) = server {
        command.env("SCRIPTS_REDIS_PORT", port.to_string());
    }
    let threads = if server.is_some() { 1 } else { 2 };
    command
        .current_dir(folder)
        .arg(format!("--test-threads={threads}"))
        .arg(filter)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let child = spawn(&mut command, Instant::now() + timeout);
    let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
    let outcome = watch(&mut child, Instant::now() + timeout);
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
        let run = |text: &str, timeout| {
            let file = std::env::temp_dir().join(format!("mutants-run-{}", std::process::id()));
            std::fs::write(&file, text).unwrap();
            let made = Command::new("chmod").arg("+x").arg(&file).status().unwrap();
            assert!(made.success());
            let outcome = run(&file, folder, "", None, timeout).unwrap();
            std::fs::remove_file(&file).unwrap();
            outcome
        };
        let minute = Duration::from_secs(60);
        let failed = run("#!/bin/sh\necho 'test a ... FAILED'; sleep 600\n", minute);
        assert_eq!(failed, Outcome::Failed("a".to_owned()));
        let slow = run("#!/bin/sh\nsleep 600\n", Duration::from_millis(100));
        assert_eq!(slow, Outcome::TimedOut);
        let passed = run("#!/bin/sh\necho 'test a ... ok'\n", minute);
        assert_eq!(passed, Outcome::Passed(1));
        assert!(start.elapsed() < minute);
    }
}
