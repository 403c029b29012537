//! Guards, with `RequireSignIn` and `Next`.

use axum::Router;
use axum::extract::Form;
use axum::response::Redirect;
use axum::routing::{get, post};
use cloakroom::{
    ConfigError, Next, Permission, RequireSignIn, Session, SessionError, SessionLayer,
    SessionLayerBuilder, minutes,
};
use serde::Deserialize;

const ROLE: &str = "role";

/// The pages that the guards lead to.
///
/// # Errors
///
/// When an option cannot be kept.
pub fn layer(builder: SessionLayerBuilder) -> Result<SessionLayer, ConfigError> {
    builder
        .with_sign_in_page("/sign-in")
        .with_reauthentication_page("/password")
        .build()
}

#[derive(Clone)]
struct Admin;

impl Permission for Admin {
    async fn is_granted(&self, session: &Session) -> Result<bool, SessionError> {
        let role: Option<String> = session.get(ROLE)?;
        Ok(role.as_deref() == Some("admin"))
    }
}

#[derive(Debug, Deserialize)]
struct SignIn {
    user: String,
}

async fn sign_in(
    session: Session,
    next: Next,
    Form(form): Form<SignIn>,
) -> Result<Redirect, SessionError> {
    // … after the password was checked:
    let role = if form.user == "mona" { "admin" } else { "user" };
    session.sign_in(form.user).insert(ROLE, role)?.await?;
    Ok(Redirect::to(next.or("/account")))
}

async fn page() -> &'static str {
    "page"
}

/// The routes.
pub fn routes() -> Router {
    let admin = Router::new()
        .route("/admin", get(page))
        .route_layer(RequireSignIn::new().with_permission(Admin));
    let sensitive = Router::new()
        .route("/address", get(page).post(page))
        .route_layer(RequireSignIn::new().within(minutes(10)));
    Router::new()
        .route("/account", get(page))
        .route_layer(RequireSignIn::new())
        .route("/sign-in", post(sign_in))
        .merge(admin)
        .merge(sensitive)
}
