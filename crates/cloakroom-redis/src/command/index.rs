//! The index of a user, and the store as a whole.

use std::collections::HashSet;
use std::time::Duration;

use cloakroom_core::codec;
use cloakroom_core::index::{Admission, Applicant, LEASE, OLD};
use cloakroom_core::store::Entered;
use cloakroom_core::{Record, SessionId, StoreError, Timestamp};
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{Options, Server};
use fred::types::{ClusterHash, CustomCommand, Value};

use super::script::{ADMIT, ENTER, EPOCH, run};
use super::send::{Sender, send};
use super::words::Words;
use super::{NUMBERS, millis, slot_of};
use crate::coalesce::Answer;
use crate::connection::Connection;
use crate::error::strange_answer;
use crate::verdict::Effect;

/// So many keys are looked at by one `SCAN`.
const PAGE: i64 = 500;

/// `scripts/admit.lua`.
pub(crate) async fn admit(
    connection: &Connection,
    key: &str,
    applicant: &Applicant,
) -> Result<Admission, StoreError> {
    let mut words = Words::on(&[key], TERMS);
    add_terms(&mut words, applicant);
    let reply = run(connection, &ADMIT, words).await?;
    read_admission(reply).ok_or_else(|| strange_answer(Effect::Write))
}

/// Room for what `admit.lua` is told.
const TERMS: usize = 160;

/// What `admit.lua` is told.
fn add_terms(words: &mut Words, applicant: &Applicant) {
    let limit = applicant.limit;
    words.add_shown(applicant.now.as_millis());
    words.add_id(applicant.id);
    words.add_shown(applicant.deadline.as_millis());
    words.add_shown(limit.map_or(0, |limit| limit.most));
    words.add_shown(u8::from(limit.is_some_and(|limit| limit.make_room)));
    match applicant.replaces {
        Some(id) => words.add_id(id),
        None => words.add(""),
    }
    words.add_shown(millis(OLD));
    words.add_shown(millis(LEASE));
    for dead in &applicant.dead {
        words.add_id(*dead);
    }
}

/// What is stored with an entry, and where.
pub(crate) struct Beginning<'a> {
    pub(crate) index: String,
    pub(crate) key: String,
    pub(crate) record: &'a Record,
    pub(crate) ttl: Duration,
    pub(crate) channel: &'a str,
    pub(crate) event: Option<String>,
}

/// `scripts/enter.lua`.
pub(crate) async fn enter(
    connection: &Connection,
    applicant: &Applicant,
    begins: Beginning<'_>,
) -> Result<Entered, StoreError> {
    let event = begins.event.unwrap_or_default();
    let length = codec::encoded_len(begins.record.entries()) + begins.channel.len() + event.len();
    let mut words = Words::on(&[&begins.index, &begins.key], length + TERMS);
    words.add_by(|text| codec::encode_into(begins.record, text));
    words.add_shown(millis(begins.ttl));
    words.add(begins.channel);
    words.add(&event);
    add_terms(&mut words, applicant);
    let reply = run(connection, &ENTER, words).await?;
    read_entered(reply).ok_or_else(|| strange_answer(Effect::Write))
}

fn read_entered(reply: Value) -> Option<Entered> {
    let mut parts = match reply {
        Value::Array(parts) => parts,
        Value::Integer(1) => {
            return Some(Entered::Created {
                sample: Vec::new(),
                told: true,
            });
        }
        _ => return None,
    };
    let done = (parts.len() == 5).then(|| parts.split_off(3));
    let admission = read_admission(Value::Array(parts))?;
    Some(match (admission, done.as_deref()) {
        (Admission::Full(there), None) => Entered::Full(there),
        (Admission::Admitted { over, sample }, None) => Entered::Over { over, sample },
        (Admission::Admitted { .. }, Some([Value::Integer(0), _])) => Entered::Collision,
        (Admission::Admitted { sample, .. }, Some([Value::Integer(1), Value::Integer(told)])) => {
            Entered::Created {
                sample,
                told: *told == 1,
            }
        }
        _ => return None,
    })
}

fn read_admission(reply: Value) -> Option<Admission> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let mut parts = parts.into_iter();
    match (parts.next()?, parts.next()?, parts.next()) {
        (Value::Integer(0), there, None) => Some(Admission::Full(ids(there)?)),
        (Value::Integer(1), over, Some(sample)) => Some(Admission::Admitted {
            over: ids(over)?,
            sample: ids(sample)?,
        }),
        _ => None,
    }
}

