//! The legacy cookies of a request.

use std::sync::atomic::{AtomicBool, Ordering};

use super::config::Migration;
use super::legacy::LegacyId;
use crate::cookie::headers::Credentials;
use crate::cookie::tokens::{MAX_TOKENS, MAX_VALUES};

/// The legacy cookies of a request, and whether the response removes them.
#[derive(Debug)]
pub(crate) struct LegacyCookies {
    ids: Vec<LegacyId>,
    is_removed: AtomicBool,
}

impl LegacyCookies {
    /// Parses the cookies of the legacy name: [`MAX_VALUES`] values and [`MAX_TOKENS`] different ids at most.
    /// Each value may cost cryptography.
    pub(crate) fn parse(migration: &Migration, credentials: &Credentials) -> Self {
        let mut ids = Vec::new();
        let values = credentials.values_of(migration.cookie().name());
        for value in values.take(MAX_VALUES) {
            if ids.len() == MAX_TOKENS {
                break;
            }
            if let Some(id) = migration.parse(value)
                && !ids.contains(&id)
            {
                ids.push(id);
            }
        }
        Self {
            ids,
            is_removed: AtomicBool::new(false),
        }
    }

    /// The legacy ids, in the order of the request.
    pub(crate) fn ids(&self) -> &[LegacyId] {
        &self.ids
    }

    /// Lets the response remove the legacy cookie, if the request has one: its session has ended.
    pub(crate) fn remove(&self) {
        if !self.ids.is_empty() {
            self.is_removed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the response removes the legacy cookie.
    pub(crate) fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Relaxed)
    }
}
