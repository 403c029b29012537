//! Until when the cache may be believed: as long as every server's messages are known to arrive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fred::types::config::Server;
use tokio::time::Instant;

/// A primary; `None` is the server of an app that has no cluster.
pub(super) type Node = Option<Server>;

/// Shared by the connections that listen, which extend it, and by every read, which asks it.
pub(super) struct Trust {
    began: Instant,
    lines: Mutex<Vec<(Node, Option<Instant>)>>,
    /// The earliest of all lines, in nanoseconds from the beginning; zero if one cannot be trusted.
    until: AtomicU64,
}

impl Trust {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            lines: Mutex::default(),
            until: AtomicU64::new(0),
        }
    }

    /// Whether what is remembered may be served.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.since_began(now) < self.until.load(Ordering::Acquire)
    }

    /// These are the primaries from now on; the new among them are not trusted yet. `false` if it was so
    /// before.
    pub(super) fn expect(&self, nodes: &[Node]) -> bool {
        let mut lines = self.lines();
        if lines.len() == nodes.len() && lines.iter().all(|(one, _)| nodes.contains(one)) {
            return false;
        }
        lines.retain(|(one, _)| nodes.contains(one));
        for node in nodes {
            if lines.iter().all(|(one, _)| one != node) {
                lines.push((node.clone(), None));
            }
        }
        self.sum_up(&lines);
        true
    }

    /// All that this server had changed `window` before `until` has been heard.
    pub(super) fn extend(&self, node: &Node, until: Option<Instant>) {
        let mut lines = self.lines();
        if let Some((_, line)) = lines.iter_mut().find(|(one, _)| one == node) {
            *line = until;
        }
        self.sum_up(&lines);
    }

    fn sum_up(&self, lines: &[(Node, Option<Instant>)]) {
        let all: Option<Vec<Instant>> = lines.iter().map(|(_, until)| *until).collect();
        let earliest = all.and_then(|all| all.into_iter().min());
        let until = earliest.map_or(0, |until| self.since_began(until));
        self.until.store(until, Ordering::Release);
    }

    fn since_began(&self, at: Instant) -> u64 {
        let since: Duration = at.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn lines(&self) -> MutexGuard<'_, Vec<(Node, Option<Instant>)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn it_holds_as_long_as_the_shortest_of_all_lines() {
        let trust = Trust::new();
        let (one, two) = (Some(Server::new("a", 1)), Some(Server::new("b", 2)));
        let now = Instant::now();
        let later = |secs| Some(now + Duration::from_secs(secs));
        assert!(!trust.holds(now));
        assert!(trust.expect(slice::from_ref(&one)));
        assert!(!trust.expect(slice::from_ref(&one)) && !trust.holds(now));
        trust.extend(&one, later(5));
        assert!(trust.holds(now));
        assert!(trust.expect(&[one.clone(), two.clone()]) && !trust.holds(now));
        trust.extend(&two, later(1));
        assert!(trust.holds(now) && !trust.holds(now + Duration::from_secs(1)));
        trust.extend(&one, None);
        assert!(!trust.holds(now));
        assert!(trust.expect(&[two]) && trust.holds(now));
        assert!(trust.expect(&[]) && !trust.holds(now));
    }
}
