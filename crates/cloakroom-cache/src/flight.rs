//! Reads that are under way: requests for one key share one.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{CacheError, CacheErrorKind};
use crate::hash::KeyHash;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a read returns: the value, or that there is none.
pub(crate) type ReadResult<V> = Result<Option<Arc<V>>, CacheError>;

/// The reads under way, bounded in number.
#[derive(Debug)]
pub(crate) struct Flights<V> {
    flights: Mutex<HashMap<KeyHash, Flight<V>>>,
    next: AtomicU64,
    max: usize,
}

#[derive(Debug)]
struct Flight<V> {
    id: u64,
    began: Instant,
    result: Receiver<V>,
}

type Receiver<V> = watch::Receiver<Option<ReadResult<V>>>;

/// A read of a key that the caller waits for.
pub(crate) enum Joined<V> {
    /// Somebody else has started it.
    Existing(Waiting<V>),
    /// The caller has to start it.
    New(Waiting<V>, Running<V>),
    /// Too many are under way.
    Full,
}

/// The result of a read under way.
#[derive(Debug)]
pub(crate) struct Waiting<V>(Receiver<V>);

/// A read that its task has to finish. If it is dropped before, those who wait get an error.
#[derive(Debug)]
pub(crate) struct Running<V> {
    flights: Arc<Flights<V>>,
    key: KeyHash,
    id: u64,
    result: watch::Sender<Option<ReadResult<V>>>,
}

impl<V> Flights<V> {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            flights: Mutex::default(),
            next: AtomicU64::new(0),
            max,
        }
    }

    /// Joins the read of a key that is under way, or begins one. A read that is older than `max_age` is not
    /// joined: its task may be in a runtime that does not run.
    pub(crate) fn join(self: &Arc<Self>, key: KeyHash, max_age: Duration) -> Joined<V> {
        let now = Instant::now();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = watch::channel(None);
        let flight = Flight {
            id,
            began: now,
            result: receiver.clone(),
        };
        let replaced = {
            let mut flights = self.lock();
            match flights.get(&key) {
                Some(flight) if now < flight.began + max_age => {
                    return Joined::Existing(Waiting(flight.result.clone()));
                }
                None if flights.len() >= self.max => return Joined::Full,
                _ => flights.insert(key, flight),
            }
        };
        // Its result may be the last reference to a value, which must not be dropped under the lock.
        drop(replaced);
        let running = Running {
            flights: Arc::clone(self),
            key,
            id,
            result: sender,
        };
        Joined::New(Waiting(receiver), running)
    }

    /// Lets nobody join the read of a key any more: what it returns may be older than a change.
    pub(crate) fn detach(&self, key: KeyHash) {
        let detached = self.lock().remove(&key);
        drop(detached);
    }

    /// The same for all keys.
    pub(crate) fn detach_all(&self) {
        let detached = std::mem::take(&mut *self.lock());
        drop(detached);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, Flight<V>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Waiting<V> {
    /// Waits for the result.
    pub(crate) async fn result(mut self) -> ReadResult<V> {
        match self.0.wait_for(Option::is_some).await {
            Ok(result) => match &*result {
                Some(result) => result.clone(),
                None => Err(lost()),
            },
            Err(_) => Err(lost()),
        }
    }
}

impl<V> Running<V> {
    /// Gives the result to all who wait. Requests that come later read again: by then it may have changed.
    pub(crate) fn finish(self, result: ReadResult<V>) {
        self.unregister();
        self.result.send_replace(Some(result));
    }

    /// Lets nobody join any more.
    fn unregister(&self) {
        let removed = {
            let mut flights = self.flights.lock();
            let is_own = flights
                .get(&self.key)
                .is_some_and(|flight| flight.id == self.id);
            if is_own {
                flights.remove(&self.key)
            } else {
                None
            }
        };
        drop(removed);
    }
}

impl<V> Drop for Running<V> {
    fn drop(&mut self) {
        self.unregister();
    }
}

/// The loader has panicked, or its runtime has ended.
fn lost() -> CacheError {
    CacheError::new(CacheErrorKind::LoaderFailed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::KeyHasher;

    const AGE: Duration = Duration::from_secs(60);

    fn key(number: u64) -> KeyHash {
        KeyHasher::new(b"secret", "test").hash(&number)
    }

    fn begin(flights: &Arc<Flights<u64>>, number: u64) -> (Waiting<u64>, Running<u64>) {
        match flights.join(key(number), AGE) {
            Joined::New(waiting, running) => (waiting, running),
            _ => panic!("it is not under way"),
        }
    }

    #[tokio::test]
    async fn a_read_is_shared_until_it_is_finished() {
        let flights = Arc::new(Flights::new(10));
        let (first, running) = begin(&flights, 1);
        let Joined::Existing(second) = flights.join(key(1), AGE) else {
            panic!("it is under way");
        };
        running.unregister();
        let next = begin(&flights, 1);
        running.finish(Ok(Some(Arc::new(7))));
        assert!(matches!(flights.join(key(1), AGE), Joined::Existing(_)));
        drop(next);
        for waiting in [first, second] {
            assert_eq!(waiting.result().await.unwrap().as_deref(), Some(&7));
        }
        drop(begin(&flights, 1));
    }

    #[tokio::test]
    async fn a_read_from_before_a_change_is_not_joined_and_does_not_end_the_next_one() {
        let flights = Arc::new(Flights::new(10));
        let (_, before) = begin(&flights, 1);
        flights.detach(key(1));
        let (_, after) = begin(&flights, 1);
        before.finish(Ok(None));
        assert!(matches!(flights.join(key(1), AGE), Joined::Existing(_)));
        flights.detach_all();
        drop(begin(&flights, 1));
        drop(after);
    }

    #[tokio::test]
    async fn a_read_whose_task_is_gone_is_an_error_and_can_be_repeated() {
        let flights = Arc::new(Flights::new(10));
        let (waiting, running) = begin(&flights, 1);
        drop(running);
        let error = waiting.result().await.unwrap_err();
        assert_eq!(error.kind(), CacheErrorKind::LoaderFailed);
        drop(begin(&flights, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_read_is_not_joined_and_their_number_is_bounded() {
        let flights = Arc::new(Flights::new(2));
        let first = begin(&flights, 1);
        tokio::time::advance(AGE).await;
        let second = begin(&flights, 1);
        drop(first);
        let third = begin(&flights, 2);
        assert!(matches!(flights.join(key(3), AGE), Joined::Full));
        assert!(matches!(flights.join(key(2), AGE), Joined::Existing(_)));
        drop(second);
        drop(begin(&flights, 3));
        drop(third);
    }
}
