//! The command line, and the environment variables that replace its options.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use cloakroom::Expiry;
use tracing_subscriber::filter::Targets;

/// The bounds of `--store-timeout`. The store refuses a connect timeout, half of it, of more than a minute.
const STORE_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(120);

const STORE: &str = "Store";
const LIFETIME: &str = "Session lifetime";
const SERVER: &str = "Server";

/// A small app that shows what Cloakroom does: a visit counter, notes, signing in and out,
/// your devices, a page that needs a recent sign-in, and your session as it is stored.
#[derive(Parser)]
#[command(version, verbatim_doc_comment, next_help_heading = SERVER, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,

    /// What is logged to stderr: error, warn, info, debug, or such as cloakroom=debug,warn
    #[arg(long, env = "RUST_LOG", value_name = "LEVEL", default_value = "info")]
    pub(crate) log: Targets,

    /// The format of the log
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Send the cookie over plain HTTP, where anybody on the network can read it
    ///
    /// Chromium and Firefox accept a Secure cookie from localhost over plain HTTP.
    /// Safari does not, and no browser does from another machine.
    #[arg(long, verbatim_doc_comment)]
    pub(crate) insecure_http: bool,

    /// Store sessions in this Redis or Valkey; without a URL, in the one at 127.0.0.1:6379
    ///
    /// If the URL has a password, use the variable: other users can read a command line.
    #[arg(
        long, env = "REDIS_URL", value_name = "URL", help_heading = STORE,
        num_args = 0..=1, default_missing_value = "redis://127.0.0.1:6379", hide_env_values = true,
    )]
    redis: Option<String>,

    /// How long a request waits for Redis; then its response is a 503
    ///
    /// A single command may take a quarter of that, and connecting half of it.
    /// From 1ms to 2m.
    #[arg(
        long, value_name = "DURATION", help_heading = STORE, default_value = "1s", verbatim_doc_comment,
        value_parser = store_timeout,
    )]
    pub(crate) store_timeout: Duration,

    /// Idle timeout: how long a session lives without being used
    #[arg(
        long, value_name = "DURATION", help_heading = LIFETIME, default_value = "30m",
        value_parser = humantime::parse_duration,
    )]
    idle: Duration,

    /// Absolute timeout: how long a session lives at most
    #[arg(
        long, value_name = "DURATION", help_heading = LIFETIME, default_value = "12h",
        value_parser = humantime::parse_duration,
    )]
    absolute: Duration,

    /// Idle timeout of sessions without a signed-in user
    #[arg(
        long, value_name = "DURATION", help_heading = LIFETIME, default_value = "20m",
        value_parser = humantime::parse_duration,
    )]
    anonymous_idle: Duration,

    /// How long after a sign-in the page "Security" opens without a password
    #[arg(
        long, value_name = "DURATION", help_heading = LIFETIME, default_value = "5m",
        value_parser = humantime::parse_duration,
    )]
    pub(crate) recent_sign_in: Duration,

    /// The most sessions of one user; one more ends the oldest
    #[arg(long, value_name = "COUNT", help_heading = LIFETIME, default_value_t = 5)]
    pub(crate) max_sessions: u32,
}

const EXAMPLES: &str = "\
Durations are written like 90s, 30m, 12h, 7days or '1h 30m'.

Examples:
  demo                                 store sessions in memory
  demo --redis                         store them in the Redis at 127.0.0.1:6379
  REDIS_URL=redis://:secret@host demo  store them in another Redis
  demo --idle 30s --absolute 5m        see sessions expire";

/// The format of the log.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text per event
    Text,
    /// One JSON object per event
    Json,
}

impl Options {
    /// Returns the URL of the Redis to use, if any. An empty `REDIS_URL` counts as unset.
    pub(crate) fn redis(&self) -> Option<&str> {
        self.redis.as_deref().filter(|url| !url.is_empty())
    }

    /// The timeouts of sessions.
    pub(crate) fn expiry(&self) -> Expiry {
        Expiry::idle(self.idle).absolute(self.absolute)
    }

    /// The timeouts of sessions without a user: never longer than the others.
    pub(crate) fn anonymous_expiry(&self) -> Expiry {
        Expiry::idle(self.anonymous_idle.min(self.idle)).absolute(self.absolute)
    }
}

fn store_timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if STORE_TIMEOUTS.contains(&timeout) {
        Ok(timeout)
    } else {
        Err("it must be from 1ms to 2m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_valid() {
        Options::command().debug_assert();
    }
}
