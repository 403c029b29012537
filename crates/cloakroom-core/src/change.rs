//! What a request did to the entries, as a log that can be played again on fresher ones.
//!
//! A handler edits a copy. When another request has saved in the meantime, the store refuses the
//! commit and hands back the fresher record; the log is replayed on that, so both land.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entries::{Entries, EntryError, Value, decode, encode};

type UpdateFn = Arc<dyn Fn(Option<&Value>) -> Result<Value, EntryError> + Send + Sync>;

/// One edit.
#[derive(Clone)]
enum Change {
    Set {
        key: Arc<str>,
        value: Value,
    },
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
    pub taken: Option<Value>,
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
        let value = encode(key, value)?;
        let key = Arc::from(key);
        entries.set_raw(&key, Arc::clone(&value));
        self.log.push(Change::Set { key, value });
        Ok(())
    }

    /// Removes `key` from `entries`, and logs it.
    pub fn remove(&mut self, entries: &mut Entries, key: &str) -> Option<Value> {
        self.log.push(Change::Remove { key: key.into() });
        entries.remove(key)
    }

    /// Like [`remove`](Self::remove); a replay tells what this one found.
    pub fn take(&mut self, entries: &mut Entries, key: &str) -> Option<Value> {
        self.log.push(Change::Take { key: key.into() });
        entries.remove(key)
    }

    /// Removes everything from `entries`, and logs it.
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
        let update = Update::new(key, f);
        let (value, raw) = update.run(entries.get_raw(key))?;
        self.log_update(entries, update, raw);
        Ok(value)
    }

    /// Logs an update that has been run, and sets its result.
    pub fn log_update<T, F>(&mut self, entries: &mut Entries, update: Update<F>, result: Value)
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let key = Arc::clone(&update.key);
        entries.set_raw(&key, result);
        let run: UpdateFn = Arc::new(move |value| update.run(value).map(|(_, raw)| raw));
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
        let mut replay = Replay {
            entries: fresher.clone(),
            overwritten: Vec::new(),
            taken: None,
        };
        // Keys of which this log knows what they hold.
        let mut known: Vec<&str> = Vec::new();
        for change in &self.log {
            match change {
                Change::Set { key, value } => {
                    if !known.contains(&&**key) && differs(fresher, key, Some(value)) {
                        report_unseen(base, fresher, key, &mut replay.overwritten);
                    }
                    replay.entries.set_raw(key, Arc::clone(value));
                    known.push(key);
                }
                Change::Remove { key } => {
                    if !known.contains(&&**key) && differs(fresher, key, None) {
                        report_unseen(base, fresher, key, &mut replay.overwritten);
                    }
                    replay.entries.remove(key);
                    known.push(key);
                }
                Change::Take { key } => {
                    replay.taken = replay.entries.remove(key);
                    known.push(key);
                }
                Change::Clear => {
                    for key in fresher.keys() {
                        report_unseen(base, fresher, key, &mut replay.overwritten);
                        known.push(key);
                    }
                    replay.entries.clear();
                }
                Change::Update { key, run } => {
                    let value = run(replay.entries.get_raw(key))?;
                    replay.entries.set_raw(key, value);
                    known.push(key);
                }
            }
        }
        Ok(replay)
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
            Change::Set { key, .. } => ("set", &**key),
            Change::Remove { key } => ("remove", &**key),
            Change::Take { key } => ("take", &**key),
            Change::Clear => ("clear", ""),
            Change::Update { key, .. } => ("update", &**key),
        });
        f.debug_list().entries(edits).finish()
    }
}

/// A closure that makes a new value of an entry from the present one. It can run any number of
/// times.
pub struct Update<F> {
    key: Arc<str>,
    f: F,
}

impl<F> Update<F> {
    /// An update of `key` by `f`.
    pub fn new(key: &str, f: F) -> Self {
        Self { key: key.into(), f }
    }

