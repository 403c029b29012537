//! A moved session whose old one lives on beside: they end together.

use std::sync::Arc;

use cloakroom_core::arrival::Arrival;
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, StoreErrorKind};

use super::read::read;
use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::error::SessionError;
use crate::migration::{Arrivals, OldId};
use crate::state::Live;

/// Whether a session may have an old one that lives on beside.
pub(crate) fn has_one(context: &Context, live: &Live) -> bool {
    context.arrivals.is_some() && live.record.entries().contains(Arrival::KEY)
}

/// Looks whether the old session is still there; `None` if it is not, and this one has ended for it.
/// In the last phase, one that is there is let go.
pub(crate) async fn follow(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<Option<Live>, SessionError> {
    let Some(arrivals) = &context.arrivals else {
        return Ok(Some(live));
    };
    let Some(old) = origin(context, arrivals, &live) else {
        return Ok(Some(live));
    };
    let committer = Committer::of(context, budget);
    if is_there(arrivals, &old, &live, budget).await? {
        return Ok(Some(match arrivals.is_last_phase() {
            true => committer.settle(live, &old).await,
            false => live,
        }));
    }
    // A server of the last phase may have let it go, since this one was loaded: then the record says so
    // by now, for that comes first.
    let Some(Loaded::Record(record)) = read(context, live.token.id(), budget).await? else {
        return Ok(None);
    };
    let live = Live { record, ..live };
    if origin(context, arrivals, &live).is_none() {
        return Ok(Some(live));
    }
    committer.end(&live, EndReason::AtOrigin).await?;
    Ok(None)
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
