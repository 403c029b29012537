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
    ClientAddress, ConfigError, CookieConfig, DeviceTracking, ErrorResponseForRequest, RequestHead,
    SessionError, SessionLayer, SessionLimit,
};
use cloakroom_limit::{By, DeviceKey, Limits, LoginGuard, Rate, RateLimitLayer};
use tokio::sync::watch;
use tower_http::csrf::CsrfLayer;

use crate::options::Options;
use crate::pages::{
    admin, assets, devices, errors, health, home, live, notes, security, sign_in, sign_out,
};
use crate::storage::Storage;
use crate::users::Users;

/// State shared by the handlers.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) storage: Storage,
    pub(crate) users: Users,
    /// Decides whether a password may be checked.
    pub(crate) guard: LoginGuard,
    pub(crate) cookie_is_secure: bool,
    /// How long a sign-in counts as recent.
    pub(crate) recent_sign_in: Duration,
    /// Whether the store responds.
    pub(crate) store_responds: watch::Receiver<bool>,
    /// Becomes true when the server shuts down, so that open event streams end.
    pub(crate) closing: watch::Receiver<bool>,
}

/// The largest session, in bytes: small, so that it is easy to see what happens at the limit.
const MAX_SESSION_SIZE: usize = 4 * 1024;

type ErrorPage = fn(&SessionError, &RequestHead) -> Response;

/// The layer that loads and saves the session of each request.
pub(crate) type Sessions = SessionLayer<ErrorResponseForRequest<ErrorPage>>;

/// Builds that layer.
pub(crate) fn sessions(storage: &Storage, options: &Options) -> Result<Sessions, ConfigError> {
    let cookie = if options.insecure_http {
        CookieConfig::new("cloakroom-demo").insecure_over_http()
    } else {
        CookieConfig::default()
    };
    let remembered = sign_in::REMEMBERED.absolute_timeout();
    storage
        .sessions()
        .with_store_timeout(options.store_timeout)
        .with_expiry(options.expiry())
        .with_max_expiry(remembered.max(options.expiry().absolute_timeout()))
        .with_anonymous_expiry(options.anonymous_expiry())
        .with_session_limit(SessionLimit::evict_oldest(options.max_sessions))
        .with_device_tracking(DeviceTracking::new().with_peer_address(peer_address))
        .with_max_session_size(MAX_SESSION_SIZE)
        .with_cookie(cookie)
        .with_error_response_for_request(errors::session_failed as ErrorPage)
        .build()
}

/// The layer that limits requests by address: 300 at once, then ten a second. Two servers of the demo on one
/// Redis share the counters.
pub(crate) fn request_limit(
    limits: &Limits,
) -> Result<RateLimitLayer, cloakroom_limit::ConfigError> {
    let rate = Rate::new("requests", 600, Duration::from_secs(60)).with_burst(300);
    RateLimitLayer::builder(limits)
        .with_limit(rate, By::address(ClientAddress::new(peer_address)))
        .with_response(|decision, _| errors::too_many_requests(decision.retry_after()))
        .build()
}

/// The guard for sign-ins. Its key is new in each run, so browsers are unknown after a restart: an app has a
/// secret of its own.
pub(crate) fn guard(
    limits: &Limits,
    options: &Options,
) -> Result<LoginGuard, cloakroom_limit::ConfigError> {
    let builder = LoginGuard::builder(limits, [DeviceKey::generate()?]);
    if options.insecure_http {
        let builder = builder.with_cookie_name("cloakroom-demo-device");
        builder.insecure_over_http().build()
    } else {
        builder.build()
    }
}

/// The peer address of the connection. The demo does not run behind a proxy.
fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    let info: &ConnectInfo<SocketAddr> = extensions.get()?;
    Some(info.0.ip())
}

/// The whole app.
pub(crate) fn router(app: App, sessions: Sessions, request_limit: RateLimitLayer) -> Router {
    let with_session = Router::new()
        .route("/", get(home::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_out::sign_out))
        .route("/devices", get(devices::show))
        .route("/devices/sign-out", post(devices::revoke))
        .route("/devices/sign-out-others", post(devices::revoke_others))
        .route("/devices/sign-out-all", post(devices::revoke_all))
        .route("/security", get(security::show).post(security::confirm))
        .route("/admin", get(admin::show))
        .route("/admin/sign-out", post(admin::revoke))
        .route("/admin/sign-out-all", post(admin::revoke_all))
        .route("/live", get(live::stream))
        .route("/notes", post(notes::add))
        .route("/notes/remove", post(notes::remove))
        .fallback(errors::not_found)
        .method_not_allowed_fallback(errors::method_not_allowed)
        .layer(sessions);

    Router::new()
        .merge(with_session)
        .merge(assets::routes())
        .layer(request_limit)
        .route("/healthz", get(health::check))
        .layer(CsrfLayer::new().with_rejection_response(errors::cross_site))
        .layer(map_response(add_security_headers))
        .with_state(app)
}

/// Only our own styles, scripts (the worker is one) and icon are loaded, and no site can frame the pages.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the security headers to every response.
async fn add_security_headers(mut response: Response) -> Response {
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
