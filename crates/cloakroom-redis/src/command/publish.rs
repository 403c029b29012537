//! `PUBLISH`: events that are published by themselves, and not by the script that they are about.

use fred::error::Error as FredError;
use fred::interfaces::PubsubInterface;
use fred::types::Value;

use crate::coalesce::BoxFuture;
use crate::connection::CommandClient;

/// An event and its channel.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) channel: String,
    /// One line.
    pub(crate) text: String,
}

/// `PUBLISH channel message`. In a cluster, any node will do.
pub(super) async fn publish(client: CommandClient, message: Message) -> Result<Value, FredError> {
    client.publish(message.channel, message.text).await
}

/// Publishes the events of a batch as the lines of one message. They all have the channel of the store; several would
/// get a message each.
pub(super) fn publish_merged(
    client: CommandClient,
    messages: Vec<Message>,
) -> BoxFuture<Vec<Result<Value, FredError>>> {
    Box::pin(async move {
        let mut results = Vec::with_capacity(messages.len());
        for group in messages.chunk_by(|one, two| one.channel == two.channel) {
            let lines: Vec<&str> = group.iter().map(|message| &*message.text).collect();
            let message = Message {
                channel: group[0].channel.clone(),
                text: lines.join("\n"),
            };
            let result = publish(client.clone(), message).await;
            results.resize(results.len() + group.len(), result);
        }
        results
    })
}
