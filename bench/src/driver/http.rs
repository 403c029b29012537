//! The driver's own requests, which are not measured.

use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};
use test_support::http::{Connection, Response};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::BoxError;

/// How long a request may take on a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a request on a connection of its own. A response other than 200 is an error.
pub(super) fn get(port: u16, path: &str, cookies: &str) -> Result<Response, BoxError> {
    block_on(async { Client::open(port, cookies).await?.get(path).await })
}

pub(super) fn block_on<T>(
    future: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(future)
}

/// Returns the cookies that a response sets, as a `Cookie` header sends them back.
pub(super) fn cookies_of(response: &Response) -> Result<String, BoxError> {
    let mut cookies = Vec::new();
    for set in response.headers.get_all(SET_COOKIE) {
        cookies.extend(set.to_str()?.split(';').next());
    }
    Ok(cookies.join("; "))
}

/// A connection that is kept alive, with cookies that never change.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    cookies: String,
}

impl Client {
    pub(super) async fn open(port: u16, cookies: &str) -> Result<Self, BoxError> {
        Ok(Self {
            connection: Connection::open(&format!("127.0.0.1:{port}")).await?,
            cookies: cookies.to_owned(),
        })
    }

    /// Sends a request. A response other than 200 is an error.
    pub(super) async fn get(&mut self, path: &str) -> Result<Response, BoxError> {
        let mut request = Request::get(path);
        if !self.cookies.is_empty() {
            request = request.header(COOKIE, &self.cookies);
        }
        let request = request.body(String::new())?;
        let response = timeout(REQUEST_TIMEOUT, self.connection.send(request)).await;
        let response = response.map_err(|_| format!("{path}: no response in time"))??;
        if response.status != StatusCode::OK {
            let Response { status, body, .. } = response;
            return Err(format!("{path}: {status} {body}").into());
        }
        Ok(response)
    }
}
