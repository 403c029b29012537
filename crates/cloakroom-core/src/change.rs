//! The log of a request's edits, which can be replayed on fresher entries.
//!
//! A handler edits a copy of the entries. If another request has saved in the meantime, the store
//! rejects the commit and returns the fresher record. The log is replayed on that record, so neither
//! request's edits are lost.

use std::collections::BTreeSet;
use std::fmt;
use std::mem;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::entries::{Entries, Entry, EntryError, is_reserved};
use crate::lifetime::Lifetimes;

type UpdateFn = Arc<dyn Fn(Option<&Entry>) -> Result<Entry, EntryError> + Send + Sync>;

/// One edit.
#[derive(Clone)]
enum Change {
    Set(Entry),
    /// Sets an entry with a lifetime of its own.
    SetUntil(Entry, Timestamp),
    Remove {
        key: Arc<str>,
    },
    /// A removal whose caller needs the removed value.
    Take {
        key: Arc<str>,
    },
    Clear,
    Update {
        key: Arc<str>,
        run: UpdateFn,
    },
}

impl Change {
    /// The key that it edits; `None` for all.
    fn key(&self) -> Option<&str> {
        match self {
            Self::Set(entry) | Self::SetUntil(entry, _) => Some(entry.key()),
            Self::Remove { key } | Self::Take { key } | Self::Update { key, .. } => Some(key),
            Self::Clear => None,
        }
    }
}

/// The edits of one request, in order.
///
/// ```
/// use cloakroom_core::{Changes, Entries};
///
/// let mut base = Entries::new();
/// base.set("hits", &1)?;
///
/// let mut mine = base.clone();
/// let mut changes = Changes::new();
/// changes.update(&mut mine, "hits", |hits: Option<u32>| hits.unwrap_or(0) + 1)?;
///
/// // Meanwhile another request has incremented the counter and added an entry.
/// let mut fresher = Entries::new();
/// fresher.set("hits", &2)?;
/// fresher.set("cart", &[7])?;
///
/// let merged = changes.replay(&base, &fresher)?.entries;
/// assert_eq!(merged.get("hits")?, Some(3));
/// assert_eq!(merged.get("cart")?, Some(vec![7]));
/// # Ok::<(), cloakroom_core::EntryError>(())
/// ```
#[derive(Clone, Default)]
pub struct Changes {
    log: Vec<Change>,
}

/// The result of replaying a log.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The fresher entries with the edits applied.
    pub entries: Entries,
    /// Keys that another request had changed, and whose new value an edit replaced without having read
    /// it.
    pub overwritten: Vec<Arc<str>>,
    /// The entry that the log's last [`take`](Changes::take) removed.
    pub taken: Option<Entry>,
}

impl Changes {
    /// Creates an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` in `entries`, and logs it. An edit that does not change the value is logged as well,
    /// because the stored value may differ from the copy.
    ///
    /// # Errors
    ///
    /// If the value cannot be written as JSON. Nothing is changed then.
    pub fn set<T: Serialize + ?Sized>(
        &mut self,
        entries: &mut Entries,
        key: &str,
        value: &T,
    ) -> Result<(), EntryError> {
        self.put(entries, Entry::encode(key, value)?);
        Ok(())
    }

    /// Puts an entry into `entries`, and logs it.
    pub fn put(&mut self, entries: &mut Entries, entry: Entry) {
        set(entries, &entry, None);
        self.log.push(Change::Set(entry));
    }

    /// Puts an entry into `entries` that is absent from `until` on, and logs it.
    pub fn put_until(&mut self, entries: &mut Entries, entry: Entry, until: Timestamp) {
        set(entries, &entry, Some(until));
        self.log.push(Change::SetUntil(entry, until));
    }

    /// Puts entries with their lifetimes into `entries`, and logs it.
    pub fn put_all(&mut self, entries: &mut Entries, others: &Entries) {
        let lifetimes = Lifetimes::of(others);
        let keys = others.keys().filter(|key| *key != Lifetimes::KEY);
        for entry in keys.filter_map(|key| others.entry(key)) {
            match lifetimes.get(entry.key()) {
                Some(until) => self.put_until(entries, entry.clone(), until),
                None => self.put(entries, entry.clone()),
            }
        }
    }

    /// Removes `key` from `entries`, and logs it.
    pub fn remove(&mut self, entries: &mut Entries, key: &str) -> Option<Entry> {
        self.log.push(Change::Remove { key: key.into() });
        remove(entries, key)
    }

