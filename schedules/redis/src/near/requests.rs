//! Requests of one session on a server with a near cache, and writes of another server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::store::{Ended, Loaded, Touched, Updated};
use cloakroom_core::{
    Clock, EndReason, Entries, Expiry, Limits, Realm, Record, Revision, SessionId, Store,
    SystemClock, SystemRng, Timestamp, Token, Tombstone,
};
use fred::types::client::Invalidation;
use fred::types::config::Server;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, advance};
use tokio::{Outcomes, check, choose, runtime, spawn};

use super::cache::SessionCache;
use super::shared::SharedCache;
use super::store::NearCache;
use super::supervisor::Supervisor;
use crate::store::{Push, RedisStore};

const WINDOW: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(3600);
const BYTES: u64 = 1 << 20;

static REPORTED: Outcomes<6> = Outcomes::new(OUTCOMES);
static MERGED: Outcomes<6> = Outcomes::new(OUTCOMES);
static RECONNECTED: Outcomes<6> = Outcomes::new(OUTCOMES);
const OUTCOMES: [&str; 6] = [
    "a request is served from the cache",
    "a cached state is served after it was replaced",
    "a write is cached",
    "a write fails",
    "the session ends",
    "the cache is empty at the end",
];

/// A request sees no state that was replaced a window ago, and what its server has written before. When all messages have
/// arrived, the cached state is the stored one.
pub fn each_change_is_reported(schedules: usize) {
    check(schedules, &REPORTED, || run(Network::Reports));
}

/// The same, where one message may report two changes, so that the message about a write of this server may be one about
/// a later write of another: such a state is served for no longer than a window.
pub fn one_message_reports_two_changes(schedules: usize) {
    check(schedules, &MERGED, || run(Network::Merges));
}

/// The same, where the connection for messages breaks, and is established again.
pub fn the_connection_for_messages_breaks(schedules: usize) {
    check(schedules, &RECONNECTED, || run(Network::Breaks));
}

static ONE_READ: Outcomes<2> = Outcomes::new([
    "what was read is cached",
    "what was read is not cached, or was removed",
]);

/// Of one read and one message about a change, in any order, no earlier state remains in the cache.
pub fn one_read_and_one_message(schedules: usize) {
    check(schedules, &ONE_READ, || {
        runtime::block_on(async {
            let (cache, stored) = (
                Arc::new(SessionCache::new(BYTES)),
                Arc::new(AtomicU64::new(1)),
            );
            let now = SystemClock.now();
            let token = Token::issue(now, &SystemRng).expect("there is randomness");
            let id = token.id();
            let state = |millis| {
                let at = Timestamp::from_millis(millis);
                Loaded::Tombstone(Tombstone::new(None, at, EndReason::SignedOut))
            };
            let read = {
                let (cache, stored) = (Arc::clone(&cache), Arc::clone(&stored));
                spawn(async move {
                    let version = cache.version(id);
                    yield_now().await;
                    let found = state(stored.load(Ordering::Relaxed));
                    yield_now().await;
                    cache.insert_read(id, version, found, Instant::now() + WINDOW);
                })
            };
            let change = {
                let (cache, stored) = (Arc::clone(&cache), Arc::clone(&stored));
                spawn(async move {
                    stored.store(2, Ordering::Relaxed);
                    yield_now().await;
                    cache.invalidate(id);
                })
            };
            join(vec![read, change]).await;
            let cached = cache.get(id, Instant::now());
            ONE_READ.count_if(cached.is_some(), "what was read is cached");
            ONE_READ.count_if(
                cached.is_none(),
                "what was read is not cached, or was removed",
            );
            assert!(cached.is_none_or(|cached| cached == state(2)));
        });
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Reports,
    Merges,
    Breaks,
}

impl Network {
    const fn outcomes(self) -> &'static Outcomes<6> {
        match self {
            Self::Reports => &REPORTED,
            Self::Merges => &MERGED,
            Self::Breaks => &RECONNECTED,
        }
    }
}

/// A server with a near cache.
#[derive(Clone)]
struct App {
    near: NearCache,
    cache: Arc<SharedCache>,
    id: SessionId,
    first: Record,
    network: Network,
}

fn run(network: Network) {
    runtime::block_on(async {
        let (redis, pushes) = RedisStore::new(network == Network::Merges);
        let app = App::start(redis.clone(), network).await;
        let connection = spawn(receive(Arc::clone(&app.cache), pushes));
        redis.check(Instant::now()).await;
        let mut tasks = vec![spawn(check_often(redis.clone()))];
        tasks.extend((0..2).map(|number| spawn(app.clone().serve(number))));
        tasks.push(spawn(write_elsewhere(redis.clone(), app.clone())));
        tasks.push(spawn(pass_time()));
        if network == Network::Breaks {
            tasks.push(spawn(disconnect(redis.clone())));
        }
        join(tasks).await;
        redis.end_of_messages();
        join(vec![connection]).await;
        app.at_the_end();
    });
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("it runs to its end");
    }
}

impl App {
    async fn start(redis: RedisStore, network: Network) -> Self {
        let now = SystemClock.now();
        let token = Token::issue(now, &SystemRng).expect("there is randomness");
        let digest = Realm::new("test").digest(&token);
        let limits = Limits::begin(Expiry::default(), now);
        let first = Record::new(Revision::from_bits(0), now, limits, digest, Entries::new());
        let created = redis.create(token.id(), &first, TTL).await;
        created.expect("it does not fail");
        let cache = Arc::new(SharedCache::new(redis, BYTES, WINDOW));
        cache.validity.set_nodes(&[None]);
        Self {
            near: NearCache::from_parts(Arc::clone(&cache), Supervisor),
            cache,
            id: token.id(),
            first,
            network,
        }
    }

