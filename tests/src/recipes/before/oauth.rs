//! What an OAuth sign-in has to remember, by hand: in the session.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Form, Query};
use axum::response::Redirect;
use axum::routing::{get, post};
use http::StatusCode;
use oauth2::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tower_sessions_015::Session;
use tower_sessions_015::session::Error;

use super::super::authorization_server::{ISSUER, authorization_url, exchange};
use super::guards::local_path;

const USER: &str = "user";
const TRANSACTIONS: &str = "oauth_transactions";

/// How many sign-ins can be under way in one browser, and how long one may take.
const MAX_TRANSACTIONS: usize = 8;
const LIFETIME: Duration = Duration::minutes(10);

/// One sign-in: each tab has its own.
#[derive(Serialize, Deserialize)]
struct Transaction {
    verifier: String,
    issuer: String,
    next: String,
    expires: OffsetDateTime,
}

type Transactions = BTreeMap<String, Transaction>;

/// Those that have not expired. A callback that is a form of the provider brings no session cookie, so it is not possible.
async fn transactions(session: &Session) -> Result<Transactions, Error> {
    let stored: Option<Transactions> = session.get(TRANSACTIONS).await?;
    let mut stored = stored.unwrap_or_default();
    stored.retain(|_, transaction| transaction.expires > OffsetDateTime::now_utc());
    Ok(stored)
}

async fn start(session: &Session, next: String) -> Result<(String, PkceCodeChallenge), Error> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let state = CsrfToken::new_random().into_secret();
    let mut stored = transactions(session).await?;
    if stored.len() >= MAX_TRANSACTIONS {
        let oldest = stored
            .iter()
            .min_by_key(|(_, transaction)| transaction.expires);
        if let Some(oldest) = oldest.map(|(state, _)| state.clone()) {
            stored.remove(&oldest);
        }
    }
    let transaction = Transaction {
        verifier: verifier.into_secret(),
        issuer: ISSUER.to_owned(),
        next,
        expires: OffsetDateTime::now_utc() + LIFETIME,
    };
    stored.insert(state.clone(), transaction);
    session.insert(TRANSACTIONS, stored).await?;
    Ok((state, challenge))
}

/// Takes the transaction out of the session, and saves at once, so that the callback cannot be repeated. (Two that come at
/// the same moment both succeed.)
async fn complete(
    session: &Session,
    state: &str,
    iss: Option<&str>,
) -> Result<Option<Transaction>, Error> {
    let mut stored = transactions(session).await?;
    let transaction = stored.remove(state);
    session.insert(TRANSACTIONS, stored).await?;
    session.save().await?;
    Ok(transaction.filter(|transaction| {
        transaction.issuer == ISSUER && iss.is_none_or(|iss| iss == transaction.issuer)
    }))
}

#[derive(Deserialize)]
struct Begin {
    next: Option<String>,
}

async fn begin(session: Session, Form(form): Form<Begin>) -> Result<Redirect, StatusCode> {
    let next = local_path(form.next.as_deref()).unwrap_or("/").to_owned();
    let (state, challenge) = start(&session, next).await.map_err(failed)?;
    Ok(Redirect::to(&authorization_url(&state, &challenge)))
}

#[derive(Deserialize)]
struct Callback {
    state: String,
    iss: Option<String>,
    code: String,
}

async fn callback(
    session: Session,
    Query(callback): Query<Callback>,
) -> Result<Redirect, StatusCode> {
    let transaction = complete(&session, &callback.state, callback.iss.as_deref()).await;
    let transaction = transaction
        .map_err(failed)?
        .ok_or(StatusCode::BAD_REQUEST)?;
    let verifier = PkceCodeVerifier::new(transaction.verifier);
    let user = exchange(&callback.code, &verifier).ok_or(StatusCode::BAD_GATEWAY)?;
    session.cycle_id().await.map_err(failed)?;
    session.insert(USER, user).await.map_err(failed)?;
    Ok(Redirect::to(&transaction.next))
}

async fn me(session: Session) -> Result<String, StatusCode> {
    let user: Option<String> = session.get(USER).await.map_err(failed)?;
    Ok(user.unwrap_or_default())
}

fn failed(_: Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/oauth/begin", post(begin))
        .route("/oauth/callback", get(callback))
        .route("/me", get(me))
}
