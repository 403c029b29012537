//! The bus between servers: Redis' publish and subscribe.
//!
//! One connection of its own listens for all subscriptions of a store, from the first one on. What it
//! misses is lost, so it must know that it missed something. fred keeps nothing of the answer to
//! `SUBSCRIBE`, so once a second it subscribes anew, which changes nothing where it had, and asks for
//! the connection's own name (`CLIENT ID`) behind that. The answer proves that the connection lives
//! and that the subscription holds; a name that is another one tells that there was a gap.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloakroom_core::bus::{LocalBus, Subscription};
use cloakroom_core::event::SessionEvent;
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::{ClusterHash, CustomCommand, Message, Value};
use fred::util::redis_keyslot;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::connection::Connection;
use crate::event;
use crate::line::{Line, next};

/// How often the subscription is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// The subscriptions of one store. Clones share them; when the last goes, the connection is closed.
#[derive(Clone)]
pub(crate) struct Bus(Arc<Shared>);

struct Shared {
    local: LocalBus,
    channel: String,
    task: Mutex<Option<AbortHandle>>,
}

impl Bus {
    pub(crate) fn new(channel: String) -> Self {
        Self(Arc::new(Shared {
            local: LocalBus::new(),
            channel,
            task: Mutex::default(),
        }))
    }

    pub(crate) fn channel(&self) -> &str {
        &self.0.channel
    }

    /// Begins to listen; the first time, on a connection like that of `connection`.
    pub(crate) fn subscribe(&self, connection: &Connection) -> Subscription {
        let subscription = self.0.local.subscribe();
        let mut task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            let listener = Listener {
                local: self.0.local.clone(),
                channel: self.0.channel.clone(),
                server: connection.address().to_owned(),
                line: Line::open(connection.another_client(), connection.limit()),
                holds: None,
            };
            *task = Some(tokio::spawn(listener.listen()).abort_handle());
        }
        subscription
    }
}

impl Drop for Shared {
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

/// Listens, for as long as the store lives.
struct Listener {
    local: LocalBus,
    channel: String,
    server: String,
    line: Line,
    /// The name of the connection on which the subscription holds.
    holds: Option<i64>,
}

impl Listener {
    async fn listen(mut self) {
        let mut messages = self.line.client.message_rx();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.line.first_connection().await;
        loop {
            tokio::select! {
                message = next(&mut messages) => self.hand_on(message),
                _ = look.tick() => self.look_after().await,
            }
        }
    }

    fn hand_on(&self, message: Option<Message>) {
        let Some(message) = message else {
            return self.local.send(SessionEvent::Missed);
        };
        let text = message.value.as_str();
        // What does not read is of a newer release.
        if let Some(event) = text.and_then(|text| SessionEvent::decode(&text)) {
            self.local.send(event);
        }
    }

    async fn look_after(&mut self) {
        match self.subscribe().await {
            Ok(name) if self.holds == Some(name) => {}
            Ok(name) => {
                if self.holds.replace(name).is_none() {
                    event::listens(&self.server);
                }
                self.local.send(SessionEvent::Missed);
            }
            Err(error) => {
                if self.holds.take().is_some() {
                    event::listens_no_more(&self.server, error.details());
                }
                self.line.reconnect().await;
            }
        }
    }

    /// Subscribes, and gives the name of the connection that has.
    async fn subscribe(&self) -> Result<i64, FredError> {
        let client = &self.line.client;
        client.subscribe(self.channel.clone()).await?;
        // To the same node of a cluster as the subscription, see fred's `commands::pubsub`.
        let node = ClusterHash::Custom(redis_keyslot(client.id().as_bytes()));
        let command = CustomCommand::new_static("CLIENT", node, false);
        let id = client.custom::<i64, Value>(command, vec![Value::from_static_str("ID")]);
        self.line.in_time(id).await
    }
}
