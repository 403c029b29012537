//! Sends commands over one connection, and merges those of concurrent requests.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use fred::interfaces::ClientLike;
use fred::types::Value;
use tokio::time::Instant;

use super::app::{AppCall, AppRan, eval_app, eval_app_merged};
use super::batch::{Waiting, send_in_time};
use super::eval::{Ran, ScriptCall, eval, eval_merged};
use super::node::{Nodes, eval_on_nodes};
use super::plain::{Command, Found, get_merged, send_together, value_of};
use super::publish::{Message, publish, publish_merged};
use crate::classify::{Effect, is_moved};
use crate::coalesce::Batcher;
use crate::connection::{CommandClient, Connection, with_remaining_timeout};

/// A connection, and the commands that wait to be merged. Clones share both.
#[derive(Clone)]
pub(crate) struct Executor {
    connection: Connection,
    queues: Arc<Queues>,
}

/// What can be merged.
struct Queues {
    gets: Batcher<Waiting<String>, Result<Found, FredError>>,
    calls: Batcher<Waiting<ScriptCall>, Result<Ran, FredError>>,
    app_calls: Batcher<Waiting<AppCall>, Result<AppRan, FredError>>,
    /// Those in a cluster, merged for each node.
    node_calls: Batcher<Waiting<ScriptCall>, Result<Ran, FredError>>,
    events: Batcher<Waiting<Message>, Result<Value, FredError>>,
    /// Commands that stay separate, and are only written to the socket together.
    commands: Batcher<Waiting<Command>, Result<Value, FredError>>,
}

