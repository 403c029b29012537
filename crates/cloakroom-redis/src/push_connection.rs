//! A connection of its own for messages that the server pushes.

use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::{Error as FredError, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::ConnectHandle;
use fred::types::config::Options;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// How long to wait for fred to connect or reconnect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client that receives messages, and the task that drives it.
pub(crate) struct PushConnection {
    pub(crate) client: WithOptions<Client>,
    task: ConnectHandle,
    timeout: Duration,
}

impl PushConnection {
    /// Connects in the background. Commands have the given timeout.
    pub(crate) fn open(client: Client, timeout: Duration) -> Self {
        let task = client.connect();
        let options = Options {
            timeout: Some(timeout),
            max_attempts: Some(1),
            fail_fast: true,
            ..Options::default()
        };
        Self {
            client: client.with_options(&options),
            task,
            timeout,
        }
    }

    /// Waits for the first connection, for a bounded time: a check before it would fail, and the next
    /// one comes only after a pause.
    pub(crate) async fn first_connection(&self) {
        drop(timeout(CONNECT_TIMEOUT, self.client.wait_for_connect()).await);
    }

    /// Bounds a sequence of commands by the timeout of one.
    pub(crate) async fn within_timeout<T>(
        &self,
        commands: impl Future<Output = Result<T, FredError>>,
    ) -> Result<T, FredError> {
        let late = |_| FredError::new(ErrorKind::Timeout, "no reply within the timeout");
        timeout(self.timeout, commands).await.map_err(late)?
    }

    /// Replaces the client by a new one, and waits for its connection, for a bounded time. An order to
    /// reconnect could get stuck: fred does not read it while it waits for the socket. While fred is
    /// reconnecting on its own, nothing happens. Returns whether the client is a new one, whose messages the
    /// caller has to receive.
    pub(crate) async fn reconnect(&mut self) -> bool {
        if !self.client.is_connected() && !self.task.is_finished() {
            return false;
        }
        *self = Self::open(self.client.clone_new(), self.timeout);
        self.first_connection().await;
        true
    }
}

impl Drop for PushConnection {
    fn drop(&mut self) {
        // Otherwise fred's task would keep the connection open for ever.
        self.task.abort();
    }
}

/// Returns the next message, or `None` if some were missed because the buffer was full.
pub(crate) async fn next<T: Clone>(messages: &mut Receiver<T>) -> Option<T> {
    match messages.recv().await {
        Ok(message) => Some(message),
        Err(RecvError::Lagged(_)) => None,
        // The client was dropped, and the task that receives will be too.
        Err(RecvError::Closed) => std::future::pending().await,
    }
}
