//! A connection of its own, beside the one for commands, on which a server tells something by itself.

use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::{Error as FredError, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::ConnectHandle;
use fred::types::config::Options;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// How long fred may take to connect anew before it is let be.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client that listens, and the task that drives it.
pub(crate) struct Line {
    pub(crate) client: WithOptions<Client>,
    task: ConnectHandle,
    limit: Duration,
}

impl Line {
    /// Connects, in the background. An answer may take until `limit`.
    pub(crate) fn open(client: Client, limit: Duration) -> Self {
        let task = client.connect();
        let options = Options {
            timeout: Some(limit),
            max_attempts: Some(1),
            fail_fast: true,
            ..Options::default()
        };
        Self {
            client: client.with_options(&options),
            task,
            limit,
        }
    }

    /// Waits for the first connection, for a bounded time: a look before it would fail, and the next
    /// comes a while later.
    pub(crate) async fn first_connection(&self) {
        drop(timeout(PATIENCE, self.client.wait_for_connect()).await);
    }

    /// What the server answers, if it does within the time limit.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, FredError>>,
    ) -> Result<T, FredError> {
        let late = |_| FredError::new(ErrorKind::Timeout, "no answer in time");
        timeout(self.limit, answer).await.map_err(late)?
    }

    /// Makes the connection anew. fred does it by itself where it knows of the loss.
    pub(crate) async fn reconnect(&self) {
        if self.client.is_connected() {
            drop(timeout(PATIENCE, self.client.force_reconnection()).await);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // fred's task would hold the connection for ever.
        self.task.abort();
    }
}

/// The next of a client's messages; `None` if some were missed.
pub(crate) async fn next<T: Clone>(messages: &mut Receiver<T>) -> Option<T> {
    match messages.recv().await {
        Ok(message) => Some(message),
        Err(RecvError::Lagged(_)) => None,
        // The client is gone, and with it whoever listens.
        Err(RecvError::Closed) => std::future::pending().await,
    }
}
