//! The command line.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::subject::{Route, Subject};

/// Runs real servers side by side and reports what their sessions cost.
#[derive(Debug, Parser)]
#[command(name = "scripts/bench", bin_name = "scripts/bench", version = None)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What is measured, for how long, and where the results go.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Seconds of load for each figure.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: f64,
    /// Interleaved rounds; the figures are medians over them.
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = positive)]
    pub(crate) rounds: usize,
    /// What is measured, besides the baseline [default: everything that can run here]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,..")]
    pub(crate) subjects: Vec<Subject>,
    /// Which routes are measured [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,..")]
    pub(crate) routes: Vec<Route>,
    #[command(flatten)]
    pub(crate) setting: Setting,
    /// Connections that send requests at the same time.
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = positive)]
    pub(crate) connections: usize,
    /// Sessions that the requests use in turn.
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    pub(crate) sessions: usize,
    /// Also measure how the cost grows with entries, bytes and connections.
    #[arg(long)]
    pub(crate) growth: bool,
    /// Write the results to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the plots into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) svg: Option<PathBuf>,
    /// Rewrite the figures and plots of docs/performance.md. Measures with all cores, with one worker
    /// thread, and with a Cluster; implies --growth.
    #[arg(long, conflicts_with_all = ["workers", "cluster"])]
    pub(crate) docs: bool,
    /// Measure nothing, and report the results in this file, which --json or --docs has written.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub(crate) from: Option<PathBuf>,
    /// Run the races between two requests of one session, print their table, and rewrite the README's.
    #[arg(long, conflicts_with_all = ["docs", "check", "from"])]
    pub(crate) races: bool,
    /// How often each race is run.
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = positive)]
    pub(crate) trials: usize,
    /// Only check, in about a minute, that every subject runs and stores what it should.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Runs one subject as a server, for the driver.
    #[command(hide = true)]
    Serve(ServeArgs),
    /// Sends requests, for the driver.
    #[command(hide = true)]
    Load(LoadArgs),
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ServeArgs {
    #[arg(value_enum)]
    pub(crate) subject: Subject,
    /// The port of its Redis, or of a node of the Cluster.
    #[arg(long)]
    pub(crate) redis: u16,
    #[command(flatten)]
    pub(crate) setting: Setting,
    /// How many sessions there will be.
    #[arg(long)]
    pub(crate) sessions: usize,
    /// How many entries each session has besides the usual five.
    #[arg(long, default_value_t = 0)]
    pub(crate) extra_entries: usize,
    /// The size of each of these.
    #[arg(long, default_value_t = 0)]
    pub(crate) entry_bytes: usize,
}

/// How the servers run, and where the sessions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// How many worker threads each server has: one for each core, or one.
    #[arg(long, value_enum, default_value_t = Workers::All, value_name = "all|one")]
    pub(crate) workers: Workers,
    /// Keep the sessions in a Redis Cluster of three primaries.
    #[arg(long)]
    pub(crate) cluster: bool,
}

/// How many worker threads a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workers {
    /// One for each core, as by default.
    All,
    One,
}

impl Workers {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::One => "one",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.cluster {
            "A Cluster of three primaries, "
        } else {
            "One Redis server, "
        })?;
        f.write_str(match self.workers {
            Workers::All => "a worker thread for each core",
            Workers::One => "one worker thread",
        })
    }
}

impl ServeArgs {
    /// The URL of its Redis.
    pub(crate) fn url(self) -> String {
        let scheme = if self.setting.cluster {
            "redis-cluster"
        } else {
            "redis"
        };
        format!("{scheme}://127.0.0.1:{}", self.redis)
    }
}

/// What to send. The cookies come on the standard input, a line for each session.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    #[arg(long)]
    pub(crate) port: u16,
    #[arg(long)]
    pub(crate) path: String,
    #[arg(long)]
    pub(crate) connections: usize,
    #[arg(long)]
    pub(crate) seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.1 to 3600".to_owned()),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a number from 1".to_owned()),
    }
}
