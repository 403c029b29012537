//! A plain HTTP client, for programs that listen on a port.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderValue, SET_COOKIE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A response, with its body.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Response {
    /// Returns a header's value, or an empty text if there is no such header.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap_or_default())
    }
}

/// A connection that is kept alive from one request to the next.
#[derive(Debug)]
pub struct Connection {
    host: HeaderValue,
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<hyper::Result<()>>,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    ///
    /// Fails if nothing listens there.
    pub async fn open(authority: &str) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            host: authority.parse()?,
            sender,
            task: tokio::spawn(connection),
        })
    }

    /// Sends a request and reads the whole response, of whatever status.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost, or the body is not text.
    pub async fn send(&mut self, mut request: Request<String>) -> Result<Response, BoxError> {
        request.headers_mut().insert(HOST, self.host.clone());
        let request = request.map(|body| Full::new(Bytes::from(body)));
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.into())?,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How long [`exchange`] waits for a response.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends one request on a connection of its own, to `host:port`, and waits at most two minutes for the response.
///
/// # Errors
///
/// Fails if there is no response in time, or its body is not text.
pub async fn exchange(authority: &str, request: Request<String>) -> Result<Response, BoxError> {
    let what = format!("{} {}{}", request.method(), authority, request.uri());
    let exchange = async { Connection::open(authority).await?.send(request).await };
    match timeout(PATIENCE, exchange).await {
        Ok(response) => response,
        Err(_) => Err(format!("{what}: no response within {PATIENCE:?}").into()),
    }
}

/// Sends requests to one server, and keeps the cookie that it sets. It follows no redirects.
#[derive(Clone, Debug)]
pub struct Client {
    authority: String,
    cookie: Option<String>,
}

impl Client {
    /// Returns a client without a cookie, for `http://host:port`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let authority = url.strip_prefix("http://").unwrap_or(url);
        Self {
            authority: authority.trim_end_matches('/').to_owned(),
            cookie: None,
        }
    }

    /// Sets the cookie: `name=value`.
    #[must_use]
    pub fn with_cookie(mut self, cookie: impl Into<String>) -> Self {
        self.cookie = Some(cookie.into());
        self
    }

    /// Returns the cookie: `name=value`.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Fetches a page.
    ///
    /// # Panics
    ///
    /// Panics if there is no response.
    pub async fn get(&mut self, path: &str) -> Response {
        let request = Request::get(path).body(String::new());
        self.send(request.expect("a valid path")).await
    }

    /// Sends a form.
    ///
    /// # Panics
    ///
    /// Panics if there is no response.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Response {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.extend_pairs(form).finish());
        self.send(request.expect("a valid path")).await
    }

    /// Sends a request with the cookie, and keeps the one that the response sets.
    ///
    /// # Panics
    ///
    /// Panics if there is no response.
    pub async fn send(&mut self, mut request: Request<String>) -> Response {
        if let Some(cookie) = &self.cookie {
            let cookie = cookie.parse().expect("a cookie is ASCII");
            request.headers_mut().insert(COOKIE, cookie);
        }
        let response = exchange(&self.authority, request).await;
        let response = response.expect("the server responds");
        // The session's cookie: the layer adds it after those of the handler.
        if let Some(set) = response.headers.get_all(SET_COOKIE).iter().next_back() {
            let set = set.to_str().expect("a cookie is ASCII");
            let pair = set.split(';').next().unwrap_or_default();
            self.cookie = (!set.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        response
    }
}
