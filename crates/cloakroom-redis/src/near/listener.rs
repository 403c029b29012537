//! One connection to one server, on which that server tells which keys changed.
//!
//! fred hands on what it hears, but neither that the connection was made anew, and so tells of nothing
//! any more, nor that the whole database was flushed (the message for that names no keys, and fred drops
//! it). So four times in a window the server is asked whether this connection is one that it tells, who
//! it is, and how often it was flushed. The answers come behind all messages before them.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::{Error as FredError, ErrorKind};
use fred::interfaces::{ClientLike, TrackingInterface};
use fred::types::client::Invalidation;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, sleep_until};

use super::shared::Shared;
use super::trust::Node;
use crate::event;
use crate::health::Told;
use crate::line::{Line, next};

/// How long after a look that failed the next one comes.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens to one server, for as long as nobody aborts it.
pub(super) struct Listener {
    pub(super) shared: Arc<Shared>,
    pub(super) node: Node,
    pub(super) line: Line,
    /// How often the server was flushed, when it last said so; `None` while it tells nothing.
    pub(super) flushed: Option<u64>,
}

impl Listener {
    pub(super) async fn listen(mut self) {
        let mut messages = self.line.client.invalidation_rx();
        self.line.first_connection().await;
        loop {
            let began = Instant::now();
            let looked = {
                let look = self.line.in_time(look(&self.line.client, &self.shared));
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
                self.shared.trust.extend(&self.node, Some(until));
            }
            Err(error) => {
                self.shared.trust.extend(&self.node, None);
                self.shared.forget_all();
                if self.flushed.take().is_some() {
                    event::near_cache_hears_no_more(name, error.details());
                }
                // Another server may be there by now; a right that is missing stays missing.
                if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Protocol) {
                    self.line.reconnect().await;
                }
            }
        }
    }
}

/// The next message, if it is there; within, `None` if some were missed.
fn at_once(messages: &mut Receiver<Invalidation>) -> Option<Option<Invalidation>> {
    match messages.try_recv() {
        Ok(message) => Some(Some(message)),
        Err(TryRecvError::Lagged(_)) => Some(None),
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
async fn look(client: &WithOptions<Client>, shared: &Shared) -> Result<Looked, FredError> {
    let anew = !is_told(client, shared).await?;
    if anew {
        let words = ["TRACKING", "ON", "BCAST", "PREFIX", &shared.tracked];
        ask(client, "CLIENT", &words).await?;
    }
    let role = ask(client, "INFO", &["replication"]).await?;
    if !Told(&text(&role)).is("role", "master") {
        return Err(unfit("the server is no primary"));
    }
    let commands = ask(client, "INFO", &["commandstats"]).await?;
    let flushed = flushes(&Told(&text(&commands)));
    Ok(Looked { anew, flushed })
}

/// Whether the server tells this connection of every change under the prefix.
async fn is_told(client: &WithOptions<Client>, shared: &Shared) -> Result<bool, FredError> {
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

async fn ask(
    client: &WithOptions<Client>,
    name: &'static str,
    words: &[&str],
) -> Result<Value, FredError> {
    let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
    let words: Vec<Value> = words.iter().map(|&word| word.into()).collect();
    client.custom(command, words).await
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

/// How often `FLUSHDB`, `FLUSHALL` and `SWAPDB` were carried out, by the answer to `INFO commandstats`.
fn flushes(stats: &Told<'_>) -> u64 {
    let calls = |name: &str| -> Option<u64> {
        let calls = stats.text(name)?.strip_prefix("calls=")?;
        calls.split(',').next()?.parse().ok()
    };
    ["cmdstat_flushdb", "cmdstat_flushall", "cmdstat_swapdb"]
        .into_iter()
        .filter_map(calls)
        .sum()
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
        assert_eq!(flushes(&Told(stats)), 42);
        assert_eq!(flushes(&Told("# Commandstats\r\n")), 0);
    }
}
