//! Publishing events.

use std::sync::Arc;

use cloakroom_core::StoreError;
use fred::clients::{Client, WithOptions};
use fred::interfaces::PubsubInterface;
use fred::types::Value;

use super::executor::Executor;
use crate::classify::Effect;
use crate::coalesce::BoxFuture;

/// `PUBLISH channel message`. In a cluster, any node will do.
pub(crate) async fn publish(
    executor: &Executor,
    channel: String,
    message: String,
) -> Result<(), StoreError> {
    let publish = |client: Arc<WithOptions<Client>>| -> BoxFuture<_> {
        let (channel, message) = (channel.clone(), message.clone());
        Box::pin(async move { client.publish(channel, message).await })
    };
    let _receivers: Value = executor.send(Effect::Write, publish).await?;
    Ok(())
}
