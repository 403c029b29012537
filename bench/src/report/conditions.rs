//! The conditions of a measurement.

use std::process::Command;
use std::{env, fmt, thread};

use serde::{Deserialize, Serialize};

use crate::BoxError;
use crate::args::{Options, Setting};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) setting: Setting,
    cores: usize,
    redis: String,
    seconds: f64,
    rounds: usize,
    connections: usize,
    sessions: usize,
}

impl Conditions {
    /// Returns those of this machine and run.
    pub(crate) fn current(options: &Options) -> Result<Self, BoxError> {
        let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let output = Command::new(program).arg("--version").output()?;
        let version = String::from_utf8_lossy(&output.stdout);
        let version = version
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="));
        Ok(Self {
            setting: options.setting,
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
            setting: _,
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
