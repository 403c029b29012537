//! The commands that are sent to Redis: the only place that calls fred for them.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::codec::{HEAD_LEN, RECORD_MAGIC, REVISION, SEEN};
use cloakroom_core::{Revision, StoreError, StoreErrorKind};
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, Expiration, SetOptions, Value};
use fred::util::redis_keyslot;
use sha1::{Digest as _, Sha1};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::error::strange_answer;
use crate::replicas::Replicas;
use crate::verdict::{self, Effect, Verdict};

// The scripts hold these places as numbers.
const _: () = assert!(REVISION.start == 3 && REVISION.end == 19);
const _: () = assert!(SEEN.start == 20 && SEEN.end == 32 && HEAD_LEN == 105);

static UPDATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/update.lua")));
static TOUCH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/touch.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/end.lua")));

/// Not run by its name: it is rare.
const RIGHTS: &str = include_str!("scripts/rights.lua");

/// What a script answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It did what it was asked.
    Done,
    /// It did not find what it wants.
    Nothing,
    /// What it found instead.
    There(Bytes),
}

/// `SET key value NX PX ttl`: whether it was set.
pub(crate) async fn create(
    connection: &Connection,
    key: String,
    value: String,
    ttl: Duration,
) -> Result<bool, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let (value, expiry) = (Bytes::from(value), Some(Expiration::PX(millis(ttl))));
    let nx = || Some(SetOptions::NX);
    let set = client.set(key.clone(), value.clone(), expiry.clone(), nx(), false);
    let mut result = set.await;
    if is_elsewhere(&result) {
        let client = in_what_is_left(&client, connection.limit(), began);
        result = client.set(key, value, expiry, nx(), false).await;
    }
    let reply: Value = connection.settle(result, Effect::Write)?;
    Ok(!reply.is_null())
}

/// `SET key record PX ttl NX`, and `WAIT` behind it: whether it was set.
pub(crate) async fn create_on_replicas(
    replicas: &Replicas,
    key: String,
    value: String,
    ttl: Duration,
) -> Result<bool, StoreError> {
    let mut sending = replicas.begin().await?;
    let slot = slot_of(&key);
    let words: Vec<Value> = vec![
        Bytes::from(key).into(),
        Bytes::from(value).into(),
        Value::from_static_str("PX"),
        millis(ttl).into(),
        Value::from_static_str("NX"),
    ];
    let reply = sending.send("SET", slot, words).await?;
    if reply.is_null() {
        return Ok(false);
    }
    sending.replicated().map(|()| true)
}

/// `GET key`.
pub(crate) async fn load(
    connection: &Connection,
    key: String,
) -> Result<Option<Bytes>, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let mut result = client.get(key.clone()).await;
    if is_elsewhere(&result) {
        let client = in_what_is_left(&client, connection.limit(), began);
        result = client.get(key).await;
    }
    connection.settle(result, Effect::Read)
}

/// `scripts/update.lua`.
pub(crate) async fn update(
    connection: &Connection,
    key: String,
    expected: Revision,
    value: String,
    ttl: Duration,
) -> Result<Reply, StoreError> {
    let args = [head(expected).into(), value.into(), millis(ttl).into()];
    run(connection, &UPDATE, key, args).await
}

/// `scripts/touch.lua`.
pub(crate) async fn touch(
    connection: &Connection,
    key: String,
    expected: Revision,
    seen: String,
    ttl: Duration,
) -> Result<Reply, StoreError> {
    let args = [head(expected).into(), seen.into(), millis(ttl).into()];
    run(connection, &TOUCH, key, args).await
}

/// `scripts/end.lua`.
pub(crate) async fn end(
    connection: &Connection,
    key: String,
    expected: Option<Revision>,
    tombstone: String,
    keep: Duration,
) -> Result<Reply, StoreError> {
    let args = end_args(expected, tombstone, keep);
    run(connection, &END, key, args).await
}

