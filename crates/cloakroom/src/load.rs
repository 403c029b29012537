//! From a request's cookies to its session: the only place where a token opens something.

use std::future::Future;
use std::sync::Arc;

use cloakroom_core::rotation::{Presented, Secrets};
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, SessionId, StoreError, StoreErrorKind, Token};

use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::cookie::transport::{Tickets, presented};
use crate::error::SessionError;
use crate::event;
use crate::meter;
use crate::state::{Live, Standing};

/// Finds the session that a request's cookies open. Costs no command when none of them can.
pub(crate) async fn find(
    context: &Arc<Context>,
    tickets: &Tickets,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    let mut found = Standing::Nothing;
    let tokens = presented(tickets, &context.cookie);
    if tokens.is_empty() {
        meter::load("none");
    }
    for token in tokens {
        match (open(context, token, budget).await?, &found) {
            // An encrypted token looks different each time, and may come twice.
            (Standing::Live(second), Standing::Live(first))
                if second.token.id() != first.token.id() =>
            {
                event::two_live_cookies(first.token.id(), second.token.id());
                return Ok(Standing::Nothing);
            }
            (Standing::Live(live), _) => found = Standing::Live(live),
            (Standing::Tombstoned, Standing::Nothing) => found = Standing::Tombstoned,
            (Standing::Tombstoned | Standing::Nothing, _) => {}
        }
    }
    Ok(found)
}

/// Finds what one token opens.
pub(crate) async fn open(
    context: &Arc<Context>,
    token: Token,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    let id = token.id();
    let now = context.clock.now();
    if now.since(id.created_at()) > context.longest_life() {
        event::unknown_token(id);
        return Ok(Standing::Nothing);
    }
    let Some(loaded) = read(context, context.store.load_recent(id), id, budget).await? else {
        return Ok(Standing::Nothing);
    };
    let digest = context.realm.digest(&token);
    match loaded {
        Loaded::Record(record) => match Secrets::judge(&record, &digest, now) {
            Presented::Current | Presented::Next | Presented::Before => {
                live(context, Live { token, record }, budget).await
            }
            Presented::Retired => end_stolen(context, Live { token, record }, budget).await,
            Presented::Wrong => {
                event::unknown_token(id);
                Ok(Standing::Nothing)
            }
        },
        // Without a digest, whoever presents the id learns that it is over, which is public.
        Loaded::Tombstone(tombstone) if tombstone.digest().is_none_or(|there| *there == digest) => {
            event::ended_token(id, tombstone.reason());
            Ok(Standing::Tombstoned)
        }
        Loaded::Tombstone(_) | Loaded::Nothing => {
            event::unknown_token(id);
            Ok(Standing::Nothing)
        }
    }
}

/// Has another look at a session whose token was found good before: nobody presents it anew. It asks the
/// store itself, past any cache.
pub(crate) async fn again(
    context: &Arc<Context>,
    token: Token,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    let id = token.id();
    match read(context, context.store.load(id), id, budget).await? {
        Some(Loaded::Record(record)) => live(context, Live { token, record }, budget).await,
        Some(Loaded::Tombstone(_)) => Ok(Standing::Tombstoned),
        Some(Loaded::Nothing) | None => Ok(Standing::Nothing),
    }
}

/// What is there; `None` for what cannot be read.
async fn read(
    context: &Context,
    load: impl Future<Output = Result<Loaded, StoreError>>,
    id: SessionId,
    budget: &Budget,
) -> Result<Option<Loaded>, SessionError> {
    match budget.read(load).await {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error) if error.kind() == StoreErrorKind::Unreadable => {
            context.once.unreadable(id, &error);
            Ok(None)
        }
        Err(error) => {
            meter::load("error");
            Err(error.into())
        }
    }
}

/// A session that is there: unless it is over by the rule of now, which may be stricter than the TTL
/// that the store enforces, or began before the epoch.
async fn live(
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
        event::expired(id);
        return Ok(Standing::Nothing);
    }
    let began = context.epoch.began(context, budget).await;
    if id.created_at() < began.inspect_err(|_| meter::load("error"))? {
        event::before_epoch(id);
        return Ok(Standing::Nothing);
    }
    meter::load("hit");
    Ok(Standing::Live(live))
}

/// A retired secret was presented: of the two who hold the cookie, nobody knows who is the thief. So
/// the session ends for both.
async fn end_stolen(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    event::stolen_token(live.token.id());
    let committer = Committer::of(context, budget);
    committer.end(&live, EndReason::Stolen).await?;
    Ok(Standing::Tombstoned)
}
