//! A connection to Redis that never hangs, and recovers on its own.
//!
//! `client` configures fred, `link` holds the client and the state of the server, `probe` finds out that
//! a connection is dead, and `recovery` replaces it, both with the `ping` of every node and in the
//! background. `retry` repeats a read whose connection was lost, `rejection` observes
//! wrong credentials. [`Connection`] is what the rest of the crate uses.

mod client;
mod link;
mod ping;
mod probe;
mod recovery;
mod rejection;
mod retry;
mod timeouts;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use fred::clients::Client;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::Server;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

pub(crate) use self::client::{CommandClient, for_node, with_remaining_timeout, with_timeout};
use self::client::{new_client, new_push_client, queue_len};
use self::link::{Link, SharedLink};
pub(crate) use self::timeouts::Timeouts;
use crate::address::Address;
use crate::classify::{Effect, ErrorClass, is_cross_slot, is_referral};
use crate::coalesce::{BoxFuture, InFlightGuard};
use crate::error::{ConnectError, store_error};
use crate::log;

/// A client that replies in bounded time. Clones share it; dropping the last one disconnects.
#[derive(Clone)]
pub(crate) struct Connection(Arc<SharedLink>);

impl Connection {
    /// Connects, and waits for the connection, for a bounded time.
    pub(crate) async fn open(address: Address, timeouts: Timeouts) -> Result<Self, ConnectError> {
        let servers = address.config.server.hosts().len() + 1;
        let shown = address.shown.clone();
        let client = new_client(address, timeouts);
        let mut errors = client.error_rx();
        let link = Link::connect(client, timeouts.command);
        let limit = timeouts
            .connect
            .saturating_mul(2)
            .saturating_mul(u32::try_from(servers).unwrap_or(u32::MAX))
            .saturating_add(Duration::from_millis(200));
        let connected = async {
            // fred reports a connection by an event that can be missed, so its state is polled.
            while !link.client.is_connected() {
                if let Ok(Ok((error, _))) = timeout(Duration::from_millis(5), errors.recv()).await {
                    return Err(ConnectError::no_connection(&shown, &error));
                }
            }
            Ok(())
        };
        match timeout(limit, connected).await {
            Ok(connected) => connected?,
            Err(_) => return Err(ConnectError::timed_out(&shown, limit)),
        }
        Ok(Self::new(link, timeouts, shown))
    }

    /// Connects in the background, for as long as it takes.
    pub(crate) fn open_lazily(address: Address, timeouts: Timeouts) -> Self {
        let shown = address.shown.clone();
        let link = Link::connect(new_client(address, timeouts), timeouts.command);
        Self::new(link, timeouts, shown)
    }

    /// Uses a client that the app connects and closes.
    pub(crate) fn from_client(client: &Client) -> Self {
        let timeouts = Timeouts::default();
        let link = Link::of_app(client, timeouts.command);
        Self::new(link, timeouts, "a client of the app's".to_owned())
    }

    fn new(link: Link, timeouts: Timeouts, address: String) -> Self {
        let probe = |attached| -> BoxFuture<()> { Box::pin(probe::run(attached)) };
        Self(SharedLink::new(link, probe, timeouts, address))
    }

    /// Waits for the first connection of a client that connects in the background. Returns `None` if the
    /// connection is dropped before. The future does not keep it open.
    pub(crate) fn first_connection(&self) -> impl Future<Output = Option<Self>> + use<> {
        let client = self.0.client();
        let mut connections = client.reconnect_rx();
        let is_connected = client.is_connected();
        drop(client);
        let link = Arc::downgrade(&self.0);
        async move {
            // Once the client is dropped, there is nothing to receive any more.
            if !is_connected && connections.recv().await == Err(RecvError::Closed) {
                return None;
            }
            link.upgrade().map(Self)
        }
    }

