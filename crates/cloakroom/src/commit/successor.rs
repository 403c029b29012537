//! The successor of a renewed session: the session in which its data continues. Its tombstone names it.

use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{
    Digest, EndReason, Record, SessionId, StoreError, StoreErrorKind, Token, Tombstone,
};

use super::context::CommitContext;
use super::end::{end, end_by_id};
use super::end_legacy::{combine, end_legacy};
use super::outcome::EndResults;
use crate::error::{SessionError, SessionErrorKind};
use crate::state::limits_of;
use crate::store::is_undecodable;

/// How many renewals in a row are followed.
pub(crate) const MAX_RENEWALS: usize = 8;

/// Where the tombstones of renewed sessions lead.
pub(super) enum Successor {
    Live(SessionId, Record),
    /// It was created before "revoked before". Servers that have not read that time yet accept it until it has ended.
    Revoked(SessionId, Record),
    /// The last session that was found has ended for this reason. `Renewed` if its own successor is unknown.
    Ended(SessionId, EndReason),
    /// The last one that was found cannot be decoded.
    Undecodable(SessionId, StoreError),
    /// The tombstone names no successor, or that has expired.
    Unknown,
}

/// Follows a tombstone to the last session of a chain of renewals.
pub(super) async fn successor_of(
    cx: &CommitContext<'_>,
    tombstone: &Tombstone,
) -> Result<Successor, SessionError> {
    let mut tombstone = tombstone.clone();
    let mut last = Successor::Unknown;
    for _ in 0..MAX_RENEWALS {
        let Some(id) = tombstone.successor() else {
            break;
        };
        match cx.budget.read(cx.store().load(id)).await {
            // It has expired, which needs no tombstone: a new session may take its place.
            Ok(Loaded::Record(record)) if is_expired(cx, id, &record) => {
                return Ok(Successor::Unknown);
            }
            Ok(Loaded::Record(record)) => {
                let is_revoked = id.created_at() < cx.context.revoked_before(cx.budget).await?;
                return Ok(if is_revoked {
                    Successor::Revoked(id, record)
                } else {
                    Successor::Live(id, record)
                });
            }
            Ok(Loaded::Nothing) => return Ok(Successor::Unknown),
            Ok(Loaded::Tombstone(next)) => tombstone = next,
            Err(error) if is_undecodable(&error) => return Ok(Successor::Undecodable(id, error)),
            Err(error) => return Err(error.into()),
        }
        last = Successor::Ended(id, tombstone.reason());
    }
    Ok(last)
}

/// Ends a session, and the one in which it continues if it was renewed before.
pub(crate) async fn end_with_successor(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: &Record,
    reason: EndReason,
) -> Result<Ended, SessionError> {
    let mut unconfirmed = None;
    let ended = match end_or_tombstone(cx, id, record, reason, &mut unconfirmed).await? {
        Ended::AlreadyEnded(tombstone) => {
            if end_successor(cx, &tombstone, reason).await? {
                Ended::Ended
            } else {
                Ended::AlreadyEnded(tombstone)
            }
        }
        ended => ended,
    };
    unconfirmed.map_or(Ok(ended), Err)
}

/// Ends a session. That too few replicas have its end does not tell who has ended it: the session may have been renewed
/// before, and continue in another. So in this case the tombstone is returned, and the error is kept for later.
async fn end_or_tombstone(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: &Record,
    reason: EndReason,
    unconfirmed: &mut Option<SessionError>,
) -> Result<Ended, SessionError> {
    match end(cx, id, record, reason).await {
        Err(error) if error.kind() == SessionErrorKind::NotReplicated => {
            let Loaded::Tombstone(tombstone) = load(cx, id).await? else {
                return Err(error);
            };
            *unconfirmed = Some(error);
            Ok(Ended::AlreadyEnded(tombstone))
        }
        ended => ended,
    }
}

/// Ends the last session of a chain of renewals, so that a sign-out also ends what the browser is about to
/// receive. Returns whether a live session was ended. One that has ended already is ended once more, since too
/// few replicas may have its tombstone.
async fn end_successor(
    cx: &CommitContext<'_>,
    tombstone: &Tombstone,
    reason: EndReason,
) -> Result<bool, SessionError> {
    let mut unconfirmed = None;
    let was_live = end_last(cx, tombstone, reason, &mut unconfirmed).await?;
    unconfirmed.map_or(Ok(was_live), Err)
}

