//! Commands that wait until a batch is executed. Their time limit counts from when they were submitted.

use std::time::Duration;

use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use tokio::time::Instant;

use crate::coalesce::BoxFuture;
use crate::connection::{CommandClient, with_timeout};

/// A wait that is too short to be subtracted from a timeout.
const SHORT: Duration = Duration::from_millis(1);

/// A command with less than this part of its timeout left is not sent. A merged command has the time that its oldest
/// part has left: with less of it, the others would fail as well, and writes among them with an unknown outcome.
const MIN_PART: u32 = 4;

/// A command that waits, and the client to send it with.
pub(super) struct Waiting<T> {
    client: CommandClient,
    began: Instant,
    command: T,
}

impl<T> Waiting<T> {
    pub(super) fn new(client: CommandClient, began: Instant, command: T) -> Self {
        Self {
            client,
            began,
            command,
        }
    }

    pub(super) const fn client(&self) -> &CommandClient {
        &self.client
    }

    pub(super) const fn command(&self) -> &T {
        &self.command
    }

    /// Returns the command, and a client with what remains of the timeout.
    ///
    /// # Errors
    ///
    /// If that is too little.
    pub(super) fn in_time(self, now: Instant) -> Result<(CommandClient, T), FredError> {
        if now.saturating_duration_since(self.began) < SHORT {
            return Ok((self.client, self.command));
        }
        let left = self.remaining(now).ok_or_else(too_late)?;
        let client = CommandClient::new(with_timeout(&self.client, left));
        Ok((client, self.command))
    }

    /// What remains of the timeout; `None` if that is too little.
    fn remaining(&self, now: Instant) -> Option<Duration> {
        let timeout = self.client.options().timeout?;
        let remaining = timeout.checked_sub(now.saturating_duration_since(self.began))?;
        (remaining >= timeout / MIN_PART).then_some(remaining)
    }
}

/// Sends the commands of a batch with what remains of their timeout. Those that have less than a quarter of it left
/// fail without being sent. `send_all` returns one result per command, in their order.
pub(super) async fn send_in_time<T, R>(
    batch: Vec<Waiting<T>>,
    send_all: impl FnOnce(CommandClient, Vec<T>) -> BoxFuture<Vec<Result<R, FredError>>>,
) -> Vec<Result<R, FredError>> {
    let now = Instant::now();
    let Some(client) = batch.last().map(|newest| newest.client.clone()) else {
        return Vec::new();
    };
    let waited = batch
        .iter()
        .map(|one| now.saturating_duration_since(one.began));
    if waited.max().unwrap_or_default() < SHORT {
        let commands = batch.into_iter().map(|one| one.command).collect();
        return send_all(client, commands).await;
    }
    let remaining: Vec<_> = batch.iter().map(|one| one.remaining(now)).collect();
    let in_time = batch.into_iter().zip(&remaining);
    let in_time = in_time.filter(|(_, remaining)| remaining.is_some());
    let commands = in_time.map(|(one, _)| one.command).collect();
    let left = remaining.iter().flatten().min().copied();
    let client = CommandClient::new(with_timeout(&client, left.unwrap_or_default()));
    let mut results = send_all(client, commands).await.into_iter();
    let result = |remaining: &Option<Duration>| {
        let result = remaining.and_then(|_| results.next());
        result.unwrap_or_else(|| Err(too_late()))
    };
    remaining.iter().map(result).collect()
}

/// A kind of error that says that the command was not sent.
fn too_late() -> FredError {
    let text = "The command waited for most of its timeout, and was not sent.";
    FredError::new(FredErrorKind::Backpressure, text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fred::clients::Client;
    use fred::interfaces::ClientLike;
    use fred::types::config::Options;

    use super::*;
    use crate::classify::ErrorClass;

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Returns each item and the timeout with which it is sent.
    fn with_timeouts(
        client: CommandClient,
        items: Vec<u8>,
    ) -> BoxFuture<Vec<Result<(u8, Duration), FredError>>> {
        let timeout = client.options().timeout.expect("there is one");
        Box::pin(async move { items.into_iter().map(|item| Ok((item, timeout))).collect() })
    }

    fn batch(waited: &[Duration]) -> Vec<Waiting<u8>> {
        let options = Options {
            timeout: Some(TIMEOUT),
            ..Options::default()
        };
        let client = Arc::new(Client::default().with_options(&options));
        let now = Instant::now();
        let waiting = (0..).zip(waited).map(|(item, waited)| {
            let began = now.checked_sub(*waited).expect("the clock runs for longer");
            Waiting::new(client.clone(), began, item)
        });
        waiting.collect()
    }

    #[tokio::test]
    async fn a_batch_that_did_not_wait_has_the_whole_timeout() {
        let results = send_in_time(batch(&[Duration::ZERO; 2]), with_timeouts).await;
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert!(results.iter().map(|(item, _)| *item).eq(0..2));
        assert!(results.iter().all(|(_, timeout)| *timeout <= TIMEOUT));
        assert!(results.iter().all(|(_, timeout)| *timeout > TIMEOUT / 2));
    }

    #[tokio::test]
    async fn a_timeout_counts_from_the_submission_and_later_nothing_is_sent() {
        let waited = [TIMEOUT * 2, TIMEOUT / 2, TIMEOUT, Duration::ZERO];
        let results = send_in_time(batch(&waited), with_timeouts).await;
        let [Err(first), Ok(second), Err(third), Ok(fourth)] = results.as_slice() else {
            panic!("{results:?}");
        };
        assert_eq!((second.0, fourth.0), (1, 3));
        assert!(second.1 <= TIMEOUT / 2 && fourth.1 <= TIMEOUT / 2);
        for error in [first, third] {
            assert_eq!(ErrorClass::of(error), ErrorClass::NeverSent);
        }
    }

    #[tokio::test]
    async fn a_command_that_is_sent_by_itself_has_what_is_left_of_its_timeout() {
        let waited = batch(&[TIMEOUT * 2, TIMEOUT / 2, Duration::ZERO]);
        let now = Instant::now();
        let sent = waited.into_iter().map(|one| one.in_time(now));
        let timeouts: Vec<_> = sent
            .map(|sent| sent.map(|(client, _)| client.options().timeout.expect("there is one")))
            .collect();
        let [Err(late), Ok(half), Ok(whole)] = timeouts.as_slice() else {
            panic!("{timeouts:?}");
        };
        assert_eq!(ErrorClass::of(late), ErrorClass::NeverSent);
        assert!(*half <= TIMEOUT / 2 && *half >= TIMEOUT / 4);
        assert!(*whole > TIMEOUT / 2);
    }

    #[tokio::test]
    async fn a_command_that_waited_long_does_not_shorten_the_time_of_the_others() {
        let waited = [TIMEOUT * 4 / 5, Duration::ZERO, TIMEOUT * 3 / 5];
        let results = send_in_time(batch(&waited), with_timeouts).await;
        let [Err(late), Ok(fresh), Ok(older)] = results.as_slice() else {
            panic!("{results:?}");
        };
        assert_eq!(ErrorClass::of(late), ErrorClass::NeverSent);
        assert_eq!((fresh.0, older.0), (1, 2));
        for (_, timeout) in [fresh, older] {
            assert!(*timeout >= TIMEOUT / 4 && *timeout <= TIMEOUT * 2 / 5);
        }
    }
}