impl Executor {
    pub(crate) fn new(connection: Connection) -> Self {
        let nodes = Arc::new(Nodes::default());
        let queues = Queues {
            node_calls: Batcher::with(move |batch| {
                Box::pin(eval_on_nodes(Arc::clone(&nodes), batch))
            }),
            gets: Batcher::new(|batch| Box::pin(send_in_time(batch, get_merged))),
            calls: Batcher::new(|batch| Box::pin(send_in_time(batch, eval_merged))),
            app_calls: Batcher::new(|batch| Box::pin(send_in_time(batch, eval_app_merged))),
            events: Batcher::new(|batch| Box::pin(send_in_time(batch, publish_merged))),
            commands: Batcher::with(|batch| {
                send_together(batch);
                Box::pin(ready(()))
            }),
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
    /// the other requests that are ready, in a cluster with those for the same node.
    pub(crate) async fn run(&self, call: ScriptCall) -> Result<Value, StoreError> {
        self.connection.attach().await;
        let (client, in_flight) = self.connection.begin()?;
        let queue = if client.is_clustered() {
            Some(&self.queues.node_calls)
        } else if self.connection.is_clustered() {
            // The server is in cluster mode, and the client does not know which node has a key.
            None
        } else {
            Some(&self.queues.calls)
        };
        let result = match queue {
            Some(queue) if !in_flight.is_only && call.is_mergeable() => {
                self.run_merged(queue, client, call).await
            }
            _ => eval(client, call).await,
        };
        self.connection.settle(result, Effect::Write)
    }

    /// Runs a script in one command with others, and by itself if it was not run with them: because the server is in cluster
    /// mode, or after long replies.
    async fn run_merged(
        &self,
        queue: &Batcher<Waiting<ScriptCall>, Result<Ran, FredError>>,
        client: CommandClient,
        call: ScriptCall,
    ) -> Result<Value, FredError> {
        let began = Instant::now();
        let waiting = Waiting::new(client.clone(), began, call);
        let ran = queue.submit(waiting).await;
        let call = match ran.unwrap_or_else(|| Err(shutting_down()))? {
            Ran::Reply(value) => return Ok(value),
            Ran::Separately(call) => call,
            Ran::CrossSlot(call) => {
                self.connection.found_cluster_mode();
                call
            }
        };
        let client = Arc::new(with_remaining_timeout(&client, began));
        eval(client, call).await
    }

    /// Runs a script of another crate, under the same conditions in one command with other calls of it.
    pub(crate) async fn run_app(&self, call: AppCall) -> Result<Value, StoreError> {
        self.connection.attach().await;
        let (client, in_flight) = self.connection.begin()?;
        let result = if in_flight.is_only || self.connection.is_clustered() || !call.is_mergeable()
        {
            eval_app(client, call).await
        } else {
            self.run_app_merged(client, call).await
        };
        self.connection.settle(result, Effect::Write)
    }

    /// Runs a script of another crate in one command with other calls of it, and by itself if it was not run with them.
    async fn run_app_merged(
        &self,
        client: CommandClient,
        call: AppCall,
    ) -> Result<Value, FredError> {
        let began = Instant::now();
        let waiting = Waiting::new(client.clone(), began, call);
        let ran = self.queues.app_calls.submit(waiting).await;
        let call = match ran.unwrap_or_else(|| Err(shutting_down()))? {
            AppRan::Reply(value) => return Ok(value),
            AppRan::Separately(call) => call,
            AppRan::CrossSlot(call) => {
                self.connection.found_cluster_mode();
                call
            }
        };
        let client = Arc::new(with_remaining_timeout(&client, began));
        eval_app(client, call).await
    }

    /// Reads a value: with `MGET` if other commands are in flight, otherwise with `GET`. A cluster rejects an `MGET` of keys
    /// in several slots.
    pub(crate) async fn load(&self, key: String) -> Result<Option<Bytes>, StoreError> {
        self.connection.attach().await;
        let (client, in_flight) = self.connection.begin()?;
        let began = Instant::now();
        let result = if in_flight.is_only || self.connection.is_clustered() {
            let get = Command::Get(key);
            self.send_with(client, in_flight.is_only, began, get).await
        } else {
            self.get_merged(client, began, key).await
        };
        value_of(self.connection.settle(result, Effect::Read)?)
    }

    /// Reads a value with `MGET`, and with `GET` if that does not tell what there is.
    async fn get_merged(
        &self,
        client: CommandClient,
        began: Instant,
        key: String,
    ) -> Result<Value, FredError> {
        let waiting = Waiting::new(client.clone(), began, key);
        let found = self.queues.gets.submit(waiting).await;
        let key = match found.unwrap_or_else(|| Err(shutting_down()))? {
            Found::Reply(value) => return Ok(value),
            Found::NothingOrOtherType(key) => key,
            Found::CrossSlot(key) => {
                self.connection.found_cluster_mode();
                key
            }
        };
        let client = Arc::new(with_remaining_timeout(&client, began));
        Command::Get(key).send(client).await
    }

    /// Publishes an event: if other commands are in flight, in one message with other events that are ready.
    pub(crate) async fn publish(&self, message: Message) -> Result<(), StoreError> {
        self.connection.attach().await;
        let (client, in_flight) = self.connection.begin()?;
        let result = if in_flight.is_only {
            Box::pin(publish(client, message)).await
        } else {
            let waiting = Waiting::new(client, Instant::now(), message);
            let published = self.queues.events.submit(waiting).await;
            published.unwrap_or_else(|| Err(shutting_down()))
        };
        self.connection.settle(result, Effect::Write).map(|_| ())
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
        let again = command.clone();
        let result = if is_only {
            command.send(client.clone()).await
        } else {
            let waiting = Waiting::new(client.clone(), began, command);
            let result = self.queues.commands.submit(waiting).await;
            result.unwrap_or_else(|| Err(shutting_down()))
        };
        match result {
            Err(error) if is_moved(&error) => {
                let client = with_remaining_timeout(&client, began);
                again.send(Arc::new(client)).await
            }
            result => result,
        }
    }
}

fn shutting_down() -> FredError {
    FredError::new(FredErrorKind::Canceled, "The runtime is shutting down.")
}
