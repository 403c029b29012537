//! Starts the subjects, lets load go to them in interleaved rounds, and tells what it cost.

mod available;
mod check;
mod growth;
mod http;
mod leftovers;
mod memory;
mod process;
mod redis;
mod resp;
mod rounds;
mod stage;
mod traffic;

use std::io::{self, Write};

use clap::ValueEnum;

use crate::Problem;
use crate::args::Options;
use crate::report::{Book, Conditions, rewrite, tables, write_json, write_plots};
use crate::subject::{Route, Subject};

/// How long each route is under load when it is only checked.
const CHECK_SECONDS: f64 = 0.4;

pub(crate) fn run(options: &Options) -> Result<(), Problem> {
    leftovers::clear_up_at_the_end()?;
    let mut options = options.clone();
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
        check::check(subject)?;
    }
    progress(format_args!("every subject keeps what it is told"))?;

    let mut book = Book::default();
    rounds::run(&options, &subjects, &routes, &mut book)?;
    for &subject in subjects.iter().filter(|_| !options.check) {
        progress(format_args!("memory of {}", subject.name()))?;
        memory::measure(subject, &routes, &mut book)?;
    }
    if options.growth || options.docs {
        growth::run(&options, &subjects, &mut book)?;
    }
    report(&options, &book)
}

fn report(options: &Options, book: &Book) -> Result<(), Problem> {
    let conditions = Conditions::here(options)?;
    io::stdout().write_all(tables(book, &conditions).as_bytes())?;
    if let Some(file) = &options.json {
        write_json(book, &conditions, file)?;
    }
    let documents = process::folder().join("../docs");
    if let Some(folder) = &options.svg {
        write_plots(book, folder)?;
    }
    if options.docs {
        write_plots(book, &documents.join("bench"))?;
        rewrite(
            &documents.join("performance.md"),
            &tables(book, &conditions),
        )?;
    }
    Ok(())
}

/// Who is measured: the floor, and all that were asked for and can run here.
fn subjects(options: &Options) -> Result<Vec<Subject>, Problem> {
    let mut subjects = vec![Subject::Floor];
    for &subject in Subject::value_variants() {
        let asked = options.subjects.is_empty() || options.subjects.contains(&subject);
        if subject == Subject::Floor || !asked {
            continue;
        }
        match available::missing(subject) {
            None => subjects.push(subject),
            Some(missing) => progress(format_args!("without {}: {missing}", subject.name()))?,
        }
    }
    Ok(subjects)
}

/// Tells somebody who waits how far it is.
fn progress(line: impl std::fmt::Display) -> Result<(), Problem> {
    Ok(writeln!(io::stderr(), "{line}")?)
}
