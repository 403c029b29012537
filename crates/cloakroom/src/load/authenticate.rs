//! Decides whether a token authenticates a request.

use std::sync::Arc;

use cloakroom_core::rotation::{SecretStatus, Secrets};
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, Timestamp, Token};

use super::cached::accept_cached;
use super::check::{is_live_now, lookup_with_reason};
use super::read::read;
use crate::budget::Budget;
use crate::commit::{CommitContext, end};
use crate::context::Context;
use crate::error::SessionError;
use crate::plan::Lookup;
use crate::state::Live;
use crate::telemetry::{log, metrics};

/// What a token has led to.
pub(super) enum Authenticated {
    Live(Live),
    /// The secret was replaced: somebody else holds its successor, unless this request does.
    Reused(Live),
    /// The reason is known only to a client that has presented a secret of the session.
    Ended(Option<EndReason>),
    Absent(Option<EndReason>),
}

/// Finds the session of a token, which a request presents at `now`.
pub(super) async fn authenticate(
    context: &Arc<Context>,
    token: Token,
    now: Timestamp,
    budget: &Budget,
) -> Result<Authenticated, SessionError> {
    let id = token.id();
    if now.since(id.created_at()) > context.longest_life() {
        log::unknown_token(id);
        return Ok(Authenticated::Absent(None));
    }
    if let Some(live) = accept_cached(context, &token, now, budget).await? {
        return Ok(Authenticated::Live(live));
    }
    let Some(loaded) = read(context, id, budget).await? else {
        return Ok(Authenticated::Absent(None));
    };
    let digest = context.realm.digest(&token);
    match loaded {
        Loaded::Record(record) => match Secrets::status(&record, &digest, now) {
            SecretStatus::Current | SecretStatus::Next | SecretStatus::Previous => {
                let record = record.with_whole_digest(&digest);
                let live = Live { token, record };
                if is_live_now(context, id, &live.record, context.clock.now()) == Some(true) {
                    metrics::load("hit");
                    return Ok(Authenticated::Live(live));
                }
                // On the heap, as everything that few requests need: the futures of all others stay small.
                let lookup = Box::pin(lookup_with_reason(context, live, budget));
                let (lookup, reason) = lookup.await?;
                Ok(match lookup {
                    Lookup::Live(live) => Authenticated::Live(live),
                    Lookup::Ended => Authenticated::Ended(reason),
                    Lookup::Absent => Authenticated::Absent(reason),
                })
            }
            SecretStatus::Retired => Ok(Authenticated::Reused(Live { token, record })),
            SecretStatus::Wrong => {
                log::unknown_token(id);
                Ok(Authenticated::Absent(None))
            }
        },
        // A tombstone without a digest matches any token of the id: that the session has ended is public.
        Loaded::Tombstone(tombstone)
            if tombstone.digest().is_none_or(|stored| *stored == digest) =>
        {
            log::ended_token(id, tombstone.reason());
            let reason = tombstone.is_secret(&digest).then(|| tombstone.reason());
            Ok(Authenticated::Ended(reason))
        }
        Loaded::Tombstone(_) | Loaded::Nothing => {
            log::unknown_token(id);
            Ok(Authenticated::Absent(None))
        }
    }
}

/// A token that was replaced is used again: two clients hold the cookie, and it is unknown which of them is
/// the attacker. So the session ends for both.
pub(super) async fn end_reused(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<(), SessionError> {
    log::token_reused(live.id());
    let cx = CommitContext::without_request(context, budget);
    end(&cx, live.id(), &live.record, EndReason::TokenReused).await?;
    Ok(())
}
