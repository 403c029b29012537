//! What a request did to the entries, as a log that can be played again on fresher ones.
//!
//! A handler edits a copy. When another request has saved in the meantime, the store refuses the
//! commit and hands back the fresher record; the log is replayed on that, so both land.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entries::{Entries, Entry, EntryError, is_reserved};

type UpdateFn = Arc<dyn Fn(Option<&Entry>) -> Result<Entry, EntryError> + Send + Sync>;

/// One edit.
#[derive(Clone)]
enum Change {
    Set(Entry),
    Remove {
        key: Arc<str>,
    },
    /// A removal whose value somebody waits for.
    Take {
        key: Arc<str>,
    },
    Clear,
    Update {
        key: Arc<str>,
        run: UpdateFn,
    },
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
/// // Meanwhile another request counted too, and added an entry.
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

/// What came of replaying a log.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The fresher entries with the edits on top.
    pub entries: Entries,
    /// Keys that somebody else had changed and an edit replaced without having seen it.
    pub overwritten: Vec<Arc<str>>,
    /// What the log's last [`take`](Changes::take) found.
    pub taken: Option<Entry>,
}

impl Changes {
    /// No edits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` in `entries`, and logs it; also when the value is what it was, for the copy may
    /// be stale.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON. Nothing is changed then.
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
        entries.put(entry.clone());
        self.log.push(Change::Set(entry));
    }

    /// Removes `key` from `entries`, and logs it.
    pub fn remove(&mut self, entries: &mut Entries, key: &str) -> Option<Entry> {
        self.log.push(Change::Remove { key: key.into() });
        entries.remove(key)
    }

    /// Like [`remove`](Self::remove); a replay tells what this one found.
    pub fn take(&mut self, entries: &mut Entries, key: &str) -> Option<Entry> {
        self.log.push(Change::Take { key: key.into() });
        entries.remove(key)
    }

    /// Removes everything but the library's own from `entries`, and logs it.
    pub fn clear(&mut self, entries: &mut Entries) {
        self.log.push(Change::Clear);
        entries.clear();
    }

    /// Sets `key` in `entries` to what `f` makes of its value, and logs `f` itself: a replay runs
    /// it again, on the fresher value. Returns the new value.
    ///
    /// # Errors
    ///
    /// When the present value is not a `T`, or the new one cannot be written as JSON.
    pub fn update<T, F>(&mut self, entries: &mut Entries, key: &str, f: F) -> Result<T, EntryError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let update = Update::new(key, move |value| Ok(f(value)));
        let (value, entry) = update.run(entries.entry(key))?;
        self.log_update(entries, update, entry);
        Ok(value)
    }

    /// Logs an update that has been run, and sets its result.
    pub fn log_update<T, F>(&mut self, entries: &mut Entries, update: Update<F>, result: Entry)
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> Result<T, EntryError> + Send + Sync + 'static,
    {
        let key = Arc::clone(&update.key);
        entries.put(result);
        let run: UpdateFn = Arc::new(move |entry| update.run(entry).map(|(_, entry)| entry));
        self.log.push(Change::Update { key, run });
    }

    /// How many edits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// Whether nothing was edited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Plays the edits on `fresher`, which somebody else made of `base`.
    ///
    /// # Errors
    ///
    /// When an update meets a value of another type than it expects.
    pub fn replay(&self, base: &Entries, fresher: &Entries) -> Result<Replay, EntryError> {
        let mut entries = fresher.clone();
        let mut taken = None;
        let mut watch = Watch::new(base, fresher);
        for change in &self.log {
            match change {
                Change::Set(entry) => {
                    watch.blind(entry.key(), Some(entry));
                    entries.put(entry.clone());
                }
                Change::Remove { key } => {
                    watch.blind(key, None);
                    entries.remove(key);
                }
                Change::Take { key } => {
                    watch.known.insert(key);
                    taken = entries.remove(key);
                }
                Change::Clear => {
                    watch.clear();
                    entries.clear();
                }
                Change::Update { key, run } => {
                    watch.known.insert(key);
                    let entry = run(entries.entry(key))?;
                    entries.put(entry);
                }
            }
        }
        Ok(Replay {
            entries,
            overwritten: watch.overwritten,
            taken,
        })
    }

    /// What the edits put in by themselves: without updates, whose closures may count on a value that
    /// is not there any more. No closure runs.
    #[must_use]
    pub fn own(&self) -> Entries {
        let mut entries = Entries::new();
        for change in &self.log {
            match change {
                Change::Set(entry) => entries.put(entry.clone()),
                Change::Remove { key } | Change::Take { key } => drop(entries.remove(key)),
                Change::Clear => entries.clear(),
                Change::Update { .. } => {}
            }
        }
        entries
    }

    /// Forgets all but the first `count` edits.
    pub fn truncate(&mut self, count: usize) {
        self.log.truncate(count);
    }

    /// Forgets the first `count` edits: they are stored.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub fn forget_first(&mut self, count: usize) {
        self.log.drain(..count);
    }
}

impl fmt::Debug for Changes {
    /// Shows what was done to which key, without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edits = self.log.iter().map(|change| match change {
            Change::Set(entry) => ("set", entry.key()),
            Change::Remove { key } => ("remove", &**key),
            Change::Take { key } => ("take", &**key),
            Change::Clear => ("clear", ""),
            Change::Update { key, .. } => ("update", &**key),
        });
        f.debug_list().entries(edits).finish()
    }
}

/// A closure that makes a new value of an entry from the present one, or an error. It can run any
/// number of times.
pub struct Update<F> {
    key: Arc<str>,
    f: F,
}

impl<F> Update<F> {
    /// An update of `key` by `f`.
    pub fn new(key: &str, f: F) -> Self {
        Self { key: key.into(), f }
    }

    /// Runs the closure on the present value: the new value, and its entry.
    ///
    /// # Errors
    ///
    /// The closure's own; when the present value is not a `T`, or the new one cannot be written as
    /// JSON.
    pub fn run<T>(&self, present: Option<&Entry>) -> Result<(T, Entry), EntryError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> Result<T, EntryError>,
    {
        let present = present.map(Entry::decode).transpose()?;
        let value = (self.f)(present)?;
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

/// Watches a replay for edits of what their author has not seen.
struct Watch<'a> {
    base: &'a Entries,
    fresher: &'a Entries,
    /// Keys of which the log knows by now what they hold.
    known: BTreeSet<&'a str>,
    /// Whether it knows that of all.
    cleared: bool,
    overwritten: Vec<Arc<str>>,
}

impl<'a> Watch<'a> {
    fn new(base: &'a Entries, fresher: &'a Entries) -> Self {
        Self {
            base,
            fresher,
            known: BTreeSet::new(),
            cleared: false,
            overwritten: Vec::new(),
        }
    }

    /// `key` becomes this, whatever it was.
    fn blind(&mut self, key: &'a str, entry: Option<&Entry>) {
        if !self.cleared
            && self.known.insert(key)
            && differs(self.fresher, key, entry)
            && differs(self.fresher, key, self.base.entry(key))
        {
            self.overwritten.push(key.into());
        }
    }

    /// Everything is removed, whatever it was.
    fn clear(&mut self) {
        for key in self.fresher.keys().filter(|key| !is_reserved(key)) {
            self.blind(key, None);
        }
        self.cleared = true;
    }
}

fn differs(entries: &Entries, key: &str, entry: Option<&Entry>) -> bool {
    entries.entry(key) != entry
}
