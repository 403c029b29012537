//! The layers, and the routes inside of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{Extensions, HeaderValue};
use axum::middleware::{from_fn_with_state, map_response_with_state};
use axum::response::Response;
use cloakroom::{
    CachePolicy, ClearSiteData, ConfigError, CookieKey, DeviceTracking, ErrorResponseForRequest,
    Expiry, OAuthConfig, RequestHead, RequireSignIn, SessionError, SessionLayer, SessionLimit,
    TokenHeader, hours, minutes,
};
use tower_http::csrf::CsrfLayer;

use crate::app::{App, Config};
use crate::errors::session_failed;
use crate::routes;
use crate::routes::admin::IsStaff;
use crate::storage::Storage;

type ErrorPage = fn(&SessionError, &RequestHead) -> Response;

/// The layer that loads and saves the session of each request.
pub type AppSessions = SessionLayer<ErrorResponseForRequest<ErrorPage>>;

/// The most sessions of a user: one more ends the oldest.
const MAX_SESSIONS: u32 = 5;

/// Builds that layer.
///
/// # Errors
///
/// If the secret is too short.
pub fn sessions(storage: &Storage, config: &Config) -> Result<AppSessions, ConfigError> {
    let remembered = routes::sign_in::REMEMBERED.absolute_timeout();
    let mobile = routes::api::EXPIRY.absolute_timeout();
    storage
        .sessions()
        .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
        .with_max_expiry(Duration::max(remembered, mobile))
        .with_session_limit(SessionLimit::evict_oldest(MAX_SESSIONS))
        .with_sign_in_page("/sign-in")
        .with_reauthentication_page("/confirm")
        .with_device_tracking(DeviceTracking::new().with_peer_address(peer_address))
        .with_cache_policy(CachePolicy::NoStore)
        .with_clear_site_data(ClearSiteData::cache().and(ClearSiteData::storage()))
        .with_oauth(OAuthConfig::new([CookieKey::derived_from(
            config.secret.as_bytes(),
        )?]))
        .with_token_header(TokenHeader::bearer())
        .with_error_response_for_request(session_failed as ErrorPage)
        .build()
}

/// The peer address of the connection. This example does not run behind a proxy.
pub(crate) fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    let info: &ConnectInfo<SocketAddr> = extensions.get()?;
    Some(info.0.ip())
}

/// Returns the whole app. Run it with `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(app: App, sessions: &AppSessions) -> Router {
    let second_factor = || from_fn_with_state(app.clone(), routes::second_factor::require);
    let signed_in = RequireSignIn::new();
    let recently = signed_in.clone().within(app.config.recent_sign_in);
    let staff = signed_in.clone().with_permission(IsStaff::new(&app));

    // A layer that was added later runs earlier: first the sign-in, then the second factor.
    let registration = routes::registration().route_layer(app.registrations.clone());
    let open = routes::open()
        .merge(registration)
        .merge(routes::half_signed_in().route_layer(signed_in.clone()));
    let account = routes::account()
        .route_layer(second_factor())
        .route_layer(signed_in);
    let sensitive = routes::sensitive()
        .route_layer(second_factor())
        .route_layer(recently);
    let admin = routes::for_staff()
        .route_layer(second_factor())
        .route_layer(staff);
    let with_session = open.merge(account).merge(sensitive).merge(admin);

    // The callback is a request of another site: its state protects it.
    let callback = routes::oauth::callback_route().layer(sessions.clone());
    with_session
        .layer(sessions.clone())
        .merge(routes::api::routes(sessions))
        .merge(routes::assets())
        .layer(CsrfLayer::new())
        .merge(callback)
        .layer(map_response_with_state(app.clone(), add_security_headers))
        .with_state(app)
}

/// Only our own styles and scripts are loaded, and no site can frame the pages. A form may lead to the identity provider:
/// Chromium checks the redirect that follows as well.
async fn add_security_headers(State(app): State<App>, mut response: Response) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
         base-uri 'none'; frame-ancestors 'none'; form-action 'self' {}",
        app.config.provider
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
