//! A simulated browser that keeps every cookie, and a gate for slow handlers.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Method, Request};
use tests::app::infallible;
use tokio::sync::Notify;
use tower::ServiceExt;

/// A gate at which a slow handler waits: it signals its arrival, and continues when the gate opens.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) arrived: Notify,
    pub(crate) open: Notify,
}

impl Gate {
    pub(crate) async fn wait(&self) {
        self.arrived.notify_one();
        self.open.notified().await;
    }
}

#[derive(Clone)]
pub(crate) struct Browser {
    app: Router,
    pub(crate) cookies: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) set_cookies: Vec<String>,
    pub(crate) location: String,
}

impl Browser {
    pub(crate) fn new(app: &Router) -> Self {
        Self {
            app: app.clone(),
            cookies: BTreeMap::new(),
        }
    }

    /// The same browser, at another server.
    pub(crate) fn at(&self, app: &Router) -> Self {
        Self {
            app: app.clone(),
            cookies: self.cookies.clone(),
        }
    }

    /// The same browser, with only the cookie of this name.
    pub(crate) fn with_only(&self, name: &str) -> Self {
        let mut one = self.clone();
        one.cookies.retain(|other, _| other == name);
        assert_eq!(one.cookies.len(), 1, "there is a cookie {name}");
        one
    }

    /// Sends a request, and keeps the cookies of the response.
    pub(crate) async fn get(&mut self, path: &str) -> TestResponse {
        self.send(Method::GET, path).await
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str) -> TestResponse {
        let mut request = Request::builder().method(method).uri(path);
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter();
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let request = request.body(Body::empty()).expect("the path is one");
        let (parts, body) = infallible(self.app.clone().oneshot(request).await).into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        let text =
            |value: &axum::http::HeaderValue| value.to_str().expect("a header of ASCII").to_owned();
        let set_cookies: Vec<_> = parts.headers.get_all(SET_COOKIE).iter().map(text).collect();
        for cookie in &set_cookies {
            let (name, value) = cookie
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .expect("a pair");
            if cookie.contains("Max-Age=0;") || cookie.ends_with("Max-Age=0") {
                drop(self.cookies.remove(name));
            } else {
                drop(self.cookies.insert(name.to_owned(), value.to_owned()));
            }
        }
        TestResponse {
            status: parts.status.as_u16(),
            text: String::from_utf8(body.into()).expect("a text"),
            set_cookies,
            location: parts.headers.get("location").map_or_else(String::new, text),
        }
    }

    /// Sends a request, expects status 200, and returns the text.
    #[track_caller]
    pub(crate) fn text(&mut self, path: &str) -> impl Future<Output = String> {
        let at = std::panic::Location::caller();
        async move {
            let response = self.get(path).await;
            assert_eq!(response.status, 200, "{path} at {at}: {}", response.text);
            response.text
        }
    }

    /// Its only cookie's value.
    pub(crate) fn cookie(&self) -> Option<&str> {
        assert!(self.cookies.len() <= 1, "{:?}", self.cookies);
        self.cookies.values().next().map(String::as_str)
    }
}
