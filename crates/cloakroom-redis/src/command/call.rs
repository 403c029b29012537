//! Calling scripts: by their names, or by their texts; one, or several in one call.

use std::time::Duration;

use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use rmp::encode::{write_array_len, write_str, write_uint};
use tokio::time::Instant;

use super::script::{BATCH, Script};
use super::send::{Sender, in_what_is_left};
use super::slot_of;
use super::words::Words;
use crate::coalesce::{Answer, Joint};
use crate::verdict::is_elsewhere;

/// A call with more bytes than this goes by itself: it would keep the others waiting.
const LARGE: usize = 16 * 1024;

/// A script that is to be run.
pub(crate) struct Call {
    pub(super) client: Sender,
    pub(super) limit: Duration,
    pub(super) script: &'static Script,
    /// At least one key is among them.
    pub(super) words: Words,
}

impl Call {
    /// Whether it can be one with others. In a cluster, one call cannot have keys of several slots.
    pub(super) fn is_fit_for_company(&self) -> bool {
        !self.client.is_clustered() && self.words.len() <= LARGE
    }

    pub(super) fn carry_out_alone(self) -> Answer<Result<Value, FredError>> {
        let keys = self.words.keys().len();
        let words = self.words.into_values();
        Box::pin(evaluate(self.client, self.limit, self.script, keys, words))
    }
}

impl Joint for Call {
    type Reply = Value;

    fn carry_out(mut calls: Vec<Self>) -> Answer<Vec<Result<Value, FredError>>> {
        Box::pin(async move {
            let count = calls.len();
            if count == 1
                && let Some(call) = calls.pop()
            {
                return vec![call.carry_out_alone().await];
            }
            let Some(first) = calls.first() else {
                return Vec::new();
            };
            let (client, limit) = (first.client.clone(), first.limit);
            let (keys, words) = batch(&calls);
            drop(calls);
            let answer = evaluate(client, limit, &BATCH, keys, words).await;
            split(answer, count)
        })
    }
}

/// What `scripts/batch.lua` is told, and how many keys are among it.
fn batch(calls: &[Call]) -> (usize, Vec<Value>) {
    let room = calls.iter().map(|call| call.words.len()).sum();
    let mut keys = Words::on(&[], room);
    for key in calls.iter().flat_map(|call| call.words.keys()) {
        keys.add(key);
    }
    let mut words = keys.into_values();
    let keys = words.len();
    words.push(Value::Bytes(packed(calls, room).into()));
    (keys, words)
}

/// The calls as a list in `MessagePack`, of which nobody has more than 2^32.
fn packed(calls: &[Call], room: usize) -> Vec<u8> {
    const FITS: &str = "there is always room in a Vec";
    // With names and lengths.
    let mut out = Vec::with_capacity(room + 64 * calls.len());
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    write_array_len(&mut out, length(calls.len())).expect(FITS);
    for call in calls {
        write_array_len(&mut out, 3).expect(FITS);
        write_str(&mut out, call.script.name()).expect(FITS);
        write_uint(&mut out, call.words.keys().len() as u64).expect(FITS);
        let args = call.words.args();
        write_array_len(&mut out, length(args.len())).expect(FITS);
        for arg in args {
            write_str(&mut out, arg).expect(FITS);
        }
    }
    out
}

/// What each of so many calls is answered.
fn split(answer: Result<Value, FredError>, count: usize) -> Vec<Result<Value, FredError>> {
    match answer {
        // Nearly always: each has answered 1.
        Ok(Value::Integer(ones)) if usize::try_from(ones) == Ok(count) => {
            (0..count).map(|_| Ok(Value::Integer(1))).collect()
        }
        Ok(Value::Array(mut parts)) if parts.len() == 2 * count => {
            let pairs = parts.chunks_exact_mut(2);
            pairs
                .map(|pair| answer_of(pair[0].take(), pair[1].take()))
                .collect()
        }
        Ok(_) => vec![Err(strange()); count],
        Err(error) => vec![Err(error); count],
    }
}

fn answer_of(kind: Value, answer: Value) -> Result<Value, FredError> {
    match kind {
        Value::Integer(1) => Ok(answer),
        Value::Integer(0) => {
            let text = answer.into_string().unwrap_or_default();
            Err(FredError::new(FredErrorKind::Unknown, text))
        }
        _ => Err(strange()),
    }
}

/// Calls a script by its name, or, on a server that does not know it, by its text. That is also how the
/// other node is asked, if this one does not have the key.
async fn evaluate(
    client: Sender,
    limit: Duration,
    script: &'static Script,
    keys: usize,
    words: Vec<Value>,
) -> Result<Value, FredError> {
    let began = Instant::now();
    let slot = match words.first().and_then(Value::as_str) {
        Some(key) => slot_of(&key),
        None => ClusterHash::FirstKey,
    };
    let command = CustomCommand::new_static("EVALSHA", slot.clone(), false);
    let told = script.by_name(keys, words.clone());
    let result = client.custom(command, told).await;
    if !matches!(&result, Err(error) if is_unknown_there(error)) {
        return result;
    }
    let client = in_what_is_left(&client, limit, began);
    let command = CustomCommand::new_static("EVAL", slot, false);
    Box::pin(client.custom(command, script.by_text(keys, words))).await
}

fn is_unknown_there(error: &FredError) -> bool {
    error.details().starts_with("NOSCRIPT") || is_elsewhere(error)
}

/// The answer to several calls is not one for each of them.
pub(super) fn strange() -> FredError {
    let text = "The answer to a joint command makes no sense.";
    FredError::new(FredErrorKind::Protocol, text)
}
