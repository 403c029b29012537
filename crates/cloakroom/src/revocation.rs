//! Before when no session counts: how everything of an app is ended at once, on every server.
//!
//! The store keeps one moment, the epoch. A session that began before it is refused, also where its
//! record is still there, or comes back from a backup. Every server looks at it again within
//! [`VALID`]; one that cannot refuses all sessions. So whoever moves the epoch and waits that long
//! knows that it holds everywhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloakroom_core::{StoreError, Timestamp};
use tokio::time::Instant;
use tracing::Instrument;

use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;

/// For how long a server goes by what it knows of the epoch.
pub(crate) const VALID: Duration = Duration::from_secs(8);

/// When it looks again, in the background, if there are requests.
const YOUNG: Duration = Duration::from_secs(4);

/// What one server knows of the epoch.
#[derive(Debug, Default)]
pub(crate) struct Epoch {
    known: Mutex<Option<Known>>,
    looking: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    began: Timestamp,
    /// When it was asked for: it holds from then on, and not from the answer.
    asked: Instant,
}

impl Epoch {
    /// When the epoch began. Nearly always this is known; after a pause the store is asked.
    pub(crate) async fn began(
        &self,
        context: &Arc<Context>,
        budget: &Budget,
    ) -> Result<Timestamp, SessionError> {
        if !context.store.has_index() {
            return Ok(Timestamp::from_millis(0));
        }
        match self
            .known()
            .map(|known| (known.began, known.asked.elapsed()))
        {
            Some((began, age)) if age < YOUNG => Ok(began),
            Some((began, age)) if age < VALID => {
                look_in_the_background(context);
                Ok(began)
            }
            _ => Ok(Box::pin(self.look(context, budget)).await?),
        }
    }

    /// Asks the store.
    pub(crate) async fn look(
        &self,
        context: &Context,
        budget: &Budget,
    ) -> Result<Timestamp, StoreError> {
        let asked = Instant::now();
        let began = budget.read(context.store.epoch()).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = known.map_or(began, |known| known.began.max(began));
        *known = Some(Known {
            began: latest,
            asked: known.map_or(asked, |known| known.asked.max(asked)),
        });
        Ok(latest)
    }

    fn known(&self) -> Option<Known> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look_in_the_background(context: &Arc<Context>) {
    if context.epoch.looking.swap(true, Ordering::AcqRel) {
        return;
    }
    let context = Arc::clone(context);
    let look = async move {
        let _done = Looking(&context.epoch.looking);
        let budget = Budget::new(context.budget);
        // If it fails, the next request tries again, and from `VALID` on it has to wait for it.
        drop(context.epoch.look(&context, &budget).await);
    };
    tokio::spawn(look.in_current_span());
}

struct Looking<'a>(&'a AtomicBool);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
