//! Calling scripts: by their names, or by their texts; one, or several in one call.

use std::time::Duration;

use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::time::Instant;

use super::script::{BATCH, Script};
use super::send::{Sender, in_what_is_left};
use super::slot_of;
use crate::coalesce::{Answer, Joint};
use crate::verdict::is_elsewhere;

/// A call with more bytes than this goes by itself: it would keep the others waiting.
const LARGE: usize = 16 * 1024;

/// A script that is to be run.
pub(crate) struct Call {
    pub(super) client: Sender,
    pub(super) limit: Duration,
    pub(super) script: &'static Script,
    /// At least one.
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<Value>,
}

impl Call {
    /// Whether it can be one with others. In a cluster, one call cannot have keys of several slots.
    pub(super) fn is_fit_for_company(&self) -> bool {
        let bytes = |value: &Value| value.as_bytes().map_or(0, <[u8]>::len);
        !self.client.is_clustered() && self.args.iter().map(bytes).sum::<usize>() <= LARGE
    }

    pub(super) fn carry_out_alone(self) -> Answer<Result<Value, FredError>> {
        let keys = self.keys.into_iter().map(Value::from).collect();
        let call = evaluate(self.client, self.limit, self.script, keys, self.args);
        Box::pin(call)
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
            let mut batch = Batch::default();
            for call in calls {
                batch.add(call);
            }
            let answer = evaluate(client, limit, &BATCH, batch.keys, batch.args).await;
            split(answer, count)
        })
    }
}

/// What `scripts/batch.lua` is told.
#[derive(Default)]
struct Batch {
    keys: Vec<Value>,
    args: Vec<Value>,
}

impl Batch {
    fn add(&mut self, call: Call) {
        let count = |count: usize| Value::from(i64::try_from(count).unwrap_or(i64::MAX));
        self.args.push(Value::from_static_str(call.script.name()));
        self.args.push(count(call.keys.len()));
        self.args.push(count(call.args.len()));
        self.args.extend(call.args);
        self.keys.extend(call.keys.into_iter().map(Value::from));
    }
}

/// What each of so many calls is answered.
fn split(answer: Result<Value, FredError>, count: usize) -> Vec<Result<Value, FredError>> {
    match answer {
        Ok(Value::Array(answers)) if answers.len() == count => {
            answers.into_iter().map(answer_of).collect()
        }
        Ok(_) => vec![Err(strange()); count],
        Err(error) => vec![Err(error); count],
    }
}

fn answer_of(answer: Value) -> Result<Value, FredError> {
    let Value::Array(parts) = answer else {
        return Err(strange());
    };
    match <[Value; 2]>::try_from(parts) {
        Ok([Value::Integer(1), answer]) => Ok(answer),
        Ok([Value::Integer(0), error]) => {
            let text = error.into_string().unwrap_or_default();
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
    keys: Vec<Value>,
    args: Vec<Value>,
) -> Result<Value, FredError> {
    let began = Instant::now();
    let slot = match keys.first().and_then(Value::as_str) {
        Some(key) => slot_of(&key),
        None => ClusterHash::FirstKey,
    };
    let command = CustomCommand::new_static("EVALSHA", slot.clone(), false);
    let words = script.words_by_name(keys.clone(), args.clone());
    let result = client.custom(command, words).await;
    if !matches!(&result, Err(error) if is_unknown_there(error)) {
        return result;
    }
    let client = in_what_is_left(&client, limit, began);
    let command = CustomCommand::new_static("EVAL", slot, false);
    Box::pin(client.custom(command, script.words_by_text(keys, args))).await
}

fn is_unknown_there(error: &FredError) -> bool {
    error.details().starts_with("NOSCRIPT") || is_elsewhere(error)
}

/// The answer to several calls is not one for each of them.
pub(super) fn strange() -> FredError {
    let text = "The answer to a joint command makes no sense.";
    FredError::new(FredErrorKind::Protocol, text)
}
