//! Coherence of two servers with near caches under thousands of operations and lost connections.
//!
//! With `CLOAKROOM_LONG=1` it runs a million operations per test.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cloakroom_core::store::{Loaded, Updated};
use cloakroom_core::{SessionId, Store};
use cloakroom_redis::NearCache;
use tests::history::History;
use tests::iterations::times;
use tests::records::{MINUTE, next, number, recent, session, tombstone};
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::rng::Rng;
use tests::topology::Cluster;
use tests::wait::within;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{WINDOW, near};

/// Concurrent sessions: few, so that servers often use the same one.
const SESSIONS: usize = 96;

/// Concurrent requests per server.
const AT_ONCE: usize = 8;

/// Redis sends invalidations at the end of the event loop iteration of the change.
const ROUND: Duration = Duration::from_millis(20);

/// The number of steps in a full cycle of disruptions.
const DISRUPTIONS: u64 = 60;

/// The pause after a read that has failed, or has found no live session. Without it, other tasks would
/// starve.
const PAUSE: Duration = Duration::from_millis(1);

/// How much longer than the planned operations the test may run until the caches have served enough reads: on
/// a busy machine they are often not coherent.
const PATIENCE: Duration = Duration::from_secs(600);

/// Each cache must have served one read for so many planned operations.
const OPERATIONS_PER_HIT: i64 = 20;

/// The servers, the history of their sessions, and the remaining work.
struct Setup {
    servers: [NearCache; 2],
    history: History,
    planned: i64,
    /// The remaining operations on live sessions.
    left: AtomicI64,
    /// When the planned operations were finished.
    finished_at: OnceLock<Instant>,
    /// The number of disruptions so far.
    disruptions: AtomicU64,
    stop: AtomicBool,
}

