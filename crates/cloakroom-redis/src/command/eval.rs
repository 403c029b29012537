//! Running scripts: by digest or by text, and one or several in one command. `node` merges those of a cluster.

use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use rmp::encode::{write_array_len, write_str, write_uint};
use tokio::time::Instant;

use super::args::{Args, hash_of};
use super::script::{BATCH, Script};
use crate::classify::{is_cross_slot, is_moved};
use crate::coalesce::BoxFuture;
use crate::connection::{CommandClient, with_remaining_timeout};

/// A call with more bytes than this is sent by itself: it would delay the others of its batch. For the same reason,
/// `batch.lua` runs no more calls after replies of more than 256 KiB.
pub(super) const MAX_MERGED_LEN: usize = 16 * 1024;

/// A call of a script.
pub(crate) struct ScriptCall {
    pub(super) script: &'static Script,
    /// With at least one key.
    pub(super) args: Args,
}

impl ScriptCall {
    pub(super) fn is_mergeable(&self) -> bool {
        self.args.len() <= MAX_MERGED_LEN
    }
}

/// What became of a call that may have been merged with others.
pub(super) enum Ran {
    Reply(Value),
    /// Nothing was executed, because the keys of the merged calls are in several slots. Contains the call, to be
    /// sent by itself.
    CrossSlot(ScriptCall),
    /// Nothing of it was executed: the node of a cluster does not run merged calls, or not this one, or it follows long
    /// replies. Contains the call, to be sent by itself.
    Separately(ScriptCall),
}

/// Runs a script.
pub(super) fn eval(client: CommandClient, call: ScriptCall) -> BoxFuture<Result<Value, FredError>> {
    let keys = call.args.keys().len();
    let args = call.args.into_values();
    Box::pin(evaluate(client, call.script, keys, args))
}

/// Runs scripts as one command, with `batch.lua`.
pub(super) fn eval_merged(
    client: CommandClient,
    mut calls: Vec<ScriptCall>,
) -> BoxFuture<Vec<Result<Ran, FredError>>> {
    Box::pin(async move {
        let count = calls.len();
        if count < 2 {
            return match calls.pop() {
                Some(call) => vec![eval(client, call).await.map(Ran::Reply)],
                None => Vec::new(),
            };
        }
        let (keys, args) = batch_args(named(&calls));
        match evaluate(client, &BATCH, keys, args).await {
            Err(error) if is_cross_slot(&error) => {
                calls.into_iter().map(Ran::CrossSlot).map(Ok).collect()
            }
            reply => {
                let replies = split_replies(reply, count).into_iter().zip(calls);
                replies
                    .map(|(reply, call)| ran(reply, call, Ran::Reply, Ran::Separately))
                    .collect()
            }
        }
    })
}

/// The calls with the names under which `batch.lua` finds their scripts.
pub(super) fn named(calls: &[ScriptCall]) -> impl ExactSizeIterator<Item = (&str, &Args)> + Clone {
    calls.iter().map(|call| (call.script.name(), &call.args))
}

/// The number of keys of `batch.lua`, and its keys and arguments, for calls of scripts with these names.
pub(super) fn batch_args<'a>(
    calls: impl ExactSizeIterator<Item = (&'a str, &'a Args)> + Clone,
) -> (usize, Vec<Value>) {
    let length = calls.clone().map(|(_, args)| args.len()).sum();
    let mut keys = Args::with_keys(&[], length);
    for key in calls.clone().flat_map(|(_, args)| args.keys()) {
        keys.push(key);
    }
    let mut args = keys.into_values();
    let keys = args.len();
    args.push(Value::Bytes(pack(calls, length).into()));
    (keys, args)
}

