//! What an OAuth sign-in has to remember, with `OAuthTransactions`.

use axum::Router;
use axum::extract::{Form, Query};
use axum::response::Redirect;
use axum::routing::{get, post};
use cloakroom::{
    ConfigError, CookieKey, Next, OAuthConfig, OAuthTransactions, Session, SessionError,
    SessionLayer, SessionLayerBuilder,
};
use http::StatusCode;
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use serde::Deserialize;

use super::super::authorization_server::{ISSUER, authorization_url, exchange};

/// The layer, with a secret of the deployment.
///
/// # Errors
///
/// When the secret is too short, or an option cannot be kept.
pub fn layer(builder: SessionLayerBuilder, secret: &[u8]) -> Result<SessionLayer, ConfigError> {
    let key = CookieKey::derived_from(secret)?;
    builder.with_oauth(OAuthConfig::new([key])).build()
}

#[derive(Deserialize)]
struct Begin {
    #[serde(default)]
    next: Next,
}

async fn begin(
    oauth: OAuthTransactions,
    Form(form): Form<Begin>,
) -> Result<Redirect, SessionError> {
    let transaction = oauth.begin(ISSUER).with_next(form.next.or("/")).start()?;
    let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    Ok(Redirect::to(&authorization_url(
        transaction.state(),
        &challenge,
    )))
}

#[derive(Deserialize)]
struct Callback {
    state: String,
    iss: Option<String>,
    code: String,
}

async fn callback(
    oauth: OAuthTransactions,
    session: Session,
    Query(callback): Query<Callback>,
) -> Result<Result<Redirect, StatusCode>, SessionError> {
    let iss = callback.iss.as_deref();
    let transaction = oauth.complete(&callback.state, ISSUER, iss).await?;
    let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
    let Some(user) = exchange(&callback.code, &verifier) else {
        return Ok(Err(StatusCode::BAD_GATEWAY));
    };
    session.sign_in(user).await?;
    Ok(Ok(Redirect::to(transaction.next())))
}

async fn me(session: Session) -> Result<String, SessionError> {
    let user: Option<String> = session.user_id()?;
    Ok(user.unwrap_or_default())
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/oauth/begin", post(begin))
        .route("/oauth/callback", get(callback))
        .route("/me", get(me))
}
