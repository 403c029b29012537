//! The requests to a backend about limits, and its replies.

use std::time::Instant;

use crate::algorithm::{Algorithm, Level};

/// One limit of a request.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// The key without the app's name: `limit:{hash of the subject}:name`.
    pub(crate) key: String,
    pub(crate) algorithm: Algorithm,
    /// By how much the request raises the level.
    pub(crate) increment: u64,
    /// Whether the limit refuses requests, rather than only reporting.
    pub(crate) is_enforced: bool,
}

/// What a limit says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) is_allowed: bool,
    /// The level after the request, or the present one if it was not charged.
    pub(crate) level: Level,
}

impl Check {
    /// The hash tag: keys with the same one are on the same node of a cluster.
    pub(crate) fn tag(&self) -> &str {
        let rest = self.key.split_once('{').map_or("", |(_, rest)| rest);
        rest.split_once('}').map_or(rest, |(tag, _)| tag)
    }

    /// The same limit, divided among servers.
    pub(crate) fn divided(&self, servers: u32) -> Self {
        let algorithm = self.algorithm.divided(servers);
        let unit = self.algorithm.increment(1);
        let cost = self.increment / unit;
        Self {
            key: self.key.clone(),
            algorithm,
            increment: algorithm.increment(u32::try_from(cost).unwrap_or(u32::MAX)),
            is_enforced: self.is_enforced,
        }
    }
}

/// A charge that may be given back.
#[derive(Clone, Debug)]
pub(crate) struct Charge {
    pub(crate) check: Check,
    pub(crate) ttl_ms: u64,
    /// Whether it was charged in memory, while the store was unavailable.
    pub(crate) is_local: bool,
    charged: Instant,
}

impl Charge {
    /// What `check` has charged. `began` is a moment before that.
    pub(crate) fn of(check: &Check, reading: Reading, began: Instant, is_local: bool) -> Self {
        Self {
            check: check.clone(),
            ttl_ms: reading.level.ttl_ms,
            is_local,
            charged: began,
        }
    }

    /// Whether the counter may have expired since: there is nothing left to give back then, and a new
    /// counter under the same key belongs to others.
    pub(crate) fn has_expired(&self) -> bool {
        self.charged.elapsed().as_millis() >= u128::from(self.ttl_ms)
    }
}
