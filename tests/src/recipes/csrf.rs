//! Protecting forms and scripts from requests of other sites. `docs/csrf.md` quotes it.

use axum::extract::{Form, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use cloakroom::{Session, SessionError};
use http::StatusCode;
use serde::Deserialize;
use tower_http::csrf::{ConfigError, CsrfLayer};

/// The layer that protects every route, without tokens: it refuses what another site causes.
///
/// # Errors
///
/// When an origin is not one.
pub fn protected(app: Router) -> Result<Router, ConfigError> {
    let layer = CsrfLayer::new()
        // Only if scripts of another origin of yours call this app.
        .add_trusted_origin("https://admin.shop.example")?;
    Ok(app.layer(layer))
}

/// A form with a token, which is checked before anything else is done.
pub fn with_tokens() -> Router {
    Router::new()
        .route("/transfer", get(form).post(transfer))
        .route(
            "/api/transfer",
            post(transferred).layer(from_fn(require_token)),
        )
}

async fn form(session: Session) -> Result<Html<String>, SessionError> {
    let token = session.csrf_token().await?;
    Ok(Html(format!(
        "<!doctype html><title>transfer</title><meta name=csrf content={token}>
        <form method=post><input type=hidden name=csrf value={token}><button id=own>Send</button></form>"
    )))
}

#[derive(Debug, Deserialize)]
struct Transfer {
    // Absent counts as wrong.
    #[serde(default)]
    csrf: String,
}

async fn transfer(
    session: Session,
    Form(transfer): Form<Transfer>,
) -> Result<Redirect, SessionError> {
    session.check_csrf_token(&transfer.csrf).await?;
    session.increment("transfers", 1_u32)?;
    Ok(Redirect::to("/transfers"))
}

/// Scripts send the token in a header: `fetch(url, {method: "POST", headers: {"x-csrf-token": token}})`.
async fn require_token(
    session: Session,
    mut request: Request,
    next: Next,
) -> Result<Response, SessionError> {
    let token = request.headers().get("x-csrf-token");
    let token = token.and_then(|value| value.to_str().ok());
    let token = token.unwrap_or_default().to_owned();
    session.check_csrf_token(&token).await?;
    request.extensions_mut().insert(session);
    Ok(next.run(request).await)
}

async fn transferred(Extension(session): Extension<Session>) -> Result<Response, SessionError> {
    session.increment("transfers", 1_u32)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
