//! Touch: updates last-seen.

use cloakroom_core::store::Touched;
use cloakroom_core::{Record, SessionId, StoreError, Timestamp};

use super::context::CommitContext;
use crate::state::limits_of;
use crate::telemetry::log;

/// Sets last-seen to `now`. A failure is logged, and need not fail the request: the session stays alive
/// for the rest of its idle timeout, and the next request tries again.
pub(crate) async fn touch(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: &Record,
    now: Timestamp,
) -> Result<Touched, StoreError> {
    let rule = cx.context.rule(record.entries());
    let Some(ttl) = limits_of(id, record, rule).ttl(now) else {
        return Ok(Touched::Superseded);
    };
    let touch = cx.store().touch(id, record.revision(), now, ttl);
    let touched = cx.budget.write(touch).await;
    if let Err(error) = &touched {
        log::touch_failed(id, error);
    }
    touched
}
