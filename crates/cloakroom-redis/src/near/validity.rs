//! Until when the cache may be used: as long as the messages of all servers are known to arrive.

use std::time::Duration;

use fred::types::config::Server;
use tokio::time::Instant;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// A primary of a cluster; `None` is the only server of an app without a cluster.
pub(super) type Node = Option<Server>;

/// The time until which the cache is valid. The invalidation connections extend it, every read checks it.
///
/// It is a deadline, not a flag: it passes even if the task that should invalidate the cache is stuck.
pub(super) struct Validity {
    began: Instant,
    /// For each primary until when its messages are known to arrive; `None` if they are not.
    nodes: Mutex<Vec<(Node, Option<Instant>)>>,
    /// The earliest of these times, in nanoseconds since `began`; zero if one is missing.
    until: AtomicU64,
}

impl Validity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            nodes: Mutex::default(),
            until: AtomicU64::new(0),
        }
    }

    /// Whether cached sessions may be served.
    pub(super) fn is_valid(&self, now: Instant) -> bool {
        self.since_began(now) < self.until.load(Ordering::Acquire)
    }

    /// Sets the primaries. New ones are not valid yet. Returns `false` if they are the same as before.
    pub(super) fn set_nodes(&self, nodes: &[Node]) -> bool {
        let mut current = self.nodes();
        if current.len() == nodes.len() && current.iter().all(|(one, _)| nodes.contains(one)) {
            return false;
        }
        current.retain(|(one, _)| nodes.contains(one));
        for node in nodes {
            if current.iter().all(|(one, _)| one != node) {
                current.push((node.clone(), None));
            }
        }
        self.update(&current);
        true
    }

    /// Sets until when a primary is valid: all changes that it made `window` before `until` have been
    /// received. `None` invalidates the cache.
    pub(super) fn extend_until(&self, node: &Node, until: Option<Instant>) {
        let mut nodes = self.nodes();
        if let Some((_, current)) = nodes.iter_mut().find(|(one, _)| one == node) {
            *current = until;
        }
        self.update(&nodes);
    }

    fn update(&self, nodes: &[(Node, Option<Instant>)]) {
        let all: Option<Vec<Instant>> = nodes.iter().map(|(_, until)| *until).collect();
        let earliest = all.and_then(|all| all.into_iter().min());
        let until = earliest.map_or(0, |until| self.since_began(until));
        self.until.store(until, Ordering::Release);
    }

    fn since_began(&self, at: Instant) -> u64 {
        let since: Duration = at.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<(Node, Option<Instant>)>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn it_is_valid_until_the_earliest_deadline() {
        let validity = Validity::new();
        let (one, two) = (Some(Server::new("a", 1)), Some(Server::new("b", 2)));
        let now = Instant::now();
        let later = |secs| Some(now + Duration::from_secs(secs));
        assert!(!validity.is_valid(now));
        assert!(validity.set_nodes(slice::from_ref(&one)));
        assert!(!validity.set_nodes(slice::from_ref(&one)) && !validity.is_valid(now));
        validity.extend_until(&one, later(5));
        assert!(validity.is_valid(now));
        assert!(validity.set_nodes(&[one.clone(), two.clone()]) && !validity.is_valid(now));
        validity.extend_until(&two, later(1));
        assert!(validity.is_valid(now) && !validity.is_valid(now + Duration::from_secs(1)));
        validity.extend_until(&one, None);
        assert!(!validity.is_valid(now));
        assert!(validity.set_nodes(&[two]) && validity.is_valid(now));
        assert!(validity.set_nodes(&[]) && !validity.is_valid(now));
    }
}
