//! What the store and those that listen have in common.

use std::time::Duration;

use cloakroom_core::SessionId;
use cloakroom_core::store::Loaded;
use fred::types::client::Invalidation;
use tokio::time::Instant;

use super::shelf::{Shelf, Ticket};
use super::stats::{Counters, count};
use super::trust::Trust;
use crate::store::RedisStore;

/// How long what was read is remembered at most, heard of or not: it bounds what any mistake can do.
pub(super) const MOST: Duration = Duration::from_secs(5);

/// What the store and those that listen share.
pub(super) struct Shared {
    pub(super) store: RedisStore,
    pub(super) shelf: Shelf,
    pub(super) trust: Trust,
    pub(super) window: Duration,
    /// What keys begin with.
    pub(super) tracked: String,
    pub(super) counters: Counters,
}

impl Shared {
    pub(super) fn new(store: RedisStore, memory: u64, window: Duration) -> Self {
        Self {
            tracked: store.prefix().beginning(),
            store,
            shelf: Shelf::new(memory),
            trust: Trust::new(),
            window,
            counters: Counters::default(),
        }
    }

    /// How often a server is asked for a sign of life.
    pub(super) fn beat(&self) -> Duration {
        self.window / 4
    }

    /// Takes in what a server tells; `None` is more than there was room for.
    pub(super) fn hear(&self, message: Option<Invalidation>) {
        let Some(message) = message else {
            return self.forget_all();
        };
        let prefix = self.store.prefix();
        for key in message.keys {
            let id = key.as_str().and_then(|key| prefix.id_in(key));
            if let Some(id) = id {
                count(&self.counters.changes);
                self.shelf.changed(id);
            }
        }
    }

    pub(super) fn forget_all(&self) {
        count(&self.counters.cleared);
        self.shelf.clear();
    }

    /// Remembers what this server has written. Its own message cannot be told from one of somebody's who
    /// ended the session in the same instant, so it is believed for no longer than the window.
    pub(super) fn keep_written(&self, id: SessionId, ticket: Ticket, what: Loaded, began: Instant) {
        self.shelf
            .keep_written(id, ticket, what, began + self.window);
    }
}