impl Setup {
    async fn start(url: &str) -> Arc<Self> {
        let servers = [near(url).await, near(url).await];
        let mut ids = Vec::new();
        for _ in 0..SESSIONS {
            ids.push(begin(&servers[0]).await.expect("the command succeeds"));
        }
        let planned = times(30_000, 1_000_000);
        Arc::new(Self {
            servers,
            history: History::new(&ids, WINDOW + ROUND),
            planned,
            left: AtomicI64::new(planned),
            finished_at: OnceLock::new(),
            disruptions: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Runs until all operations are done, every disruption has happened, and the caches have served
    /// enough reads. `disrupt` causes a disruption.
    async fn run(self: Arc<Self>, disrupt: impl Fn(&History, u64) + Send + 'static) {
        let mut workers = JoinSet::new();
        for worker in 0..2 * AT_ONCE {
            workers.spawn(Arc::clone(&self).work(worker));
        }
        let setup = Arc::clone(&self);
        let disruptions = tokio::task::spawn_blocking(move || {
            while !setup.stop.load(Ordering::Relaxed) {
                disrupt(&setup.history, setup.disruptions.load(Ordering::Relaxed));
                setup.disruptions.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let mut broken = None;
        while let Some(worked) = workers.join_next().await {
            broken = broken.or(worked.err());
        }
        self.stop.store(true, Ordering::Relaxed);
        assert!(broken.is_none(), "a read violates the history: {broken:?}");
        disruptions.await.expect("the disruptions do not panic");
        for server in &self.servers {
            within("coherent again", PATIENCE, async || server.stats().coherent).await;
        }
        self.check_stored().await;
    }

    /// Whether to run another operation. At least the planned number is run, and more while a cache has
    /// served too few reads for the test to be meaningful.
    fn continues(&self) -> bool {
        if self.left.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let stats = self.servers.each_ref().map(NearCache::stats);
        let disruptions = self.disruptions.load(Ordering::Relaxed);
        let enough = (self.planned / OPERATIONS_PER_HIT).unsigned_abs();
        let served = stats
            .iter()
            .all(|stats| stats.hits > enough && stats.cleared > 2);
        let served = served && disruptions >= DISRUPTIONS;
        assert!(
            served || self.finished_at.get_or_init(Instant::now).elapsed() < PATIENCE,
            "{disruptions} disruptions, {stats:?}"
        );
        !served
    }

    async fn work(self: Arc<Self>, worker: usize) {
        let mut rng = Rng::new(worker as u64);
        let server = worker % 2;
        while self.continues() {
            let slot = below(&mut rng, SESSIONS);
            match below(&mut rng, 1000) {
                0..700 => drop(self.read(server, slot).await),
                700..970 => self.write(server, slot).await,
                970..997 => self.touch(server, slot).await,
                _ => self.end(server, slot).await,
            }
        }
    }

    /// Reads as a request does, and checks the result against the history.
    async fn read(self: &Arc<Self>, server: usize, slot: usize) -> Option<(SessionId, Loaded)> {
        let id = self.history.id(slot);
        let began = Instant::now();
        let Ok(saw) = recent(&self.servers[server], id).await else {
            sleep(PAUSE).await;
            return None;
        };
        self.history.check(slot, id, server, began, &saw);
        if let Loaded::Record(_) = saw {
            // What is done to an ended session does not count: there would soon be hardly anything else.
            self.left.fetch_sub(1, Ordering::Relaxed);
            return Some((id, saw));
        }
        if self.history.claim(slot, id) {
            tokio::spawn(Arc::clone(self).replace_later(server, slot));
        }
        sleep(PAUSE).await;
        None
    }

    async fn write(self: &Arc<Self>, server: usize, slot: usize) {
        let Some((id, Loaded::Record(mut record))) = self.read(server, slot).await else {
            return;
        };
        for _ in 0..100 {
            let edited = next(&record, number(&record) + 1);
            let update = self.servers[server].update(id, record.revision(), &edited, MINUTE);
            match update.await {
                Ok(Updated::Updated) => {
                    return self.history.record_write(slot, id, server, number(&edited));
                }
                Ok(Updated::Conflict(there)) => record = there,
                Ok(Updated::Ended(_) | Updated::Missing) | Err(_) => return,
            }
        }
    }

    async fn touch(self: &Arc<Self>, server: usize, slot: usize) {
        let Some((id, Loaded::Record(record))) = self.read(server, slot).await else {
            return;
        };
        let seen = record.last_seen().plus(Duration::from_millis(1));
        let touch = self.servers[server].touch(id, record.revision(), seen, MINUTE);
        drop(touch.await);
    }

    async fn end(self: &Arc<Self>, server: usize, slot: usize) {
        let Some((id, Loaded::Record(record))) = self.read(server, slot).await else {
            return;
        };
        self.history.record_end_started(slot, id);
        let stone = tombstone(&record);
        if self.servers[server]
            .end(id, None, &stone, MINUTE)
            .await
            .is_ok()
        {
            self.history.record_end(slot, id, server);
            // Gives other tasks time to read a stale record.
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits first: for a while, both servers read the ended session.
    async fn replace_later(self: Arc<Self>, server: usize, slot: usize) {
        sleep(WINDOW + WINDOW / 4).await;
        loop {
            let created = Instant::now();
            if let Some(new) = begin(&self.servers[server]).await {
                return self.history.replace(slot, new, created);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Checks that every acknowledged write is stored.
    async fn check_stored(&self) {
        for slot in 0..self.history.len() {
            let (id, numbers, there) = self.history.acknowledged(slot);
            match self.stored(id).await {
                Loaded::Record(record) => {
                    let last = numbers.last().copied().unwrap_or(1);
                    assert!(number(&record) >= last, "{id}: an update is lost");
                }
                gone => assert!(!there, "{id}: {gone:?}, and nobody ended it"),
            }
        }
    }

    /// Loads the stored session. It retries, since a busy machine may have triggered a reconnect.
    async fn stored(&self, id: SessionId) -> Loaded {
        let mut stored = None;
        within("the command succeeds", PATIENCE, async || {
            stored = self.servers[0].load(id).await.ok();
            stored.is_some()
        })
        .await;
        stored.expect("the command has succeeded")
    }
}

async fn begin(server: &NearCache) -> Option<SessionId> {
    let (id, record) = session(1);
    let created = server.create(id, &record, MINUTE).await;
    created.is_ok().then_some(id)
}

fn below(rng: &mut Rng, limit: usize) -> usize {
    let high = u32::try_from(rng.next_u64() >> 32).expect("half of it is left");
    high as usize % limit
}

/// Closes the connections with client tracking: those with a `t` among their flags.
fn cut_tracking(server: &RedisServer) {
    let Reply::Bytes(list) = server.command(&["CLIENT", "LIST"]) else {
        return;
    };
    for line in String::from_utf8_lossy(&list).lines() {
        let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
        if let (Some(id), Some(flags)) = (field("id="), field("flags="))
            && flags.contains('t')
        {
            server.command(&["CLIENT", "KILL", "ID", id]);
        }
    }
}

/// Flushes all primaries at once: a session that is created after its own server was flushed is alive.
fn flush<'a>(history: &History, primaries: impl IntoIterator<Item = &'a RedisServer>) {
    let since = history.record_flush_started();
    for primary in primaries {
        assert_eq!(primary.command(&["FLUSHDB"]).text(), "OK");
    }
    history.record_flush(since);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_are_coherent_on_one_server() {
    let redis = Arc::new(RedisServer::start());
    let setup = Setup::start(&redis.url()).await;
    let server = Arc::clone(&redis);
    setup
        .run(move |history, round| match round % DISRUPTIONS {
            7 | 23 | 31 | 47 => cut_tracking(&server),
            15 => flush(history, [&*server]),
            _ => {}
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_are_coherent_on_a_cluster() {
    let cluster = Arc::new(Cluster::start());
    let setup = Setup::start(&cluster.url()).await;
    let servers = Arc::clone(&cluster);
    let failed_over = AtomicBool::new(false);
    setup
        .run(move |history, round| match round % DISRUPTIONS {
            9 | 25 | 45 => servers.nodes().iter().for_each(cut_tracking),
            17 => {
                let [first, others @ ..] = servers.primaries() else {
                    unreachable!("there are three");
                };
                let first = if failed_over.load(Ordering::Relaxed) {
                    &servers.replicas()[0]
                } else {
                    first
                };
                flush(history, others.iter().chain([first]));
            }
            33 if !failed_over.swap(true, Ordering::Relaxed) => servers.fail_over(0),
            _ => {}
        })
        .await;
}
