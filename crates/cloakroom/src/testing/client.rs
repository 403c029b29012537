//! A client for the tests of an app: it calls the router in the test's own process, and keeps cookies as a browser.

use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use cloakroom_core::UserId;
use cookie::Cookie;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE,
};
use http::{Method, Request, StatusCode};
use tower_service::Service;

use super::TestSession;
use crate::error::SessionError;
use crate::middleware::SessionLayer;
use crate::session::Session;

/// What a browser sends when it loads a page.
const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// The longest body of a response, in bytes.
const MAX_BODY: usize = 64 << 20;

/// A client of an app, with cookies or a bearer token.
///
/// It keeps cookies by their names, whatever their other attributes, and sends all of them. A clone starts with the same
/// cookies, and keeps its own from then on: another tab before, another browser after [`clear`](Self::clear).
///
/// ```
/// use axum::{Router, routing::get};
/// use cloakroom::testing::TestClient;
/// use cloakroom::{ManualClock, MemoryStore, RequireSignIn, Session, SessionError, SessionLayer, hours};
///
/// async fn account(session: Session) -> Result<String, SessionError> {
///     let name: Option<String> = session.get("name")?;
///     Ok(format!("Hello, {}", name.unwrap_or_default()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::default();
/// let layer = SessionLayer::builder(MemoryStore::with_clock(clock.clone()))
///     .with_clock(clock.clone())
///     .with_sign_in_page("/sign-in")
///     .build()?;
/// let app = Router::new()
///     .route("/account", get(account))
///     .route_layer(RequireSignIn::new())
///     .layer(layer.clone());
///
/// let mut client = TestClient::new(app);
/// assert_eq!(client.get("/account").await.location(), Some("/sign-in?next=%2Faccount"));
///
/// client.signed_in_with(&layer, "ada", |session| session.insert("name", "Ada")).await?;
/// assert_eq!(client.get("/account").await.text(), "Hello, Ada");
///
/// // A day without use ends the session.
/// clock.advance(hours(25));
/// assert_eq!(client.get("/account").await.status, 303);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestClient {
    app: Router,
    cookies: Vec<(String, String)>,
    bearer: Option<HeaderValue>,
}

/// A response, with its body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl TestClient {
    /// Creates a client of an app, without cookies.
    #[must_use]
    pub const fn new(app: Router) -> Self {
        Self {
            app,
            cookies: Vec::new(),
            bearer: None,
        }
    }

    /// Signs a user in without the sign-in page, with the entries of `edit`, and keeps the cookie.
    ///
    /// # Errors
    ///
    /// As [`TestSession::signed_in_with`].
    pub async fn signed_in_with<E>(
        &mut self,
        layer: &SessionLayer<E>,
        user: impl Into<UserId>,
        edit: impl FnOnce(&Session) -> Result<(), SessionError>,
    ) -> Result<TestSession, SessionError> {
        let session = TestSession::signed_in_with(layer, user, edit).await?;
        self.set_session(&session);
        Ok(session)
    }

    /// Uses a session by its cookie from now on.
    ///
    /// # Panics
    ///
    /// Never: a cookie is ASCII.
    pub fn set_session(&mut self, session: &TestSession) {
        let pair = session.cookie();
        let pair = pair.to_str().expect("a cookie is ASCII");
        if let Some((name, value)) = pair.split_once('=') {
            self.set_cookie(name, value);
        }
    }

    /// Uses a session by its token from now on, in `Authorization: Bearer …`: for a layer with
    /// [`TokenHeader::bearer`](crate::TokenHeader::bearer). If a response has a new token in `session-token`, the client
    /// continues with that.
    ///
    /// # Panics
    ///
    /// Never: a token is ASCII.
    pub fn set_bearer(&mut self, session: &TestSession) {
        self.bearer = Some(bearer(session.token().as_bytes()));
    }

    /// Sets a cookie.
    pub fn set_cookie(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.cookies.retain(|(other, _)| *other != name);
        self.cookies.push((name, value.into()));
    }

    /// Returns the value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut cookies = self.cookies.iter();
        let (_, value) = cookies.find(|(other, _)| other == name)?;
        Some(value)
    }

    /// Removes all cookies and the token.
    pub fn clear(&mut self) {
        self.cookies.clear();
        self.bearer = None;
    }

    /// Loads a page, as a browser does: with the headers that lead to the sign-in page.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send); or if the address is not valid.
    pub async fn get(&mut self, uri: &str) -> TestResponse {
        self.navigate(Method::GET, uri, Body::empty()).await
    }

    /// Sends a form, as a browser does.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send); or if the address is not valid.
    pub async fn post(&mut self, uri: &str, fields: &[(&str, &str)]) -> TestResponse {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.navigate(Method::POST, uri, Body::from(form.finish()))
            .await
    }

    /// Loads the page to which a response redirects; the response itself if it does not.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub async fn follow(&mut self, response: TestResponse) -> TestResponse {
        match response.location() {
            Some(location) => {
                let location = location.to_owned();
                self.get(&location).await
            }
            None => response,
        }
    }

    async fn navigate(&mut self, method: Method, uri: &str, body: Body) -> TestResponse {
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(ACCEPT, PAGE)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", "same-origin");
        let mut request = request.body(body).expect("the address is valid");
        if method == Method::POST {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form);
        }
        self.send(request).await
    }

    /// Sends a request as it is, with the cookies or the token, and keeps those of the response: for what scripts and apps
    /// send.
    ///
    /// # Panics
    ///
    /// If a cookie cannot be in a header, or the body of the response fails or is longer than 64 MiB.
    pub async fn send(&mut self, mut request: Request<Body>) -> TestResponse {
        let headers = request.headers_mut();
        if let Some(bearer) = &self.bearer {
            headers.entry(AUTHORIZATION).or_insert(bearer.clone());
        }
        if !self.cookies.is_empty() && !headers.contains_key(COOKIE) {
            let pairs = self.cookies.iter();
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let pairs = HeaderValue::try_from(pairs.join("; "));
            headers.insert(COOKIE, pairs.expect("cookies are ASCII"));
        }
        // A router is always ready.
        let Ok(response) = self.app.call(request).await;
        self.keep(response.headers());
        let (parts, body) = response.into_parts();
        TestResponse {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(body, MAX_BODY)
                .await
                .expect("the body is complete"),
        }
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for header in headers.get_all(SET_COOKIE) {
            let Some(cookie) = header
                .to_str()
                .ok()
                .and_then(|text| Cookie::parse(text).ok())
            else {
                continue;
            };
            if cookie
                .max_age()
                .is_some_and(|left| left <= cookie::time::Duration::ZERO)
            {
                self.cookies.retain(|(name, _)| name != cookie.name());
            } else {
                self.set_cookie(cookie.name(), cookie.value());
            }
        }
        if let (Some(token), true) = (headers.get("session-token"), self.bearer.is_some()) {
            self.bearer = (!token.is_empty()).then(|| bearer(token.as_bytes()));
        }
    }
}

impl TestResponse {
    /// Returns the body as text; empty if it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// Returns where it redirects to; `None` if it is not a redirect.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        if !self.status.is_redirection() {
            return None;
        }
        self.headers.get(LOCATION)?.to_str().ok()
    }
}

fn bearer(token: &[u8]) -> HeaderValue {
    let mut value =
        HeaderValue::from_bytes(&[b"Bearer ", token].concat()).expect("a token is ASCII");
    value.set_sensitive(true);
    value
}
