//! Receives the events that stores publish with Redis' `PUBLISH`, and the messages of other crates on the same channel.
//!
//! All subscriptions of a store share one connection, which is opened by the first. Messages that are
//! sent while it is interrupted are lost, so a gap must be detected. fred discards the reply to
//! `SUBSCRIBE`; therefore the channel is subscribed to again once a second, which changes nothing if it
//! already was, followed by `CLIENT ID`. The reply proves that the connection is alive and the
//! subscription active; if the id has changed, there was a gap. A server that was restarted may give the new
//! connection the same id, so there was one as well if fred has connected since the last check.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cloakroom_core::bus::{LocalBus, Subscription};
use cloakroom_core::event::SessionEvent;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Server;
use fred::types::{ClusterHash, CustomCommand, Message, Value};
use fred::util::redis_keyslot;
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::app_message::{AppMessages, Received, text_of};
use crate::classify::ErrorClass;
use crate::connection::Connection;
use crate::log;
use crate::push_connection::{PushConnection, next};

/// How often the subscription is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// After how many rejected checks another node of a cluster is tried again: each time, connections to all nodes are opened.
const CHECKS_PER_NODE: u32 = 5;

/// How many messages fred buffers for us.
const BUFFERED_MESSAGES: usize = 1024;

/// The subscriptions of one store. Clones share them; dropping the last one closes the connection.
#[derive(Clone)]
pub(crate) struct Bus(Arc<SharedBus>);

struct SharedBus {
    local: LocalBus,
    /// The messages of other crates. A receiver that does not keep up loses the oldest, and is informed.
    app: broadcast::Sender<Received>,
    channel: String,
    task: Mutex<Option<AbortHandle>>,
    /// Whether the task has ended, because its runtime has.
    is_lost: AtomicBool,
}

impl Bus {
    pub(crate) fn new(channel: String) -> Self {
        Self(Arc::new(SharedBus {
            local: LocalBus::new(),
            app: broadcast::Sender::new(LocalBus::CAPACITY),
            channel,
            task: Mutex::default(),
            is_lost: AtomicBool::new(false),
        }))
    }

    pub(crate) fn channel(&self) -> &str {
        &self.0.channel
    }

    /// Subscribes. The first call opens a connection with the configuration of `connection`.
    pub(crate) fn subscribe(&self, connection: &Connection) -> Subscription {
        let subscription = self.0.local.subscribe();
        self.receive(connection);
        subscription
    }

    /// Subscribes to the messages of other crates about `topic`, over the same connection.
    pub(crate) fn subscribe_app(&self, connection: &Connection, topic: &str) -> AppMessages {
        let messages = AppMessages::new(self.0.app.subscribe(), topic);
        self.receive(connection);
        messages
    }

    /// Starts the task, unless it runs.
    fn receive(&self, connection: &Connection) {
        let mut task = self.task();
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            *task = Some(self.start(connection));
        }
    }

    /// Starts the task again in the current runtime, if it has ended with another one and there are still
    /// subscriptions. They are informed that events were missed.
    pub(crate) fn resume(&self, connection: &Connection) {
        if !self.0.is_lost.load(Ordering::Relaxed) {
            return;
        }
        let mut task = self.task();
        let has_receivers = self.0.local.has_subscribers() || self.0.app.receiver_count() > 0;
        if task.as_ref().is_some_and(AbortHandle::is_finished) && has_receivers {
            *task = Some(self.start(connection));
        }
    }

    fn start(&self, connection: &Connection) -> AbortHandle {
        let client = connection.push_client(None, BUFFERED_MESSAGES);
        let subscriber = Subscriber {
            bus: Arc::downgrade(&self.0),
            local: self.0.local.clone(),
            app: self.0.app.clone(),
            channel: self.0.channel.clone(),
            server: connection.address().to_owned(),
            connections: client.reconnect_rx(),
            connection: PushConnection::open(client, connection.timeout()),
            subscribed: None,
            has_failed: false,
            rejections: 0,
        };
        self.0.is_lost.store(false, Ordering::Relaxed);
        tokio::spawn(subscriber.run()).abort_handle()
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.0.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SharedBus {
    fn drop(&mut self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.abort();
        }
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("channel", &self.0.channel)
            .finish_non_exhaustive()
    }
}

