//! Merging scripts in a cluster: those for one node become one script on that node.

use std::sync::Arc;

use fred::error::Error as FredError;

use super::batch::send_in_time;
use super::eval::{Ran, ScriptCall, eval, named, pack, ran, split_replies};
use super::node::{Batch, Node, Nodes, by_node, pack_keys};
use super::script::NODE_BATCH;
use crate::classify::is_rejected_key;
use crate::coalesce::{BoxFuture, complete_all, execute_in_order};
use crate::connection::CommandClient;

/// Runs the calls of a batch, those for each node by themselves: a node that does not reply holds up no call for another.
pub(super) async fn eval_on_nodes(nodes: Arc<Nodes>, batch: Batch<ScriptCall, Ran>) {
    let parts = by_node(&nodes, batch, |call| call.args.first_key());
    let parts = parts.into_iter().map(|(node, part)| -> BoxFuture<()> {
        let eval = |client, calls| -> BoxFuture<_> { Box::pin(eval_on(node, client, calls)) };
        Box::pin(execute_in_order(part, async move |calls| {
            send_in_time(calls, eval).await
        }))
    });
    complete_all(parts.collect()).await;
}

/// Runs the calls for one node. Returns one result per call, in their order.
async fn eval_on(
    node: Option<Node>,
    client: CommandClient,
    mut calls: Vec<ScriptCall>,
) -> Vec<Result<Ran, FredError>> {
    if calls.len() < 2 {
        return match calls.pop() {
            Some(call) => vec![eval(client, call).await.map(Ran::Reply)],
            None => Vec::new(),
        };
    }
    let reply = match &node {
        Some(node) => {
            let keys = pack_keys(calls.iter().flat_map(|call| call.args.keys()));
            let length = calls.iter().map(|call| call.args.len()).sum();
            let args = [keys, pack(named(&calls), length)];
            node.run(client, &NODE_BATCH, calls[0].args.first_key(), args)
                .await
        }
        None => None,
    };
    let Some(reply) = reply else {
        return calls.into_iter().map(Ran::Separately).map(Ok).collect();
    };
    let replies = split_replies(reply, calls.len()).into_iter().zip(calls);
    replies
        .map(|(reply, call)| match reply {
            Err(error) if is_rejected_key(&error) => Ok(Ran::Separately(call)),
            reply => ran(reply, call, Ran::Reply, Ran::Separately),
        })
        .collect()
}
