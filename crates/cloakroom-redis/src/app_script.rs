//! Lua scripts of other crates, on the store's connection and below its key prefix.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use fred::util::redis_keyslot;
use sha1::{Digest as _, Sha1};
use tokio::time::Instant;

use crate::classify::{Effect, is_moved};
use crate::connection::{CommandClient, Connection, with_remaining_timeout};
use crate::error::unexpected_reply;
use crate::key::KeyPrefix;
use crate::store::RedisStore;

/// A Lua script, and the digest by which a server that has run it once knows it.
///
/// A script must be deterministic in what it writes, or use effects replication, which is the default
/// since Redis 5.
#[derive(Clone, Debug)]
pub struct AppScript {
    text: &'static str,
    sha1: String,
}

impl AppScript {
    /// Creates a script from its text.
    #[must_use]
    #[allow(
        clippy::missing_panics_doc,
        reason = "writing to a String does not fail"
    )]
    pub fn new(text: &'static str) -> Self {
        let mut sha1 = String::with_capacity(40);
        for byte in Sha1::digest(text) {
            write!(sha1, "{byte:02x}").expect("writing to a String does not fail");
        }
        Self { text, sha1 }
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
/// that begin with the app's name.
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
    connection: Connection,
    prefix: KeyPrefix,
}

impl RedisStore {
    /// Returns access to Lua scripts of other crates, on keys below the store's prefix.
    #[must_use]
    pub fn app_scripts(&self) -> AppScripts {
        AppScripts {
            connection: self.connection().clone(),
            prefix: self.prefix().clone(),
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
        self.connection.is_clustered()
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
        self.connection.attach().await;
        let (client, _in_flight) = self.connection.begin()?;
        let result = evaluate(&client, script, keys, args).await;
        reply_of(self.connection.settle(result, Effect::Write)?)
    }
}

/// Runs a script by its digest, and by its text if the server does not know it, or if another node of the
/// cluster has the keys. Neither means that the first attempt was carried out.
async fn evaluate(
    client: &CommandClient,
    script: &AppScript,
    keys: &[String],
    args: &[String],
) -> Result<Value, FredError> {
    let began = Instant::now();
    let slot = match keys.first() {
        Some(key) => ClusterHash::Custom(redis_keyslot(key.as_bytes())),
        None => ClusterHash::Random,
    };
    let words = |first: &str| -> Vec<Value> {
        let head = [first.to_owned(), keys.len().to_string()].into_iter();
        let rest = keys.iter().chain(args).cloned();
        head.chain(rest).map(Value::from).collect()
    };
    let evalsha = CustomCommand::new_static("EVALSHA", slot.clone(), false);
    let result = client.custom(evalsha, words(&script.sha1)).await;
    if !matches!(&result, Err(error) if was_not_run(error)) {
        return result;
    }
    let client = with_remaining_timeout(client, began);
    let eval = CustomCommand::new_static("EVAL", slot, false);
    Box::pin(client.custom(eval, words(script.text))).await
}

fn was_not_run(error: &FredError) -> bool {
    error.details().starts_with("NOSCRIPT") || is_moved(error)
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
            .field("connection", &self.connection)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_identified_by_its_sha1() {
        let script = AppScript::new("return 1");
        assert_eq!(script.sha1, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }

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
