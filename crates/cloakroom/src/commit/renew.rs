//! Renew: creates a session under a new id, and ends the old one at the revision that was copied. What was
//! saved to the old one meanwhile is merged first.
//!
//! If another request has ended the old session in the meantime, a renewal creates nothing, and a sign-in
//! continues in the successor ([`join`](super::join)), or in a session of its own.
//!
//! Cancelled at any point, it leaves the browser with one live session or none: the token of the new
//! session is not sent before the old session has ended.

use cloakroom_core::event::SessionEvent;
use cloakroom_core::renewal::RenewalMark;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::{Ended, Updated};
use cloakroom_core::{
    Authentication, EndReason, Entries, Limits, Record, SessionClient, SessionId, Tombstone, UserId,
};

use super::contention::{back_off, lock_key};
use super::context::CommitContext;
use super::create::{CreateOptions, create_session, report_creation};
use super::end::{Ending, end_at, roll_back};
use super::end_legacy::end_legacy;
use super::evict::evict_excess;
use super::follow_up::{FollowUp, client_for_event};
use super::index::{impersonation_key_of, user_key_of};
use super::join::{Joined, join, join_ended, join_live, report_join};
use super::outcome::{Committed, Stored};
use super::record::{merge, next_record, replace, with_metadata};
use crate::error::{Cause, SessionError};
use crate::state::{Acting, Draft, Live};
use crate::telemetry::log;

/// Carries a session over to a new id and token, and ends the old one.
pub(crate) async fn renew(
    cx: &CommitContext<'_>,
    old: &Live,
    draft: &Draft,
) -> Result<Committed, SessionError> {
    if draft.signing_in.is_some() && cx.context.session_limit.is_some() {
        // The new session must not count against the limit, or end another one for it, if this sign-in only
        // joins a session.
        let ended = [old.token.clone()];
        if let Some(joined) = Box::pin(join_ended(cx, &ended, draft)).await? {
            return Ok(Committed::Stored(joined));
        }
    }
    let rule = cx.context.rule(old.record.entries());
    let limits = draft.chosen.unwrap_or_else(|| old.limits(rule));
    let entries = entries_of_new(cx, old, draft, draft.entries.clone());
    let options = CreateOptions {
        is_limited: draft.signing_in.is_some(),
        replaces: draft.replaces(old.id(), old.record.entries()),
        publishes: false,
        has_fresh_token: true,
    };
    let user = Authentication::of(&entries);
    let user = user.as_ref().map(Authentication::user);
    let new = create_session(cx, &entries, user, Some(limits), options).await?;
    let mut ends_old = true;
    let retired = match retire(cx, old, &new.live, draft).await {
        Ok(Retired::Ended(stored)) => Ok(Some(stored)),
        Ok(Retired::Joined(stored, record)) => {
            ends_old = false;
            yield_to_sign_in(cx, old, stored, record, draft).await
        }
        Ok(Retired::AlreadyEnded(stored, tombstone)) => {
            lose(cx, old, stored, tombstone.as_ref(), draft).await
        }
        Err(error) => Err(error),
    };
    let stored = match retired {
        Ok(Some(stored)) => stored,
        Ok(None) => {
            roll_back_now(cx, new.live).await;
            log::ended_concurrently(old.id());
            return Ok(Committed::Ended);
        }
        Err(error) => {
            drop(roll_back(cx, new.live));
            return Err(error);
        }
    };
    if stored.live.id() != new.live.id() {
        roll_back_now(cx, new.live).await;
        // As after every sign-in, the legacy cookie must not lead to the session any more.
        end_legacy(cx, None).await?;
        return Ok(Committed::Stored(stored));
    }
    if !ends_old {
        report_creation(cx, &stored.live, user, new.index);
        return Ok(Committed::Stored(stored));
    }
    // The legacy cookie must not lead to the session any more.
    let migrated = (old.id(), old.record.entries());
    if let Err(error) = end_legacy(cx, Some(migrated)).await {
        drop(roll_back(cx, stored.live));
        return Err(error);
    }
    report_renewal(cx, old, &stored.live, draft, new.index.sample);
    Ok(Committed::Stored(stored))
}

/// Returns the entries of the new session. If it is a user's, they say which session it continues, and whether
/// the user has signed in with it.
fn entries_of_new(cx: &CommitContext<'_>, old: &Live, draft: &Draft, entries: Entries) -> Entries {
    let mut entries = with_metadata(cx, draft, entries);
    if entries.contains(Authentication::KEY) {
        let mark = match &draft.signing_in {
            Some(_) => RenewalMark::sign_in(old.id()),
            None => RenewalMark::new(old.id()),
        };
        mark.put_into(&mut entries);
    }
    entries
}

