//! One connection to one server, on which that server tells which keys changed.
//!
//! fred hands on what it hears, but neither that the connection was made anew, and so tells of nothing
//! any more, nor that the whole database was flushed (the message for that names no keys, and fred drops
//! it). So four times in a window the server is asked whether this connection is one that it tells, who
//! it is, and how often it was flushed. The answers come behind all messages before them.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error as FredError, ErrorKind};
use fred::interfaces::{ClientLike, TrackingInterface};
use fred::types::client::Invalidation;
use fred::types::config::Server;
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use crate::event;

/// How long fred may take to connect anew before it is let be.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long after a look that failed the next one comes.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens to one server, for as long as nobody aborts it.
pub(super) struct Line {
    shared: Arc<Shared>,
    server: Server,
    client: Client,
    task: ConnectHandle,
    /// How often the server was flushed, when it last said so; `None` while it tells nothing.
    flushed: Option<u64>,
}

impl Line {
    pub(super) fn open(shared: Arc<Shared>, server: Server, client: Client) -> Self {
        Self {
            task: client.connect(),
            shared,
            server,
            client,
            flushed: None,
        }
    }

    pub(super) async fn listen(mut self) {
        let mut messages = self.client.invalidation_rx();
        drop(timeout(PATIENCE, self.client.wait_for_connect()).await);
        loop {
            let began = Instant::now();
            let looked = {
                let look = look(&self.client, &self.shared);
                tokio::pin!(look);
                loop {
                    tokio::select! {
                        message = next(&mut messages) => self.shared.hear(message),
                        looked = &mut look => break looked,
                    }
                }
            };
            // What came before the answer counts first.
            while let Some(message) = at_once(&mut messages) {
                self.shared.hear(message);
            }
            let pause = match looked {
                Ok(_) => self.shared.beat(),
                Err(_) => PAUSE,
            };
            self.judge(looked, began).await;
            loop {
                tokio::select! {
                    message = next(&mut messages) => self.shared.hear(message),
                    () = sleep_until(began + pause) => break,
                }
            }
        }
    }

    async fn judge(&mut self, looked: Result<Looked, FredError>, began: Instant) {
        let name = self.shared.store.address();
        match looked {
            Ok(Looked { anew, flushed }) => {
                if anew || self.flushed != Some(flushed) {
                    // Only now that it tells: what was remembered before may have changed unheard.
                    self.shared.forget_all();
                }
                if self.flushed.replace(flushed).is_none() {
                    event::near_cache_hears(name);
                }
                let until = began + self.shared.window;
                self.shared.trust.extend(&self.server, Some(until));
            }
            Err(error) => {
                self.shared.trust.extend(&self.server, None);
                self.shared.forget_all();
                if self.flushed.take().is_some() {
                    event::near_cache_hears_no_more(name, error.details());
                }
                // fred reconnects by itself where it knows of the loss.
                let other_server = matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Protocol);
                if other_server && self.client.is_connected() {
                    drop(timeout(PATIENCE, self.client.force_reconnection()).await);
                }
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // fred's task would hold the connection for ever.
        self.task.abort();
    }
}

/// The next message; it waits for ever when the client is gone, and with it the line.
async fn next(messages: &mut Receiver<Invalidation>) -> Result<Invalidation, RecvError> {
    match messages.recv().await {
        Err(RecvError::Closed) => std::future::pending().await,
        message => message,
    }
}

/// The next message, if it is there.
fn at_once(messages: &mut Receiver<Invalidation>) -> Option<Result<Invalidation, RecvError>> {
    match messages.try_recv() {
        Ok(message) => Some(Ok(message)),
        Err(TryRecvError::Lagged(missed)) => Some(Err(RecvError::Lagged(missed))),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

/// What a server says that tells what changes.
struct Looked {
    /// It tells this connection only from now on.
    anew: bool,
    /// How often it was flushed.
    flushed: u64,
}

/// Asks the server whether it tells this connection what changes, and asks it to if it does not.
async fn look(client: &Client, shared: &Shared) -> Result<Looked, FredError> {
    let looking = async {
        let anew = !is_told(client, shared).await?;
        if anew {
            let words = ["TRACKING", "ON", "BCAST", "PREFIX", &shared.tracked];
            ask(client, "CLIENT", &words).await?;
        }
        let role = ask(client, "INFO", &["replication"]).await?;
        if !text(&role).contains("role:master") {
            return Err(unfit("the server is no primary"));
        }
        let commands = ask(client, "INFO", &["commandstats"]).await?;
        let flushed = flushes(&text(&commands));
        Ok(Looked { anew, flushed })
    };
    let looked = timeout(shared.connection.limit(), looking).await;
    looked.unwrap_or_else(|_| Err(FredError::new(ErrorKind::Timeout, "no answer in time")))
}

/// Whether the server tells this connection of every change under the prefix.
async fn is_told(client: &Client, shared: &Shared) -> Result<bool, FredError> {
    let info = ask(client, "CLIENT", &["TRACKINGINFO"]).await?;
    let Value::Map(info) = info else {
        return Err(unfit("the server does not speak RESP3"));
    };
    let holds = |field: &'static str, word: &str| {
        let values = info.get(&field.into()).cloned();
        let values = values.map(Value::into_array).unwrap_or_default();
        values
            .iter()
            .any(|value| value.as_str().as_deref() == Some(word))
    };
    Ok(holds("flags", "on") && holds("flags", "bcast") && holds("prefixes", &shared.tracked))
}

async fn ask(client: &Client, name: &'static str, words: &[&str]) -> Result<Value, FredError> {
    let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
    let words: Vec<Value> = words.iter().map(|&word| word.into()).collect();
    client.custom(command, words).await
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

/// How often `FLUSHDB`, `FLUSHALL` and `SWAPDB` were carried out, by the answer to `INFO commandstats`.
fn flushes(stats: &str) -> u64 {
    let calls = |line: &str| -> Option<u64> {
        let line = line.strip_prefix("cmdstat_")?;
        let (name, rest) = line.split_once(":calls=")?;
        if !matches!(name, "flushdb" | "flushall" | "swapdb") {
            return None;
        }
        rest.split(',').next()?.parse().ok()
    };
    stats.lines().filter_map(calls).sum()
}

fn unfit(why: &'static str) -> FredError {
    FredError::new(ErrorKind::Protocol, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flushes_are_counted_and_nothing_else() {
        let stats = "# Commandstats\r\ncmdstat_set:calls=3,usec=1\r\ncmdstat_flushdb:calls=2,usec=1\r\n\
                     cmdstat_flushall:calls=40,usec=5,failed_calls=0\r\n";
        assert_eq!(flushes(stats), 42);
        assert_eq!(flushes("# Commandstats\r\n"), 0);
    }
}
