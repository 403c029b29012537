//! What all servers of a move must agree on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use cloakroom::{ConfigError, MigrationKey, days};

/// How far the move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// Old and new version run side by side
    Beside,
    /// The new one runs alone; what is left moves, and old sessions go
    After,
}

/// What the tokens of moved sessions are made with.
#[derive(Args)]
pub(crate) struct Move {
    /// A secret of at least 32 bytes: `openssl rand -base64 32`. This default is for a look only
    #[arg(long, env, hide_env_values = true, hide_default_value = true)]
    #[arg(default_value = "a toy's secret, which all can read")]
    migration_key: String,

    /// When the move began, in seconds since 1970: `date +%s`. Left out: a moment of the last 300 days
    #[arg(long, env)]
    migration_began: Option<u64>,
}

impl Move {
    pub(crate) fn key(&self) -> Result<MigrationKey, ConfigError> {
        MigrationKey::new(
            &self.migration_key,
            self.migration_began.unwrap_or_else(toy_moment),
        )
    }
}

/// The same at each start, as long as one looks at a toy. A real app has its own in its configuration.
fn toy_moment() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or(Duration::ZERO).as_secs();
    now - now % days(300).as_secs()
}
