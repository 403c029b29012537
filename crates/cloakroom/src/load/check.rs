//! Whether a record is a live session.

use std::sync::Arc;

use cloakroom_core::EndReason;

use super::linked;
use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;
use crate::state::{Live, Standing};
use crate::telemetry::{log, metrics};

/// A session that is there: unless it is over by the rule of now, which may be stricter than the TTL
/// that the store enforces, or began before the epoch; or where it came from, it is over.
pub(crate) async fn live(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    let id = live.token.id();
    let rule = context.rule(live.record.entries());
    if live
        .limits(rule)
        .is_over(context.clock.now(), live.record.seen())
    {
        log::expired(id);
        return Ok(Standing::Nothing);
    }
    let began = context.epoch.began(context, budget).await;
    if id.created_at() < began.inspect_err(|_| metrics::load("error"))? {
        log::before_epoch(id);
        return Ok(Standing::Nothing);
    }
    if !linked::has_one(context, &live) {
        metrics::load("hit");
        return Ok(Standing::Live(live));
    }
    match Box::pin(linked::follow(context, live, budget)).await {
        Ok(Some(live)) => {
            metrics::load("hit");
            Ok(Standing::Live(live))
        }
        Ok(None) => {
            log::ended_token(id, EndReason::AtOrigin);
            Ok(Standing::Tombstoned)
        }
        Err(error) => {
            metrics::load("error");
            Err(error)
        }
    }
}
