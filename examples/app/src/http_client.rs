//! The HTTP client for the identity provider of this example, which listens on the loopback interface. A real app uses a
//! client with TLS, that follows no redirects.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use oauth2::{HttpRequest, HttpResponse};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a response may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of a response are read.
const MAX_BODY: usize = 64 * 1024;

/// Sends a request, and reads the response.
pub(crate) async fn send(request: HttpRequest) -> Result<HttpResponse, io::Error> {
    match timeout(TIMEOUT, exchange(request)).await {
        Ok(response) => response,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn exchange(request: HttpRequest) -> Result<HttpResponse, io::Error> {
    let authority = request.uri().authority().map(ToString::to_string);
    let authority = authority.ok_or(io::ErrorKind::InvalidInput)?;
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(io::Error::other)?;
    let host = authority.parse().map_err(io::Error::other)?;
    parts.headers.insert(HOST, host);
    let stream = TcpStream::connect(&authority).await?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::from_parts(parts, Full::new(Bytes::from(body)));
    let response = sender.send_request(request).await;
    let (parts, body) = response.map_err(io::Error::other)?.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await;
    connection.abort();
    let body = body.map_err(io::Error::other)?.to_bytes();
    Ok(HttpResponse::from_parts(parts, body.into()))
}
