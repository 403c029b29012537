//! A simulated browser: it sends its cookies and keeps those of the responses.

use std::any::Any;
use std::future::Future;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cloakroom::{CookieConfig, LazySession, Session, SessionError};
use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, SET_COOKIE, VARY};
use http::{Extensions, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::app::{Handler, infallible};

/// A browser on one app. A clone starts with the same cookies and keeps its own from then on.
#[derive(Clone, Debug)]
pub struct Browser {
    app: Router,
    cookies: Vec<(String, String)>,
}

/// A response, with its body.
#[derive(Debug)]
pub struct TestResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its extensions.
    pub extensions: Extensions,
    /// Its body.
    pub body: Bytes,
}

/// A parsed `Set-Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    /// The cookie's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The attributes as they were sent, in order.
    pub attributes: Vec<String>,
}

/// What a response does to the session cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieChange {
    /// Nothing.
    Nothing,
    /// It is set.
    Set,
    /// It is removed.
    Removed,
}

impl Browser {
    /// A browser without cookies.
    #[must_use]
    pub const fn new(app: Router) -> Self {
        Self {
            app,
            cookies: Vec::new(),
        }
    }

    /// Another browser on the same app, without cookies.
    #[must_use]
    pub fn without_cookies(&self) -> Self {
        Self::new(self.app.clone())
    }

    /// The same cookies, on another app.
    #[must_use]
    pub fn on(&self, app: Router) -> Self {
        Self {
            app,
            cookies: self.cookies.clone(),
        }
    }

    /// Sends a request whose handler runs a closure with the session.
    pub async fn request<F, R>(
        &mut self,
        handler: impl FnOnce(Session) -> F + Send + 'static,
    ) -> TestResponse
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        self.request_with(Handler::session(handler)).await
    }

    /// Sends a request whose handler runs a closure with the session, not loaded yet.
    pub async fn lazy<F, R>(
        &mut self,
        handler: impl FnOnce(LazySession) -> F + Send + 'static,
    ) -> TestResponse
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        self.request_with(Handler::lazy(handler)).await
    }

    /// Sends a request whose handler reads the entry `n`.
    ///
    /// # Panics
    ///
    /// When the status is not 200.
    pub async fn read(&mut self) -> Option<u32> {
        let response = self
            .request(|session| async move {
                let n: Option<u32> = session.get("n")?;
                Ok(n.map(|n| n.to_string()).unwrap_or_default())
            })
            .await;
        assert_eq!(response.status, StatusCode::OK);
        response.text().parse().ok()
    }

    /// Sends a request with this handler.
    pub async fn request_with(&mut self, handler: Handler) -> TestResponse {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(handler);
        self.send(request).await
    }

    /// Sends a request with the cookies, and keeps those of the response.
    pub async fn send(&mut self, request: Request) -> TestResponse {
        let response = self.start(request).await;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        TestResponse {
            status: parts.status,
            headers: parts.headers,
            extensions: parts.extensions,
            body: body.unwrap_or_default(),
        }
    }

    /// Sends a request with the cookies, keeps those of the response, and does not read its body.
    ///
    /// # Panics
    ///
    /// When a cookie cannot be in a header.
    pub async fn start(&mut self, mut request: Request) -> Response {
        if !self.cookies.is_empty() && !request.headers().contains_key(COOKIE) {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let header = pairs.join("; ").try_into().expect("cookies are ASCII");
            request.headers_mut().insert(COOKIE, header);
        }
        let response = infallible(self.app.clone().oneshot(request).await);
        for cookie in set_cookies(response.headers()) {
            self.cookies.retain(|(name, _)| *name != cookie.name);
            if !cookie.is_removal() {
                self.cookies.push((cookie.name, cookie.value));
            }
        }
        response
    }

    /// The value of the session's cookie, under its default name.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie_named(CookieConfig::DEFAULT_NAME)
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie_named(&self, wanted: &str) -> Option<&str> {
        let mut cookies = self.cookies.iter();
        let (_, value) = cookies.find(|(name, _)| name == wanted)?;
        Some(value)
    }

    /// Adds a cookie, also when there is one of the same name.
    pub fn add_cookie(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.cookies.push((name.into(), value.into()));
    }
}

impl TestResponse {
    /// The body's text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The `Set-Cookie` headers.
    #[must_use]
    pub fn set_cookies(&self) -> Vec<SetCookie> {
        set_cookies(&self.headers)
    }

    /// The one `Set-Cookie` header.
    ///
    /// # Panics
    ///
    /// When there is none, or more than one.
    #[must_use]
    pub fn set_cookie(&self) -> SetCookie {
        let mut cookies = self.set_cookies();
        assert_eq!(cookies.len(), 1, "{cookies:?}");
        cookies.remove(0)
    }

    /// What the response does to the cookie.
    ///
    /// # Panics
    ///
    /// When it sets several cookies.
    #[must_use]
    pub fn cookie_change(&self) -> CookieChange {
        match &*self.set_cookies() {
            [] => CookieChange::Nothing,
            [cookie] if cookie.is_removal() => CookieChange::Removed,
            [_] => CookieChange::Set,
            several => panic!("several cookies: {several:?}"),
        }
    }

    /// All values of `Vary`, in one.
    #[must_use]
    pub fn vary(&self) -> String {
        self.joined(VARY)
    }

    /// All values of `Cache-Control`, in one.
    #[must_use]
    pub fn cache_control(&self) -> String {
        self.joined(CACHE_CONTROL)
    }

    /// An extension of the response.
    #[must_use]
    pub fn extension<T: Any + Clone + Send + Sync>(&self) -> Option<&T> {
        self.extensions.get()
    }

    fn joined(&self, name: HeaderName) -> String {
        let values = self.headers.get_all(name);
        let values = values
            .iter()
            .map(|value| value.to_str().unwrap_or_default());
        values.collect::<Vec<_>>().join(", ")
    }
}

impl SetCookie {
    /// Whether it removes the cookie.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        self.max_age() == Some(0)
    }

    /// The cookie's remaining life, in seconds.
    #[must_use]
    pub fn max_age(&self) -> Option<u64> {
        self.attributes
            .iter()
            .find_map(|attribute| attribute.strip_prefix("Max-Age=")?.parse().ok())
    }
}

fn set_cookies(headers: &HeaderMap) -> Vec<SetCookie> {
    let values = headers.get_all(SET_COOKIE).iter();
    let texts = values.map(|value| value.to_str().unwrap_or_default());
    texts.map(parse).collect()
}

fn parse(text: &str) -> SetCookie {
    let mut parts = text.split("; ").map(str::to_owned);
    let pair = parts.next().unwrap_or_default();
    let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
    SetCookie {
        name: name.to_owned(),
        value: value.to_owned(),
        attributes: parts.collect(),
    }
}