    /// Four requests. Each reads, and every other writes on what it has read.
    async fn serve(self, number: u64) {
        let mut written = 0;
        for request in 1..=4 {
            let found = match self.peek(written) {
                Some(found) => found,
                None => self.near.load(self.id).await.expect("it does not fail"),
            };
            self.place_of(&found, written);
            let Loaded::Record(record) = found else {
                continue;
            };
            let stored = self.write(&record, 10 * (number + 1) + request).await;
            let is_stored = stored.is_some();
            if let Some(stored) = stored {
                written = self.place_of(&stored, written);
                let cached = self.peek(written).is_some();
                self.count_if(cached, "a write is cached");
            }
            self.count_if(!is_stored, "a write fails");
        }
    }

    /// Writes the session, and returns what is stored then; `None` if the record was stale.
    async fn write(&self, record: &Record, number: u64) -> Option<Loaded> {
        match choose(12) {
            0..3 => {
                let (expected, next) = (record.revision(), self.next(record, number));
                let updated = self.near.update(self.id, expected, &next, TTL).await;
                let is_stored = updated.expect("it does not fail") == Updated::Updated;
                is_stored.then_some(Loaded::Record(next))
            }
            3..6 => {
                let seen = self.time(number);
                let touched = self.near.touch(self.id, record.revision(), seen, TTL).await;
                let is_stored = touched.expect("it does not fail") == Touched::Touched;
                is_stored.then(|| self.touched(record, seen))
            }
            6..11 => None,
            _ => {
                // By its id, or by a request that knows its secret.
                let digest = (choose(2) == 0).then_some(*record.digest());
                let tombstone = Tombstone::new(digest, self.time(number), EndReason::SignedOut);
                let ended = self.near.end(self.id, None, &tombstone, TTL).await;
                let is_ended = ended.expect("it does not fail") == Ended::Ended;
                self.count_if(is_ended, "the session ends");
                is_ended.then(|| self.redis().latest())
            }
        }
    }

    /// Returns what the cache serves, after it was compared with what is stored.
    fn peek(&self, written: usize) -> Option<Loaded> {
        let now = Instant::now();
        let found = self.near.peek_cached(self.id)?;
        self.place_of(&found, written);
        let (_, replaced) = self.redis().place_of(&found);
        self.count_if(true, "a request is served from the cache");
        if let Some(replaced) = replaced {
            self.count_if(true, "a cached state is served after it was replaced");
            assert!(now < replaced + WINDOW, "it was replaced a window ago");
        }
        Some(found)
    }

    /// Returns which state this is, after what this server has written.
    fn place_of(&self, found: &Loaded, written: usize) -> usize {
        let (place, _) = self.redis().place_of(found);
        assert!(place >= written, "this server has written a later state");
        place
    }

    fn at_the_end(&self) {
        let cached = self.cache.sessions.get(self.id, Instant::now());
        self.count_if(cached.is_none(), "the cache is empty at the end");
        if let (Network::Reports, Some(cached)) = (self.network, cached) {
            assert_eq!(cached, self.redis().latest(), "all messages have arrived");
        }
    }

    /// Returns what a touch has stored: a later time of another touch stays.
    fn touched(&self, touched: &Record, seen: Timestamp) -> Loaded {
        self.redis().first_with(|loaded| match loaded {
            Loaded::Record(record) => {
                record.revision() == touched.revision() && record.last_seen() >= seen
            }
            _ => false,
        })
    }

    fn next(&self, record: &Record, number: u64) -> Record {
        let revision = Revision::from_bits(number);
        let (seen, limits) = (record.last_seen(), record.limits());
        Record::new(revision, seen, limits, *self.first.digest(), Entries::new())
    }

    /// Times that differ, so that each touch changes the record.
    fn time(&self, number: u64) -> Timestamp {
        Timestamp::from_millis(self.first.last_seen().as_millis() + number)
    }

    fn redis(&self) -> &RedisStore {
        &self.cache.store
    }

    fn count_if(&self, has_occurred: bool, outcome: &str) {
        self.network.outcomes().count_if(has_occurred, outcome);
    }
}

/// Another server, without a cache.
async fn write_elsewhere(redis: RedisStore, app: App) {
    for number in 1..=2 {
        let found = redis.load(app.id).await.expect("it does not fail");
        if let Loaded::Record(record) = found {
            let next = app.next(&record, 100 + number);
            let updated = redis.update(app.id, record.revision(), &next, TTL).await;
            updated.expect("it does not fail");
        }
    }
}

/// The connection for messages: they arrive in their order, at any time.
async fn receive(cache: Arc<SharedCache>, mut pushes: UnboundedReceiver<Push>) {
    loop {
        match pushes.recv().await.expect("the server exists") {
            Push::Changed(key) => cache.on_invalidation(Some(Invalidation {
                keys: vec![key.into()],
                server: Server::new("redis", 6379),
            })),
            Push::Checked { began, is_new } => {
                if is_new {
                    cache.clear();
                }
                cache.extend_validity(&None, began);
            }
            Push::End => return,
        }
        yield_now().await;
    }
}

async fn check_often(redis: RedisStore) {
    for _ in 0..5 {
        redis.check(Instant::now()).await;
    }
}

async fn disconnect(redis: RedisStore) {
    yield_now().await;
    redis.disconnect();
}

async fn pass_time() {
    for _ in 0..6 {
        yield_now().await;
        advance(WINDOW / 2);
    }
}
