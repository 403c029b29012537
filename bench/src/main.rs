//! What a session costs: see `scripts/bench --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main(None)
}
