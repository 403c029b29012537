//! What is known of sessions that several servers work on, and what a read may therefore see.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cloakroom_core::SessionId;
use cloakroom_core::store::Loaded;

use crate::samples::number;

/// One session after the other, each with a number that only grows.
#[derive(Debug)]
pub struct Ledger {
    window: Duration,
    pages: Vec<Mutex<Page>>,
}

/// One session.
#[derive(Debug)]
struct Page {
    id: SessionId,
    began: Instant,
    /// What was acknowledged: when, to which server, which number.
    written: Vec<(Instant, usize, u64)>,
    numbers: BTreeSet<u64>,
    /// From when on it may be gone.
    may_be_gone: Option<Instant>,
    /// Somebody is about to replace it.
    claimed: bool,
    /// From when on it must be gone, and which server was told so; `None` for all.
    gone: Option<(Instant, Option<usize>)>,
}

impl Page {
    fn of(id: SessionId) -> Self {
        Self {
            id,
            began: Instant::now(),
            written: Vec::new(),
            numbers: BTreeSet::new(),
            may_be_gone: None,
            claimed: false,
            gone: None,
        }
    }
}

impl Ledger {
    /// A ledger of these sessions; a read may be as old as `window`.
    #[must_use]
    pub fn new(ids: &[SessionId], window: Duration) -> Self {
        let page = |id: &SessionId| Mutex::new(Page::of(*id));
        Self {
            window,
            pages: ids.iter().map(page).collect(),
        }
    }

    /// How many sessions there are at a time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The session on a page.
    #[must_use]
    pub fn id(&self, page: usize) -> SessionId {
        self.page(page).id
    }

    /// Whether whoever asks is the first to see that the session is over, and is to replace it.
    #[must_use]
    pub fn claim(&self, page: usize, id: SessionId) -> bool {
        let mut page = self.page(page);
        page.id == id && !std::mem::replace(&mut page.claimed, true)
    }

    /// A session that began takes the place of the one that is over.
    pub fn replace(&self, page: usize, new: SessionId) {
        *self.page(page) = Page::of(new);
    }

    /// A write was acknowledged.
    ///
    /// # Panics
    ///
    /// When another was acknowledged for the same number: it is lost.
    pub fn written(&self, page: usize, id: SessionId, server: usize, number: u64) {
        let mut page = self.page(page);
        if page.id == id {
            assert!(page.numbers.insert(number), "{id}: an update is lost");
            page.written.push((Instant::now(), server, number));
        }
    }

    /// The session is about to be ended.
    pub fn ends(&self, page: usize, id: SessionId) {
        let mut page = self.page(page);
        if page.id == id {
            page.may_be_gone.get_or_insert_with(Instant::now);
        }
    }

    /// The end of the session was acknowledged.
    pub fn ended(&self, page: usize, id: SessionId, server: usize) {
        let mut page = self.page(page);
        if page.id == id {
            page.gone.get_or_insert((Instant::now(), Some(server)));
        }
    }

    /// All that is stored is about to be flushed; gives the moment.
    #[must_use]
    pub fn flushes(&self) -> Instant {
        for page in 0..self.pages.len() {
            self.page(page).may_be_gone.get_or_insert_with(Instant::now);
        }
        Instant::now()
    }

    /// It was flushed: what began before is gone, and what began meanwhile may be.
    pub fn flushed(&self, since: Instant) {
        for page in 0..self.pages.len() {
            let mut page = self.page(page);
            match page.began < since {
                true => page.gone = page.gone.or(Some((Instant::now(), None))),
                false => page.may_be_gone = page.may_be_gone.or(Some(since)),
            }
        }
    }

    /// Checks what a request at `server`, begun at `began`, saw of a session.
    ///
    /// # Panics
    ///
    /// When it could not be so.
    pub fn check(&self, page: usize, id: SessionId, server: usize, began: Instant, saw: &Loaded) {
        let page = self.page(page);
        if page.id != id {
            return;
        }
        let long_ago = |at: Instant, by: Option<usize>| {
            let window = match by == Some(server) {
                true => Duration::ZERO,
                false => self.window,
            };
            at + window <= began
        };
        match saw {
            Loaded::Record(record) => {
                let over = page.gone.is_some_and(|(at, by)| long_ago(at, by));
                assert!(!over, "{id}: alive, {:?} after its end", since(page.gone));
                let number = number(record);
                for &(at, by, newer) in &page.written {
                    let missed = newer > number && long_ago(at, Some(by));
                    assert!(
                        !missed,
                        "{id}: {number} seen at {server}, and {newer} was written at {by} {:?} before",
                        began - at
                    );
                }
            }
            Loaded::Tombstone(_) | Loaded::Nothing => {
                assert!(
                    page.may_be_gone.is_some(),
                    "{id}: gone, and nobody ended it"
                );
            }
        }
    }

    /// The acknowledged numbers of a session, and whether it must be there.
    #[must_use]
    pub fn acknowledged(&self, page: usize) -> (SessionId, BTreeSet<u64>, bool) {
        let page = self.page(page);
        let there = page.may_be_gone.is_none() && page.gone.is_none();
        (page.id, page.numbers.clone(), there)
    }

    fn page(&self, page: usize) -> MutexGuard<'_, Page> {
        let page = self.pages[page].lock();
        page.unwrap_or_else(PoisonError::into_inner)
    }
}

fn since(gone: Option<(Instant, Option<usize>)>) -> Option<Duration> {
    gone.map(|(at, _)| at.elapsed())
}
