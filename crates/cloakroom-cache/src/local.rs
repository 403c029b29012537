//! Copies in the memory of this process, and the rules that keep stale ones out.

use std::hash::RandomState;

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, Weighter};
use tokio::time::Instant;

use crate::hash::KeyHash;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};

/// All keys share this number of slots. A change of one key makes the copies of its slot invalid.
const SLOTS: usize = 4096;

/// What a copy takes besides the JSON of its value, approximately.
const PER_COPY: usize = 256;

/// Copies of values, bounded in bytes.
///
/// A copy is valid only for the version of its slot that was current before it was requested. So a reply that was
/// under way while its key has changed cannot be used, whenever it is inserted.
#[derive(Debug)]
pub(crate) struct Local<V> {
    copies: Cache<KeyHash, Copy<V>, Weight, RandomState, DropLater>,
    versions: Box<[AtomicU64]>,
}

#[derive(Debug)]
struct Copy<V> {
    value: Option<Arc<V>>,
    version: u64,
    until: Instant,
    len: usize,
}

impl<V> Clone for Copy<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

/// The changes of the keys of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl<V> Local<V> {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let estimated = usize::try_from(max_bytes / 1024).unwrap_or(usize::MAX);
        Self {
            copies: Cache::with(
                estimated.clamp(16, 1 << 20),
                max_bytes,
                Weight,
                RandomState::new(),
                DropLater,
            ),
            versions: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Returns a valid copy: the value, or that there is none.
    pub(crate) fn get(&self, key: KeyHash, now: Instant) -> Option<Option<Arc<V>>> {
        let copy = self.copies.get(&key)?;
        if now < copy.until && copy.version == self.version(key).0 {
            Some(copy.value)
        } else {
            None
        }
    }

    /// Returns the version to pass to [`insert`](Self::insert). It must be taken before the value is requested.
    pub(crate) fn version(&self, key: KeyHash) -> Version {
        Version(self.slot(key).load(Ordering::Acquire))
    }

    /// Keeps a copy, of a value with this length as JSON.
    pub(crate) fn insert(
        &self,
        key: KeyHash,
        version: Version,
        value: Option<Arc<V>>,
        len: usize,
        until: Instant,
    ) {
        // Otherwise it would evict a copy for one that is not used.
        if version == self.version(key) && Instant::now() < until {
            let copy = Copy {
                value,
                version: version.0,
                until,
                len,
            };
            self.copies.insert(key, copy);
        }
    }

    /// Makes the copy of a key invalid, and those that are under way.
    pub(crate) fn invalidate(&self, key: KeyHash) {
        self.slot(key).fetch_add(1, Ordering::AcqRel);
        drop(self.copies.remove(&key));
    }

    /// Makes all copies invalid, and those that are under way.
    pub(crate) fn clear(&self) {
        for version in &self.versions {
            version.fetch_add(1, Ordering::AcqRel);
        }
        // One by one: `clear` would drop the values under a lock.
        for (key, copy) in self.copies.iter() {
            drop(self.copies.remove(&key));
            drop(copy);
        }
    }

    fn slot(&self, key: KeyHash) -> &AtomicU64 {
        let [high, low, ..] = *key.as_bytes();
        &self.versions[usize::from(u16::from_be_bytes([high, low])) % SLOTS]
    }
}

#[derive(Clone, Debug)]
struct Weight;

impl<V> Weighter<KeyHash, Copy<V>> for Weight {
    fn weight(&self, _: &KeyHash, copy: &Copy<V>) -> u64 {
        (PER_COPY + copy.len) as u64
    }
}

/// Drops evicted values after the cache has released its lock: their destructors are code of the app.
#[derive(Clone, Debug)]
struct DropLater;

impl<V> Lifecycle<KeyHash, Copy<V>> for DropLater {
    type RequestState = Vec<Copy<V>>;

    fn on_evict(&self, evicted: &mut Self::RequestState, _: KeyHash, copy: Copy<V>) {
        evicted.push(copy);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::time::Duration;

    use super::*;
    use crate::hash::KeyHasher;

    fn key(number: u64) -> KeyHash {
        KeyHasher::new(b"secret", "test").hash(&number)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn found(local: &Local<u64>, number: u64) -> Option<u64> {
        let copy = local.get(key(number), Instant::now())?;
        Some(*copy.expect("it is present"))
    }

    #[test]
    fn a_reply_that_was_under_way_during_a_change_is_not_used() {
        let local = Local::new(1 << 20);
        let before = local.version(key(1));
        local.invalidate(key(1));
        local.insert(key(1), before, Some(Arc::new(1)), 1, soon());
        assert_eq!(found(&local, 1), None);
        local.insert(key(1), local.version(key(1)), Some(Arc::new(2)), 1, soon());
        assert_eq!(found(&local, 1), Some(2));
        local.invalidate(key(1));
        assert_eq!(found(&local, 1), None);
        let before = local.version(key(1));
        local.clear();
        local.insert(key(1), before, Some(Arc::new(3)), 1, soon());
        assert_eq!(found(&local, 1), None);
    }

    #[test]
    fn a_copy_that_is_inserted_during_a_change_is_not_used() {
        let local = Local::new(1 << 20);
        let version = local.version(key(1));
        // Between the comparison and the insertion of `insert`.
        local.slot(key(1)).fetch_add(1, Ordering::AcqRel);
        let copy = Copy {
            value: Some(Arc::new(1)),
            version: version.0,
            until: soon(),
            len: 1,
        };
        local.copies.insert(key(1), copy);
        assert_eq!(found(&local, 1), None);
    }

    #[test]
    fn a_copy_expires_and_absence_is_a_copy() {
        let local = Local::<u64>::new(1 << 20);
        let until = soon();
        local.insert(key(1), local.version(key(1)), None, 0, until);
        assert_eq!(local.get(key(1), Instant::now()), Some(None));
        assert_eq!(local.get(key(1), until), None);
    }

    #[test]
    fn copies_are_bounded_in_bytes() {
        let local = Local::new(64 << 10);
        for number in 0..1000 {
            let version = local.version(key(number));
            local.insert(key(number), version, Some(Arc::new(number)), 256, soon());
        }
        assert!(local.copies.weight() <= 64 << 10);
        assert!(local.copies.len() > 50, "{}", local.copies.len());
    }

    /// The destructor of a value reads from the cache.
    struct Reads(Weak<Local<Reads>>);

    impl Drop for Reads {
        fn drop(&mut self) {
            if let Some(local) = self.0.upgrade() {
                for number in 0..100 {
                    drop(local.get(key(number), Instant::now()));
                }
            }
        }
    }

    #[test]
    fn values_are_dropped_without_a_lock() {
        let (done, finished) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let local = Arc::new(Local::new(4 << 10));
            let insert = |number, len| {
                let value = Arc::new(Reads(Arc::downgrade(&local)));
                let version = local.version(key(number));
                local.insert(key(number), version, Some(value), len, soon());
            };
            for number in 0..100 {
                insert(number % 30, 1);
            }
            // Evicts many at once.
            insert(50, 2 << 10);
            for number in 0..10 {
                insert(number, 1);
            }
            local.invalidate(key(50));
            local.clear();
            done.send(()).expect("the test waits");
        });
        let finished = finished.recv_timeout(Duration::from_secs(20));
        finished.expect("no value is dropped under a lock");
    }
}
