//! A browser, as far as sessions need one: it sends its cookies, and keeps those of the answer.

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

use crate::app::{Act, never};

/// A browser on one app. A clone is another tab: it has the cookies of now, and its own from then.
#[derive(Clone, Debug)]
pub struct Browser {
    app: Router,
    cookies: Vec<(String, String)>,
}

/// An answer, with its body.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// What middleware left in it.
    pub extensions: Extensions,
    /// Its body.
    pub body: Bytes,
}

/// A `Set-Cookie` header, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    /// The cookie's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The attributes as they were sent, in order.
    pub attributes: Vec<String>,
}

/// What an answer does to the session's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
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

    /// The same cookies, on another app.
    #[must_use]
    pub fn on(&self, app: Router) -> Self {
        Self {
            app,
            cookies: self.cookies.clone(),
        }
    }

    /// Lets the handler do this with the session.
    pub async fn act<F, R>(&mut self, act: impl FnOnce(Session) -> F + Send + 'static) -> Answer
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        self.perform(Act::session(act)).await
    }

    /// Lets the handler do this with the session that nobody has asked for.
    pub async fn lazy<F, R>(
        &mut self,
        act: impl FnOnce(LazySession) -> F + Send + 'static,
    ) -> Answer
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        self.perform(Act::lazy(act)).await
    }

    /// Lets the handler read the entry `n`.
    ///
    /// # Panics
    ///
    /// When the answer is no success.
    pub async fn read(&mut self) -> Option<u32> {
        let answer = self
            .act(|session| async move {
                let n: Option<u32> = session.get("n")?;
                Ok(n.map(|n| n.to_string()).unwrap_or_default())
            })
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.text().parse().ok()
    }

    /// Lets the handler do this.
    pub async fn perform(&mut self, act: Act) -> Answer {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(act);
        self.send(request).await
    }

    /// Sends a request with the cookies, and keeps the answer's.
    pub async fn send(&mut self, request: Request) -> Answer {
        let response = self.start(request).await;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        Answer {
            status: parts.status,
            headers: parts.headers,
            extensions: parts.extensions,
            body: body.unwrap_or_default(),
        }
    }

    /// Sends a request with the cookies, keeps the answer's, and leaves the body unread.
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
        let response = never(self.app.clone().oneshot(request).await);
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

    /// Adds a cookie beside those that are there, also of the same name.
    pub fn add_cookie(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.cookies.push((name.into(), value.into()));
    }
}

impl Answer {
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

    /// What the answer does to the one cookie it may know.
    ///
    /// # Panics
    ///
    /// When it sets more than one.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match &*self.set_cookies() {
            [] => Effect::Nothing,
            [cookie] if cookie.is_removal() => Effect::Removed,
            [_] => Effect::Set,
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

    /// What middleware left in the answer.
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
