//! Mutants: small faults that are put into the code, to see whether a test fails. This program makes those of the Lua
//! scripts; `cargo-mutants` lists those of the Rust code. See `docs/proofs.md`.

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
       mutants rust [--quick] [--survivors] [PART…]
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
        [command, rest @ ..] if command == "rust" => rust::run(&rust_options(rest)?),
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

fn rust_options(arguments: &[String]) -> Result<rust::Options, String> {
    let mut options = rust::Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--survivors" => options.survivors = true,
            option if option.starts_with('-') => return Err(USAGE.to_owned()),
            part => options.parts.push(part.to_owned()),
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
