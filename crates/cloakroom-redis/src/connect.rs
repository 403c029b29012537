//! Checks the options of a [`RedisStore`], and connects.

use std::time::Duration;

use crate::address::Address;
use crate::builder::RedisStoreBuilder;
use crate::command::permissions::Names;
use crate::connection::{Connection, Timeouts};
use crate::error::ConnectError;
use crate::key::KeyPrefix;
use crate::probe;
use crate::replication::{Acks, Replication};
use crate::store::RedisStore;

/// The longest time that a command, a connection or the wait for replicas may take: longer than any request
/// should wait.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

impl RedisStoreBuilder {
    /// Connects to the server, and checks whether it can keep sessions; in a cluster, whether each primary can.
    ///
    /// A server in cluster mode behind a URL that is not that of a cluster, a replica, and missing rights without
    /// which sessions can be kept (for events, or for revoking all sessions) are logged as warnings, with the
    /// target `cloakroom_redis`.
    ///
    /// # Errors
    ///
    /// When the configuration is invalid, and when the server is unreachable, rejects the credentials
    /// or is not ready; when it does not have the commands that the store needs, or the user may not send them
    /// on the store's keys; and when it is one of several shards of a cluster, and the URL is not that of a
    /// cluster. A server that does not respond at all is given up after twice the connect
    /// timeout for each server in the URL and once more, plus 200 ms: 2.2 s by default for a single
    /// server; a primary of a cluster after one more. Most errors are returned after one connect timeout or less.
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let (acks, format) = (self.acks, self.format);
        let (address, timeouts, prefix) = self.validate()?;
        let connection = Connection::open(address.clone(), timeouts).await?;
        let (key, channel) = (prefix.unused_key(), prefix.channel());
        let names = names(&key, &channel, acks);
        Box::pin(probe::check(&connection, names, timeouts.connect)).await?;
        let replication = match acks {
            Some(acks) => {
                let timeouts = timeouts.with_acks(acks.within);
                let connection = Connection::open(address, timeouts).await?;
                Some(Replication::new(connection, acks))
            }
            None => None,
        };
        Ok(RedisStore::new(connection, replication, prefix, format))
    }

    /// Connects in the background, so that an app can start before its Redis does.
    ///
    /// Until there is a connection, every command fails at once with `Unavailable`. Attempts continue as
    /// long as the store lives, 50 ms to 1 s apart, even when the server rejects the credentials, which makes
    /// the error `Refused`. What [`connect`](Self::connect) checks is checked and logged after the first connection.
    ///
    /// # Errors
    ///
    /// When the configuration is invalid, and outside of a Tokio runtime.
    pub fn connect_lazy(self) -> Result<RedisStore, ConnectError> {
        let (acks, format) = (self.acks, self.format);
        let (address, timeouts, prefix) = self.validate()?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ConnectError::configuration(
                "connecting in the background requires a Tokio runtime",
            ));
        }
        let connection = Connection::open_lazily(address.clone(), timeouts);
        let (key, channel) = (prefix.unused_key(), prefix.channel());
        let first_connection = connection.first_connection();
        tokio::spawn(async move {
            let names = names(&key, &channel, acks);
            probe::check_later(first_connection, names, timeouts.connect).await;
        });
        let replication = acks.map(|acks| {
            let connection = Connection::open_lazily(address, timeouts.with_acks(acks.within));
            Replication::new(connection, acks)
        });
        Ok(RedisStore::new(connection, replication, prefix, format))
    }

    fn validate(self) -> Result<(Address, Timeouts, KeyPrefix), ConnectError> {
        if self.prefix.contains("://") {
            return Err(ConnectError::configuration(
                "the URL of the server comes first, and the app's name second",
            ));
        }
        let prefix = KeyPrefix::new(&self.prefix).map_err(ConnectError::configuration)?;
        let timeouts = self.timeouts;
        timeouts.validate().map_err(ConnectError::configuration)?;
        validate_timeout("with_command_timeout", self.timeouts.command)?;
        validate_timeout("with_connect_timeout", self.timeouts.connect)?;
        if let Some(Acks { replicas, within }) = self.acks {
            if replicas == 0 {
                return Err(ConnectError::configuration(
                    "`with_replica_acks`: at least one replica has to acknowledge a write",
                ));
            }
            validate_timeout("with_replica_acks", within)?;
        }
        let mut address = Address::parse(&self.url)?;
        #[cfg(feature = "tls")]
        self.tls.apply(&mut address)?;
        let config = &mut address.config;
        config.username = self.username.or_else(|| config.username.take());
        config.password = self.password.or_else(|| config.password.take());
        if config.username.is_some() && config.password.is_none() {
            return Err(ConnectError::configuration(
                "`with_username`: a user name for Redis is configured, but no password (write a password without a \
                 user name as `redis://:password@host`)",
            ));
        }
        Ok((address, timeouts, prefix))
    }
}