/// Encodes the calls in `MessagePack`: a list of name, number of keys and list of arguments.
pub(super) fn pack<'a>(
    calls: impl ExactSizeIterator<Item = (&'a str, &'a Args)>,
    length: usize,
) -> Vec<u8> {
    const INFALLIBLE: &str = "writing to a Vec does not fail";
    // Names and lengths take less than 64 bytes per call.
    let mut out = Vec::with_capacity(length + 64 * calls.len());
    let array_len = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    write_array_len(&mut out, array_len(calls.len())).expect(INFALLIBLE);
    for (name, args) in calls {
        write_array_len(&mut out, 3).expect(INFALLIBLE);
        write_str(&mut out, name).expect(INFALLIBLE);
        write_uint(&mut out, args.keys().len() as u64).expect(INFALLIBLE);
        let args = args.rest();
        write_array_len(&mut out, array_len(args.len())).expect(INFALLIBLE);
        for arg in args {
            write_str(&mut out, arg).expect(INFALLIBLE);
        }
    }
    out
}

/// What became of a merged call: its reply, or the call if it was not run.
pub(super) fn ran<C, R>(
    reply: Result<Option<Value>, FredError>,
    call: C,
    replied: fn(Value) -> R,
    separately: fn(C) -> R,
) -> Result<R, FredError> {
    reply.map(|reply| reply.map_or_else(|| separately(call), replied))
}

/// Splits the reply of `batch.lua` into one result per call, `None` for those that were not run.
pub(super) fn split_replies(
    reply: Result<Value, FredError>,
    count: usize,
) -> Vec<Result<Option<Value>, FredError>> {
    match reply {
        // The usual case: every call returned 1.
        Ok(Value::Integer(ones)) if usize::try_from(ones) == Ok(count) => {
            (0..count).map(|_| Ok(Some(Value::Integer(1)))).collect()
        }
        Ok(Value::Array(mut parts)) if parts.len() == 2 * count => {
            let pairs = parts.chunks_exact_mut(2);
            pairs
                .map(|pair| result_of(pair[0].take(), pair[1].take()))
                .collect()
        }
        Ok(_) => repeat_error(&unexpected_merged_reply(), count),
        Err(error) => repeat_error(&error, count),
    }
}

fn repeat_error<T>(error: &FredError, count: usize) -> Vec<Result<T, FredError>> {
    (0..count).map(|_| Err(error.clone())).collect()
}

fn result_of(kind: Value, reply: Value) -> Result<Option<Value>, FredError> {
    match kind {
        Value::Integer(1) => Ok(Some(reply)),
        Value::Integer(2) => Ok(None),
        Value::Integer(0) => {
            let text = reply.into_string().unwrap_or_default();
            Err(FredError::new(FredErrorKind::Unknown, text))
        }
        _ => Err(unexpected_merged_reply()),
    }
}

/// Runs a script by its digest, and by its text if the server does not know it, or if another node of
/// the cluster has the key. Neither means that the first attempt was carried out.
pub(super) async fn evaluate(
    client: CommandClient,
    script: &Script,
    keys: usize,
    args: Vec<Value>,
) -> Result<Value, FredError> {
    let is_repeated = |error: &FredError| is_unknown_script(error) || is_moved(error);
    evaluate_or_repeat(client, script, keys, args, is_repeated).await
}

/// Runs a script by its digest, and by its text after an error that proves that nothing was executed.
pub(super) async fn evaluate_or_repeat(
    client: CommandClient,
    script: &Script,
    keys: usize,
    args: Vec<Value>,
    is_repeated: fn(&FredError) -> bool,
) -> Result<Value, FredError> {
    let began = Instant::now();
    let slot = match args.first().and_then(Value::as_str) {
        Some(key) => hash_of(&key),
        None => ClusterHash::FirstKey,
    };
    let evalsha = CustomCommand::new_static("EVALSHA", slot.clone(), false);
    let result = client
        .custom(evalsha, script.evalsha_args(keys, args.clone()))
        .await;
    if !matches!(&result, Err(error) if is_repeated(error)) {
        return result;
    }
    let client = with_remaining_timeout(&client, began);
    let eval = CustomCommand::new_static("EVAL", slot, false);
    Box::pin(client.custom(eval, script.eval_args(keys, args))).await
}

pub(super) fn is_unknown_script(error: &FredError) -> bool {
    error.details().starts_with("NOSCRIPT")
}

/// The reply to a merged command cannot be split into one for each of its parts.
pub(super) fn unexpected_merged_reply() -> FredError {
    let text = "The reply to a merged command has an unexpected form.";
    FredError::new(FredErrorKind::Protocol, text)
}
