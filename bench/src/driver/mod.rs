//! Starts the subjects, sends load to them in interleaved rounds, and reports what it cost.

mod check;
mod growth;
mod http;
mod memory;
mod nodes;
mod process;
mod races;
mod rounds;
mod testbed;
mod traffic;

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;

use clap::ValueEnum;
use nix::sys::signal::{SigSet, Signal};

use crate::BoxError;
use crate::args::{Options, Setting, Workers};
use crate::report::{self, Conditions, Results, Samples};
use crate::subject::{Route, Subject};

/// Seconds of load on each route with `--check`.
const CHECK_SECONDS: f64 = 0.4;

pub(crate) fn run(options: &Options) -> Result<(), BoxError> {
    if options.races {
        kill_servers_on_signal()?;
        let table = races::run(options)?;
        io::stdout().write_all(table.as_bytes())?;
        return races::rewrite_readme(&table);
    }
    let results = match &options.from {
        Some(file) => report::read_json(file)?,
        None => measure_all(options)?,
    };
    report(options, &results)
}

/// Measures in the setting that the options name; with `--docs` in those of the page, one after the
/// other.
fn measure_all(options: &Options) -> Result<Vec<Results>, BoxError> {
    kill_servers_on_signal()?;
    if !options.docs {
        return Ok(vec![measure(options.clone())?]);
    }
    let mut all = Vec::new();
    for (workers, cluster) in [
        (Workers::All, false),
        (Workers::All, true),
        (Workers::One, false),
    ] {
        let mut options = options.clone();
        options.setting = Setting { workers, cluster };
        // Growth is measured once.
        options.growth = all.is_empty();
        all.push(measure(options)?);
    }
    Ok(all)
}

fn measure(mut options: Options) -> Result<Results, BoxError> {
    progress(options.setting)?;
    if options.check {
        options.rounds = 1;
        options.duration = CHECK_SECONDS;
    }
    if options.sessions < options.connections {
        return Err(
            "each connection needs a session of its own: --sessions is less than --connections"
                .into(),
        );
    }
    let subjects = subjects(&options)?;
    let routes = match options.routes.as_slice() {
        [] => Route::value_variants().to_vec(),
        chosen => chosen.to_vec(),
    };
    for &subject in &subjects {
        check::check(subject, options.setting)?;
    }
    progress(format_args!("every subject stores what it should"))?;

    let mut samples = Samples::default();
    rounds::run(&options, &subjects, &routes, &mut samples)?;
    for &subject in subjects.iter().filter(|_| !options.check) {
        progress(format_args!("memory of {}", subject.name()))?;
        memory::measure(subject, options.setting, &routes, &mut samples)?;
    }
    if options.growth {
        growth::run(&options, &subjects, &mut samples)?;
    }
    Ok(samples.summarize(Conditions::current(&options)?))
}

fn report(options: &Options, results: &[Results]) -> Result<(), BoxError> {
    let tables = report::tables(results);
    io::stdout().write_all(tables.as_bytes())?;
    if let Some(file) = &options.json {
        report::write_json(results, file)?;
    }
    if let Some(folder) = &options.svg {
        report::write_plots(results, folder)?;
    }
    if options.docs {
        let docs = process::package_folder().join("../docs");
        report::write_json(results, &docs.join("bench/results.json"))?;
        report::write_plots(results, &docs.join("bench"))?;
        report::rewrite_page(&docs.join("performance.md"), "--docs", &tables)?;
    }
    Ok(())
}

/// Returns the baseline, and all subjects that were asked for and can run here.
fn subjects(options: &Options) -> Result<Vec<Subject>, BoxError> {
    let mut subjects = vec![Subject::Baseline];
    for &subject in Subject::value_variants() {
        let wanted = match options.subjects.as_slice() {
            [] => !subject.is_experiment(),
            chosen => chosen.contains(&subject),
        };
        let possible = !options.setting.cluster || subject.has_cluster();
        if subject == Subject::Baseline || !wanted || !possible {
            continue;
        }
        match missing(subject) {
            None => subjects.push(subject),
            Some(missing) => progress(format_args!("without {}: {missing}", subject.name()))?,
        }
    }
    Ok(subjects)
}

/// Returns what a subject needs that is not installed here, if anything.
fn missing(subject: Subject) -> Option<&'static str> {
    if subject != Subject::ExpressSession {
        return None;
    }
    let mut node = Command::new("node");
    let node = node.arg("--version").stdout(Stdio::null());
    if !node.status().is_ok_and(|status| status.success()) {
        return Some("there is no node");
    }
    let modules = process::package_folder().join("express/node_modules");
    (!modules.exists()).then_some("its packages are not installed: npm ci, in bench/express")
}

/// Makes a signal that asks this process to end kill the Redis servers first. The subjects end by
/// themselves when the driver does.
fn kill_servers_on_signal() -> Result<(), BoxError> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    // For this thread and all that it starts; child processes start with no signal blocked.
    signals.thread_block()?;
    thread::spawn(move || {
        if signals.wait().is_ok() {
            test_support::redis::kill_all();
        }
        std::process::exit(130)
    });
    Ok(())
}

/// Reports progress on the standard error.
fn progress(line: impl std::fmt::Display) -> Result<(), BoxError> {
    Ok(writeln!(io::stderr(), "{line}")?)
}
