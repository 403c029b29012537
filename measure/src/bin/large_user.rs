//! Measures a user with very many sessions, and prints two tables.
//!
//! The first table has the CPU time of Redis for one sign-in (index entry, record and event in one script), by the size of the
//! user's index. The second one has what a user with very many sessions waits for, on a Redis that is a millisecond away in
//! each direction, and what another user notices of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom::{RevokedBy, SessionLayer, SessionLimit, UserId};
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddRequest, Limit, UserIndex};
use cloakroom_core::{Realm, Store, UserKey};
use cloakroom_redis::RedisStore;
use tests::app::app;
use tests::browser::Browser;
use tests::large_user::{Contents, IndexFormat, index_key, seed};
use tests::records::{MINUTE, add_request, session};
use tests::redis::RedisServer;
use tests::topology::DelayedPort;

/// How many sign-ins are averaged.
const SIGN_INS: u32 = 3_000;

#[tokio::main]
async fn main() {
    let mut out = String::from(
        "| entries in the index | without a limit | with a limit that is not reached |\n|---|---|---|\n",
    );
    for size in [1, 10, 10_000] {
        let mut row = format!("| {size} |");
        for limit in [None, Some(1_000_000)] {
            row += &format!(" {:.1} µs |", cost_of_sign_in(size, limit).await);
        }
        out += &format!("{row}\n");
    }
    out += "\n| | 10,000 sessions | 50,000 sessions |\n|---|---|---|\n";
    let (small, large) = (figures(10_000).await, figures(50_000).await);
    for ((name, one), (_, two)) in small.iter().zip(&large) {
        out += &format!("| {name} | {one} | {two} |\n");
    }
    #[allow(clippy::print_stdout, reason = "the tables are the output")]
    {
        print!("{out}");
    }
}

/// The CPU time of Redis for one sign-in, in microseconds. What it adds to the index is removed again.
async fn cost_of_sign_in(size: usize, most: Option<u32>) -> f64 {
    let server = RedisServer::start();
    seed(
        &server,
        "ada",
        size,
        Contents::Nothing,
        IndexFormat::Current,
    );
    let store = RedisStore::connect(server.url(), "cloakroom").await;
    let store = store.expect("the server is running");
    let user = UserKey::new(
        &Realm::new(cloakroom::CookieConfig::DEFAULT_NAME),
        &UserId::from("ada"),
    );
    let (mut total, mut ids) = (0.0, Vec::new());
    for number in 0..SIGN_INS {
        let (id, record) = session(u64::from(number));
        let request = AddRequest {
            limit: most.map(|most| Limit {
                most,
                evict_oldest: false,
            }),
            ..add_request(id, &record)
        };
        let event = SessionEvent::Created { id };
        let before = cpu(&server);
        let create = store.create_for_user(&user, &request, &record, MINUTE, Some(&event));
        create.await.expect("it is created");
        total += cpu(&server) - before;
        ids.push(id);
        if ids.len() == 64 {
            let index = store.index().expect("it has an index");
            index.remove(&user, &ids).await.expect("they are removed");
            ids.clear();
        }
    }
    // Less what the reading of the figure costs.
    let before = cpu(&server);
    for _ in 0..SIGN_INS {
        cpu(&server);
    }
    let reading = cpu(&server) - before;
    (total - reading) / f64::from(SIGN_INS) * 1e6
}

/// The CPU time of the server's main thread, in seconds.
fn cpu(server: &RedisServer) -> f64 {
    let info = server.command(&["INFO", "cpu"]).text();
    let seconds = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<f64>().ok())
            .expect("INFO has it")
    };
    seconds("used_cpu_user_main_thread:") + seconds("used_cpu_sys_main_thread:")
}

