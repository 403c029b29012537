//! The routes, and the layers around them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::header::{self, HeaderName};
use axum::http::{Extensions, HeaderValue};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use cloakroom::{
    ConfigError, CookieConfig, DeviceTracking, SessionError, SessionLayer, SessionLimit,
};
use tokio::sync::watch;
use tower_http::csrf::CsrfLayer;

use crate::options::Options;
use crate::pages::{
    admin, assets, devices, errors, health, home, live, notes, safe, sign_in, sign_out,
};
use crate::storage::Storage;
use crate::users::Users;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) storage: Storage,
    pub(crate) users: Users,
    pub(crate) cookie_is_secure: bool,
    /// How long a password counts as just given.
    pub(crate) fresh: Duration,
    /// Whether the server is about to stop, for answers that would else go on for ever.
    pub(crate) closing: watch::Receiver<bool>,
}

/// The largest session, in bytes: small, so that one sees what happens at the brim.
const MAX_SESSION_SIZE: usize = 4 * 1024;

type ErrorPage = fn(&SessionError) -> Response;

/// The layer that gives every page its session.
pub(crate) type Sessions = SessionLayer<ErrorPage>;

/// Makes that layer.
pub(crate) fn sessions(storage: &Storage, options: &Options) -> Result<Sessions, ConfigError> {
    let cookie = if options.insecure_http {
        CookieConfig::new("cloakroom-demo").insecure_over_http()
    } else {
        CookieConfig::default()
    };
    let remembered = sign_in::REMEMBERED.absolute_timeout();
    storage
        .sessions()
        .with_expiry(options.expiry())
        .with_max_expiry(remembered.max(options.expiry().absolute_timeout()))
        .with_anonymous_expiry(options.anonymous_expiry())
        .with_session_limit(SessionLimit::evict_oldest(options.max_sessions))
        .with_device_tracking(DeviceTracking::new().with_peer_address(peer_address))
        .with_max_session_size(MAX_SESSION_SIZE)
        .with_cookie(cookie)
        .with_error_response(errors::session_failed as ErrorPage)
        .build()
}

/// The other end of the connection: the demo stands behind no proxy.
fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    let info: &ConnectInfo<SocketAddr> = extensions.get()?;
    Some(info.0.ip())
}

/// The whole app.
pub(crate) fn router(app: App, sessions: Sessions) -> Router {
    let with_a_session = Router::new()
        .route("/", get(home::show))
        .route("/sign-in", get(sign_in::counter).post(sign_in::sign_in))
        .route("/sign-out", post(sign_out::sign_out))
        .route("/devices", get(devices::show))
        .route("/devices/end", post(devices::end))
        .route("/devices/end-others", post(devices::revoke_others))
        .route("/devices/end-all", post(devices::revoke_all))
        .route("/safe", get(safe::show).post(safe::unlock))
        .route("/admin", get(admin::show))
        .route("/admin/end", post(admin::end))
        .route("/admin/end-all", post(admin::revoke_all))
        .route("/live", get(live::stream))
        .route("/notes", post(notes::add))
        .route("/notes/remove", post(notes::remove))
        .layer(sessions);

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

/// Nothing but our own style, scripts (the worker is one) and icon is loaded; nobody puts us into a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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
