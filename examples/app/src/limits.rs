//! What is limited besides sign-ins.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use cloakroom::ClientAddress;
use cloakroom_limit::{By, ConfigError, Limits, Rate, RateLimitLayer, RateLimiter};
use maud::html;

use crate::layers::peer_address;
use crate::page;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Attempts to register of an address in an hour, also those with a name that is taken. Each may cost the hash of a password,
/// and adds a user.
const REGISTRATIONS: u32 = 20;

/// Codes by mail in an hour: of a user, and to an address.
const EMAIL_CODES: u32 = 5;

/// Limits codes that are sent by mail, by what is named.
pub(crate) fn email_codes(limits: &Limits) -> Result<RateLimiter, ConfigError> {
    RateLimiter::builder(limits)
        .with_limit(Rate::new("email-codes", EMAIL_CODES, HOUR))
        .build()
}

/// Limits registrations by address.
pub(crate) fn registrations(limits: &Limits) -> Result<RateLimitLayer, ConfigError> {
    let address = ClientAddress::new(peer_address);
    RateLimitLayer::builder(limits)
        .with_limit(
            Rate::new("register", REGISTRATIONS, HOUR),
            By::address(address),
        )
        .with_response(|_, _| too_many_registrations())
        .build()
}

fn too_many_registrations() -> Response<Bytes> {
    let title = "Too many registrations";
    let body = html! { h1 { (title) } p { "Please try again later." } };
    let page = page::without_session(title, &body).into_string();
    let mut response = Response::new(page.into());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}
