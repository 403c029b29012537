//! Publishing.

use cloakroom_core::StoreError;
use fred::interfaces::PubsubInterface;
use fred::types::Value;

use super::send::{Sender, send};
use crate::coalesce::Answer;
use crate::connection::Connection;
use crate::verdict::Effect;

/// `PUBLISH channel message`. In a cluster any node will do.
pub(crate) async fn publish(
    connection: &Connection,
    channel: String,
    message: String,
) -> Result<(), StoreError> {
    let publish = |client: Sender| -> Answer<_> {
        let (channel, message) = (channel.clone(), message.clone());
        Box::pin(async move { client.publish(channel, message).await })
    };
    let _receivers: Value = send(connection, Effect::Write, publish).await?;
    Ok(())
}
