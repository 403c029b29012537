//! For a mobile app: it gets its token in a JSON body, and sends it as `Authorization: Bearer …`.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cloakroom::{Expiry, Session, SessionError, days};
use cloakroom_cache::CurrentUser;
use serde::Deserialize;
use serde_json::json;

use super::second_factor::{self, ASSURANCE, Assurance, CheckedCode, check_code};
use super::sign_in::{Checked, check, sign_in_unless_changed};
use crate::app::{App, User};
use crate::errors::AppError;
use crate::layers::AppSessions;

/// The timeouts of the app's sessions.
pub(crate) const EXPIRY: Expiry = Expiry::idle(days(30)).absolute(days(180));

/// The routes, inside of their own session layer. Only a sign-in has a response with a token in its body.
pub(crate) fn routes(sessions: &AppSessions) -> Router<App> {
    let tokens = Router::new()
        .route("/api/sign-in", post(sign_in))
        .layer(sessions.clone())
        .layer(map_response(token_in_body));
    Router::new()
        .route("/api/sign-out", post(sign_out))
        .route("/api/me", get(me))
        .layer(sessions.clone())
        .merge(tokens)
}

#[derive(Deserialize)]
struct SignIn {
    name: String,
    password: String,
    /// The second factor, if the account has one.
    code: Option<String>,
}

/// The app sends `Authorization: Bearer` without a token.
async fn sign_in(
    session: Session,
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(form): Json<SignIn>,
) -> Result<Response, AppError> {
    let refuse =
        |status: StatusCode, error| (status, Json(json!({ "error": error }))).into_response();
    let checked = check(&app, &headers, peer.ip(), &form.name, form.password);
    let user = match checked.await? {
        Checked::Right(user, _) => user,
        Checked::Wrong => return Ok(refuse(StatusCode::UNAUTHORIZED, "wrong_password")),
        Checked::Refused(refused) => return Ok(refuse(refused.status(), "too_many_attempts")),
    };
    let assurance = if app.database.totp_secret(user.id).await?.is_some() {
        let code = form.code.unwrap_or_default();
        match check_code(&app, &headers, peer.ip(), user.id, &code).await? {
            CheckedCode::Right(_) => Assurance::TwoFactors,
            CheckedCode::Wrong => return Ok(refuse(StatusCode::UNAUTHORIZED, "second_factor")),
            CheckedCode::Refused(refused) => {
                return Ok(refuse(refused.status(), "too_many_attempts"));
            }
        }
    } else {
        Assurance::OneFactor
    };
    let sign_in = session.sign_in(user.id).insert(ASSURANCE, assurance)?;
    let sign_in = sign_in.with_expiry(EXPIRY);
    if !sign_in_unless_changed(&app, &session, sign_in, &user).await? {
        return Ok(refuse(StatusCode::UNAUTHORIZED, "wrong_password"));
    }
    Ok(StatusCode::OK.into_response())
}

/// Moves the token of a response from its header into a JSON body. It is outside of the session layer, which adds the
/// header after the handler.
async fn token_in_body(mut response: Response) -> Response {
    let Some(token) = response.headers_mut().remove("session-token") else {
        return response;
    };
    let body = Json(json!({ "token": token.to_str().unwrap_or_default() }));
    (response.status(), [(CACHE_CONTROL, "no-store")], body).into_response()
}

async fn sign_out(session: Session) -> Result<(), SessionError> {
    session.require_user()?;
    session.sign_out().await?;
    Ok(())
}

async fn me(
    session: Session,
    State(app): State<App>,
    CurrentUser(user): CurrentUser<User>,
) -> Result<Response, AppError> {
    if second_factor::is_missing(&app, &session).await? {
        let body = Json(json!({ "error": "second_factor" }));
        return Ok((StatusCode::UNAUTHORIZED, body).into_response());
    }
    Ok(Json(json!({ "name": user.name })).into_response())
}
