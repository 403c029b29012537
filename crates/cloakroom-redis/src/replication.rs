//! Writes that wait for replicas: each is sent together with `WAIT`, on a connection for such pairs.
//!
//! `WAIT` counts the writes of its own connection, and blocks it. So the connection has no other
//! commands, and one pair at a time: a caller that waits in vain for its turn knows that its write was
//! not sent. In a cluster, a client has one connection per node, and `WAIT` is sent to the node of the
//! key.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::sync::{Mutex, MutexGuard};
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

/// The turn of one write.
pub(crate) struct ReplicatedWrite<'a> {
    replication: &'a Replication,
    client: CommandClient,
    began: Instant,
    /// The reply to `WAIT`.
    count: Option<Result<Value, FredError>>,
    _turn: MutexGuard<'a, ()>,
}

impl Replication {
    pub(crate) fn new(connection: Connection, acks: Acks) -> Self {
        Self {
            connection,
            acks,
            turn: Arc::default(),
        }
    }

    /// Waits for a turn, up to half of a command's timeout. The other half is for the command, and for
    /// the server, which checks ten times a second whether a `WAIT` is complete.
    pub(crate) async fn begin(&self) -> Result<ReplicatedWrite<'_>, StoreError> {
        let began = Instant::now();
        let client = self.connection.client()?;
        let latest = began + self.connection.timeout() / 2;
        let turn = timeout_at(latest, self.turn.lock()).await;
        Ok(ReplicatedWrite {
            replication: self,
            client,
            began,
            count: None,
            _turn: turn.map_err(|_| StoreError::new(StoreErrorKind::Unavailable))?,
        })
    }
}

impl ReplicatedWrite<'_> {
    /// Sends a write and its `WAIT` to the node of `slot`, and again if another node has the slot.
    pub(crate) async fn send(
        &mut self,
        name: &'static str,
        slot: ClusterHash,
        args: Vec<Value>,
    ) -> Result<Value, StoreError> {
        let again = (slot.clone(), args.clone());
        let mut result = self.write_and_wait(name, slot, args).await;
        if matches!(&result, Err(error) if is_moved(error)) {
            result = self.write_and_wait(name, again.0, again.1).await;
        }
        self.replication.connection.settle(result, Effect::Write)
    }

    async fn write_and_wait(
        &mut self,
        name: &'static str,
        slot: ClusterHash,
        args: Vec<Value>,
    ) -> Result<Value, FredError> {
        let Acks { replicas, within } = self.replication.acks;
        let timeout = self.replication.connection.timeout().saturating_add(within);
        let remaining = timeout.saturating_sub(self.began.elapsed());
        let client = with_timeout(&self.client, remaining);
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX).max(1);
        let pipeline = client.pipeline().with_options(client.options());
        let write = CustomCommand::new_static(name, slot.clone(), false);
        let wait = CustomCommand::new_static("WAIT", slot, false);
        let _queued: Value = pipeline.custom(write, args).await?;
        let _queued: Value = pipeline
            .custom(wait, vec![i64::from(replicas), within])
            .await?;
        let mut replies = pipeline.try_all::<Value>().await.into_iter();
        let written = replies.next();
        self.count = replies.next();
        written.unwrap_or_else(|| Ok(Value::Null))
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
