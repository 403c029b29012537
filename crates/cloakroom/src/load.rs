//! From a request's cookies to its session: the only place where a token opens something.

use std::sync::Arc;

use cloakroom_core::rotation::{Presented, Secrets};
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, SessionId, StoreErrorKind, Token};

use crate::arrival::{Former, companion, entrance};
use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::cookie::transport::{Tickets, presented};
use crate::error::SessionError;
use crate::event;
use crate::meter;
use crate::state::{Live, Standing};

/// What a request's cookies led to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) standing: Standing,
    /// It was the cookie of another system, from which the session has come.
    pub(crate) by_old_cookie: bool,
}

impl Found {
    pub(crate) const fn by_ticket(standing: Standing) -> Self {
        Self {
            standing,
            by_old_cookie: false,
        }
    }

    pub(crate) const fn by_old_cookie(live: Live) -> Self {
        Self {
            standing: Standing::Live(live),
            by_old_cookie: true,
        }
    }
}

/// Finds the session that a request's cookies open, or lets it move in. Costs no command when none of
/// them can.
pub(crate) async fn find(
    context: &Arc<Context>,
    tickets: &Tickets,
    former: &Former,
    budget: &Budget,
) -> Result<Found, SessionError> {
    let found = find_by_ticket(context, tickets, budget).await?;
    match (found, &context.arrivals) {
        (Some(found), Some(arrivals)) => {
            let presented = former.of(context, tickets);
            // On the heap, as is all that few requests need: the others would carry it with them.
            Box::pin(entrance::find(context, arrivals, presented, found, budget)).await
        }
        (found, _) => Ok(Found::by_ticket(found.unwrap_or_default())),
    }
}

/// `None` if two cookies contradict each other.
async fn find_by_ticket(
    context: &Arc<Context>,
    tickets: &Tickets,
    budget: &Budget,
) -> Result<Option<Standing>, SessionError> {
    let mut found = Standing::Nothing;
    let tokens = presented(tickets, &context.cookie);
    if let [None, ..] = tokens {
        meter::load("none");
    }
    for token in tokens.into_iter().flatten() {
        match (open(context, token, budget).await?, &found) {
            // An encrypted token looks different each time, and may come twice.
            (Standing::Live(second), Standing::Live(first))
                if second.token.id() != first.token.id() =>
            {
                event::two_live_cookies(first.token.id(), second.token.id());
                return Ok(None);
            }
            (Standing::Live(live), _) => found = Standing::Live(live),
            (Standing::Tombstoned, Standing::Nothing) => found = Standing::Tombstoned,
            (Standing::Tombstoned | Standing::Nothing, _) => {}
        }
    }
    Ok(Some(found))
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
    let Some(loaded) = recent(context, id, budget).await? else {
        return Ok(Standing::Nothing);
    };
    let digest = context.realm.digest(&token);
    match loaded {
        Loaded::Record(record) => match Secrets::judge(&record, &digest, now) {
            Presented::Current | Presented::Next | Presented::Before => {
                live(context, Live { token, record }, budget).await
            }
            Presented::Retired => {
                Box::pin(end_stolen(context, Live { token, record }, budget)).await
            }
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
    match read(context, id, budget).await? {
        Some(Loaded::Record(record)) => live(context, Live { token, record }, budget).await,
        Some(Loaded::Tombstone(_)) => Ok(Standing::Tombstoned),
        Some(Loaded::Nothing) | None => Ok(Standing::Nothing),
    }
}

/// What is there, or was there a moment ago, as far as a cache in front of the store may tell; `None` for
/// what cannot be read.
pub(crate) async fn recent(
    context: &Context,
    id: SessionId,
    budget: &Budget,
) -> Result<Option<Loaded>, SessionError> {
    match context.store.remembered(id) {
        Some(loaded) => Ok(Some(loaded)),
        None => read(context, id, budget).await,
    }
}

/// The same, asked of the store itself.
pub(crate) async fn read(
    context: &Context,
    id: SessionId,
    budget: &Budget,
) -> Result<Option<Loaded>, SessionError> {
    match budget.read(context.store.load(id)).await {
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
        event::expired(id);
        return Ok(Standing::Nothing);
    }
    let began = context.epoch.began(context, budget).await;
    if id.created_at() < began.inspect_err(|_| meter::load("error"))? {
        event::before_epoch(id);
        return Ok(Standing::Nothing);
    }
    if !companion::has_one(context, &live) {
        meter::load("hit");
        return Ok(Standing::Live(live));
    }
    match Box::pin(companion::follow(context, live, budget)).await {
        Ok(Some(live)) => {
            meter::load("hit");
            Ok(Standing::Live(live))
        }
        Ok(None) => {
            event::ended_token(id, EndReason::AtOrigin);
            Ok(Standing::Tombstoned)
        }
        Err(error) => {
            meter::load("error");
            Err(error)
        }
    }
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