async fn figures(count: usize) -> Vec<(&'static str, String)> {
    let mut figures = Vec::new();
    let far = Far::start(count);
    let mut browser = far.browser(SessionLimit::reject_above(5)).await;
    let (status, time) = sign_in(&mut browser).await;
    figures.push((
        "a sign-in with a limit of five that rejects",
        format!("{status}, {time:.0?}"),
    ));
    let sessions = far.layer(None).await.sessions();
    let began = Instant::now();
    sessions.list("ada").await.expect("it lists");
    figures.push(("`Sessions::list`", format!("{:.0?}", began.elapsed())));
    let began = Instant::now();
    sessions.count("ada").await.expect("it counts");
    figures.push(("`Sessions::count`", format!("{:.0?}", began.elapsed())));

    let idle =
        far.reads_of_another_user(async { tokio::time::sleep(Duration::from_secs(3)).await });
    let idle = idle.await;
    let mut browser = far.browser(SessionLimit::evict_oldest(5)).await;
    let mut first = None;
    let mut left = Duration::ZERO;
    let busy = far
        .reads_of_another_user(async {
            first = Some(sign_in(&mut browser).await);
            let began = Instant::now();
            while far.indexed() > 5 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            left = began.elapsed();
        })
        .await;
    let (status, time) = first.expect("it has signed in");
    figures.push((
        "the first sign-in with a limit of five that evicts",
        format!("{status}, {time:.0?}"),
    ));
    figures.push((
        "until five sessions are left, in the background",
        format!("{left:.1?}"),
    ));
    figures.push(("p99 of another user's reads, before", idle));
    figures.push(("p99 of another user's reads, meanwhile", busy));

    let far = Far::start(count);
    let sessions = far.layer(None).await.sessions();
    let began = Instant::now();
    let ended = sessions.revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(ended.expect("they end"), count);
    figures.push(("`Sessions::revoke_all`", format!("{:.1?}", began.elapsed())));
    figures
}

async fn sign_in(browser: &mut Browser) -> (u16, Duration) {
    let began = Instant::now();
    let response = browser
        .request(|session| async move { session.sign_in("ada").await.map(|_| ()) })
        .await;
    (response.status.as_u16(), began.elapsed())
}

/// A server with the sessions of a user, and a port in front of it that is far away.
struct Far {
    server: RedisServer,
    port: DelayedPort,
}

impl Far {
    fn start(count: usize) -> Self {
        let server = RedisServer::start();
        seed(
            &server,
            "ada",
            count,
            Contents::Sessions,
            IndexFormat::Current,
        );
        let port = DelayedPort::start(server.port(), Duration::from_millis(1));
        Self { server, port }
    }

    async fn layer(&self, limit: Option<SessionLimit>) -> SessionLayer {
        let url = format!("redis://127.0.0.1:{}", self.port.port());
        let store = RedisStore::connect(url, "cloakroom").await;
        let builder = SessionLayer::builder(store.expect("the server is running"));
        let builder = match limit {
            Some(limit) => builder.with_session_limit(limit),
            None => builder,
        };
        builder.build().expect("it is valid")
    }

    async fn browser(&self, limit: SessionLimit) -> Browser {
        Browser::new(app(self.layer(Some(limit)).await))
    }

    fn indexed(&self) -> i64 {
        self.server.command(&["ZCARD", &index_key("ada")]).number()
    }

    /// The 99th percentile of the reads of another user while `work` runs, and how many there were.
    async fn reads_of_another_user(&self, work: impl Future<Output = ()>) -> String {
        let mut bob = Browser::new(app(self.layer(None).await));
        bob.request(|session| async move { session.sign_in("bob").await.map(|_| ()) })
            .await;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let reads = tokio::spawn(async move {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                let read =
                    bob.request(|session| async move { session.get::<u32>("n").map(|_| ()) });
                assert_eq!(read.await.status, 200);
                times.push(began.elapsed());
            }
            times
        });
        work.await;
        stop.store(true, Ordering::Relaxed);
        let mut times = reads.await.expect("every read succeeds");
        times.sort();
        let p99 = times[times.len() * 99 / 100];
        format!("{:.1?} of {}", p99, times.len())
    }
}
