//! The commands on the store as a whole.

use std::time::Duration;

use cloakroom_core::admin::{MAX_AHEAD, ScanCursor, ScanPage, next_revoked_before};
use cloakroom_core::{SessionId, StoreError, StoreErrorKind, Timestamp};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::config::Server;
use fred::types::{ClusterHash, CustomCommand, Value};

use super::args::{Args, hash_of, millis};
use super::eval::ScriptCall;
use super::executor::Executor;
use super::plain::Command;
use super::script::SET_REVOKED_BEFORE;
use crate::classify::Effect;
use crate::connection::for_node;
use crate::error::unexpected_reply;
use crate::replication::Replication;

/// How many keys one `SCAN` examines.
const PAGE: i64 = 500;

/// `GET` of the time before which sessions are revoked.
pub(crate) async fn revoked_before(
    executor: &Executor,
    key: String,
) -> Result<Timestamp, StoreError> {
    let reply = executor.send(Effect::Read, Command::Get(key)).await?;
    let text: Option<String> = reply
        .convert()
        .map_err(|_| unexpected_reply(Effect::Read))?;
    let millis = text.map_or(Ok(0), |text| text.parse());
    let millis = millis.map_err(|_| unexpected_reply(Effect::Read))?;
    Ok(Timestamp::from_millis(millis))
}

/// `scripts/set_revoked_before.lua`, with `WAIT` if replicas are waited for.
pub(crate) async fn set_revoked_before(
    executor: &Executor,
    replication: Option<&Replication>,
    key: &str,
    delay: Duration,
    keep: Duration,
) -> Result<Timestamp, StoreError> {
    if delay > MAX_AHEAD {
        return next_revoked_before(Timestamp::from_millis(0), delay, None);
    }
    let mut args = Args::with_keys(&[key], 64);
    args.push_display(delay.as_millis());
    args.push_display(millis(keep));
    args.push_display(millis(MAX_AHEAD));
    let script = &SET_REVOKED_BEFORE;
    let reply = match replication {
        None => executor.run(ScriptCall { script, args }).await?,
        Some(replication) => {
            let mut write = replication.begin().await?;
            let args = script.eval_args(1, args.into_values());
            let reply = write.send("EVAL", hash_of(key), args).await?;
            write.acknowledged()?;
            reply
        }
    };
    let millis = reply.as_u64();
    let millis = millis.ok_or_else(|| unexpected_reply(Effect::Write))?;
    Ok(Timestamp::from_millis(millis))
}

/// One `SCAN` on one primary. Returns the ids that `id_of` finds in the keys. The text of the cursor is that of
/// `SCAN` and the primary, in the order of whose names they are scanned.
pub(crate) async fn scan_ids(
    executor: &Executor,
    pattern: &str,
    id_of: impl Fn(&str) -> Option<SessionId>,
    from: Option<&ScanCursor>,
) -> Result<ScanPage, StoreError> {
    // Fails while the server is down, even if there is no node to scan.
    executor.connection().client()?;
    let nodes = executor.connection().nodes().into_iter();
    let mut nodes: Vec<_> = nodes.map(|node| (name_of(node.as_ref()), node)).collect();
    nodes.sort_by(|one, two| one.0.cmp(&two.0));
    let (cursor, name) = match from {
        Some(from) => from.as_str().split_once(' ').unwrap_or((from.as_str(), "")),
        None => ("0", nodes.first().map_or("", |(name, _)| name)),
    };
    let Some(place) = nodes.iter().position(|(other, _)| other == name) else {
        let text = "the primary that was scanned has left the cluster: start again";
        return Err(StoreError::with_source(StoreErrorKind::Unavailable, text));
    };
    let node = nodes[place].1.clone();
    let (next, keys) = scan_page(executor, node, cursor.to_owned(), pattern).await?;
    let next = if next == "0" {
        nodes.get(place + 1).map(|(name, _)| ("0".to_owned(), name))
    } else {
        Some((next, &nodes[place].0))
    };
    Ok(ScanPage {
        ids: keys.iter().filter_map(|key| id_of(key)).collect(),
        next: next.map(|(cursor, name)| ScanCursor::new(format_args!("{cursor} {name}"))),
    })
}

/// The name of a node of a cluster; empty for a server that is not in a cluster.
fn name_of(node: Option<&Server>) -> String {
    node.map_or_else(String::new, |server| {
        format!("{}:{}", server.host, server.port)
    })
}

async fn scan_page(
    executor: &Executor,
    node: Option<Server>,
    cursor: String,
    pattern: &str,
) -> Result<(String, Vec<String>), StoreError> {
    let client = for_node(&*executor.connection().client()?, node);
    let command = CustomCommand::new_static("SCAN", ClusterHash::Random, false);
    let args: Vec<Value> = vec![
        cursor.into(),
        Value::from_static_str("MATCH"),
        pattern.into(),
        Value::from_static_str("COUNT"),
        PAGE.into(),
    ];
    let reply: Result<Value, FredError> = client.custom(command, args).await;
    let reply = executor.connection().settle(reply, Effect::Read)?;
    reply.convert().map_err(|_| unexpected_reply(Effect::Read))
}
