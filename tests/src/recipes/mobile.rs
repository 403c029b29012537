//! Tokens of a mobile app. `docs/recipes.md` quotes it.

use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cloakroom::{
    ConfigError, Expiry, Session, SessionError, SessionLayer, SessionLayerBuilder, TokenHeader,
    days,
};
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use serde_json::json;

/// Browsers use the cookie, the app `Authorization: Bearer …`.
///
/// # Errors
///
/// When an option cannot be kept.
pub fn layer(builder: SessionLayerBuilder) -> Result<SessionLayer, ConfigError> {
    builder.with_token_header(TokenHeader::bearer()).build()
}

#[derive(Debug, Deserialize)]
struct SignIn {
    user: String,
}

/// The app sends `Authorization: Bearer` without a token.
async fn sign_in(session: Session, Json(form): Json<SignIn>) -> Result<(), SessionError> {
    // … after the password was checked:
    let expiry = Expiry::idle(days(30)).absolute(days(180));
    session.sign_in(form.user).with_expiry(expiry).await
}

/// Moves the token of a response from its header into a JSON body. It is outside of the session layer, which adds the
/// header after the handler.
async fn token_in_body(mut response: Response) -> Response {
    let Some(token) = response.headers_mut().remove("session-token") else {
        return response;
    };
    let body = Json(json!({ "token": token.to_str().unwrap_or_default() }));
    let no_store = [(CACHE_CONTROL, "no-store")];
    (response.status(), no_store, body).into_response()
}

/// The routes. Only a sign-in has a response with a token in its body.
pub fn routes(layer: &SessionLayer) -> Router {
    let tokens = Router::new()
        .route("/api/sign-in", post(sign_in))
        .layer(layer.clone())
        .layer(map_response(token_in_body));
    Router::new()
        .route("/api/sign-out", post(sign_out))
        .route("/api/me", get(me))
        .layer(layer.clone())
        .merge(tokens)
}

async fn sign_out(session: Session) -> Result<(), SessionError> {
    session.sign_out().await?;
    Ok(())
}

async fn me(session: Session) -> Result<String, SessionError> {
    Ok(session.require_user()?.to_string())
}
