//! From a request's cookies to its session: the only place where a token opens something.

mod check;
pub(crate) mod linked;
mod migrate;
mod read;

use std::sync::Arc;

use cloakroom_core::rotation::{Presented, Secrets};
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, Token};

use self::check::live;
use self::read::{read, recent};
use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::cookie::headers::{Tickets, presented};
use crate::error::SessionError;
use crate::migration::Former;
use crate::state::{Found, Live, Standing};
use crate::telemetry::log;
use crate::telemetry::metrics;

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
            Box::pin(migrate::find(context, arrivals, presented, found, budget)).await
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
        metrics::load("none");
    }
    for token in tokens.into_iter().flatten() {
        match (open(context, token, budget).await?, &found) {
            // An encrypted token looks different each time, and may come twice.
            (Standing::Live(second), Standing::Live(first))
                if second.token.id() != first.token.id() =>
            {
                log::two_live_cookies(first.token.id(), second.token.id());
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
        log::unknown_token(id);
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
                log::unknown_token(id);
                Ok(Standing::Nothing)
            }
        },
        // Without a digest, whoever presents the id learns that it is over, which is public.
        Loaded::Tombstone(tombstone) if tombstone.digest().is_none_or(|there| *there == digest) => {
            log::ended_token(id, tombstone.reason());
            Ok(Standing::Tombstoned)
        }
        Loaded::Tombstone(_) | Loaded::Nothing => {
            log::unknown_token(id);
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

/// A retired secret was presented: of the two who hold the cookie, nobody knows who is the thief. So
/// the session ends for both.
async fn end_stolen(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    log::stolen_token(live.token.id());
    let committer = Committer::of(context, budget);
    committer.end(&live, EndReason::Stolen).await?;
    Ok(Standing::Tombstoned)
}