/// Rolls back a session that is not needed, and waits for it, so that the user has no further session when
/// the response is there.
async fn roll_back_now(cx: &CommitContext<'_>, new: Live) {
    let rolled_back = roll_back(cx, new);
    drop(cx.budget.wait(rolled_back).await);
}

/// How the old session has ended.
enum Retired {
    /// By this renewal.
    Ended(Stored),
    /// It has not: a sign-in has joined it meanwhile, as this record shows, and its cookie must stay valid.
    Joined(Stored, Record),
    /// By someone else. The tombstone is `None` if there was none.
    AlreadyEnded(Stored, Option<Tombstone>),
}

/// Ends the old session at the revision that was copied. What was saved to it meanwhile is merged into the
/// new one first.
async fn retire(
    cx: &CommitContext<'_>,
    old: &Live,
    new: &Live,
    draft: &Draft,
) -> Result<Retired, SessionError> {
    let id = old.id();
    let mut lock = None;
    let mut copied = old.record.clone();
    let mut new = Stored {
        live: new.clone(),
        taken: None,
    };
    for conflicts in 0_u32.. {
        let (expected, ending) = (copied.revision(), Ending::RenewedAs(new.live.id()));
        copied = match end_at(cx, id, &copied, Some(expected), ending).await? {
            Ended::Ended => return Ok(Retired::Ended(new)),
            Ended::Conflict(fresher)
                if Secrets::have_gained(old.record.entries(), fresher.entries()) =>
            {
                return Ok(Retired::Joined(new, fresher));
            }
            Ended::Conflict(fresher) => fresher,
            Ended::AlreadyEnded(tombstone) => {
                return Ok(Retired::AlreadyEnded(new, Some(tombstone)));
            }
            Ended::Missing => return Ok(Retired::AlreadyEnded(new, None)),
        };
        if !draft.starts_empty() {
            new = copy_again(cx, old, &copied, new.live, draft).await?;
        }
        if lock.is_none() {
            lock = Some(lock_key(cx, id).await?);
        } else {
            back_off(cx, conflicts, copied.revision()).await?;
        }
    }
    unreachable!("the loop ends by returning: the budget is finite")
}

/// Decides what comes of a renewal whose old session was ended by someone else. Returns the session that the
/// response sets: the new one, or the successor of the old one; or `None` for a renewal without a sign-in,
/// which must not take the place of what the browser has, or is about to receive.
async fn lose(
    cx: &CommitContext<'_>,
    old: &Live,
    new: Stored,
    tombstone: Option<&Tombstone>,
    draft: &Draft,
) -> Result<Option<Stored>, SessionError> {
    let Some(signing_in) = &draft.signing_in else {
        // Nobody ended a session of which no tombstone is left: it expired during the request.
        return tombstone.map(|_| None).ok_or_else(|| Cause::Expired.into());
    };
    let user = &signing_in.user;
    let joined = match tombstone {
        Some(tombstone) if tombstone.reason() == EndReason::Renewed => {
            Box::pin(join(cx, tombstone, user, draft)).await?
        }
        // It had to make room. Nobody wanted its data to be gone.
        Some(tombstone) if tombstone.reason() == EndReason::LimitExceeded => Joined::KeepsData,
        Some(_) | None => Joined::StartsOver,
    };
    Ok(Some(match joined {
        Joined::Yes(stored) => {
            report_join(cx, old.id(), &stored.live, user);
            *stored
        }
        Joined::KeepsData => {
            Box::pin(evict_excess(cx, user, new.live.id(), Some(old.id()))).await?;
            new
        }
        Joined::StartsOver => start_over(cx, new.live, draft).await?,
    }))
}

/// Copies a fresher record of the old session to the new one, with the edits of this request.
async fn copy_again(
    cx: &CommitContext<'_>,
    old: &Live,
    fresher: &Record,
    new: Live,
    draft: &Draft,
) -> Result<Stored, SessionError> {
    let merged = merge(cx, old.id(), draft, fresher)?;
    let rule = cx.context.rule(fresher.entries());
    let carried_over = fresher.limits().clamped_to(rule, old.began());
    let limits = draft.chosen.unwrap_or(carried_over);
    let entries = entries_of_new(cx, old, draft, merged.entries);
    Ok(Stored {
        live: rewrite(cx, new, entries, limits).await?,
        taken: Some(merged.taken),
    })
}

