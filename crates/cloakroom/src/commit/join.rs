//! Join: a sign-in that finds that another sign-in of the same user has replaced its session in the meantime
//! continues in the successor.
//!
//! The responses to two concurrent sign-ins, as by a double click, set two cookies, and the browser keeps the
//! one that arrives last. So both have to open the same session: each has a secret of its own, and either is
//! valid. The old cookie alone is not enough: only a sign-in joins.

use cloakroom_core::event::SessionEvent;
use cloakroom_core::renewal::RenewalMark;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::Updated;
use cloakroom_core::{
    Authentication, EndReason, Record, SessionId, StoreErrorKind, Token, Tombstone, UserId,
};

use super::contention::back_off;
use super::context::CommitContext;
use super::follow_up::{FollowUp, client_for_event};
use super::index::reindex;
use super::outcome::Stored;
use super::record::{merge, next_record, replace, with_metadata};
use super::successor::{Successor, successor_of, tombstone_of};
use crate::error::SessionError;
use crate::state::{Draft, Live};
use crate::telemetry::log;

/// The result of an attempt to join.
pub(super) enum Joined {
    /// The sign-in has joined the successor of the session with the first id.
    Yes(Box<Stored>),
    /// There is no successor to join. The new session holds what the request has loaded.
    KeepsData,
    /// The session was ended for good: nothing of it may be in a new one.
    StartsOver,
}

/// Joins the successor of a session that has ended with this tombstone.
pub(super) async fn join(
    cx: &CommitContext<'_>,
    tombstone: &Tombstone,
    user: &UserId,
    draft: &Draft,
) -> Result<Joined, SessionError> {
    let mut tombstone = tombstone.clone();
    for attempt in 0_u32.. {
        let (id, record) = match successor_of(cx, &tombstone).await? {
            Successor::Live(id, record) => (id, record),
            Successor::Ended(_, reason) if is_ended_for_good(reason) => {
                return Ok(Joined::StartsOver);
            }
            Successor::Revoked(..) => return Ok(Joined::StartsOver),
            // A server of a newer release can join it.
            Successor::Undecodable(_, error) if error.kind() == StoreErrorKind::NewerFormat => {
                return Err(error.into());
            }
            Successor::Ended(..) | Successor::Undecodable(..) | Successor::Unknown => {
                return Ok(Joined::KeepsData);
            }
        };
        if !can_be_joined(&record, user) || draft.discards_data() {
            return Ok(Joined::KeepsData);
        }
        let revision = record.revision();
        match add_secret(cx, id, record, draft).await? {
            Added::Yes(stored) => return Ok(Joined::Yes(Box::new(stored))),
            Added::Full => return Ok(Joined::KeepsData),
            // The successor was changed, or has ended: look again where the chain leads.
            Added::Conflict(_) => back_off(cx, attempt, revision).await?,
            Added::Ended(next) => tombstone = next,
        }
    }
    unreachable!("the loop ends by returning: the budget is finite")
}

/// Joins a live session which a sign-in has joined since this request has loaded it. A session of another
/// user is left as it is.
pub(super) async fn join_live(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: Record,
    user: &UserId,
    draft: &Draft,
) -> Result<Joined, SessionError> {
    if !can_be_joined(&record, user) || draft.discards_data() {
        return Ok(Joined::KeepsData);
    }
    let mut record = record;
    for attempt in 0_u32.. {
        let revision = record.revision();
        match add_secret(cx, id, record, draft).await? {
            Added::Yes(stored) => return Ok(Joined::Yes(Box::new(stored))),
            Added::Full => return Ok(Joined::KeepsData),
            Added::Ended(tombstone) => return join(cx, &tombstone, user, draft).await,
            Added::Conflict(None) => return Ok(Joined::StartsOver),
            Added::Conflict(Some(fresher)) => record = fresher,
        }
        back_off(cx, attempt, revision).await?;
    }
    unreachable!("the loop ends by returning: the budget is finite")
}

/// Joins the successor of one of the ended sessions whose tokens the request has presented.
pub(super) async fn join_ended(
    cx: &CommitContext<'_>,
    ended: &[Token],
    draft: &Draft,
) -> Result<Option<Stored>, SessionError> {
    let Some(signing_in) = &draft.signing_in else {
        return Ok(None);
    };
    for token in ended {
        let Some(tombstone) = tombstone_of(cx, token).await? else {
            continue;
        };
        if tombstone.reason() == EndReason::Renewed
            && let Joined::Yes(stored) = join(cx, &tombstone, &signing_in.user, draft).await?
        {
            report_join(cx, token.id(), &stored.live, &signing_in.user);
            return Ok(Some(*stored));
        }
    }
    Ok(None)
}

/// Logs and publishes that a sign-in has joined a session.
pub(super) fn report_join(cx: &CommitContext<'_>, from: SessionId, joined: &Live, user: &UserId) {
    let id = joined.id();
    log::joined(from, id, cx.context.logged(user));
    let event = SessionEvent::SignedIn {
        id,
        user: user.clone(),
        from: Some(from),
        client: client_for_event(cx.context, joined.record.entries()),
    };
    FollowUp::new(cx.context).publish(event).start();
}

enum Added {
    Yes(Stored),
    /// It has as many secrets as it may have.
    Full,
    /// Another commit came first; this is the stored record, if there is one.
    Conflict(Option<Record>),
    Ended(Tombstone),
}

/// Stores the edits of the sign-in in a session of the same user, and a further secret.
async fn add_secret(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: Record,
    draft: &Draft,
) -> Result<Added, SessionError> {
    let token = Token::issue_for(id, &*cx.context.rng)?;
    let digest = cx.context.realm.digest(&token);
    let Some(secrets) = Secrets::with_alternative(&record, digest, cx.now()) else {
        return Ok(Added::Full);
    };
    let merged = merge(cx, id, draft, &record)?;
    let mut entries = with_metadata(cx, draft, merged.entries);
    secrets.put_into(&mut entries);
    if let Some(mark) = RenewalMark::of(record.entries()) {
        // The session is still the one that the first sign-in has created.
        mark.put_into(&mut entries);
    }
    let next = next_record(cx, id, &record, entries, *record.digest(), draft.chosen)?;
    let base = Live { token, record };
    reindex(cx, &base, next.limits()).await?;
    Ok(match replace(cx, id, &base.record, &next).await? {
        Updated::Updated => Added::Yes(Stored {
            live: Live {
                record: next,
                ..base
            },
            taken: Some(merged.taken),
        }),
        Updated::Ended(tombstone) => Added::Ended(tombstone),
        Updated::Conflict(fresher) => Added::Conflict(Some(fresher)),
        Updated::Missing => Added::Conflict(None),
    })
}

/// Whether a session has ended because somebody wanted it to end.
const fn is_ended_for_good(reason: EndReason) -> bool {
    !matches!(
        reason,
        EndReason::Renewed | EndReason::Abandoned | EndReason::Expired | EndReason::LimitExceeded
    )
}

/// Whether a sign-in of this user may continue in a session: it is the user's, and a sign-in has created it.
/// A session that was renewed later, because a second factor was given for instance, is not joined: the
/// request may come from someone who has only the password and an old cookie.
fn can_be_joined(record: &Record, user: &UserId) -> bool {
    let entries = record.entries();
    RenewalMark::of(entries).is_some_and(|mark| mark.is_sign_in())
        && Authentication::of(entries).is_some_and(|found| found.user() == user)
}
