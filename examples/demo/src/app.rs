//! The routes, and the layers around them.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use cloakroom::{ConfigError, CookieConfig, SessionLayer};
use tower_http::csrf::CsrfLayer;

use crate::options::Options;
use crate::pages::{assets, errors, health, home, notes, sign_in, sign_out};
use crate::storage::Storage;
use crate::users::Users;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) storage: Storage,
    pub(crate) users: Users,
    pub(crate) cookie_is_secure: bool,
}

/// The largest session, in bytes: small, so that one sees what happens at the brim.
const MAX_SESSION_SIZE: usize = 4 * 1024;

/// The layer that gives every page its session.
pub(crate) fn sessions(storage: &Storage, options: &Options) -> Result<SessionLayer, ConfigError> {
    let cookie = if options.insecure_http {
        CookieConfig::named("cloakroom-demo").insecure_over_http()
    } else {
        CookieConfig::default()
    };
    storage
        .sessions()
        .with_expiry(options.expiry())?
        .with_longest_expiry(sign_in::REMEMBERED.absolute_timeout())?
        .with_max_record_size(MAX_SESSION_SIZE)?
        .with_cookie(cookie)
}

/// The whole app.
pub(crate) fn router(app: App, sessions: SessionLayer) -> Router {
    let with_a_session = Router::new()
        .route("/", get(home::show))
        .route("/sign-in", post(sign_in::sign_in))
        .route("/sign-out", post(sign_out::sign_out))
        .route("/notes", post(notes::add))
        .route("/notes/remove", post(notes::remove))
        .layer(sessions.with_error_response(errors::session_failed));

    Router::new()
        .merge(with_a_session)
        .merge(assets::routes())
        .route("/healthz", get(health::check))
        .fallback(errors::not_found)
        .method_not_allowed_fallback(errors::method_not_allowed)
        .layer(CsrfLayer::new().with_rejection_response(errors::from_another_site))
        .layer(map_response(protect))
        .with_state(app)
}

/// Nothing but our own style, script and icon is loaded; nobody puts us into a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What browsers are told about every answer.
async fn protect(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
