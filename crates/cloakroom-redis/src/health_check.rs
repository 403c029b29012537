//! Health checks of a store.

use std::time::Duration;

use cloakroom_core::StoreError;

use crate::classify::Effect;
use crate::command::info::{self, ServerInfo};
use crate::command::permissions::Names;
use crate::error::unexpected_reply;
use crate::health::{Health, ServerMode, Warning};
use crate::store::RedisStore;

impl RedisStore {
    /// Sends `PING`, for health checks. Returns how long the reply took.
    ///
    /// # Errors
    ///
    /// When there is no reply within the command timeout, or when the reply is an error.
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        info::ping(self.connection()).await
    }

    /// Returns the state of the server, with [warnings](Health::warnings) about what endangers sessions,
    /// for health checks and for setting up the server.
    ///
    /// It reads and writes no key, and needs no more rights than the store does. In a cluster, it asks
    /// every primary that the store is connected to, one after the other, all within the command
    /// timeout.
    ///
    /// ```no_run
    /// # async fn check(store: cloakroom_redis::RedisStore) -> Result<(), cloakroom_redis::StoreError> {
    /// let health = store.health().await?;
    /// for warning in health.warnings() {
    ///     eprintln!("Redis {}: {warning}", health.version());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When a server does not reply within the command timeout, when it rejects the commands, and when
    /// its reply cannot be understood.
    pub async fn health(&self) -> Result<Health, StoreError> {
        let further: &[_] = match self.replication() {
            Some(_) => &["wait"],
            None => &[],
        };
        let key = self.prefix().unused_key();
        let names = Names {
            key: &key,
            channel: self.event_bus().channel(),
            further,
        };
        let infos = info::info(self.connection(), names).await?;
        let healths: Option<Vec<_>> = infos.into_iter().map(health_of).collect();
        let worst = healths.and_then(|healths| healths.into_iter().reduce(Health::merge));
        let health = worst.ok_or_else(|| unexpected_reply(Effect::Read))?;
        if health.mode() == ServerMode::Cluster && !self.connection().knows_clusters() {
            self.connection().found_cluster_mode();
            return Ok(health.with_warning(Warning::ClusterMode));
        }
        Ok(health)
    }
}

fn health_of(info: ServerInfo) -> Option<Health> {
    let health = Health::parse(&info.text)?;
    let missing = info.missing;
    Some(health.with_findings(info.latency, missing.forbidden, missing.unknown))
}
