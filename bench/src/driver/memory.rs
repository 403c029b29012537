//! What a request costs in memory: allocations, and what it occupies while its handler waits.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::http::{Client, block_on};
use super::testbed::Testbed;
use crate::BoxError;
use crate::args::Setting;
use crate::report::{Metric, Samples};
use crate::subject::{Route, Subject};

/// How many requests wait at the same time.
const WAITING: usize = 256;

/// Measures a subject once: nothing here depends on how busy the machine is.
pub(super) fn measure(
    subject: Subject,
    setting: Setting,
    routes: &[Route],
    samples: &mut Samples,
) -> Result<(), BoxError> {
    let mut testbed = Testbed::start_with(subject, setting, WAITING, (0, 0), true)?;
    for &route in routes.iter().filter(|&&route| subject.has(route)) {
        // The first requests fill pools and buffers.
        testbed.load(route, 16, 0.2)?;
        let before = Memory::of(&mut testbed)?;
        let requests = testbed.load(route, 16, 0.3)?.result.requests;
        let after = Memory::of(&mut testbed)?;
        if after.allocations > 0 {
            let each = (after.allocations - before.allocations) as f64 / requests as f64;
            samples.record(subject, route, Metric::Allocations, each);
        }
    }
    if subject != Subject::CloakroomTouching {
        let bytes = block_on(bytes_of_a_request(&mut testbed))?;
        samples.record(subject, None, Metric::RequestBytes, bytes);
    }
    Ok(())
}

/// Returns how many bytes one of many waiting requests occupies, besides its connection.
async fn bytes_of_a_request(testbed: &mut Testbed) -> Result<f64, BoxError> {
    let mut clients = Vec::with_capacity(WAITING);
    for cookies in &testbed.cookies {
        clients.push(Client::open(testbed.port(), cookies).await?);
    }
    // Buffers that all requests need at the same time, even without waiting, exist before the first look.
    for _ in 0..3 {
        clients = finish(start(clients, Route::Read.path())).await?;
    }
    let idle = Memory::of(testbed)?;
    let requests = start(clients, "/hold");
    let deadline = Instant::now() + Duration::from_secs(10);
    while testbed.server.command("held")? != WAITING.to_string() {
        if Instant::now() > deadline {
            return Err("not all requests reached their handler".into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    let busy = Memory::of(testbed)?;
    testbed.server.command("release")?;
    finish(requests).await?;
    Ok((busy.live - idle.live) / WAITING as f64)
}

type Requests = JoinSet<Result<Client, BoxError>>;

/// Sends a request with each client at the same time.
fn start(clients: Vec<Client>, path: &'static str) -> Requests {
    let mut requests = JoinSet::new();
    for mut client in clients {
        requests.spawn(async move {
            client.get(path).await?;
            Ok(client)
        });
    }
    requests
}

async fn finish(requests: Requests) -> Result<Vec<Client>, BoxError> {
    requests.join_all().await.into_iter().collect()
}

/// What a server reports of its memory.
struct Memory {
    live: f64,
    allocations: u64,
}

impl Memory {
    fn of(testbed: &mut Testbed) -> Result<Self, BoxError> {
        let memory = testbed.server.command("memory")?;
        let (live, allocations) = memory.split_once(' ').ok_or("not two numbers")?;
        Ok(Self {
            live: live.parse()?,
            allocations: allocations.parse()?,
        })
    }
}