/// `scripts/end.lua`, and `WAIT` behind it. Always by its text: a server that does not know its name
/// would make the second `WAIT` start when the first is over.
pub(crate) async fn end_on_replicas(
    replicas: &Replicas,
    key: String,
    expected: Option<Revision>,
    tombstone: String,
    keep: Duration,
) -> Result<Reply, StoreError> {
    let mut sending = replicas.begin().await?;
    let slot = slot_of(&key);
    let args = end_args(expected, tombstone, keep);
    let words = END.words_by_text(&key, args);
    let reply = Reply::of(sending.send("EVAL", slot, words).await?)?;
    if reply == Reply::Done {
        sending.replicated()?;
    }
    Ok(reply)
}

fn end_args(expected: Option<Revision>, tombstone: String, keep: Duration) -> [Value; 3] {
    let head = expected.map(head).unwrap_or_default();
    [head.into(), tombstone.into(), millis(keep).into()]
}

/// `PING`: how long the answer took.
pub(crate) async fn ping(connection: &Connection) -> Result<Duration, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let pong: Result<Value, FredError> = client.ping(None).await;
    connection.settle(pong, Effect::Read)?;
    Ok(began.elapsed())
}

/// What a server tells of itself.
#[derive(Debug)]
pub(crate) struct Account {
    /// The answer to `INFO`.
    pub(crate) text: String,
    /// The commands that the user may not send.
    pub(crate) forbidden: Vec<String>,
    /// How long the answers took.
    pub(crate) latency: Duration,
}

/// `INFO` and `scripts/rights.lua`, together: at the server; in a cluster, at one primary after the
/// other, all within one time limit.
pub(crate) async fn check(
    connection: &Connection,
    key: &str,
    further: &[&'static str],
) -> Result<Vec<Account>, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let mut nodes = vec![None];
    if client.is_clustered() {
        let known = client.active_connections();
        if !known.is_empty() {
            nodes = known.into_iter().map(Some).collect();
        }
    }
    let mut accounts = Vec::with_capacity(nodes.len());
    for node in nodes {
        let left = in_what_is_left(&client, connection.limit(), began);
        let options = Options {
            cluster_node: node,
            ..left.options().clone()
        };
        accounts.push(account(connection, &(**client).with_options(&options), key, further).await?);
    }
    Ok(accounts)
}

async fn account(
    connection: &Connection,
    client: &WithOptions<Client>,
    key: &str,
    further: &[&'static str],
) -> Result<Account, StoreError> {
    let began = Instant::now();
    let mut words: Vec<Value> = vec![
        RIGHTS.into(),
        0.into(),
        Bytes::copy_from_slice(key.as_bytes()).into(),
    ];
    words.extend(further.iter().map(|&name| Value::from_static_str(name)));
    let rights = CustomCommand::new_static("EVAL", ClusterHash::Random, false);
    let (told, forbidden) = tokio::join!(
        client.info::<Value>(None),
        client.custom::<Value, _>(rights, words)
    );
    let latency = began.elapsed();
    let told = connection.settle(told, Effect::Read)?;
    let forbidden = match forbidden {
        // It may not even ask, and what else it lacks is not known.
        Err(error) if Verdict::of(&error) == Verdict::Final(StoreErrorKind::Refused) => {
            vec!["eval".to_owned()]
        }
        result => {
            let list = connection.settle(result, Effect::Read)?;
            list.convert().map_err(|_| strange_answer(Effect::Read))?
        }
    };
    Ok(Account {
        text: String::from_utf8_lossy(told.as_bytes().unwrap_or_default()).into_owned(),
        forbidden,
        latency,
    })
}

/// A script, and the name under which a server that ran it knows it.
struct Script {
    text: &'static str,
    sha1: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let mut sha1 = String::with_capacity(40);
        for byte in Sha1::digest(text) {
            write!(sha1, "{byte:02x}").expect("writing to a String does not fail");
        }
        Self { text, sha1 }
    }

    /// What follows `EVALSHA`.
    fn words_by_name(&'static self, key: &str, args: [Value; 3]) -> Vec<Value> {
        Self::words(Bytes::from_static(self.sha1.as_bytes()).into(), key, args)
    }

    /// What follows `EVAL`.
    fn words_by_text(&self, key: &str, args: [Value; 3]) -> Vec<Value> {
        Self::words(Value::from_static_str(self.text), key, args)
    }

    fn words(script: Value, key: &str, [first, second, third]: [Value; 3]) -> Vec<Value> {
        let key = Bytes::copy_from_slice(key.as_bytes()).into();
        vec![script, 1.into(), key, first, second, third]
    }
}

