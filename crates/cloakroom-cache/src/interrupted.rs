//! Changes whose callers are gone before they were stored.

use std::fmt::Display;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::pending::Change;
use crate::shared::Shared;

/// A change under way. If its future is dropped, it is sent in the background: the caller has changed the record, and
/// it is not known whether it was stored.
pub(crate) struct Interrupted<'a, K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    shared: &'a Arc<Shared<K, V>>,
    /// `None` once it has an outcome.
    change: Option<Change>,
}

impl<'a, K, V> Interrupted<'a, K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn new(shared: &'a Arc<Shared<K, V>>, change: Change) -> Self {
        Self {
            shared,
            change: Some(change),
        }
    }

    /// The change was stored, or is repeated already.
    pub(crate) fn disarm(mut self) {
        self.change = None;
    }
}

impl<K, V> Drop for Interrupted<'_, K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn drop(&mut self) {
        let Some(change) = self.change.take() else {
            return;
        };
        self.shared.pending.add(change);
        match change {
            // What was read meanwhile may be from before.
            Change::Key(key) => self.shared.invalidate(key),
            Change::All => self.shared.invalidate_all(),
        }
        // Without a runtime, the next read starts the task.
        if Handle::try_current().is_ok() {
            self.shared.send_pending();
        }
    }
}