    /// Runs the closure on the present value: the new value, and its JSON.
    ///
    /// # Errors
    ///
    /// When the present value is not a `T`, or the new one cannot be written as JSON.
    pub fn run<T>(&self, present: Option<&Value>) -> Result<(T, Value), EntryError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T,
    {
        let present = present.map(|value| decode(&self.key, value)).transpose()?;
        let value = (self.f)(present);
        let raw = encode(&self.key, &value)?;
        Ok((value, raw))
    }
}

impl<F> fmt::Debug for Update<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn differs(entries: &Entries, key: &str, value: Option<&Value>) -> bool {
    entries.get_raw(key).map(|raw| raw.get()) != value.map(|raw| raw.get())
}

fn report_unseen(base: &Entries, fresher: &Entries, key: &str, report: &mut Vec<Arc<str>>) {
    if differs(fresher, key, base.get_raw(key)) && !report.iter().any(|known| &**known == key) {
        report.push(key.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(json: &str) -> Entries {
        Entries::from_json(json).unwrap()
    }

    #[test]
    fn a_blind_edit_names_what_it_replaced_unseen() {
        let base = entries(r#"{"a":1,"b":1,"c":1}"#);
        let fresher = entries(r#"{"a":2,"b":2,"c":1}"#);
        let mut mine = base.clone();
        let mut changes = Changes::new();
        changes.set(&mut mine, "a", &9).unwrap();
        changes.remove(&mut mine, "b");
        changes.set(&mut mine, "c", &9).unwrap();
        let replay = changes.replay(&base, &fresher).unwrap();
        assert_eq!(replay.overwritten, ["a".into(), "b".into()]);
        assert_eq!(replay.entries, entries(r#"{"a":9,"c":9}"#));
    }

    #[test]
    fn the_same_value_from_both_is_no_clash() {
        let base = entries("{}");
        let fresher = entries(r#"{"a":9}"#);
        let mut mine = base.clone();
        let mut changes = Changes::new();
        changes.set(&mut mine, "a", &9).unwrap();
        assert!(
            changes
                .replay(&base, &fresher)
                .unwrap()
                .overwritten
                .is_empty()
        );
    }

    #[test]
    fn an_update_merges_and_a_set_after_it_is_not_blind() {
        let base = entries(r#"{"n":1}"#);
        let fresher = entries(r#"{"n":5}"#);
        let mut mine = base.clone();
        let mut changes = Changes::new();
        changes
            .update(&mut mine, "n", |n: Option<u32>| n.unwrap_or(0) + 1)
            .unwrap();
        let replay = changes.replay(&base, &fresher).unwrap();
        assert_eq!(replay.entries.get("n").unwrap(), Some(6));
        changes.set(&mut mine, "n", &0).unwrap();
        assert!(
            changes
                .replay(&base, &fresher)
                .unwrap()
                .overwritten
                .is_empty()
        );
    }

    #[test]
    fn clear_removes_what_others_added_and_names_it() {
        let base = entries(r#"{"a":1}"#);
        let fresher = entries(r#"{"a":1,"b":2}"#);
        let mut mine = base.clone();
        let mut changes = Changes::new();
        changes.clear(&mut mine);
        let replay = changes.replay(&base, &fresher).unwrap();
        assert!(replay.entries.is_empty());
        assert_eq!(replay.overwritten, ["b".into()]);
    }

    #[test]
    fn take_tells_what_the_fresher_entries_held() {
        let base = entries(r#"{"once":"x"}"#);
        let mut mine = base.clone();
        let mut changes = Changes::new();
        assert!(changes.take(&mut mine, "once").is_some());
        assert!(changes.replay(&base, &base).unwrap().taken.is_some());
        assert!(
            changes
                .replay(&base, &entries("{}"))
                .unwrap()
                .taken
                .is_none()
        );
    }

    #[test]
    fn an_update_of_another_type_is_an_error_that_names_the_key() {
        let mut mine = entries(r#"{"n":"secret words"}"#);
        let error = Changes::new()
            .update(&mut mine, "n", |n: Option<u32>| n.unwrap_or(0))
            .unwrap_err();
        assert!(error.to_string().contains("`n`"));
        assert!(!error.to_string().contains("secret"));
    }
}
