//! Lua scripts of other crates, on the store's connection and below its key prefix.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::types::Value;

use crate::app_message::{AppMessages, encode};
use crate::bus::Bus;
use crate::classify::Effect;
use crate::command::{AppCall, AppScriptPair, Executor};
use crate::error::unexpected_reply;
use crate::key::KeyPrefix;
use crate::store::RedisStore;

/// A Lua script, and the digest by which a server that has run it once knows it. Clones share both, and concurrent
/// calls of clones are merged.
///
/// A script must be deterministic in what it writes, or use effects replication, which is the default
/// since Redis 5. It must not use global variables, since it is also run as the body of a function. A script that starts
/// with `#!`, a line of flags, is not merged.
#[derive(Clone, Debug)]
pub struct AppScript(Arc<AppScriptPair>);

impl AppScript {
    /// Creates a script from its text.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self(Arc::new(AppScriptPair::new(text)))
    }
}

/// What a script has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptReply {
    /// `nil`, or `false`.
    Nothing,
    /// An integer.
    Integer(i64),
    /// A string.
    Bytes(Bytes),
    /// A list.
    List(Vec<ScriptReply>),
}

/// Runs Lua scripts over the store's connection, with its timeouts, its errors and its watchdog, on keys
/// that begin with the app's name. Concurrent calls of one script are merged into one command, except in a cluster,
/// those of a script with flags, and those with more than 16 KiB of arguments. After replies of more than
/// 256 KiB (an item of a list counts 16 bytes besides its text), a merged command runs no further calls: they are sent by
/// themselves. So its reply is longer by at most one call's.
///
/// It is for libraries that keep more than sessions on the same Redis, such as `cloakroom-limit`. The
/// rights of the store's user suffice for the commands that the store itself sends. A script is sent once:
/// again only if the server replies that it does not know it, or that another node of the cluster has its
/// keys. Scripts do not wait for replicas, whatever the store does.
///
/// ```no_run
/// use cloakroom_redis::{AppScript, RedisStore, ScriptReply, StoreError};
///
/// # async fn add(store: RedisStore) -> Result<(), StoreError> {
/// let script = AppScript::new("return redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000) and 1");
/// let scripts = store.app_scripts();
/// let key = scripts.key("greeting");
/// let reply = scripts.run(&script, &[key], &["hello".to_owned()]).await?;
/// assert_eq!(reply, ScriptReply::Integer(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AppScripts {
    executor: Executor,
    prefix: KeyPrefix,
    bus: Bus,
}

impl RedisStore {
    /// Returns access to Lua scripts of other crates, on keys below the store's prefix.
    #[must_use]
    pub fn app_scripts(&self) -> AppScripts {
        AppScripts {
            executor: self.executor().clone(),
            prefix: self.prefix().clone(),
            bus: self.event_bus().clone(),
        }
    }
}

impl AppScripts {
    /// Returns the key with this name: the app's name, a colon, and `name`.
    ///
    /// A name must not be a UUID and not begin with `user:`, `revoked-before` or `events`, which are the
    /// store's own. In a cluster, keys with the same text between braces are on the same node.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        self.prefix.named(name)
    }

    /// Returns whether keys can be on different servers, so that all keys of a script need the same hash tag.
    #[must_use]
    pub fn is_clustered(&self) -> bool {
        self.executor.connection().is_clustered()
    }

    /// Returns the channel on which a script publishes a [`message`](Self::message), with `PUBLISH`.
    #[must_use]
    pub fn channel(&self) -> &str {
        self.bus.channel()
    }

    /// Encodes a message about `topic`, which has no spaces, for the servers that
    /// [`subscribe`](Self::subscribe) to it.
    #[must_use]
    pub fn message(topic: &str, text: &str) -> String {
        encode(topic, text)
    }

    /// Subscribes to the messages about `topic`, over the connection for the store's events, which is opened
    /// if there is none yet. As soon as messages of other servers arrive, and again after each interruption,
    /// the subscription yields [`AppMessage::Missed`](crate::AppMessage::Missed).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn subscribe(&self, topic: &str) -> AppMessages {
        self.bus.subscribe_app(self.executor.connection(), topic)
    }

    /// Runs a script, within the store's command timeout.
    ///
    /// # Errors
    ///
    /// As the store's `update`: with `OutcomeUnknown`, the script may or may not have been run.
    pub async fn run(
        &self,
        script: &AppScript,
        keys: &[String],
        args: &[String],
    ) -> Result<ScriptReply, StoreError> {
        let call = AppCall::new(&script.0, keys, args);
        reply_of(self.executor.run_app(call).await?)
    }

    /// Reads the value of a key that holds a string, with `GET`, or in one `MGET` with other reads; a read whose
    /// connection is lost is sent once more.
    ///
    /// # Errors
    ///
    /// As the store's `load`.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let read = || self.executor.load(key.to_owned());
        self.executor.connection().read(read).await
    }
}

fn reply_of(value: Value) -> Result<ScriptReply, StoreError> {
    Ok(match value {
        Value::Null => ScriptReply::Nothing,
        Value::Integer(number) => ScriptReply::Integer(number),
        Value::String(text) => ScriptReply::Bytes(text.into_inner()),
        Value::Bytes(bytes) => ScriptReply::Bytes(bytes),
        Value::Array(values) => {
            let replies = values.into_iter().map(reply_of);
            ScriptReply::List(replies.collect::<Result<_, _>>()?)
        }
        _ => return Err(unexpected_reply(Effect::Write)),
    })
}

impl fmt::Debug for AppScripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppScripts")
            .field("prefix", &self.prefix)
            .field("connection", self.executor.connection())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_converted_at_any_depth() {
        let value = Value::Array(vec![
            Value::Null,
            Value::Integer(-7),
            Value::Array(vec![Value::Bytes(Bytes::from_static(b"a"))]),
        ]);
        let list = vec![
            ScriptReply::Nothing,
            ScriptReply::Integer(-7),
            ScriptReply::List(vec![ScriptReply::Bytes(Bytes::from_static(b"a"))]),
        ];
        assert_eq!(reply_of(value).unwrap(), ScriptReply::List(list));
        assert!(reply_of(Value::Double(1.5)).is_err());
    }
}
