//! Counters of any kind, and the servers of one app that share them.

use std::time::Duration;

use cloakroom_limit::{DeviceKey, Limits, LoginGuard, LoginGuardBuilder, Rate, RateLimiter};
use cloakroom_redis::RedisStore;
use tests::redis::RedisServer;
use tests::topology::Cluster;

/// A time limit of commands that a busy machine keeps.
const PATIENCE: Duration = Duration::from_secs(20);

/// A window in which nothing becomes available during a test.
pub(crate) const LONG: Duration = Duration::from_secs(300 * 24 * 60 * 60);

pub(crate) enum Setup {
    Memory(Limits),
    Redis(RedisServer),
    Cluster(Cluster),
}

impl Setup {
    pub(crate) fn memory() -> Self {
        Self::Memory(Limits::in_memory())
    }

    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    pub(crate) fn cluster() -> Self {
        Self::Cluster(Cluster::start())
    }

    /// Another server of the app. In memory there is only one.
    pub(crate) async fn server(&self) -> Limits {
        match self {
            Self::Memory(limits) => limits.clone(),
            Self::Redis(server) => limits(&server.url()).await,
            Self::Cluster(cluster) => limits(&cluster.url()).await,
        }
    }

    /// Another server of the app, with one limit.
    pub(crate) async fn limiter(&self, rate: Rate) -> RateLimiter {
        limiter(&self.server().await, [rate])
    }
}

/// Counters over a connection of their own.
pub(crate) async fn limits(url: &str) -> Limits {
    Limits::new(&store(url, PATIENCE).await)
}

pub(crate) async fn store(url: &str, timeout: Duration) -> RedisStore {
    let builder = RedisStore::builder(url, "shop").with_command_timeout(timeout);
    builder.connect().await.expect("the server is running")
}

pub(crate) fn limiter<const N: usize>(limits: &Limits, rates: [Rate; N]) -> RateLimiter {
    let mut builder = RateLimiter::builder(limits);
    for rate in rates {
        builder = builder.with_limit(rate);
    }
    builder.build().expect("a valid configuration")
}

pub(crate) fn guard_builder(limits: &Limits) -> LoginGuardBuilder {
    let key = DeviceKey::derived_from("a secret that all servers of the app share");
    LoginGuard::builder(limits, [key.expect("it is long enough")])
}

pub(crate) fn guard(limits: &Limits) -> LoginGuard {
    guard_builder(limits)
        .build()
        .expect("the defaults are valid")
}