    /// The server's URL without credentials.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// The timeout of a command.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeouts.command
    }

    /// The nodes that hold sessions. In a cluster, the primaries that the client is connected to;
    /// otherwise one, which needs no name.
    pub(crate) fn nodes(&self) -> Vec<Option<Server>> {
        self.0.nodes()
    }

    /// A further client with the same configuration, not connected yet, for a connection on which the
    /// server pushes messages. It buffers up to `messages` of them. With `server`, it connects only to
    /// that node of a cluster.
    pub(crate) fn push_client(&self, server: Option<Server>, messages: usize) -> Client {
        new_push_client(&self.0.client(), server, messages)
    }

    /// Whether keys can be in different slots, so that a command has one key. That is so for the client of a
    /// cluster, and for another client once its server is found to be in cluster mode.
    pub(crate) fn is_clustered(&self) -> bool {
        self.0.is_clustered.load(Ordering::Relaxed)
    }

    /// Whether the client knows clusters: it connects to every primary, and follows slots that move.
    pub(crate) fn knows_clusters(&self) -> bool {
        self.0.client().is_clustered()
    }

    /// Records that the server is in cluster mode, although the client does not know clusters.
    pub(crate) fn found_cluster_mode(&self) {
        if !self.0.is_clustered.swap(true, Ordering::Relaxed) {
            log::cluster_mode(&self.0.address);
        }
    }

    /// Starts one command: returns the client to send it with, and counts it as in flight until the
    /// guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client).
    pub(crate) fn begin(&self) -> Result<(CommandClient, InFlightGuard<'_>), StoreError> {
        let client = self.client()?;
        Ok((client, self.0.in_flight.start()))
    }

    /// Returns the client for a command that is not counted as in flight.
    ///
    /// # Errors
    ///
    /// `Unavailable` while the server is considered down, and with too many commands in flight; `Refused`
    /// while it rejects the credentials.
    pub(crate) fn client(&self) -> Result<CommandClient, StoreError> {
        let link = &*self.0;
        if link.watchdog.is_down() {
            return Err(StoreError::new(if link.is_rejected() {
                StoreErrorKind::Refused
            } else {
                StoreErrorKind::Unavailable
            }));
        }
        let client = link.client();
        if queue_len(&client).max(link.in_flight.count()) < link.max_in_flight {
            Ok(client)
        } else {
            // This says nothing about the server: it may just be less fast than the app.
            Err(StoreError::new(StoreErrorKind::Unavailable))
        }
    }

    /// Records the result of a command, and converts its error.
    pub(crate) fn settle<T>(
        &self,
        result: Result<T, FredError>,
        effect: Effect,
    ) -> Result<T, StoreError> {
        match result {
            Ok(reply) => Ok(reply),
            Err(error) => {
                self.record_failure(ErrorClass::of(&error));
                let class = self.classify(&error);
                Err(store_error(&error, class, effect, self.0.shares_errors))
            }
        }
    }

    /// The class of an error, with what is known about the connection: what only looks like an outage does not
    /// pass by itself.
    fn classify(&self, error: &FredError) -> ErrorClass {
        const REFUSED: ErrorClass = ErrorClass::Final(StoreErrorKind::Refused);
        if is_cross_slot(error) {
            self.found_cluster_mode();
        }
        match ErrorClass::of(error) {
            ErrorClass::NeverSent if self.0.is_rejected() => REFUSED,
            ErrorClass::NotReady if is_referral(error) && !self.knows_clusters() => {
                self.found_cluster_mode();
                REFUSED
            }
            class => class,
        }
    }

    fn record_failure(&self, class: ErrorClass) {
        let is_stopped = || self.0.is_stopped();
        if let Some(recovery) = self.0.watchdog.record_failure(class, is_stopped) {
            recovery::start(&self.0, recovery);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.0.address)
            .field("state", &self.0.client().state())
            .field("is_down", &self.0.watchdog.is_down())
            .field("command_timeout", &self.0.timeouts.command)
            .finish()
    }
}
