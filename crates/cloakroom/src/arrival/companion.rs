//! A moved session whose old one lives on beside: they end together.

use std::sync::Arc;

use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{StoreError, StoreErrorKind};

use super::config::Arrivals;
use super::predecessor::OldId;
use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::error::SessionError;
use crate::load::read;
use crate::state::Live;

/// How often a session that others write to meanwhile is looked at.
const ATTEMPTS: usize = 5;

/// Looks whether the old session is still there; `None` if it is not, and this one has ended for it.
/// In the last phase, the old one is let go.
pub(crate) async fn follow(
    context: &Arc<Context>,
    mut live: Live,
    budget: &Budget,
) -> Result<Option<Live>, SessionError> {
    let Some(arrivals) = &context.arrivals else {
        return Ok(Some(live));
    };
    let committer = Committer::of(context, budget);
    for _ in 0..ATTEMPTS {
        let Some(old) = origin(context, arrivals, &live) else {
            return Ok(Some(live));
        };
        if arrivals.is_last_phase() {
            return Ok(Some(committer.settle(live, &old).await));
        }
        if is_there(arrivals, &old, &live, budget).await? {
            return Ok(Some(live));
        }
        // What was loaded may be from a cache: perhaps a server of the last phase has let the old one
        // go since. It says so in the record first, so at this very revision it has ended.
        let there = context.store.load(live.token.id());
        let Some(Loaded::Record(record)) = read(context, there, live.token.id(), budget).await?
        else {
            return Ok(None);
        };
        live.record = record;
        if origin(context, arrivals, &live).is_none() {
            return Ok(Some(live));
        }
        match committer.end_as_its_origin(&live).await? {
            Ended::Conflict(fresher) => live.record = fresher,
            Ended::Ended | Ended::AlreadyEnded(_) | Ended::Missing => return Ok(None),
        }
    }
    Err(StoreError::new(StoreErrorKind::Unavailable).into())
}

fn origin(context: &Context, arrivals: &Arrivals, live: &Live) -> Option<OldId> {
    arrivals.origin(&context.realm, live.token.id(), live.record.entries())
}

/// Whether the old session is there, and still its user's. One that cannot be read is there.
async fn is_there(
    arrivals: &Arrivals,
    old: &OldId,
    live: &Live,
    budget: &Budget,
) -> Result<bool, SessionError> {
    match arrivals.read(old, budget).await {
        Ok(Some(old)) => Ok(arrivals.agree_on_user(&old.entries, live.record.entries())),
        Ok(None) => Ok(false),
        Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(true),
        Err(error) => Err(error.into()),
    }
}