    /// Like [`remove`](Self::remove), for a caller who needs the value: a [`Replay`] returns the entry
    /// that was removed from the fresher entries.
    pub fn take(&mut self, entries: &mut Entries, key: &str) -> Option<Entry> {
        self.log.push(Change::Take { key: key.into() });
        remove(entries, key)
    }

    /// Removes all entries except reserved ones from `entries`, and logs it.
    pub fn clear(&mut self, entries: &mut Entries) {
        self.log.push(Change::Clear);
        clear(entries);
    }

    /// Sets `key` in `entries` to the result of `f` on its value, and logs `f` itself: a replay runs it
    /// again on the fresher value. Returns the new value.
    ///
    /// # Errors
    ///
    /// If the current value is not a `T`, or the new one cannot be written as JSON.
    pub fn update<T, F>(&mut self, entries: &mut Entries, key: &str, f: F) -> Result<T, EntryError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let update = Update::new(key, move |entry: Option<&Entry>| {
            Ok(f(entry.map_or(Ok(None), Entry::decode)?))
        });
        let (value, entry) = update.run(entries.entry(key))?;
        self.log_update(entries, update, entry);
        Ok(value)
    }

    /// Logs an update that was run already, and sets its result in `entries`.
    pub fn log_update<T, F>(&mut self, entries: &mut Entries, update: Update<F>, result: Entry)
    where
        T: Serialize,
        F: Fn(Option<&Entry>) -> Result<T, EntryError> + Send + Sync + 'static,
    {
        let key = Arc::clone(&update.key);
        entries.put(result);
        let run: UpdateFn = Arc::new(move |entry| update.run(entry).map(|(_, entry)| entry));
        self.log.push(Change::Update { key, run });
    }

    /// Returns the number of edits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// Returns whether there are no edits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Replays the edits on `fresher`, which other requests made from `base`.
    ///
    /// # Errors
    ///
    /// If an update finds a value of another type than it expects.
    pub fn replay(&self, base: &Entries, fresher: &Entries) -> Result<Replay, EntryError> {
        let mut entries = fresher.clone();
        let mut taken = None;
        let mut conflicts = Conflicts::new(base, fresher);
        for change in &self.log {
            match change {
                Change::Set(entry) => {
                    conflicts.overwrite(entry.key(), Some(entry));
                    set(&mut entries, entry, None);
                }
                Change::SetUntil(entry, until) => {
                    conflicts.overwrite(entry.key(), Some(entry));
                    set(&mut entries, entry, Some(*until));
                }
                Change::Remove { key } => {
                    conflicts.overwrite(key, None);
                    remove(&mut entries, key);
                }
                Change::Take { key } => {
                    conflicts.known.insert(key);
                    taken = remove(&mut entries, key);
                }
                Change::Clear => {
                    conflicts.clear();
                    clear(&mut entries);
                }
                Change::Update { key, run } => {
                    conflicts.known.insert(key);
                    let entry = run(entries.entry(key))?;
                    entries.put(entry);
                }
            }
        }
        Ok(Replay {
            entries,
            overwritten: conflicts.overwritten,
            taken,
        })
    }

    /// Returns the entries that the edits set by themselves, on an empty base. Updates are left out: their
    /// closures may rely on a value that is no longer there. No closure is run.
    #[must_use]
    pub fn own(&self) -> Entries {
        let mut entries = Entries::new();
        for change in &self.log {
            match change {
                Change::Set(entry) => set(&mut entries, entry, None),
                Change::SetUntil(entry, until) => set(&mut entries, entry, Some(*until)),
                Change::Remove { key } | Change::Take { key } => drop(remove(&mut entries, key)),
                Change::Clear => clear(&mut entries),
                Change::Update { .. } => {}
            }
        }
        entries
    }

    /// Returns edits that have the same effect on an empty base, and remove nothing that is not their own: neither
    /// removals, nor what was edited before a removal of the same key. No closure is run.
    #[must_use]
    pub fn without_removals(&self) -> Self {
        let mut log: Vec<Change> = Vec::with_capacity(self.log.len());
        for change in &self.log {
            match change {
                Change::Set(_) | Change::SetUntil(..) | Change::Update { .. } => {
                    log.push(change.clone());
                }
                Change::Remove { key } | Change::Take { key } => {
                    log.retain(|edit| edit.key() != Some(&**key));
                }
                Change::Clear => log.retain(|edit| edit.key().is_some_and(is_reserved)),
            }
        }
        Self { log }
    }

    /// Removes all but the first `count` edits, and returns them. What their closures have captured is dropped
    /// with the result, which the caller must not do under a lock.
    #[must_use = "what closures have captured is dropped with it"]
    pub fn split_off(&mut self, count: usize) -> Self {
        Self {
            log: self.log.split_off(count.min(self.log.len())),
        }
    }

    /// Removes the first `count` edits, which have been stored, and returns them, as
    /// [`split_off`](Self::split_off) does.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[must_use = "what closures have captured is dropped with it"]
    pub fn take_first(&mut self, count: usize) -> Self {
        if count == self.log.len() {
            return mem::take(self);
        }
        Self {
            log: self.log.drain(..count).collect(),
        }
    }

    /// Adds the edits of another log after these.
    pub fn append(&mut self, mut other: Self) {
        if self.log.is_empty() {
            *self = other;
        } else {
            self.log.append(&mut other.log);
        }
    }
}

