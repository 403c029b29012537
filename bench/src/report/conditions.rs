//! Under which conditions something was measured.

use std::process::Command;
use std::{env, fmt, thread};

use serde::Serialize;

use crate::Problem;
use crate::args::Options;

#[derive(Debug, Serialize)]
pub(crate) struct Conditions {
    cores: usize,
    redis: String,
    seconds: f64,
    rounds: usize,
    connections: usize,
    sessions: usize,
}

impl Conditions {
    pub(crate) fn here(options: &Options) -> Result<Self, Problem> {
        let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let output = Command::new(program).arg("--version").output()?;
        let version = String::from_utf8_lossy(&output.stdout);
        let version = version
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="));
        Ok(Self {
            cores: thread::available_parallelism()?.get(),
            redis: version.unwrap_or("of an unknown version").to_owned(),
            seconds: options.duration,
            rounds: options.rounds,
            connections: options.connections,
            sessions: options.sessions,
        })
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cores,
            redis,
            seconds,
            rounds,
            connections,
            sessions,
        } = self;
        write!(
            f,
            "One machine of {cores} cores, which also ran Redis {redis} and the load: {connections} \
             connections, {sessions} sessions of five entries, {rounds} interleaved rounds of {seconds} s."
        )
    }
}
