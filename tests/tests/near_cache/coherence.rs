//! Two servers with near caches, thousands of operations, and a connection that comes and goes.
//!
//! `CLOAKROOM_LONG=1` makes it a million operations each.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cloakroom_core::store::{Loaded, Updated};
use cloakroom_core::{SessionId, Store};
use cloakroom_redis::NearCache;
use tests::dice::Dice;
use tests::ledger::Ledger;
use tests::long::times;
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::samples::{MINUTE, next, number, recent, session, tombstone};
use tests::topology::Cluster;
use tests::wait::within;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{WINDOW, near};

/// Sessions at a time: few, so that servers meet.
const SESSIONS: usize = 96;

/// Requests at a time, at each server.
const AT_ONCE: usize = 8;

/// Messages go out when the round of Redis' event loop ends in which the change was made.
const ROUND: Duration = Duration::from_millis(20);

/// So many troubles are all there are, one after the other.
const TROUBLES: u64 = 60;

/// What somebody who was refused waits before the next attempt. Without it, the others would not get to run.
const PAUSE: Duration = Duration::from_millis(1);

/// How long the caches may take beyond the operations, on a busy machine, until they took their part.
const PATIENCE: Duration = Duration::from_secs(60);

/// The servers, what is known of their sessions, and how much is to do.
struct Scene {
    servers: [NearCache; 2],
    ledger: Ledger,
    left: AtomicI64,
    /// When nothing was left to do.
    spent: OnceLock<Instant>,
    /// How many troubles there were.
    troubles: AtomicU64,
    over: AtomicBool,
}

impl Scene {
    async fn set(url: &str) -> Arc<Self> {
        let servers = [near(url).await, near(url).await];
        let mut ids = Vec::new();
        for _ in 0..SESSIONS {
            ids.push(begin(&servers[0]).await.expect("it answers"));
        }
        Arc::new(Self {
            servers,
            ledger: Ledger::new(&ids, WINDOW + ROUND),
            left: AtomicI64::new(times(30_000, 1_000_000)),
            spent: OnceLock::new(),
            troubles: AtomicU64::new(0),
            over: AtomicBool::new(false),
        })
    }

