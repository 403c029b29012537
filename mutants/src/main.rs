//! Mutants: small faults that are put into the code, to see whether a test fails. This program makes those of the Lua
//! scripts, and keeps the results of all; `cargo-mutants` makes those of the Rust code. See `docs/proofs.md`.

mod binary;
mod equivalent;
mod lua;
mod mutate;
mod report;
mod results;
mod rust;
mod script;
mod suite;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "usage: mutants lua [--all] [--suites] [--list] [SCRIPT…]
       mutants record PART COUNT FOLDER…
       mutants report";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<bool, String> {
    match arguments {
        [command, rest @ ..] if command == "lua" => lua::run(&lua_options(rest)?),
        [command, part, count, folders @ ..] if command == "record" && !folders.is_empty() => {
            let count = count.parse().map_err(|_| USAGE.to_owned())?;
            rust::record(part, count, folders)
        }
        [command] if command == "report" => report::write(),
        _ => Err(USAGE.to_owned()),
    }
}

fn lua_options(arguments: &[String]) -> Result<lua::Options, String> {
    let mut options = lua::Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--all" => options.all = true,
            "--suites" => options.suites = true,
            "--list" => options.list = true,
            option if option.starts_with('-') => return Err(USAGE.to_owned()),
            script => options.scripts.push(script.to_owned()),
        }
    }
    Ok(options)
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

#[expect(clippy::print_stderr, reason = "an error of a program")]
fn complain(text: &str) {
    eprintln!("mutants: {text}");
}
