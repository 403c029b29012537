//! A file for each task. The functions here say what their routes require; `layers.rs` adds the guards.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod api;
mod confirm;
mod devices;
mod email;
mod home;
mod live;
pub(crate) mod oauth;
mod password;
mod register;
pub(crate) mod second_factor;
pub(crate) mod sign_in;
mod sign_out;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::app::App;

/// For everybody.
pub(crate) fn open() -> Router<App> {
    Router::new()
        .route("/", get(home::show))
        .route("/cart", post(home::add))
        .route("/register", get(register::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/oauth/begin", post(oauth::begin))
        .route("/oauth/finish", get(oauth::finish))
        .route("/numbers", get(home::numbers))
}

/// For everybody, as often as the limit by address allows.
pub(crate) fn registration() -> Router<App> {
    Router::new().route("/register", post(register::register))
}

/// For users who are signed in, also those whose second factor is missing.
pub(crate) fn half_signed_in() -> Router<App> {
    let second_factor = get(second_factor::show).post(second_factor::check);
    Router::new()
        .route("/second-factor", second_factor)
        .route("/confirm", get(confirm::show).post(confirm::confirm))
        .route("/acting/stop", post(admin::stop_acting))
        .route("/sign-out", post(sign_out::sign_out))
        .route("/live", get(live::events))
}

/// For users who are signed in with all that their account requires.
pub(crate) fn account() -> Router<App> {
    Router::new()
        .route("/account", get(account::show))
        .route("/account/name", post(account::rename))
        .route("/account/email/confirm", post(email::confirm))
        .route("/devices", get(devices::show))
        .route("/devices/sign-out", post(devices::revoke))
        .route("/devices/sign-out-others", post(devices::revoke_others))
}

/// For users who have signed in recently as well.
pub(crate) fn sensitive() -> Router<App> {
    let set_up = get(second_factor::set_up).post(second_factor::enable);
    Router::new()
        .route(
            "/account/password",
            get(password::show).post(password::change),
        )
        .route("/account/email", get(email::show).post(email::send_code))
        .route("/account/second-factor", set_up)
}

/// For the staff.
pub(crate) fn for_staff() -> Router<App> {
    Router::new()
        .route("/admin", get(admin::show))
        .route("/admin/act-as/{user}", post(admin::act_as))
        .route("/admin/sign-out/{user}", post(admin::sign_out))
}

/// Without a session.
pub(crate) fn assets() -> Router<App> {
    let style = include_str!("../../assets/style.css");
    let live = include_str!("../../assets/live.js");
    Router::new()
        .route("/style.css", get(async || asset("text/css", style)))
        .route("/live.js", get(async || asset("text/javascript", live)))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=60")];
    (headers, text)
}