    /// Works until all is done, all troubles have come, and the caches took their part in it; `trouble`
    /// makes them.
    async fn play(self: Arc<Self>, trouble: impl Fn(&Ledger, u64) + Send + 'static) {
        let mut workers = JoinSet::new();
        for worker in 0..2 * AT_ONCE {
            workers.spawn(Arc::clone(&self).work(worker));
        }
        let scene = Arc::clone(&self);
        let troubles = tokio::task::spawn_blocking(move || {
            while !scene.over.load(Ordering::Relaxed) {
                trouble(&scene.ledger, scene.troubles.load(Ordering::Relaxed));
                scene.troubles.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let mut broken = None;
        while let Some(worked) = workers.join_next().await {
            broken = broken.or(worked.err());
        }
        self.over.store(true, Ordering::Relaxed);
        assert!(broken.is_none(), "every read is as it must be: {broken:?}");
        troubles.await.expect("trouble is made");
        for server in &self.servers {
            within("trusted again", PATIENCE, async || server.stats().coherent).await;
        }
        self.settle().await;
    }

    /// Whether an operation is to do. Fewer than asked for are never done; more, while a cache was of
    /// too little use for the suite to tell anything: one that troubles kept from being trusted.
    fn to_do(&self) -> bool {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        if left > 0 {
            return true;
        }
        let stats = self.servers.each_ref().map(NearCache::stats);
        let troubles = self.troubles.load(Ordering::Relaxed);
        let served = stats
            .iter()
            .all(|stats| stats.hits > stats.misses / 4 && stats.cleared > 2);
        let served = served && troubles >= TROUBLES;
        assert!(
            served || self.spent.get_or_init(Instant::now).elapsed() < PATIENCE,
            "{troubles} troubles, {stats:?}"
        );
        !served
    }

    async fn work(self: Arc<Self>, worker: usize) {
        let mut dice = Dice::new(worker as u64);
        let server = worker % 2;
        while self.to_do() {
            let page = roll(&mut dice, SESSIONS);
            match roll(&mut dice, 1000) {
                0..700 => drop(self.read(server, page).await),
                700..970 => self.write(server, page).await,
                970..997 => self.touch(server, page).await,
                _ => self.end(server, page).await,
            }
        }
    }

    /// Reads as a request does, and checks what it sees.
    async fn read(self: &Arc<Self>, server: usize, page: usize) -> Option<(SessionId, Loaded)> {
        let id = self.ledger.id(page);
        let began = Instant::now();
        let Ok(saw) = recent(&self.servers[server], id).await else {
            sleep(PAUSE).await;
            return None;
        };
        self.ledger.check(page, id, server, began, &saw);
        if !matches!(saw, Loaded::Record(_)) && self.ledger.claim(page, id) {
            tokio::spawn(Arc::clone(self).begin_anew(server, page));
        }
        Some((id, saw))
    }

    async fn write(self: &Arc<Self>, server: usize, page: usize) {
        let Some((id, Loaded::Record(mut record))) = self.read(server, page).await else {
            return;
        };
        for _ in 0..100 {
            let edited = next(&record, number(&record) + 1);
            let update = self.servers[server].update(id, record.revision(), &edited, MINUTE);
            match update.await {
                Ok(Updated::Updated) => {
                    return self.ledger.written(page, id, server, number(&edited));
                }
                Ok(Updated::Conflict(there)) => record = there,
                Ok(Updated::Ended(_) | Updated::Missing) | Err(_) => return,
            }
        }
    }

    async fn touch(self: &Arc<Self>, server: usize, page: usize) {
        let Some((id, Loaded::Record(record))) = self.read(server, page).await else {
            return;
        };
        let seen = record.seen().plus(Duration::from_millis(1));
        let touch = self.servers[server].touch(id, record.revision(), seen, MINUTE);
        drop(touch.await);
    }

    async fn end(self: &Arc<Self>, server: usize, page: usize) {
        let Some((id, Loaded::Record(record))) = self.read(server, page).await else {
            return;
        };
        self.ledger.ends(page, id);
        let stone = tombstone(&record);
        if self.servers[server]
            .end(id, None, &stone, MINUTE)
            .await
            .is_ok()
        {
            self.ledger.ended(page, id, server);
            // So that somebody can see it alive who should not.
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Not at once: for a while, both servers look for a session that is over.
    async fn begin_anew(self: Arc<Self>, server: usize, page: usize) {
        sleep(WINDOW + WINDOW / 4).await;
        loop {
            if let Some(new) = begin(&self.servers[server]).await {
                return self.ledger.replace(page, new);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whatever was acknowledged is there.
    async fn settle(&self) {
        for page in 0..self.ledger.len() {
            let (id, numbers, there) = self.ledger.acknowledged(page);
            match self.stored(id).await {
                Loaded::Record(record) => {
                    let last = numbers.last().copied().unwrap_or(1);
                    assert!(number(&record) >= last, "{id}: an update is lost");
                }
                gone => assert!(!there, "{id}: {gone:?}, and nobody ended it"),
            }
        }
    }

    /// What is stored. A machine that was busy a moment ago may have taken the server for dead.
    async fn stored(&self, id: SessionId) -> Loaded {
        let mut stored = None;
        within("it answers", PATIENCE, async || {
            stored = self.servers[0].load(id).await.ok();
            stored.is_some()
        })
        .await;
        stored.expect("it has answered")
    }
}

async fn begin(server: &NearCache) -> Option<SessionId> {
    let (id, record) = session(1);
    let created = server.create(id, &record, MINUTE).await;
    created.is_ok().then_some(id)
}

fn roll(dice: &mut Dice, sides: usize) -> usize {
    let high = u32::try_from(dice.roll() >> 32).expect("half of it is left");
    high as usize % sides
}

/// Cuts the connections that the server tells what changes: those with a `t` among their flags.
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

fn flush(ledger: &Ledger, servers: &[RedisServer]) {
    let since = ledger.flushes();
    for server in servers {
        server.command(&["FLUSHDB"]);
    }
    ledger.flushed(since);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_one_server() {
    let redis = Arc::new(RedisServer::start());
    let scene = Scene::set(&redis.url()).await;
    let server = Arc::clone(&redis);
    scene
        .play(move |ledger, round| match round % TROUBLES {
            7 | 23 | 31 | 47 => cut_tracking(&server),
            15 => flush(ledger, std::slice::from_ref(&*server)),
            _ => {}
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_cluster() {
    let cluster = Arc::new(Cluster::start());
    let scene = Scene::set(&cluster.url()).await;
    let servers = Arc::clone(&cluster);
    let failed_over = AtomicBool::new(false);
    scene
        .play(move |ledger, round| match round % TROUBLES {
            9 | 25 | 45 => servers.nodes().iter().for_each(cut_tracking),
            17 => {
                let primaries = match failed_over.load(Ordering::Relaxed) {
                    true => &[&servers.replicas()[..1], &servers.primaries()[1..]],
                    false => &[servers.primaries(), &[]],
                };
                primaries.iter().for_each(|some| flush(ledger, some));
            }
            33 if !failed_over.swap(true, Ordering::Relaxed) => servers.fail_over(0),
            _ => {}
        })
        .await;
}
