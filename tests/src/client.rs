//! A plain HTTP client that keeps one cookie: for programs that run on a port.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, SET_COOKIE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A client of one server, which keeps the cookie that it sets and follows no redirects.
#[derive(Clone, Debug)]
pub struct Client {
    authority: String,
    cookie: Option<String>,
}

/// A response, with its body.
#[derive(Debug)]
pub struct TestResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Client {
    /// A client without a cookie, for `http://host:port`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let authority = url.strip_prefix("http://").unwrap_or(url);
        Self {
            authority: authority.trim_end_matches('/').to_owned(),
            cookie: None,
        }
    }

    /// The same, with a cookie: `name=value`.
    #[must_use]
    pub fn with_cookie(mut self, cookie: impl Into<String>) -> Self {
        self.cookie = Some(cookie.into());
        self
    }

    /// The cookie: `name=value`.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Fetches a page.
    ///
    /// # Panics
    ///
    /// When there is no response.
    pub async fn get(&mut self, path: &str) -> TestResponse {
        let request = Request::get(path).body(String::new());
        self.send(request.expect("the path is one")).await
    }

    /// Sends a form.
    ///
    /// # Panics
    ///
    /// When there is no response.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> TestResponse {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.extend_pairs(form).finish());
        self.send(request.expect("the path is one")).await
    }

    /// Sends a request with the cookie, and keeps that of the response.
    ///
    /// # Panics
    ///
    /// When there is no response.
    pub async fn send(&mut self, mut request: Request<String>) -> TestResponse {
        if let Some(cookie) = &self.cookie {
            let cookie = cookie.parse().expect("a cookie is ASCII");
            request.headers_mut().insert(COOKIE, cookie);
        }
        let response = exchange(&self.authority, request).await;
        let response = response.expect("the server responds");
        if let Some(set) = response.headers.get(SET_COOKIE) {
            let set = set.to_str().expect("a cookie is ASCII");
            let pair = set.split(';').next().unwrap_or_default();
            self.cookie = (!set.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        response
    }
}

/// Sends one request, on a connection of its own.
///
/// # Errors
///
/// When there is no response.
pub async fn exchange(
    authority: &str,
    mut request: Request<String>,
) -> Result<TestResponse, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    request.headers_mut().insert(HOST, authority.parse()?);
    let request = request.map(|body| Full::new(Bytes::from(body)));
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(TestResponse {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.into())?,
    })
}

impl TestResponse {
    /// A header's value, or an empty text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap_or_default())
    }
}
