//! Sends requests for some time, each as soon as the previous one was answered, and measures how long
//! they took.
//!
//! It is a process of its own, so that its CPU time is not counted as a server's. Each connection uses
//! sessions of its own, so that no session has two requests at the same time: some of the libraries would
//! lose one of two writes. The usual load generators (wrk, oha, hey, k6) cannot do this, since they send
//! the same requests over all connections; nor can they count a 503 apart and end at any other failure.
//! A general HTTP client would use a multiple of the CPU, which here it would take from the server.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Status};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use crate::BoxError;
use crate::args::LoadArgs;

/// How long a request may take on a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What a load measured.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LoadResult {
    /// Requests that succeeded.
    pub(crate) requests: usize,
    /// Requests with a 503 response, which Cloakroom sends when a command takes too long, and any server
    /// may send on a busy machine. Any other failure ends the run.
    pub(crate) refused: usize,
    pub(crate) seconds: f64,
    /// The median of the latency, in microseconds.
    pub(crate) p50: f64,
    /// The 99th percentile of the latency, in microseconds.
    pub(crate) p99: f64,
}

/// Sends the load, and writes a [`LoadResult`] to the standard output.
pub(crate) fn run(args: &LoadArgs) -> Result<(), BoxError> {
    let cookies: Vec<String> = io::stdin().lines().collect::<Result<_, _>>()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, send(args, &cookies))?;
    let mut out = io::stdout();
    serde_json::to_writer(&mut out, &result)?;
    Ok(out.flush()?)
}

async fn send(args: &LoadArgs, cookies: &[String]) -> Result<LoadResult, BoxError> {
    let connections = args.connections.max(1);
    let mut clients = Vec::with_capacity(connections);
    for number in 0..connections {
        let own = cookies.iter().skip(number).step_by(connections);
        let mut requests: Vec<_> = own.map(|cookie| request(&args.path, cookie)).collect();
        if requests.is_empty() && cookies.is_empty() {
            requests.push(request(&args.path, ""));
        }
        if !requests.is_empty() {
            clients.push((Connection::open(args.port).await?, requests));
        }
    }
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(args.seconds);
    let mut tasks = JoinSet::new();
    for (connection, requests) in clients {
        tasks.spawn_local(send_until(end, connection, requests));
    }
    let (mut latencies, mut refused) = (Vec::new(), 0);
    while let Some(sent) = tasks.join_next().await {
        let sent = sent??;
        latencies.extend(sent.latencies);
        refused += sent.refused;
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(LoadResult {
        requests: latencies.len(),
        refused,
        seconds,
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
    })
}

/// What one connection measured.
#[derive(Debug, Default)]
struct Sent {
    latencies: Vec<Duration>,
    refused: usize,
}

/// Sends the requests in turn.
async fn send_until(
    end: Instant,
    mut connection: Connection,
    requests: Vec<Vec<u8>>,
) -> Result<Sent, BoxError> {
    let mut sent = Sent::default();
    let mut start = Instant::now();
    for request in requests.iter().cycle() {
        let response = timeout(REQUEST_TIMEOUT, connection.send(request)).await;
        let response = response.map_err(|_| "a request got no response in time")??;
        let now = Instant::now();
        match response {
            Response::Success => sent.latencies.push(now - start),
            Response::Refused => sent.refused += 1,
        }
        if now >= end {
            break;
        }
        start = now;
    }
    Ok(sent)
}

fn request(path: &str, cookies: &str) -> Vec<u8> {
    let cookies = match cookies {
        "" => String::new(),
        cookies => format!("Cookie: {cookies}\r\n"),
    };
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookies}\r\n").into_bytes()
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let latency = sorted.get((sorted.len() * percent / 100).min(last));
    latency.map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
}

/// A connection that is kept alive.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(4096);
        Ok(Self { stream, buffer })
    }

    /// Sends a request and reads the whole response.
    async fn send(&mut self, request: &[u8]) -> Result<Response, BoxError> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server has closed the connection".into());
            }
            if let Some((response, length)) = parse(&self.buffer)?
                && self.buffer.len() >= length
            {
                return Ok(response);
            }
        }
    }
}

/// The responses that do not end the run.
#[derive(Clone, Copy, Debug)]
enum Response {
    Success,
    Refused,
}

/// Returns what the response is and how many bytes it has, once its head is complete.
fn parse(buffer: &[u8]) -> Result<Option<(Response, usize)>, BoxError> {
    let mut headers = [EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let Status::Complete(head_length) = head.parse(buffer)? else {
        return Ok(None);
    };
    let response = match head.code {
        Some(200) => Response::Success,
        Some(503) => Response::Refused,
        _ => return Err(format!("not a success: {}", String::from_utf8_lossy(buffer)).into()),
    };
    let length = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .ok_or("a response without a length")?;
    let length: usize = str::from_utf8(length.value)?.trim().parse()?;
    Ok(Some((response, head_length + length)))
}
