//! Writes that wait for replicas: each goes together with its `WAIT`, on a connection kept for that.
//!
//! `WAIT` counts the writes of its own connection, and blocks it. So no other command shares the
//! connection, and one pair is under way at a time: who cannot have its turn in time has not been
//! sent, and knows it. In a cluster, a client has one connection per node, and the `WAIT` is sent to
//! the node of the key.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use crate::connection::Connection;
use crate::error::{not_replicated, strange_answer};
use crate::verdict::{self, Effect};

/// How many replicas must have a write, and for how long it waits for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) replicas: u32,
    pub(crate) within: Duration,
}

/// The connection for writes that wait.
#[derive(Clone, Debug)]
pub(crate) struct Replicas {
    connection: Connection,
    wanted: Wanted,
    turn: Arc<Mutex<()>>,
}

/// A write that has its turn.
pub(crate) struct Sending<'a> {
    replicas: &'a Replicas,
    client: Arc<WithOptions<Client>>,
    deadline: Instant,
    /// What `WAIT` has answered.
    counted: Option<Result<Value, FredError>>,
    _turn: MutexGuard<'a, ()>,
}

impl Replicas {
    pub(crate) fn new(connection: Connection, wanted: Wanted) -> Self {
        Self {
            connection,
            wanted,
            turn: Arc::default(),
        }
    }

    /// Waits for a turn, for half of a command's time limit. The other half is for the command, and for
    /// the server, which looks ten times a second whether a `WAIT` is over.
    pub(crate) async fn begin(&self) -> Result<Sending<'_>, StoreError> {
        let (began, limit) = (Instant::now(), self.connection.limit());
        let deadline = began + limit + self.wanted.within;
        let client = self.connection.client()?;
        let turn = timeout_at(began + limit / 2, self.turn.lock()).await;
        Ok(Sending {
            replicas: self,
            client,
            deadline,
            counted: None,
            _turn: turn.map_err(|_| StoreError::new(StoreErrorKind::Unavailable))?,
        })
    }
}

impl Sending<'_> {
    /// Sends a write and its `WAIT` to the node of `slot`; once more, if another node has the slot.
    pub(crate) async fn send(
        &mut self,
        name: &'static str,
        slot: ClusterHash,
        words: Vec<Value>,
    ) -> Result<Value, StoreError> {
        let again = (slot.clone(), words.clone());
        let mut result = self.write_and_wait(name, slot, words).await;
        if matches!(&result, Err(error) if verdict::is_elsewhere(error)) {
            result = self.write_and_wait(name, again.0, again.1).await;
        }
        self.replicas.connection.settle(result, Effect::Write)
    }

    async fn write_and_wait(
        &mut self,
        name: &'static str,
        slot: ClusterHash,
        words: Vec<Value>,
    ) -> Result<Value, FredError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let options = Options {
            // Never zero, which means "no limit".
            timeout: Some(left.max(Duration::from_millis(1))),
            ..self.client.options().clone()
        };
        let Wanted { replicas, within } = self.replicas.wanted;
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX).max(1);
        // Through the plain client: options on options would be laid over each other.
        let pipeline = (**self.client).pipeline().with_options(&options);
        let write = CustomCommand::new_static(name, slot.clone(), false);
        let wait = CustomCommand::new_static("WAIT", slot, false);
        let _queued: Value = pipeline.custom(write, words).await?;
        let _queued: Value = pipeline
            .custom(wait, vec![i64::from(replicas), within])
            .await?;
        let mut answers = pipeline.try_all::<Value>().await.into_iter();
        let written = answers.next();
        self.counted = answers.next();
        written.unwrap_or_else(|| Ok(Value::Null))
    }

    /// Whether enough replicas have the write, which was carried out.
    pub(crate) fn replicated(self) -> Result<(), StoreError> {
        let wanted = self.replicas.wanted.replicas;
        match self.counted {
            Some(Ok(Value::Integer(count))) if count >= i64::from(wanted) => Ok(()),
            Some(Ok(Value::Integer(count))) => {
                Err(not_replicated(&format!("{count} of {wanted} replicas")))
            }
            Some(Err(error)) => Err(not_replicated(error.details())),
            Some(Ok(_)) | None => Err(strange_answer(Effect::Write)),
        }
    }
}
