//! Finds the session of a request by its credentials.
//!
//! A token authenticates a request only here, in [`authenticate`]; the token that is derived from a legacy
//! cookie does in [`migrate`].

mod check;
mod linked;
mod migrate;
mod read;

use std::sync::Arc;

use cloakroom_core::rotation::{SecretStatus, Secrets};
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, Token};

use self::check::lookup;
pub(crate) use self::check::{Liveness, check, check_and_sync};
use self::read::{read, recent};
use crate::budget::Budget;
use crate::commit::{CommitContext, end, end_by_id};
use crate::context::Context;
use crate::cookie::headers::{Credentials, tokens_in};
use crate::error::SessionError;
use crate::migration::LegacyCookies;
use crate::plan::Lookup;
use crate::state::{Found, Live};
use crate::telemetry::{log, metrics};

/// Finds the session of a request, or migrates it from the legacy store. Sends no command if the request
/// has no valid token.
pub(crate) async fn find(
    context: &Arc<Context>,
    credentials: &Credentials,
    legacy_cookies: Option<&LegacyCookies>,
    budget: &Budget,
) -> Result<Found, SessionError> {
    let Some(lookup) = find_by_token(context, credentials, budget).await? else {
        return Ok(Found::by_token(Lookup::Absent));
    };
    match (legacy_cookies, &context.migration) {
        // On the heap, as everything that few requests need: the futures of all others stay small.
        (Some(cookies), Some(migration)) => {
            Box::pin(migrate::find(context, migration, cookies, lookup, budget)).await
        }
        _ => Ok(Found::by_token(lookup)),
    }
}

/// Returns `None` if two cookies belong to two live sessions.
async fn find_by_token(
    context: &Arc<Context>,
    credentials: &Credentials,
    budget: &Budget,
) -> Result<Option<Lookup<Live>>, SessionError> {
    let mut found: Lookup<Live> = Lookup::Absent;
    let tokens = tokens_in(credentials, &context.cookie);
    if let [None, ..] = tokens {
        metrics::load("none");
    }
    for token in tokens.into_iter().flatten() {
        match (authenticate(context, token, budget).await?, &found) {
            // An encrypted token has many forms, so one token may be in both cookies.
            (Lookup::Live(second), Lookup::Live(first)) if second.id() != first.id() => {
                log::two_live_cookies(first.id(), second.id());
                return Ok(None);
            }
            (Lookup::Live(live), _) => found = Lookup::Live(live),
            (Lookup::Ended, Lookup::Absent) => found = Lookup::Ended,
            (Lookup::Ended | Lookup::Absent, _) => {}
        }
    }
    Ok(Some(found))
}

/// Finds the session of a token.
async fn authenticate(
    context: &Arc<Context>,
    token: Token,
    budget: &Budget,
) -> Result<Lookup<Live>, SessionError> {
    let id = token.id();
    let now = context.clock.now();
    if now.since(id.created_at()) > context.longest_life() {
        log::unknown_token(id);
        return Ok(Lookup::Absent);
    }
    let Some(loaded) = recent(context, id, budget).await? else {
        return Ok(Lookup::Absent);
    };
    let digest = context.realm.digest(&token);
    match loaded {
        Loaded::Record(record) => match Secrets::status(&record, &digest, now) {
            SecretStatus::Current | SecretStatus::Next | SecretStatus::Previous => {
                lookup(context, Live { token, record }, budget).await
            }
            SecretStatus::Retired => {
                Box::pin(end_reused(context, Live { token, record }, budget)).await
            }
            SecretStatus::Wrong => {
                log::unknown_token(id);
                Ok(Lookup::Absent)
            }
        },
        // A tombstone without a digest matches any token of the id: that the session has ended is public.
        Loaded::Tombstone(tombstone)
            if tombstone.digest().is_none_or(|stored| *stored == digest) =>
        {
            log::ended_token(id, tombstone.reason());
            Ok(Lookup::Ended)
        }
        Loaded::Tombstone(_) | Loaded::Nothing => {
            log::unknown_token(id);
            Ok(Lookup::Absent)
        }
    }
}

/// A token that was replaced is used again: two clients hold the cookie, and it is unknown which of them is
/// the attacker. So the session ends for both.
async fn end_reused(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<Lookup<Live>, SessionError> {
    log::token_reused(live.id());
    let cx = CommitContext::without_request(context, budget);
    end(&cx, live.id(), &live.record, EndReason::TokenReused).await?;
    Ok(Lookup::Ended)
}

/// Ends again what the request's credentials belonged to and has ended already: the earlier end may have
/// reached too few replicas.
pub(crate) async fn end_again(
    context: &Arc<Context>,
    credentials: &Credentials,
    budget: &Budget,
) -> Result<(), SessionError> {
    for token in tokens_in(credentials, &context.cookie)
        .into_iter()
        .flatten()
    {
        let id = token.id();
        let Some(Loaded::Tombstone(tombstone)) = read(context, id, budget).await? else {
            continue;
        };
        let digest = context.realm.digest(&token);
        if tombstone.digest().is_none_or(|stored| *stored == digest) {
            let cx = CommitContext::without_request(context, budget);
            Box::pin(end_by_id(&cx, id, None, tombstone.reason())).await?;
        }
    }
    Ok(())
}

/// Reads a session again whose token was authenticated before, from the store itself and not from a cache.
pub(crate) async fn reload(
    context: &Arc<Context>,
    token: Token,
    budget: &Budget,
) -> Result<Lookup<Live>, SessionError> {
    match read(context, token.id(), budget).await? {
        Some(Loaded::Record(record)) => lookup(context, Live { token, record }, budget).await,
        Some(Loaded::Tombstone(_)) => Ok(Lookup::Ended),
        Some(Loaded::Nothing) | None => Ok(Lookup::Absent),
    }
}