/// The session was ended for good, so its data must not be carried over into the session of the sign-in. The
/// edits of this request are kept, as if it had come a moment later: updates run again, on no entries.
async fn start_over(
    cx: &CommitContext<'_>,
    new: Live,
    draft: &Draft,
) -> Result<Stored, SessionError> {
    let nothing = Entries::new();
    let own = draft.changes.replay(&nothing, &nothing)?.entries;
    let own = with_metadata(cx, draft, own);
    let begun = Limits::begin(cx.context.rule(&own), cx.now());
    let limits = draft.chosen.unwrap_or(begun);
    let live = rewrite(cx, new, own, limits).await?;
    // An entry that was to be taken was one of the ended session.
    let taken = Some(None);
    Ok(Stored { live, taken })
}

/// Decides what comes of a renewal whose old session a sign-in has joined meanwhile: as if that sign-in had
/// renewed it, but it is still live.
async fn yield_to_sign_in(
    cx: &CommitContext<'_>,
    old: &Live,
    new: Stored,
    record: Record,
    draft: &Draft,
) -> Result<Option<Stored>, SessionError> {
    let Some(signing_in) = &draft.signing_in else {
        return Ok(None);
    };
    let user = &signing_in.user;
    Ok(Some(
        match Box::pin(join_live(cx, old.id(), record, user, draft)).await? {
            Joined::Yes(stored) => {
                report_join(cx, old.id(), &stored.live, user);
                *stored
            }
            Joined::KeepsData => {
                Box::pin(evict_excess(cx, user, new.live.id(), None)).await?;
                new
            }
            Joined::StartsOver => start_over(cx, new.live, draft).await?,
        },
    ))
}

/// Replaces the entries of the new session, which no other request knows yet.
async fn rewrite(
    cx: &CommitContext<'_>,
    live: Live,
    entries: Entries,
    limits: Limits,
) -> Result<Live, SessionError> {
    let (id, base) = (live.id(), &live.record);
    let next = next_record(cx, id, base, entries, *base.digest(), Some(limits))?;
    match replace(cx, id, base, &next).await? {
        Updated::Updated => Ok(Live {
            record: next,
            ..live
        }),
        Updated::Conflict(_) | Updated::Ended(_) | Updated::Missing => Err(Cause::Ended.into()),
    }
}

/// Logs and publishes the renewal, and starts what follows in the background.
fn report_renewal(
    cx: &CommitContext<'_>,
    old: &Live,
    new: &Live,
    draft: &Draft,
    sample: Vec<SessionId>,
) {
    let (from, id) = (old.id(), new.id());
    let user = Authentication::of(new.record.entries()).map(|user| user.user().clone());
    log::renewed(from, id);
    let mut follow_up = FollowUp::new(cx.context);
    let keys = [
        user_key_of(cx.context, &old.record),
        impersonation_key_of(cx.context, &old.record),
    ];
    for previous in keys.into_iter().flatten() {
        follow_up = follow_up.remove_from_index(previous, from);
    }
    if let Some(user) = &user {
        follow_up = follow_up.check_sample(user, sample);
    }
    let client = client_for_event(cx.context, new.record.entries());
    let event = match (&draft.signing_in, &draft.acting, user) {
        (Some(_), _, Some(user)) => {
            log::signed_in(id, cx.context.logged(&user));
            SessionEvent::SignedIn {
                id,
                user,
                from: Some(from),
                client,
            }
        }
        (_, Some(acting), Some(impersonator)) => {
            impersonation_event(cx, (from, id), client, impersonator, acting)
        }
        (_, _, user) => SessionEvent::Renewed {
            id,
            from,
            user,
            client,
        },
    };
    follow_up.publish(event).start();
}

/// Logs that an impersonation has begun or stopped, and returns its event.
fn impersonation_event(
    cx: &CommitContext<'_>,
    (from, id): (SessionId, SessionId),
    client: Option<SessionClient>,
    impersonator: UserId,
    acting: &Acting,
) -> SessionEvent {
    let by = cx.context.logged(&impersonator);
    match acting {
        Acting::Begin(impersonation) => {
            let user = impersonation.user().clone();
            log::impersonation_started(id, cx.context.logged(&user), by);
            SessionEvent::ImpersonationStarted {
                id,
                from,
                impersonator,
                user,
                client,
            }
        }
        Acting::Stop(user) => {
            let user = user.clone();
            log::impersonation_stopped(id, cx.context.logged(&user), by);
            SessionEvent::ImpersonationStopped {
                id,
                from,
                impersonator,
                user,
                client,
            }
        }
    }
}