/// The ids in a list. What is none was not entered by this crate, and is nobody's session.
fn ids(list: Value) -> Option<Vec<SessionId>> {
    let texts: Vec<String> = list.convert().ok()?;
    Some(texts.iter().filter_map(|text| text.parse().ok()).collect())
}

/// `ZRANGE key 0 -1`.
pub(crate) async fn entered(
    connection: &Connection,
    key: String,
) -> Result<Vec<SessionId>, StoreError> {
    let words = vec![Value::from(key.clone()), 0.into(), (-1).into()];
    let reply = send_words(connection, "ZRANGE", &key, words, Effect::Read).await?;
    ids(reply).ok_or_else(|| strange_answer(Effect::Read))
}

/// `ZREM key id …`.
pub(crate) async fn forget(
    connection: &Connection,
    key: String,
    ids: &[SessionId],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut words = vec![Value::from(key.clone())];
    words.extend(ids.iter().map(|id| Value::from(id.to_string())));
    send_words(connection, "ZREM", &key, words, Effect::Write).await?;
    Ok(())
}

/// `GET` of the epoch's key.
pub(crate) async fn epoch(connection: &Connection, key: String) -> Result<Timestamp, StoreError> {
    let get = |client: Sender| -> Answer<_> {
        let key = key.clone();
        Box::pin(async move { client.get(key).await })
    };
    let text: Option<String> = send(connection, Effect::Read, get).await?;
    let millis = text.map_or(Ok(0), |text| text.parse());
    let millis = millis.map_err(|_| strange_answer(Effect::Read))?;
    Ok(Timestamp::from_millis(millis))
}

/// `scripts/epoch.lua`.
pub(crate) async fn begin_epoch(
    connection: &Connection,
    key: &str,
    at: Timestamp,
    keep: Duration,
) -> Result<(), StoreError> {
    let mut words = Words::on(&[key], NUMBERS);
    words.add_shown(at.as_millis());
    words.add_shown(millis(keep));
    run(connection, &EPOCH, words).await.map(|_| ())
}

/// `SCAN`, over all primaries: the ids of which `id_of` finds one in a key. Each page has the time
/// limit of a command.
pub(crate) async fn everything(
    connection: &Connection,
    pattern: &str,
    id_of: impl Fn(&str) -> Option<SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    // Refused while the server is known to be down, also if that leaves no node to ask.
    connection.client()?;
    // A key can come twice, and while slots move from two nodes.
    let mut found = HashSet::new();
    for node in connection.nodes() {
        let mut cursor = "0".to_owned();
        loop {
            let (next, keys) = page(connection, node.clone(), cursor, pattern).await?;
            found.extend(keys.iter().filter_map(|key| id_of(key)));
            if next == "0" {
                break;
            }
            cursor = next;
        }
    }
    Ok(found.into_iter().collect())
}

async fn page(
    connection: &Connection,
    node: Option<Server>,
    cursor: String,
    pattern: &str,
) -> Result<(String, Vec<String>), StoreError> {
    let client = connection.client()?;
    let options = Options {
        cluster_node: node,
        ..client.options().clone()
    };
    // Through the plain client: options on options would be laid over each other.
    let client = (**client).with_options(&options);
    let command = CustomCommand::new_static("SCAN", ClusterHash::Random, false);
    let words: Vec<Value> = vec![
        cursor.into(),
        Value::from_static_str("MATCH"),
        pattern.into(),
        Value::from_static_str("COUNT"),
        PAGE.into(),
    ];
    let reply: Result<Value, FredError> = client.custom(command, words).await;
    let reply = connection.settle(reply, Effect::Read)?;
    reply.convert().map_err(|_| strange_answer(Effect::Read))
}

/// Sends a command on one key.
async fn send_words(
    connection: &Connection,
    name: &'static str,
    key: &str,
    words: Vec<Value>,
    effect: Effect,
) -> Result<Value, StoreError> {
    let command = |client: Sender| -> Answer<_> {
        let (command, words) = (
            CustomCommand::new_static(name, slot_of(key), false),
            words.clone(),
        );
        Box::pin(async move { client.custom(command, words).await })
    };
    send(connection, effect, command).await
}
