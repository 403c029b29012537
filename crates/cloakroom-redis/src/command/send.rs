//! How a command is sent: together with others that are ready, to the node that has its key, and within
//! the time limit.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::StoreError;
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::config::Options;
use tokio::time::Instant;

use crate::coalesce::{Answer, in_one_packet};
use crate::connection::Connection;
use crate::verdict::{Effect, is_elsewhere};

/// What a command is sent with.
pub(super) type Sender = Arc<WithOptions<Client>>;

/// Sends a command; once more, if another node of the cluster has its key.
pub(super) async fn send<T: Send + 'static>(
    connection: &Connection,
    effect: Effect,
    command: impl Fn(Sender) -> Answer<Result<T, FredError>>,
) -> Result<T, StoreError> {
    let client = connection.client()?;
    let coalescer = connection.coalescer();
    let under_way = coalescer.one_more();
    let began = Instant::now();
    let mut result = match under_way.is_alone {
        true => command(client.clone()).await,
        false => in_one_packet(&coalescer.packets, command(client.clone())).await,
    };
    if matches!(&result, Err(error) if is_elsewhere(error)) {
        let client = in_what_is_left(&client, connection.limit(), began);
        result = command(Arc::new(client)).await;
    }
    connection.settle(result, effect)
}

/// The client with what is left of the time limit; never with zero, which means "no limit".
pub(super) fn in_what_is_left(
    client: &WithOptions<Client>,
    limit: Duration,
    began: Instant,
) -> WithOptions<Client> {
    let left = limit.saturating_sub(began.elapsed());
    let options = Options {
        timeout: Some(left.max(Duration::from_millis(1))),
        ..client.options().clone()
    };
    // Through the plain client: options on options would be laid over each other.
    (**client).with_options(&options)
}