/// What to ask the server about when connecting.
fn names<'a>(key: &'a str, channel: &'a str, acks: Option<Acks>) -> Names<'a> {
    let further: &[_] = match acks {
        Some(_) => &["wait"],
        None => &[],
    };
    Names {
        key,
        channel,
        further,
    }
}

fn validate_timeout(option: &str, timeout: Duration) -> Result<(), ConnectError> {
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err(ConnectError::configuration(format!(
            "`{option}`: a timeout of {timeout:?} cannot be kept; it must be above zero, and at most \
             {MAX_TIMEOUT:?}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(builder: RedisStoreBuilder) -> String {
        builder.connect_lazy().unwrap_err().to_string()
    }

    #[test]
    fn an_invalid_configuration_is_an_error() {
        let builder = || RedisStore::builder("redis://127.0.0.1", "shop");
        let named = |app| error(RedisStore::builder("redis://127.0.0.1", app));
        assert!(named("a b").contains("the app's name"));
        assert!(named("").contains("the app's name"));
        assert!(named("shop:user").contains("colons"));
        let swapped = error(RedisStore::builder("shop", "redis://127.0.0.1"));
        assert!(swapped.contains("name"), "{swapped}");
        let wait = |replicas, within| builder().with_replica_acks(replicas, within);
        let second = Duration::from_secs(1);
        assert!(error(wait(0, second)).contains("`with_replica_acks`: at least one"));
        for bad in [
            Duration::ZERO,
            MAX_TIMEOUT + Duration::from_nanos(1),
            Duration::MAX,
        ] {
            for (option, builder) in [
                ("with_command_timeout", builder().with_command_timeout(bad)),
                ("with_connect_timeout", builder().with_connect_timeout(bad)),
                ("with_replica_acks", wait(1, bad)),
            ] {
                let error = error(builder);
                assert!(
                    error.contains(&format!("`{option}`: a timeout of")),
                    "{error}"
                );
            }
        }
        assert!(error(wait(1, MAX_TIMEOUT)).contains("Tokio runtime"));
        assert!(error(builder().with_username("me")).contains("no password"));
        assert!(error(RedisStore::builder("redis://secret@host", "shop")).contains("no password"));
        assert!(error(builder()).contains("Tokio runtime"));
    }

    #[test]
    fn intervals_and_times_for_tcp_are_bounded() {
        let builder = || RedisStore::builder("redis://127.0.0.1", "shop");
        let (short, long) = (Duration::from_millis(99), Duration::MAX);
        for time in [Duration::ZERO, short, long] {
            let text = error(builder().with_probe_interval(time));
            assert!(text.contains("with_probe_interval"), "{text}");
            let text = error(builder().with_tcp_keepalive(time));
            assert!(text.contains("with_tcp_keepalive"), "{text}");
            let text = error(builder().with_tcp_user_timeout(time));
            assert!(text.contains("with_tcp_user_timeout"), "{text}");
        }
        let second = Duration::from_secs(1);
        let valid = builder()
            .with_probe_interval(Duration::from_millis(100))
            .with_tcp_keepalive(second)
            .with_tcp_user_timeout(second);
        assert!(error(valid).contains("Tokio runtime"));
    }
}
