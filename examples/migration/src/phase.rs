//! The migration options, which must be the same on all servers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use cloakroom::{ConfigError, MigrationKey, days};

/// The phase of the migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// The old and the new version run at the same time
    SideBySide,
    /// Only the new version runs; remaining sessions migrate and their legacy records are removed
    Cutover,
}

/// The inputs from which the tokens of migrated sessions are derived.
#[derive(Args)]
pub(crate) struct MigrationOptions {
    /// A secret of at least 32 bytes: `openssl rand -base64 32`. The default is public: for a trial only
    #[arg(long, env, hide_env_values = true, hide_default_value = true)]
    #[arg(default_value = "not a secret: for the example only")]
    migration_key: String,

    /// When the migration began, in seconds since 1970: `date +%s`. Default: within the last 300 days
    #[arg(long, env)]
    migration_began: Option<u64>,
}

impl MigrationOptions {
    pub(crate) fn key(&self) -> Result<MigrationKey, ConfigError> {
        MigrationKey::new(
            &self.migration_key,
            self.migration_began.unwrap_or_else(example_start),
        )
    }
}

/// Returns the same time at every start within 300 days, for the example. A real app configures its own.
fn example_start() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or(Duration::ZERO).as_secs();
    now - now % days(300).as_secs()
}
