//! The state of a connection: a client that can be replaced, and what is known about its server.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::ConnectHandle;

use super::client::{CommandClient, max_in_flight, with_command_options};
use super::rejection::Rejection;
use crate::coalesce::InFlight;
use crate::watchdog::Watchdog;

/// What the clones of a connection share.
pub(super) struct SharedLink {
    link: RwLock<Link>,
    pub(super) watchdog: Watchdog,
    pub(super) in_flight: InFlight,
    /// With this number of commands in flight, further ones are rejected.
    pub(super) max_in_flight: usize,
    /// Whether fred gives the error of one command to all commands in flight.
    pub(super) shares_errors: bool,
    /// Whether the server is in cluster mode, so that a command has one key: by the configuration, or found out.
    pub(super) is_clustered: AtomicBool,
    pub(super) timeout: Duration,
    /// The server's URL without credentials.
    pub(super) address: String,
}

/// A client, and the task that drives it, if it is ours.
pub(super) struct Link {
    pub(super) client: CommandClient,
    task: Option<ConnectHandle>,
    rejection: Rejection,
}

impl SharedLink {
    pub(super) fn new(link: Link, timeout: Duration, address: String) -> Self {
        let config = link.client.connection_config();
        Self {
            watchdog: Watchdog::default(),
            in_flight: InFlight::default(),
            max_in_flight: max_in_flight(&link.client),
            shares_errors: !config.reconnect_errors.is_empty(),
            is_clustered: AtomicBool::new(link.client.is_clustered()),
            timeout,
            address,
            link: RwLock::new(link),
        }
    }

    pub(super) fn client(&self) -> CommandClient {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&link.client)
    }

    /// Whether the server rejected the credentials when the client last tried to connect.
    pub(super) fn is_rejected(&self) -> bool {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        link.rejection.is_rejected()
    }

    /// Whether the task that drives the client is ours, and has ended.
    pub(super) fn is_stopped(&self) -> bool {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        link.task.as_ref().is_some_and(ConnectHandle::is_finished)
    }

    /// Replaces the client by a new one with the same configuration, if its task is ours.
    pub(super) fn replace_client(&self) {
        let mut link = self.link.write().unwrap_or_else(PoisonError::into_inner);
        if link.task.is_some() {
            let client = link.client.clone_new();
            *link = Link::connect(client, self.timeout);
        }
    }
}

impl Link {
    /// Connects a client in the background.
    pub(super) fn connect(client: Client, timeout: Duration) -> Self {
        let rejection = Rejection::observe(&client);
        let task = client.connect();
        Self {
            client: Arc::new(with_command_options(&client, timeout)),
            task: Some(task),
            rejection,
        }
    }

    /// Uses a client that the app connects and closes.
    pub(super) fn of_app(client: &Client, timeout: Duration) -> Self {
        Self {
            client: Arc::new(with_command_options(client, timeout)),
            task: None,
            rejection: Rejection::default(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Otherwise fred's task would keep the connection open for ever.
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
