//! What a request carries of the other system.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::legacy::OldId;
use crate::context::Context;
use crate::cookie::headers::{CANDIDATES, Tickets};

/// What a request presents of the other system, and what becomes of its cookie.
#[derive(Debug, Default)]
pub(crate) struct Former {
    ids: OnceLock<Vec<OldId>>,
    cookie_goes: AtomicBool,
}

/// The same, to be worked with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) ids: &'a [OldId],
    cookie_goes: &'a AtomicBool,
}

impl Former {
    pub(crate) fn of<'a>(&'a self, context: &Context, tickets: &Tickets) -> Presented<'a> {
        Presented {
            ids: self.ids.get_or_init(|| ids(context, tickets)),
            cookie_goes: &self.cookie_goes,
        }
    }

    /// Whether the answer takes the old cookie away.
    pub(crate) fn cookie_goes(&self) -> bool {
        self.cookie_goes.load(Ordering::Relaxed)
    }
}

impl Presented<'_> {
    /// The old session is gone: so the old cookie goes with the answer, if there was one.
    pub(crate) fn let_cookie_go(&self) {
        if !self.ids.is_empty() {
            self.cookie_goes.store(true, Ordering::Relaxed);
        }
    }
}

/// The ids in the cookies of the old name, without repetitions, two at most.
fn ids(context: &Context, tickets: &Tickets) -> Vec<OldId> {
    let mut ids = Vec::new();
    let Some(arrivals) = &context.arrivals else {
        return ids;
    };
    let name = arrivals.cookie().name();
    for id in tickets
        .values_of(name)
        .filter_map(|value| arrivals.open(value))
    {
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() == CANDIDATES {
            break;
        }
    }
    ids
}
