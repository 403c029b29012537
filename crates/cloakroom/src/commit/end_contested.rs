//! Ends all live sessions that a request has presented besides the one that it uses.

use cloakroom_core::EndReason;
use cloakroom_core::store::Ended;

use super::context::CommitContext;
use super::end::end;
use super::end_legacy::{combine, end_legacy};
use super::outcome::EndResults;
use crate::error::SessionError;
use crate::state::Live;

/// Ends sessions, and their legacy sessions. Returns whether one of them was live. One that cannot be ended
/// does not keep the others alive.
pub(crate) async fn end_contested(
    cx: &CommitContext<'_>,
    others: &[Live],
    reason: EndReason,
) -> Result<bool, SessionError> {
    let mut results = EndResults::default();
    for live in others {
        let ended = end_one(cx, live, reason).await;
        results.add(ended.map(|ended| matches!(ended, Ended::Ended)));
    }
    results.was_live()
}

async fn end_one(
    cx: &CommitContext<'_>,
    live: &Live,
    reason: EndReason,
) -> Result<Ended, SessionError> {
    let migrated = (live.id(), live.record.entries());
    let legacy = end_legacy(cx, Some(migrated)).await?;
    let ended = end(cx, live.id(), &live.record, reason).await?;
    Ok(combine(legacy, ended))
}
