//! Sends requests, as many as get answered, and tells how long they took.
//!
//! A process of its own, so that its CPU time is not a server's. Each connection goes through sessions
//! of its own, so that no session has two requests at the same time: some subjects would lose one.

use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::Problem;
use crate::args::Order;

/// So long a request may take on the busiest of machines.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Requests that were answered with success.
    pub(crate) requests: usize,
    /// Requests that were answered with 503, as Cloakroom does when a command takes too long, and any
    /// server may on a busy machine. Any other answer ends the run.
    pub(crate) refused: usize,
    pub(crate) seconds: f64,
    /// Microseconds that half of the requests took at most.
    pub(crate) p50: f64,
    /// Microseconds that all but one in a hundred took at most.
    pub(crate) p99: f64,
}

/// Carries out the order, and writes the [`Outcome`] to the standard output.
pub(crate) fn run(order: &Order) -> Result<(), Problem> {
    let cookies: Vec<String> = io::stdin().lines().collect::<Result<_, _>>()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = LocalSet::new().block_on(&runtime, send(order, &cookies))?;
    let mut out = io::stdout();
    serde_json::to_writer(&mut out, &outcome)?;
    Ok(out.flush()?)
}

async fn send(order: &Order, cookies: &[String]) -> Result<Outcome, Problem> {
    let connections = order.connections.max(1);
    let mut visitors = Vec::with_capacity(connections);
    for number in 0..connections {
        let own = cookies.iter().skip(number).step_by(connections);
        let mut requests: Vec<_> = own.map(|cookie| request(&order.path, cookie)).collect();
        if requests.is_empty() && cookies.is_empty() {
            requests.push(request(&order.path, ""));
        }
        if !requests.is_empty() {
            visitors.push((Connection::open(order.port).await?, requests));
        }
    }
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(order.seconds);
    let tasks: Vec<_> = visitors
        .into_iter()
        .map(|(connection, requests)| {
            tokio::task::spawn_local(visit(connection, requests.into(), until))
        })
        .collect();
    let (mut times, mut refused) = (Vec::new(), 0);
    for task in tasks {
        let visit = task.await??;
        times.extend(visit.times);
        refused += visit.refused;
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    Ok(Outcome {
        requests: times.len(),
        refused,
        seconds,
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
    })
}

/// What one connection met.
#[derive(Debug, Default)]
struct Visit {
    times: Vec<Duration>,
    refused: usize,
}

async fn visit(
    mut connection: Connection,
    requests: Rc<[Vec<u8>]>,
    until: Instant,
) -> Result<Visit, Problem> {
    let mut visit = Visit::default();
    let mut sent = Instant::now();
    for request in requests.iter().cycle() {
        let answer = timeout(PATIENCE, connection.ask(request)).await;
        let answer = answer.map_err(|_| "a request was not answered")??;
        let now = Instant::now();
        match answer {
            Answer::Success => visit.times.push(now - sent),
            Answer::Refusal => visit.refused += 1,
        }
        if now >= until {
            break;
        }
        sent = now;
    }
    Ok(visit)
}

fn request(path: &str, cookie: &str) -> Vec<u8> {
    let cookie = match cookie {
        "" => String::new(),
        cookie => format!("Cookie: {cookie}\r\n"),
    };
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n").into_bytes()
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    let last = times.len().saturating_sub(1);
    let time = times.get((times.len() * percent / 100).min(last));
    time.map_or(0.0, |time| time.as_secs_f64() * 1e6)
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

    /// Sends a request and waits for the whole answer.
    async fn ask(&mut self, request: &[u8]) -> Result<Answer, Problem> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server has closed the connection".into());
            }
            if let Some((answer, length)) = whole(&self.buffer)?
                && self.buffer.len() >= length
            {
                return Ok(answer);
            }
        }
    }
}

/// What may be answered.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Success,
    Refusal,
}

/// What the answer is and how long, once its head is there.
fn whole(buffer: &[u8]) -> Result<Option<(Answer, usize)>, Problem> {
    let Some(head) = buffer.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok(None);
    };
    let answer = match buffer.get(9..13) {
        Some(b"200 ") => Answer::Success,
        Some(b"503 ") => Answer::Refusal,
        _ => return Err(format!("not a success: {}", String::from_utf8_lossy(buffer)).into()),
    };
    let body = buffer[..head]
        .split(|&byte| byte == b'\n')
        .find_map(content_length)
        .ok_or("an answer without a length")?;
    Ok(Some((answer, head + 4 + body)))
}

fn content_length(line: &[u8]) -> Option<usize> {
    let (name, value) = str::from_utf8(line).ok()?.split_once(':')?;
    let named = name.eq_ignore_ascii_case("content-length");
    named.then(|| value.trim().parse().ok()).flatten()
}