async fn end_last(
    cx: &CommitContext<'_>,
    tombstone: &Tombstone,
    reason: EndReason,
    unconfirmed: &mut Option<SessionError>,
) -> Result<bool, SessionError> {
    let mut tombstone = tombstone.clone();
    for _ in 0..MAX_RENEWALS {
        let (id, record) = match successor_of(cx, &tombstone).await? {
            Successor::Live(id, record) | Successor::Revoked(id, record) => (id, record),
            Successor::Ended(id, reason) => {
                Box::pin(end_by_id(cx, id, None, reason)).await?;
                return Ok(false);
            }
            Successor::Undecodable(id, _) => {
                let ended = Box::pin(end_by_id(cx, id, None, reason)).await?;
                return Ok(ended == Ended::Ended);
            }
            Successor::Unknown => return Ok(false),
        };
        match end_or_tombstone(cx, id, &record, reason, unconfirmed).await? {
            Ended::Ended => return Ok(true),
            // It was renewed in the meantime.
            Ended::AlreadyEnded(next) => tombstone = next,
            Ended::Missing | Ended::Conflict(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// Ends the successors of the ended sessions of these tokens, and returns whether one was live. Sessions
/// without a live successor end once more, since the earlier end may have reached too few replicas. One that
/// cannot be ended does not keep the others alive.
pub(crate) async fn end_again(
    cx: &CommitContext<'_>,
    tokens: &[Token],
    reason: EndReason,
) -> Result<bool, SessionError> {
    let mut results = EndResults::default();
    for token in tokens {
        results.add(end_one_again(cx, token, reason).await);
    }
    results.was_live()
}

async fn end_one_again(
    cx: &CommitContext<'_>,
    token: &Token,
    reason: EndReason,
) -> Result<bool, SessionError> {
    let digest = cx.context.realm.digest(token);
    let tombstone = match load(cx, token.id()).await? {
        // Found ended, which a failover has undone since, or expired by the timeouts of this server.
        Loaded::Record(record) if Secrets::status(&record, &digest, cx.now()).is_valid() => {
            let legacy = end_legacy(cx, Some((token.id(), record.entries()))).await?;
            let ended = end_with_successor(cx, token.id(), &record, reason).await?;
            return Ok(combine(legacy, ended) == Ended::Ended);
        }
        loaded => tombstone_for(loaded, &digest),
    };
    let Some(tombstone) = tombstone else {
        return Ok(false);
    };
    if end_successor(cx, &tombstone, reason).await? {
        return Ok(true);
    }
    end_by_id(cx, token.id(), None, tombstone.reason()).await?;
    Ok(false)
}

/// Returns the tombstone of the session of this token; `None` if it has none, or the token is not its token. It
/// leads to a successor only if the token was valid when the session was renewed: the id alone is public.
pub(super) async fn tombstone_of(
    cx: &CommitContext<'_>,
    token: &Token,
) -> Result<Option<Tombstone>, SessionError> {
    let digest = cx.context.realm.digest(token);
    Ok(tombstone_for(load(cx, token.id()).await?, &digest))
}

fn tombstone_for(loaded: Loaded, digest: &Digest) -> Option<Tombstone> {
    match loaded {
        Loaded::Tombstone(tombstone) if tombstone.is_secret(digest) => Some(tombstone),
        Loaded::Tombstone(tombstone) if tombstone.digest().is_none() => {
            Some(tombstone.without_successor())
        }
        _ => None,
    }
}

async fn load(cx: &CommitContext<'_>, id: SessionId) -> Result<Loaded, SessionError> {
    match cx.budget.read(cx.store().load(id)).await {
        Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(Loaded::Nothing),
        loaded => Ok(loaded?),
    }
}

/// Whether a session that was created by a renewal has expired by the current rules. It is not linked with a
/// legacy session, since a renewal ends the link.
fn is_expired(cx: &CommitContext<'_>, id: SessionId, record: &Record) -> bool {
    let limits = limits_of(id, record, cx.context.rule(record.entries()));
    limits.is_expired(cx.now(), record.last_seen())
}
