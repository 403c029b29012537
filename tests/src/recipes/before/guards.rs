//! Guards, by hand.

use axum::Router;
use axum::extract::{Form, Query, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use tower_sessions_015::Session;
use tower_sessions_015::session::Error;
use url::form_urlencoded;

const USER: &str = "user";
const ROLE: &str = "role";
const SIGNED_IN_AT: &str = "signed_in_at";

async fn require_user(session: Session, request: Request, next: Next) -> Response {
    match session.get::<String>(USER).await {
        Ok(Some(_)) => next.run(request).await,
        Ok(None) => refuse(&request, "/sign-in"),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn require_admin(session: Session, request: Request, next: Next) -> Response {
    match session.get::<String>(ROLE).await {
        Ok(Some(role)) if role == "admin" => next.run(request).await,
        Ok(_) => StatusCode::FORBIDDEN.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn require_recent_sign_in(session: Session, request: Request, next: Next) -> Response {
    let Ok(at) = session.get::<OffsetDateTime>(SIGNED_IN_AT).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let limit = OffsetDateTime::now_utc() - Duration::minutes(10);
    if at.is_some_and(|at| at > limit) {
        next.run(request).await
    } else {
        refuse(&request, "/password")
    }
}

/// Pages lead to another page, and back from there; scripts and apps get a 401.
fn refuse(request: &Request, page: &str) -> Response {
    if !is_from_browser(request.headers()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if request.method() != Method::GET {
        // A form cannot be sent again by a redirect.
        return Redirect::to(page).into_response();
    }
    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", path)
        .finish();
    Redirect::to(&format!("{page}?{query}")).into_response()
}

fn is_from_browser(headers: &HeaderMap) -> bool {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match value("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => value("accept").is_some_and(|accept| accept.contains("text/html")),
    }
}

#[derive(Debug, Deserialize)]
struct Destination {
    next: Option<String>,
}

/// Only paths of this site, as browsers read them.
pub(super) fn local_path(next: Option<&str>) -> Option<&str> {
    next.filter(|path| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.contains('\\')
            && path.len() <= 2048
            && path.bytes().all(|byte| byte.is_ascii_graphic())
            && path.split(['/', '?', '#']).all(|part| !is_dots(part))
    })
}

fn is_dots(part: &str) -> bool {
    let part = part.to_ascii_lowercase().replace("%2e", ".");
    part == "." || part == ".."
}

#[derive(Debug, Deserialize)]
struct SignIn {
    user: String,
}

async fn sign_in(
    session: Session,
    Query(destination): Query<Destination>,
    Form(form): Form<SignIn>,
) -> Result<Redirect, StatusCode> {
    // … after the password was checked:
    start_session(&session, &form.user).await.map_err(failed)?;
    let next = local_path(destination.next.as_deref());
    Ok(Redirect::to(next.unwrap_or("/account")))
}

async fn start_session(session: &Session, user: &str) -> Result<(), Error> {
    let role = if user == "mona" { "admin" } else { "user" };
    session.cycle_id().await?;
    session.insert(USER, user).await?;
    session.insert(ROLE, role).await?;
    let now = OffsetDateTime::now_utc();
    session.insert(SIGNED_IN_AT, now).await
}

fn failed(_: Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

async fn page() -> &'static str {
    "page"
}

/// The routes.
pub fn routes() -> Router {
    let admin = Router::new()
        .route("/admin", get(page))
        .route_layer(from_fn(require_admin))
        .route_layer(from_fn(require_user));
    let sensitive = Router::new()
        .route("/address", get(page).post(page))
        .route_layer(from_fn(require_recent_sign_in))
        .route_layer(from_fn(require_user));
    Router::new()
        .route("/account", get(page))
        .route_layer(from_fn(require_user))
        .route("/sign-in", post(sign_in))
        .merge(admin)
        .merge(sensitive)
}
