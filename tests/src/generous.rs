//! Stores and layers with time limits that hold on a busy machine: for tests that are not about time.

use std::time::Duration;

use cloakroom::{SessionLayer, SessionLayerBuilder, Store};
use cloakroom_redis::{ConnectError, RedisStore, RedisStoreBuilder};

/// How long a command, and all commands of a request together, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store on the server at `url`, to be configured.
pub fn redis(url: impl Into<String>, app: impl Into<String>) -> RedisStoreBuilder {
    RedisStore::builder(url, app)
        .with_command_timeout(PATIENCE)
        .with_connect_timeout(PATIENCE)
}

/// Connects to the server at `url`.
///
/// # Errors
///
/// As [`RedisStore::connect`].
pub async fn connect(
    url: impl Into<String>,
    app: impl Into<String>,
) -> Result<RedisStore, ConnectError> {
    redis(url, app).connect().await
}

/// A layer on `store`, to be configured.
pub fn layer_builder(store: impl Store) -> SessionLayerBuilder {
    SessionLayer::builder(store).with_store_timeout(PATIENCE)
}

/// A layer on `store`, with the defaults for everything but time.
///
/// # Panics
///
/// When the defaults are not valid.
pub fn layer(store: impl Store) -> SessionLayer {
    let builder = layer_builder(store);
    builder.build().expect("the defaults are valid")
}
