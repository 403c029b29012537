//! The command line, and its counterparts in the environment.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use cloakroom::Expiry;
use tracing_subscriber::filter::Targets;

const STORE: &str = "Where sessions are kept";
const LIFE: &str = "How long they live";
const SERVER: &str = "The server";

/// A small app that shows what Cloakroom does: a visit counter, notes, signing in and out,
/// your devices, a safe that asks for the password again, and your session as the store has it.
#[derive(Parser)]
#[command(version, verbatim_doc_comment, next_help_heading = SERVER, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,

    /// How much is told on stderr: error, warn, info, debug, or for instance cloakroom=debug,warn
    #[arg(long, env = "RUST_LOG", value_name = "LEVEL", default_value = "info")]
    pub(crate) log: Targets,

    /// Let the cookie travel over plain http, where anybody on the way can take it
    ///
    /// Chromium and Firefox take a Secure cookie from localhost over plain http as well.
    /// Safari does not, and no browser does from another machine.
    #[arg(long, verbatim_doc_comment)]
    pub(crate) insecure_http: bool,

    /// Keep sessions in this Redis or Valkey; without URL, in the one at 127.0.0.1:6379
    ///
    /// A password is better kept in the environment: others can read a command line.
    #[arg(
        long, env = "REDIS_URL", value_name = "URL", help_heading = STORE,
        num_args = 0..=1, default_missing_value = "redis://127.0.0.1:6379", hide_env_values = true,
    )]
    redis: Option<String>,

    /// End a session that was not used for this long
    #[arg(
        long, value_name = "DURATION", help_heading = LIFE, default_value = "30m",
        value_parser = humantime::parse_duration,
    )]
    idle: Duration,

    /// End a session this long after it began, used or not
    #[arg(
        long, value_name = "DURATION", help_heading = LIFE, default_value = "12h",
        value_parser = humantime::parse_duration,
    )]
    absolute: Duration,

    /// End a session that nobody has signed in to once it was not used for this long
    #[arg(
        long, value_name = "DURATION", help_heading = LIFE, default_value = "20m",
        value_parser = humantime::parse_duration,
    )]
    anonymous_idle: Duration,

    /// How long after a password was given the safe opens without it
    #[arg(
        long, value_name = "DURATION", help_heading = LIFE, default_value = "5m",
        value_parser = humantime::parse_duration,
    )]
    pub(crate) fresh: Duration,

    /// So many sessions for each guest; one more ends the oldest
    #[arg(long, value_name = "COUNT", help_heading = LIFE, default_value_t = 5)]
    pub(crate) max_sessions: u32,
}

const EXAMPLES: &str = "\
Durations are written like 90s, 30m, 12h, 7days or '1h 30m'.

Examples:
  demo                                 keep sessions in memory, until it stops
  demo --redis                         keep them in the Redis at 127.0.0.1:6379
  REDIS_URL=redis://:secret@host demo  keep them elsewhere
  demo --idle 30s --absolute 5m        watch them end";

impl Options {
    /// The Redis to use, if any. An empty `REDIS_URL` is none.
    pub(crate) fn redis(&self) -> Option<&str> {
        self.redis.as_deref().filter(|url| !url.is_empty())
    }

    /// How long sessions live.
    pub(crate) fn expiry(&self) -> Expiry {
        Expiry::idle(self.idle).absolute(self.absolute)
    }

    /// How long sessions live that nobody has signed in to: never longer than others.
    pub(crate) fn anonymous_expiry(&self) -> Expiry {
        Expiry::idle(self.anonymous_idle.min(self.idle)).absolute(self.absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }
}
