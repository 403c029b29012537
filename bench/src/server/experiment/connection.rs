//! A connection of redis-rs, to one server or to a Cluster.

use std::time::Duration;

use redis_rs::aio::MultiplexedConnection;
use redis_rs::cluster::ClusterClientBuilder;
use redis_rs::cluster_async::ClusterConnection;
use redis_rs::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult};

use crate::args::ServeArgs;

/// Clones share one connection to each server, and the commands of all of them.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects. `timeout` is for each command; by default, it is that of redis-rs.
    pub(super) async fn open(args: ServeArgs, timeout: Option<Duration>) -> RedisResult<Self> {
        let url = format!("redis://127.0.0.1:{}", args.redis);
        if args.setting.cluster {
            let mut client = ClusterClientBuilder::new([url]);
            if let Some(timeout) = timeout {
                client = client.response_timeout(timeout);
            }
            let connection = client.build()?.get_async_connection().await?;
            return Ok(Self::Cluster(connection));
        }
        let mut config = AsyncConnectionConfig::new();
        if let Some(timeout) = timeout {
            config = config.set_response_timeout(Some(timeout));
        }
        let client = Client::open(url)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self::Server(connection.await?))
    }

    pub(super) async fn send<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }
}
