//! A browser with a cookie jar whose requests can overlap: a test decides which cookies a request starts
//! with, and in which order the responses arrive, or that one never does.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::{COOKIE, HOST, HeaderMap, SET_COOKIE};
use http::{Extensions, Method, StatusCode};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::app::infallible;
use crate::cookie_jar::{CookieJar, Target};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The host of every app.
pub const DEFAULT_HOST: &str = "www.shop.example";

/// A browser. A clone starts with the same cookies and keeps its own from then on.
#[derive(Clone, Debug)]
pub struct UserAgent {
    /// Its cookies.
    pub jar: CookieJar,
    host: String,
}

/// A request with the cookies that the browser had when it started.
#[derive(Debug)]
pub struct Outgoing {
    target: Target,
    /// The request.
    pub request: Request,
}

/// A response that is on its way to the browser.
#[derive(Clone, Debug)]
pub struct Incoming {
    target: Target,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its extensions.
    pub extensions: Extensions,
    /// Its body.
    pub body: Bytes,
}

impl Default for UserAgent {
    fn default() -> Self {
        Self {
            jar: CookieJar::default(),
            host: DEFAULT_HOST.to_owned(),
        }
    }
}

impl UserAgent {
    /// A browser without cookies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same cookies, visiting another host.
    #[must_use]
    pub fn on_host(&self, host: &str) -> Self {
        Self {
            jar: self.jar.clone(),
            host: host.to_owned(),
        }
    }

    /// Starts a request of the site itself, with the cookies of this moment.
    #[must_use]
    pub fn start(&self, method: Method, path: &str) -> Outgoing {
        self.outgoing(method, path, Some("same-origin"))
    }

    /// Starts a navigation (a link or a form) that a page of another site causes.
    #[must_use]
    pub fn start_cross_site(&self, method: Method, path: &str) -> Outgoing {
        self.outgoing(method, path, Some("cross-site"))
    }

    /// Starts a request with this value of `Sec-Fetch-Site`; `None` is an old browser.
    ///
    /// # Panics
    ///
    /// When the path is not valid.
    #[must_use]
    pub fn outgoing(&self, method: Method, path: &str, site: Option<&str>) -> Outgoing {
        let target = Target {
            host: self.host.clone(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            method: method.clone(),
            https: true,
            cross_site: site == Some("cross-site"),
            navigation: true,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host);
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        if let Some(cookies) = self.jar.header(&target) {
            request = request.header(COOKIE, cookies);
        }
        let request = request.body(Body::empty()).expect("a valid request");
        Outgoing { target, request }
    }

    /// Receives a response: its `Set-Cookie` headers are processed. A response that is never received was
    /// lost on its way, as that of a cancelled navigation.
    pub fn receive(&mut self, response: &Incoming) {
        for header in response.set_cookies() {
            self.jar.set(&response.target, header);
        }
    }

    /// Sends a request and receives its response.
    pub async fn visit(&mut self, app: &Router, method: Method, path: &str) -> Incoming {
        let response = self.start(method, path).send(app).await;
        self.receive(&response);
        response
    }

    /// Sends a `POST` and receives its response.
    ///
    /// # Panics
    ///
    /// When it is not successful.
    pub async fn post(&mut self, app: &Router, path: &str) -> Incoming {
        let response = self.visit(app, Method::POST, path).await;
        assert!(response.status.is_success(), "{path}: {response:?}");
        response
    }
}

impl Outgoing {
    /// Sends the request, and returns the response, not received yet.
    ///
    /// # Panics
    ///
    /// When there is none within two minutes.
    pub async fn send(self, app: &Router) -> Incoming {
        let what = format!("{} {}", self.request.method(), self.request.uri());
        let exchange = async {
            let response = infallible(app.clone().oneshot(self.request).await);
            let (parts, body) = response.into_parts();
            (parts, body.collect().await)
        };
        let Ok((parts, body)) = timeout(PATIENCE, exchange).await else {
            panic!("{what}: no response within {PATIENCE:?}");
        };
        Incoming {
            target: self.target,
            status: parts.status,
            headers: parts.headers,
            extensions: parts.extensions,
            body: body
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default(),
        }
    }

    /// Adds an extension to the request.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.request.extensions_mut().insert(extension);
        self
    }
}

impl Incoming {
    /// The body's text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The `Set-Cookie` headers.
    pub fn set_cookies(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all(SET_COOKIE).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    /// Whether it sets or removes any cookie.
    #[must_use]
    pub fn changes_cookies(&self) -> bool {
        self.headers.contains_key(SET_COOKIE)
    }
}
