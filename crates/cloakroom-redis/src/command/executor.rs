//! Sends commands over one connection, and merges those of concurrent requests.

use std::sync::Arc;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use fred::interfaces::ClientLike;
use fred::types::Value;
use tokio::time::Instant;

use super::eval::{ScriptCall, eval, eval_merged};
use super::plain::{Command, Found, Sent, get_merged, send_together, value_of};
use crate::classify::{Effect, is_moved};
use crate::coalesce::Batcher;
use crate::connection::{CommandClient, Connection, with_remaining_timeout};

/// A connection, and the commands that wait to be merged. Clones share both.
#[derive(Clone)]
pub(crate) struct Executor {
    connection: Connection,
    queues: Arc<Queues>,
}

/// What can be merged, each with the client to send it with.
struct Queues {
    gets: Batcher<(CommandClient, String), Result<Found, FredError>>,
    calls: Batcher<(CommandClient, ScriptCall), Result<Value, FredError>>,
    /// Commands that stay separate, and are only written to the socket together.
    commands: Batcher<(CommandClient, Command), Sent>,
}

impl Executor {
    pub(crate) fn new(connection: Connection) -> Self {
        let queues = Queues {
            gets: Batcher::new(get_merged),
            calls: Batcher::new(eval_merged),
            commands: Batcher::new(send_together),
        };
        Self {
            connection,
            queues: Arc::new(queues),
        }
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs a script: by itself if no other command is in flight, otherwise in one command with those of
    /// the other requests that are ready. A cluster rejects commands whose keys are in several slots.
    pub(crate) async fn run(&self, call: ScriptCall) -> Result<Value, StoreError> {
        self.connection.attach().await;
        let (client, in_flight) = self.connection.begin()?;
        let result = if in_flight.is_only || client.is_clustered() || !call.is_mergeable() {
            eval(client, call).await
        } else {
            let result = self.queues.calls.submit((client, call)).await;
            result.unwrap_or_else(|| Err(shutting_down()))
        };
        self.connection.settle(result, Effect::Write)
    }

    /// Reads a value: with `MGET` under the same conditions, otherwise with `GET`.
    pub(crate) async fn load(&self, key: String) -> Result<Option<Bytes>, StoreError> {
        self.connection.attach().await;
        let (client, in_flight) = self.connection.begin()?;
        let began = Instant::now();
        let result = if in_flight.is_only || client.is_clustered() {
            let get = Command::Get(key);
            self.send_with(client, in_flight.is_only, began, get).await
        } else {
            match self.queues.gets.submit((client.clone(), key)).await {
                Some(Ok(Found::Reply(value))) => Ok(value),
                Some(Ok(Found::NothingOrOtherType(key))) => {
                    let client = Arc::new(with_remaining_timeout(&client, began));
                    Command::Get(key).send(client).await
                }
                Some(Err(error)) => Err(error),
                None => Err(shutting_down()),
            }
        };
        value_of(self.connection.settle(result, Effect::Read)?)
    }

    /// Sends a command that is not merged.
    pub(crate) async fn send(&self, effect: Effect, command: Command) -> Result<Value, StoreError> {
        self.connection.attach().await;
        let (client, in_flight) = self.connection.begin()?;
        let began = Instant::now();
        let result = self.send_with(client, in_flight.is_only, began, command);
        self.connection.settle(result.await, effect)
    }

    /// Sends a command, and again if another node of the cluster has its key: the first node has not
    /// carried it out.
    async fn send_with(
        &self,
        client: CommandClient,
        is_only: bool,
        began: Instant,
        command: Command,
    ) -> Result<Value, FredError> {
        let (command, reply) = if is_only {
            let reply = command.send(client.clone());
            (command, reply)
        } else {
            let sent = self.queues.commands.submit((client.clone(), command)).await;
            sent.ok_or_else(shutting_down)?
        };
        match reply.await {
            Err(error) if is_moved(&error) => {
                let client = with_remaining_timeout(&client, began);
                command.send(Arc::new(client)).await
            }
            result => result,
        }
    }
}

fn shutting_down() -> FredError {
    FredError::new(FredErrorKind::Canceled, "The runtime is shutting down.")
}