/// The task that receives messages, as long as the store lives.
struct Subscriber {
    bus: Weak<SharedBus>,
    local: LocalBus,
    app: broadcast::Sender<Received>,
    channel: String,
    server: String,
    connection: PushConnection,
    /// The connections that fred has opened.
    connections: broadcast::Receiver<Server>,
    /// The id of the connection that is subscribed.
    subscribed: Option<i64>,
    /// Whether the last check has failed, which was logged.
    has_failed: bool,
    /// How many checks the server has rejected since the last one that succeeded.
    rejections: u32,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(bus) = self.bus.upgrade() {
            bus.is_lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Subscriber {
    async fn run(mut self) {
        let mut messages = self.connection.client.message_rx();
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.connection.first_connection().await;
        loop {
            tokio::select! {
                message = next(&mut messages) => self.forward(message),
                _ = checks.tick() => if self.check().await {
                    messages = self.connection.client.message_rx();
                    self.connections = self.connection.client.reconnect_rx();
                },
            }
        }
    }

    fn forward(&self, message: Option<Message>) {
        let Some(message) = message else {
            return self.missed();
        };
        let text = message.value.as_str().unwrap_or_default();
        if let Some(message) = text_of(&text) {
            // An error means that there are no receivers.
            drop(self.app.send(Some(message.into())));
            return;
        }
        // Sign-ins that are executed together publish their events as the lines of one message.
        for line in text.lines() {
            // An event that cannot be decoded is from a newer release, and is ignored.
            if let Some(event) = SessionEvent::decode(line) {
                self.local.send(event);
            }
        }
    }

    fn missed(&self) {
        self.local.send(SessionEvent::Missed);
        drop(self.app.send(None));
    }

    /// Checks the subscription. Returns whether the client was replaced.
    async fn check(&mut self) -> bool {
        // Before the subscription: a connection that is opened during it counts at the next check.
        let is_connected_again = has_received(&mut self.connections);
        let result = self.subscribe().await;
        let had_failed = std::mem::replace(&mut self.has_failed, result.is_err());
        if result.is_ok() {
            self.rejections = 0;
        }
        match result {
            Ok(id) if self.subscribed == Some(id) && !is_connected_again => false,
            Ok(id) => {
                if self.subscribed.replace(id).is_none() {
                    log::subscribed(&self.server);
                }
                self.missed();
                false
            }
            Err(error) => {
                if self.subscribed.take().is_some() {
                    log::subscription_lost(&self.server, error.details());
                } else if !had_failed {
                    log::subscription_failed(&self.server, error.details());
                }
                self.may_help(&error) && self.connection.reconnect().await
            }
        }
    }

    /// Whether another connection may help. Against missing rights or commands only in a cluster: a new client may
    /// subscribe at a node that does not lack them. It does so at once, and then at every [`CHECKS_PER_NODE`]th check.
    fn may_help(&mut self, error: &FredError) -> bool {
        if !matches!(ErrorClass::of(error), ErrorClass::Final(_)) {
            return true;
        }
        let rejections = self.rejections;
        self.rejections = rejections.wrapping_add(1);
        self.connection.client.is_clustered() && rejections.is_multiple_of(CHECKS_PER_NODE)
    }

    /// Subscribes, and returns the id of the connection that did.
    async fn subscribe(&self) -> Result<i64, FredError> {
        let client = &self.connection.client;
        client.subscribe(self.channel.clone()).await?;
        // To the node of a cluster to which fred sends `SUBSCRIBE`, see its `commands::pubsub`.
        let node = ClusterHash::Custom(redis_keyslot(client.id().as_bytes()));
        let command = CustomCommand::new_static("CLIENT", node, false);
        let id = client.custom::<i64, Value>(command, vec![Value::from_static_str("ID")]);
        self.connection.within_timeout(id).await
    }
}

/// Takes all that is waiting, and returns whether there was anything.
fn has_received<T: Clone>(receiver: &mut broadcast::Receiver<T>) -> bool {
    let mut has_received = false;
    while let Ok(_) | Err(TryRecvError::Lagged(_)) = receiver.try_recv() {
        has_received = true;
    }
    has_received
}