impl Reply {
    fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Integer(1) => Ok(Self::Done),
            Value::Integer(0) => Ok(Self::Nothing),
            Value::String(text) => Ok(Self::There(text.into_inner())),
            Value::Bytes(bytes) => Ok(Self::There(bytes)),
            _ => Err(strange_answer(Effect::Write)),
        }
    }
}

/// Runs a script by its name, or, on a server that does not know it, by its text. That is also how the
/// other node is asked, if this one does not have the key.
async fn run(
    connection: &Connection,
    script: &'static Script,
    key: String,
    args: [Value; 3],
) -> Result<Reply, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let slot = slot_of(&key);
    let command = CustomCommand::new_static("EVALSHA", slot.clone(), false);
    let words = script.words_by_name(&key, args.clone());
    let mut result = client.custom(command, words).await;
    if is_unknown_script(&result) || is_elsewhere(&result) {
        let client = in_what_is_left(&client, connection.limit(), began);
        let command = CustomCommand::new_static("EVAL", slot, false);
        let words = script.words_by_text(&key, args);
        result = client.custom(command, words).await;
    }
    Reply::of(connection.settle(result, Effect::Write)?)
}

fn slot_of(key: &str) -> ClusterHash {
    ClusterHash::Custom(redis_keyslot(key.as_bytes()))
}

fn is_unknown_script(result: &Result<Value, FredError>) -> bool {
    matches!(result, Err(error) if error.details().starts_with("NOSCRIPT"))
}

/// Whether another node of the cluster has the key, so that the command is to be sent once more.
fn is_elsewhere<T>(result: &Result<T, FredError>) -> bool {
    matches!(result, Err(error) if verdict::is_elsewhere(error))
}

/// The client with what is left of the time limit; never with zero, which means "no limit".
fn in_what_is_left(
    client: &WithOptions<Client>,
    limit: Duration,
    began: Instant,
) -> WithOptions<Client> {
    let left = limit.saturating_sub(began.elapsed());
    let options = Options {
        timeout: Some(left.max(Duration::from_millis(1))),
        ..client.options().clone()
    };
    // Through the plain client: options on options would be laid over each other.
    (**client).with_options(&options)
}

/// What a record of this revision begins with.
fn head(revision: Revision) -> String {
    format!("{RECORD_MAGIC}{revision} ")
}

/// Whole milliseconds for `PX`: at least 1, as 0 is an error, and at most 2^48, which no expiry adds
/// up over.
fn millis(ttl: Duration) -> i64 {
    const MOST: i64 = 1 << 48;
    i64::try_from(ttl.as_millis()).map_or(MOST, |millis| millis.clamp(1, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_by_its_sha1() {
        assert_eq!(
            Script::new("return 1").sha1,
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
        );
    }

    #[test]
    fn a_ttl_is_whole_milliseconds_and_never_none() {
        for (ttl, expected) in [
            (Duration::ZERO, 1),
            (Duration::from_micros(999), 1),
            (Duration::from_micros(2_999), 2),
            (Duration::from_secs(60), 60_000),
            (Duration::MAX, 1 << 48),
        ] {
            assert_eq!(millis(ttl), expected);
        }
    }

    #[test]
    fn the_head_is_as_long_as_the_scripts_think() {
        let head = head(Revision::from_bits(10));
        assert_eq!(head, "c1 000000000000000a ");
        assert_eq!(head.len(), SEEN.start);
    }
}
