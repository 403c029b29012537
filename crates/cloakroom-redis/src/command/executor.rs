//! Sends commands over one connection, and merges those of concurrent requests.

use std::sync::Arc;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::clients::{Client, WithOptions};
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{CustomCommand, Value};
use tokio::time::Instant;

use super::args::{Args, slot_of};
use super::eval::{ScriptCall, run_merged};
use super::get::{Found, Get, get, get_merged};
use super::script::Script;
use crate::classify::{Effect, is_moved};
use crate::coalesce::{Batcher, BoxFuture};
use crate::connection::{Connection, with_remaining_timeout};

/// A connection, and the commands that wait to be merged. Clones share both.
#[derive(Clone)]
pub(crate) struct Executor {
    connection: Connection,
    queues: Arc<Queues>,
}

struct Queues {
    gets: Batcher<Get, Result<Found, FredError>>,
    calls: Batcher<ScriptCall, Result<Value, FredError>>,
}

impl Executor {
    pub(crate) fn new(connection: Connection) -> Self {
        let queues = Queues {
            gets: Batcher::new(get_merged),
            calls: Batcher::new(run_merged),
        };
        Self {
            connection,
            queues: Arc::new(queues),
        }
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs a script, in one command with those of other requests if some are in flight.
    pub(super) async fn run(
        &self,
        script: &'static Script,
        args: Args,
    ) -> Result<Value, StoreError> {
        let call = ScriptCall {
            client: self.connection.client()?,
            timeout: self.connection.timeout(),
            script,
            args,
        };
        let in_flight = self.connection.in_flight().enter();
        let result = if in_flight.is_only || !call.is_mergeable() {
            call.run().await
        } else {
            let result = self.queues.calls.submit(call).await;
            result.unwrap_or_else(|| Err(shutting_down()))
        };
        self.connection.settle(result, Effect::Write)
    }

    /// Reads a value: with `GET`, or with `MGET` together with those of other requests if some are in
    /// flight. A cluster rejects commands whose keys are in several slots.
    pub(crate) async fn load(&self, key: String) -> Result<Option<Bytes>, StoreError> {
        let client = self.connection.client()?;
        if self.connection.in_flight().count() == 0 || client.is_clustered() {
            return self
                .send(Effect::Read, |client| get(client, key.clone()))
                .await;
        }
        let _in_flight = self.connection.in_flight().enter();
        let began = Instant::now();
        let request = Get {
            client: client.clone(),
            key,
        };
        let result = match self.queues.gets.submit(request).await {
            Some(Ok(Found::Value(value))) => Ok(Some(value)),
            Some(Ok(Found::Nothing)) => Ok(None),
            Some(Ok(Found::NothingOrOtherType(key))) => {
                let timeout = self.connection.timeout();
                let client = with_remaining_timeout(&client, timeout, began);
                get(Arc::new(client), key).await
            }
            Some(Err(error)) => Err(error),
            None => Err(shutting_down()),
        };
        self.connection.settle(result, Effect::Read)
    }

    /// Sends a command, and again if another node of the cluster has its key.
    pub(super) async fn send<T>(
        &self,
        effect: Effect,
        command: impl Fn(Arc<WithOptions<Client>>) -> BoxFuture<Result<T, FredError>>,
    ) -> Result<T, StoreError> {
        let client = self.connection.client()?;
        let _in_flight = self.connection.in_flight().enter();
        let began = Instant::now();
        let mut result = command(client.clone()).await;
        if matches!(&result, Err(error) if is_moved(error)) {
            let client = with_remaining_timeout(&client, self.connection.timeout(), began);
            result = command(Arc::new(client)).await;
        }
        self.connection.settle(result, effect)
    }

    /// The same, for a command on one key for which fred has no method.
    pub(super) async fn send_custom(
        &self,
        effect: Effect,
        name: &'static str,
        key: &str,
        args: Vec<Value>,
    ) -> Result<Value, StoreError> {
        let command = |client: Arc<WithOptions<Client>>| -> BoxFuture<_> {
            let command = CustomCommand::new_static(name, slot_of(key), false);
            let args = args.clone();
            Box::pin(async move { client.custom(command, args).await })
        };
        self.send(effect, command).await
    }
}

fn shutting_down() -> FredError {
    FredError::new(FredErrorKind::Canceled, "The runtime is shutting down.")
}
