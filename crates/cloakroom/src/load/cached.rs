//! Accepts a request by what a cache in front of the store holds.
//!
//! A cached record may be stale, so it can only accept a request. Before a request is decided against (its
//! secret is wrong or retired, its session has expired, was revoked, has ended or is missing), the store is
//! read: another server may have rotated the token, used or changed the session since.

use std::sync::Arc;

use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::Loaded;
use cloakroom_core::{Timestamp, Token};

use super::check::{Liveness, check_and_sync_at, is_live_now};
use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;
use crate::state::Live;
use crate::telemetry::metrics;

/// Returns the session of a token if a cached record of it is live and has this secret; `None` if the store
/// has to be read. Nothing is logged then: the result of that read is. `now` is when the caller has
/// begun, without waiting since.
pub(super) async fn accept_cached(
    context: &Arc<Context>,
    token: &Token,
    now: Timestamp,
    budget: &Budget,
) -> Result<Option<Live>, SessionError> {
    let id = token.id();
    let Some(Loaded::Record(record)) = context.store.peek_cached(id) else {
        return Ok(None);
    };
    let digest = context.realm.digest(token);
    if !Secrets::status(&record, &digest, now).is_valid() {
        return Ok(None);
    }
    let record = record.with_whole_digest(&digest);
    let token = token.clone();
    if let Some(is_live) = is_live_now(context, id, &record, now) {
        if is_live {
            metrics::load("hit");
        }
        return Ok(is_live.then_some(Live { token, record }));
    }
    // On the heap, so that the usual case does not carry it.
    let liveness = Box::pin(check_and_sync_at(context, id, record, now, budget)).await;
    match liveness.inspect_err(|_| metrics::load("error"))? {
        Liveness::Live { record, .. } => {
            metrics::load("hit");
            Ok(Some(Live { token, record }))
        }
        Liveness::Expired | Liveness::Revoked(_) | Liveness::EndedInLegacyStore(_) => Ok(None),
    }
}
