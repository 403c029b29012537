//! Publishing.

use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

use crate::connection::Connection;
use crate::verdict::Effect;

/// `PUBLISH channel message`. In a cluster any node will do.
pub(crate) async fn publish(
    connection: &Connection,
    channel: String,
    message: String,
) -> Result<(), StoreError> {
    let client = connection.client()?;
    let command = CustomCommand::new_static("PUBLISH", ClusterHash::Random, false);
    let words = vec![Value::from(channel), Value::from(message)];
    let published: Result<Value, FredError> = client.custom(command, words).await;
    connection.settle(published, Effect::Write).map(|_| ())
}
