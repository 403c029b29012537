//! Running scripts of other crates, which are merged as the store's own are: concurrent calls of one script become one
//! command.

use std::sync::Arc;

use fred::error::Error as FredError;
use fred::types::Value;

use super::args::Args;
use super::eval::{MAX_MERGED_LEN, batch_args, evaluate, ran, split_replies};
use super::script::AppScriptPair;
use crate::classify::is_cross_slot;
use crate::coalesce::{BoxFuture, start_all};
use crate::connection::CommandClient;

/// A call of a script of another crate.
pub(crate) struct AppCall {
    script: Arc<AppScriptPair>,
    args: Args,
}

impl AppCall {
    pub(crate) fn new(script: &Arc<AppScriptPair>, keys: &[String], args: &[String]) -> Self {
        let length = keys.iter().chain(args).map(String::len).sum();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut all = Args::with_keys(&keys, length);
        for arg in args {
            all.push(arg);
        }
        Self {
            script: Arc::clone(script),
            args: all,
        }
    }

    pub(super) fn is_mergeable(&self) -> bool {
        self.args.len() <= MAX_MERGED_LEN && !self.script.has_flags
    }
}

/// What became of a call that may have been merged with others.
pub(super) enum AppRan {
    Reply(Value),
    /// Nothing was executed, because the keys of the merged calls are in several slots. Contains the call, to be
    /// sent by itself.
    CrossSlot(AppCall),
    /// Nothing of it was executed, because it follows long replies. Contains the call, to be sent by itself.
    Separately(AppCall),
}

/// Runs a script.
pub(super) fn eval_app(
    client: CommandClient,
    call: AppCall,
) -> BoxFuture<Result<Value, FredError>> {
    let keys = call.args.keys().len();
    let args = call.args.into_values();
    Box::pin(async move { evaluate(client, &call.script.single, keys, args).await })
}

/// Runs scripts: calls of one script as one command.
pub(super) fn eval_app_merged(
    client: CommandClient,
    calls: Vec<AppCall>,
) -> BoxFuture<Vec<Result<AppRan, FredError>>> {
    let count = calls.len();
    let mut groups: Vec<(Vec<usize>, Vec<AppCall>)> = Vec::new();
    for (place, call) in calls.into_iter().enumerate() {
        let same = |group: &&mut (_, Vec<AppCall>)| Arc::ptr_eq(&group.1[0].script, &call.script);
        match groups.iter_mut().find(same) {
            Some((places, group)) => {
                places.push(place);
                group.push(call);
            }
            None => groups.push((vec![place], vec![call])),
        }
    }
    Box::pin(async move {
        let (places, groups): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let futures = groups
            .into_iter()
            .map(|group| eval_group(client.clone(), group));
        let mut results: Vec<_> = (0..count).map(|_| None).collect();
        for (places, replies) in places.into_iter().zip(start_all(futures.collect()).await) {
            for (place, result) in places.into_iter().zip(replies.await) {
                results[place] = Some(result);
            }
        }
        results.into_iter().flatten().collect()
    })
}

/// Runs calls of one script.
fn eval_group(
    client: CommandClient,
    mut calls: Vec<AppCall>,
) -> BoxFuture<Vec<Result<AppRan, FredError>>> {
    Box::pin(async move {
        let count = calls.len();
        if count == 1
            && let Some(call) = calls.pop()
        {
            return vec![eval_app(client, call).await.map(AppRan::Reply)];
        }
        let script = Arc::clone(&calls[0].script);
        let named = calls.iter().map(|call| (script.single.name(), &call.args));
        let (keys, args) = batch_args(named);
        match evaluate(client, &script.batch, keys, args).await {
            Err(error) if is_cross_slot(&error) => {
                calls.into_iter().map(AppRan::CrossSlot).map(Ok).collect()
            }
            reply => {
                let replies = split_replies(reply, count).into_iter().zip(calls);
                replies
                    .map(|(reply, call)| ran(reply, call, AppRan::Reply, AppRan::Separately))
                    .collect()
            }
        }
    })
}