/// Sets an entry. It lives until then, or as long as the session.
fn set(entries: &mut Entries, entry: &Entry, until: Option<Timestamp>) {
    entries.put(entry.clone());
    match until {
        Some(until) => Lifetimes::set(entries, entry.key(), until),
        None => Lifetimes::remove(entries, entry.key()),
    }
}

fn remove(entries: &mut Entries, key: &str) -> Option<Entry> {
    Lifetimes::remove(entries, key);
    entries.remove(key)
}

fn clear(entries: &mut Entries) {
    entries.clear();
    entries.remove(Lifetimes::KEY);
}

impl fmt::Debug for Changes {
    /// Shows the kind and key of each edit, without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edits = self.log.iter().map(|change| match change {
            Change::Set(entry) | Change::SetUntil(entry, _) => ("set", entry.key()),
            Change::Remove { key } => ("remove", &**key),
            Change::Take { key } => ("take", &**key),
            Change::Clear => ("clear", ""),
            Change::Update { key, .. } => ("update", &**key),
        });
        f.debug_list().entries(edits).finish()
    }
}

/// A closure that computes an entry's new value from its current one, or fails. It may run any number of
/// times.
pub struct Update<F> {
    key: Arc<str>,
    f: F,
}

impl<F> Update<F> {
    /// Creates an update of `key` with `f`, which gets the current entry, if there is one.
    pub fn new(key: &str, f: F) -> Self {
        Self { key: key.into(), f }
    }

    /// Runs the closure on the current entry. Returns the new value and its entry.
    ///
    /// # Errors
    ///
    /// The closure's own error; or the new value cannot be kept as JSON, as [`Entry::encode`].
    pub fn run<T>(&self, current: Option<&Entry>) -> Result<(T, Entry), EntryError>
    where
        T: Serialize,
        F: Fn(Option<&Entry>) -> Result<T, EntryError>,
    {
        let value = (self.f)(current)?;
        let entry = Entry::encode(&self.key, &value)?;
        Ok((value, entry))
    }
}

impl<F> fmt::Debug for Update<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Finds the edits of a replay that overwrite a change which their author has not seen.
struct Conflicts<'a> {
    base: &'a Entries,
    fresher: &'a Entries,
    /// Keys that the log has read or written already: their values are known to it.
    known: BTreeSet<&'a str>,
    /// Whether the log has cleared the entries, so that all values are known to it.
    cleared: bool,
    overwritten: Vec<Arc<str>>,
}

impl<'a> Conflicts<'a> {
    fn new(base: &'a Entries, fresher: &'a Entries) -> Self {
        Self {
            base,
            fresher,
            known: BTreeSet::new(),
            cleared: false,
            overwritten: Vec::new(),
        }
    }

    /// Notes that `key` is replaced by `entry` without being read.
    fn overwrite(&mut self, key: &'a str, entry: Option<&Entry>) {
        if !self.cleared
            && self.known.insert(key)
            && differs(self.fresher, key, entry)
            && differs(self.fresher, key, self.base.entry(key))
        {
            self.overwritten.push(key.into());
        }
    }

    /// Notes that all entries are removed without being read.
    fn clear(&mut self) {
        for key in self.fresher.keys().filter(|key| !is_reserved(key)) {
            self.overwrite(key, None);
        }
        self.cleared = true;
    }
}

fn differs(entries: &Entries, key: &str, entry: Option<&Entry>) -> bool {
    entries.entry(key) != entry
}
