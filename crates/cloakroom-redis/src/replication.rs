//! Writes that wait for replicas: each is sent together with `WAIT`, on a connection for such pairs.
//!
//! `WAIT` counts the writes of its own connection, and blocks it. So the connection has no other
//! commands but the probe's, and one pair at a time: a caller that waits in vain for its turn knows that
//! its write was not sent. In a cluster, a client has one connection per node, and `WAIT` is sent to the
//! node of the key.
//!
//! Each pair waits and is sent in a task of its own. A caller's future may be held without being polled (as
//! in a `select!`); if it held the turn, or were the next to get it, all others would wait for it.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::classify::{Effect, is_moved};
use crate::connection::{CommandClient, Connection, with_timeout};
use crate::error::{not_replicated, unexpected_reply};

/// How many replicas must acknowledge a write, and how long to wait for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acks {
    pub(crate) replicas: u32,
    pub(crate) within: Duration,
}

/// The connection for writes that wait for replicas.
#[derive(Clone, Debug)]
pub(crate) struct Replication {
    connection: Connection,
    acks: Acks,
    turn: Arc<Mutex<()>>,
}

/// One write.
pub(crate) struct ReplicatedWrite<'a> {
    replication: &'a Replication,
    client: CommandClient,
    began: Instant,
    /// The reply to `WAIT`.
    count: Option<Result<Value, FredError>>,
}

/// A write and its `WAIT`, to be sent.
struct Pair {
    client: CommandClient,
    name: &'static str,
    slot: ClusterHash,
    args: Vec<Value>,
    acks: Acks,
    /// When its last reply must be there.
    until: Instant,
}

/// The replies to a pair.
struct Replies {
    written: Result<Value, FredError>,
    count: Option<Result<Value, FredError>>,
}

impl Replication {
    pub(crate) fn new(connection: Connection, acks: Acks) -> Self {
        Self {
            connection,
            acks,
            turn: Arc::default(),
        }
    }

    /// Begins a write. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `Unavailable` while the server counts as down, and with too many commands in flight.
    pub(crate) async fn begin(&self) -> Result<ReplicatedWrite<'_>, StoreError> {
        self.connection.attach().await;
        Ok(ReplicatedWrite {
            replication: self,
            client: self.connection.client()?,
            began: Instant::now(),
            count: None,
        })
    }
}

impl ReplicatedWrite<'_> {
    /// Sends a write and its `WAIT` to the node of `slot`, and again if another node has the slot. Waits
    /// for a turn before, up to half of a command's timeout: the other half is for the command, and for
    /// the server, which checks ten times a second whether a `WAIT` is complete.
    ///
    /// # Errors
    ///
    /// `Unavailable` without a turn; otherwise those of the command.
    pub(crate) async fn send(
        &mut self,
        name: &'static str,
        slot: ClusterHash,
        args: Vec<Value>,
    ) -> Result<Value, StoreError> {
        let Replication {
            connection,
            acks,
            turn,
        } = self.replication;
        let latest = self.began + connection.timeout() / 2;
        let timeout = connection.timeout().saturating_add(acks.within);
        let pair = Pair {
            client: Arc::clone(&self.client),
            name,
            slot,
            args,
            acks: *acks,
            until: self.began + timeout,
        };
        let turn = Arc::clone(turn);
        // The set aborts the task when this future is dropped.
        let mut task = JoinSet::new();
        task.spawn(async move {
            let turn = timeout_at(latest, turn.lock_owned()).await.ok()?;
            let replies = pair.send_and_follow().await;
            drop(turn);
            Some(replies)
        });
        match task.join_next().await {
            Some(Ok(Some(replies))) => {
                self.count = replies.count;
                connection.settle(replies.written, Effect::Write)
            }
            // There was no turn.
            Some(Ok(None)) => Err(StoreError::new(StoreErrorKind::Unavailable)),
            // The runtime is shutting down.
            Some(Err(_)) | None => Err(StoreError::new(StoreErrorKind::OutcomeUnknown)),
        }
    }

    /// Checks that enough replicas have the write, which was carried out.
    pub(crate) fn acknowledged(self) -> Result<(), StoreError> {
        let wanted = self.replication.acks.replicas;
        match self.count {
            Some(Ok(Value::Integer(count))) if count >= i64::from(wanted) => Ok(()),
            Some(Ok(Value::Integer(count))) => {
                Err(not_replicated(&format!("{count} of {wanted} replicas")))
            }
            Some(Err(error)) => Err(not_replicated(error.details())),
            Some(Ok(_)) | None => Err(unexpected_reply(Effect::Write)),
        }
    }
}

impl Pair {
    async fn send_and_follow(self) -> Replies {
        let replies = self.send().await;
        match &replies.written {
            Err(error) if is_moved(error) => self.send().await,
            _ => replies,
        }
    }

    async fn send(&self) -> Replies {
        match self.try_send().await {
            Ok(replies) => replies,
            Err(error) => Replies {
                written: Err(error),
                count: None,
            },
        }
    }

    async fn try_send(&self) -> Result<Replies, FredError> {
        let remaining = self.until.saturating_duration_since(Instant::now());
        let client = with_timeout(&self.client, remaining);
        let within = i64::try_from(self.acks.within.as_millis()).unwrap_or(i64::MAX);
        let pipeline = client.pipeline().with_options(client.options());
        let write = CustomCommand::new_static(self.name, self.slot.clone(), false);
        let wait = CustomCommand::new_static("WAIT", self.slot.clone(), false);
        let _queued: Value = pipeline.custom(write, self.args.clone()).await?;
        let _queued: Value = pipeline
            .custom(wait, vec![i64::from(self.acks.replicas), within.max(1)])
            .await?;
        let mut replies = pipeline.try_all::<Value>().await.into_iter();
        let written = replies.next().unwrap_or(Ok(Value::Null));
        let count = replies.next();
        Ok(Replies { written, count })
    }
}
