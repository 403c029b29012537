//! Asks the nodes of a connection whether they reply.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::Value;
use tokio::task::JoinSet;

use super::client::{for_node, with_timeout};
use super::link::SharedLink;
use crate::classify::ErrorClass;

/// Which nodes of a server or cluster have replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    All,
    Some,
    None,
}

/// Sends a `PING` to every node, and waits for the replies for `patience`.
pub(super) async fn ping_all(link: &SharedLink, patience: Duration) -> Replies {
    let client = with_timeout(&link.client(), patience);
    let nodes = link.nodes();
    let count = nodes.len();
    let mut pings = JoinSet::new();
    for node in nodes {
        pings.spawn(ping(for_node(&client, node)));
    }
    let mut replied = 0;
    while let Some(result) = pings.join_next().await {
        replied += usize::from(result.unwrap_or(false));
    }
    match replied {
        0 => Replies::None,
        all if all == count => Replies::All,
        _ => Replies::Some,
    }
}

/// Whether a node replies to a `PING`. An error that it sends is a reply: commands get theirs as fast.
async fn ping(client: WithOptions<Client>) -> bool {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let text = format!("probe {}", COUNT.fetch_add(1, Ordering::Relaxed));
    let pong: Result<Value, FredError> = client.ping(Some(text.clone())).await;
    match pong {
        Ok(pong) => is_reply_to(&text, &pong),
        Err(error) => !matches!(
            ErrorClass::of(&error),
            ErrorClass::TimedOut | ErrorClass::NeverSent | ErrorClass::Unclear
        ),
    }
}

/// Whether this is the reply to a `PING` with a text. Some proxies reply without the text. The reply to
/// another command means that the connection has lost a reply, and must not be used any more: commands
/// would get each other's replies.
fn is_reply_to(text: &str, pong: &Value) -> bool {
    pong.as_str()
        .is_some_and(|pong| pong == text || pong == "PONG")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_to_another_command_is_not_the_reply_to_a_probe() {
        let is_reply = |pong: &'static str| is_reply_to("probe 7", &Value::from_static_str(pong));
        assert!(is_reply("probe 7") && is_reply("PONG"));
        assert!(!is_reply("probe 6") && !is_reply("c1 000000000000000a"));
        assert!(!is_reply_to("probe 7", &Value::Null));
        assert!(!is_reply_to("probe 7", &Value::Integer(1)));
    }
}
