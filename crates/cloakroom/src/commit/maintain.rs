//! Maintenance: what the library itself has to write for a live session that a request has used.

use cloakroom_core::Timestamp;
use cloakroom_core::rotation::{SecretStatus, Secrets};
use cloakroom_core::store::Loaded;

use super::context::CommitContext;
use super::outcome::{Committed, Stored};
use super::refresh::is_rotation_due;
use super::touch::touch;
use super::update::update;
use crate::context::Context;
use crate::device::ClientInfo;
use crate::error::SessionError;
use crate::plan::{Due, Step};
use crate::state::{Draft, Live};

/// Returns the maintenance that a live session needs.
pub(crate) fn due(
    context: &Context,
    client: Option<&ClientInfo>,
    live: &Live,
    now: Timestamp,
) -> Due {
    let record = &live.record;
    let rotates = is_rotation_due(context, live, now);
    if rotates {
        let digest = context.realm.digest(&live.token);
        if Secrets::status(record, &digest, now) == SecretStatus::Next {
            return Due::PromoteSecret;
        }
    }
    if rotates || Secrets::successor(record, &live.token, &context.realm).is_some() {
        return Due::OfferSecret;
    }
    let rule = context.rule(record.entries());
    if !live.limits(rule).touch_due(now, record.last_seen()) {
        return Due::Nothing;
    }
    match client {
        Some(client) if client.differs_from(record.entries()) => Due::RecordDevice,
        _ => Due::Touch,
    }
}

/// Runs [`Step::Maintain`] or [`Step::Verify`].
pub(crate) async fn maintain(
    cx: &CommitContext<'_>,
    step: Step,
    live: &Live,
    draft: &Draft,
) -> Result<Committed, SessionError> {
    let due = due(cx.context, cx.client, live, cx.now());
    if step == Step::Verify {
        // Some clients never accept the new cookie, but go on using the session.
        if due != Due::Nothing {
            drop(touch(cx, live.id(), &live.record, cx.now()).await);
        }
        return verify(cx, live).await;
    }
    // The successor of the presented token exists already, and only has to be sent.
    if due == Due::OfferSecret && !is_rotation_due(cx.context, live, cx.now()) {
        return verify(cx, live).await;
    }
    update(cx, live, draft).await
}

/// Reads the session again before the cookie is set: if a concurrent request has renewed or ended it, the
/// browser may have a better cookie by now.
async fn verify(cx: &CommitContext<'_>, live: &Live) -> Result<Committed, SessionError> {
    match cx.budget.read(cx.store().load(live.id())).await? {
        Loaded::Record(record) => {
            let token = live.token.clone();
            Ok(Committed::Stored(Stored {
                live: Live { token, record },
                taken: None,
            }))
        }
        Loaded::Tombstone(_) | Loaded::Nothing => Ok(Committed::Ended),
    }
}
