//! Two servers with a cache each, in front of one backend, whose readers and writers run at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{wait_for_steps, yield_now};
use tokio::time::advance;
use tokio::{Outcomes, check, choose, runtime, spawn};

use crate::backend::CacheBackend;
use crate::cached::Cached;
use crate::remote::set_fails;

const KEY: u64 = 7;

/// More than any task needs to go on.
const ROUNDS: usize = 2000;

/// The interval at which changes are sent again.
const RESEND: Duration = Duration::from_millis(500);

/// The record in the database, and what was read of it.
#[derive(Clone, Default)]
struct Database {
    value: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
}

type Cache = Cached<u64, u64>;

impl Database {
    fn servers(&self) -> [Cache; 2] {
        let backend = CacheBackend::in_memory();
        [(); 2].map(|()| {
            let database = self.clone();
            let cached = Cached::builder(&backend, "record").build(move |_| {
                let database = database.clone();
                async move { Ok::<_, Infallible>(Some(database.load().await)) }
            });
            cached.expect("the options are valid")
        })
    }

    async fn load(&self) -> u64 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
        let value = self.value();
        yield_now().await;
        value
    }

    fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }
}

async fn get(cache: &Cache) -> u64 {
    let value = cache.get(&KEY).await.expect("the loader does not fail");
    *value.expect("there is one")
}

/// Reads until the value is the one of the database.
async fn becomes_current(cache: &Cache, database: &Database, passes: Duration) {
    for _ in 0..ROUNDS {
        if get(cache).await == database.value() {
            return;
        }
        advance(passes);
        yield_now().await;
    }
    panic!("it stays at an old value");
}

static READERS: Outcomes<2> = Outcomes::new(["a reader leaves", "a reader that may leave stays"]);

/// However many read at once, on both servers, the record is loaded once; readers that leave hold up nobody.
pub fn readers_share_a_load(schedules: usize) {
    check(schedules, &READERS, || {
        set_fails(false);
        let database = Database::default();
        let [one, two] = database.servers();
        runtime::block_on(async {
            let readers: Vec<_> = [&one, &one, &two, &one]
                .map(|server| {
                    let server = server.clone();
                    spawn(async move { get(&server).await })
                })
                .into();
            wait_for_steps(12).await;
            readers[0].abort();
            for (number, reader) in readers.into_iter().enumerate() {
                let left = reader.await.is_err();
                assert!(!left || number == 0);
                READERS.count_if(left, "a reader leaves");
                READERS.count_if(!left && number == 0, "a reader that may leave stays");
            }
            assert_eq!(get(&two).await, 0);
            assert_eq!(database.loads.load(Ordering::Relaxed), 1);
        });
    });
}

static CHANGES: Outcomes<3> = Outcomes::new(CHANGED);
static FORGOTTEN: Outcomes<3> = Outcomes::new(CHANGED);
const CHANGED: [&str; 3] = [
    "a reader gets an old value during a change",
    "the other server has an old copy after a change",
    "a record is loaded twice",
];

/// A read that begins after a change on its server was stored gets that value or a later one, whatever loads were under
/// way. The other server does as soon as it was notified.
pub fn a_change_is_seen(schedules: usize) {
    check(schedules, &CHANGES, || {
        set_fails(false);
        runtime::block_on(change_twice(Kind::OfOne, &CHANGES));
    });
}

/// The same, where all records are forgotten.
pub fn everything_is_forgotten(schedules: usize) {
    check(schedules, &FORGOTTEN, || {
        set_fails(false);
        runtime::block_on(change_twice(Kind::OfAll, &FORGOTTEN));
    });
}

#[derive(Clone, Copy)]
enum Kind {
    OfOne,
    OfAll,
}

async fn change_twice(kind: Kind, outcomes: &'static Outcomes<3>) {
    let database = Database::default();
    let [one, two] = database.servers();
    let changed = Arc::new(AtomicU64::new(0));
    get(&two).await;
    let writer = spawn(write_twice(
        kind,
        one.clone(),
        database.clone(),
        Arc::clone(&changed),
    ));
    let read = || {
        read_twice(
            one.clone(),
            database.clone(),
            Arc::clone(&changed),
            outcomes,
        )
    };
    let readers = [spawn(read()), spawn(read())];
    let other = spawn(read_elsewhere(two.clone(), Arc::clone(&changed), outcomes));
    writer.await.expect("it runs to its end");
    other.await.expect("it runs to its end");
    for reader in readers {
        reader.await.expect("it runs to its end");
    }
    assert_eq!(get(&one).await, 2);
    becomes_current(&two, &database, Duration::ZERO).await;
    let loads = database.loads.load(Ordering::Relaxed);
    outcomes.count_if(loads > 2, "a record is loaded twice");
}

async fn write_twice(kind: Kind, one: Cache, database: Database, changed: Arc<AtomicU64>) {
    for value in 1..=2 {
        database.set(value);
        let stored = match kind {
            Kind::OfOne if choose(2) == 0 => one.put(&KEY, &value).await,
            Kind::OfOne => one.forget(&KEY).await,
            Kind::OfAll => one.forget_all().await,
        };
        stored.expect("the backend does not fail");
        changed.store(value, Ordering::Relaxed);
    }
}

/// The other server may use an older value until it is notified, but does not go back to one.
async fn read_elsewhere(two: Cache, changed: Arc<AtomicU64>, outcomes: &'static Outcomes<3>) {
    let mut last = 0;
    for _ in 0..4 {
        let at_least = changed.load(Ordering::Relaxed);
        let value = get(&two).await;
        assert!(value >= last, "{value} after {last}");
        let is_old = value < at_least;
        outcomes.count_if(is_old, "the other server has an old copy after a change");
        last = value;
        yield_now().await;
    }
}

async fn read_twice(
    one: Cache,
    database: Database,
    changed: Arc<AtomicU64>,
    outcomes: &'static Outcomes<3>,
) {
    for _ in 0..2 {
        let at_least = changed.load(Ordering::Relaxed);
        let value = get(&one).await;
        assert!(value >= at_least, "{value} after {at_least}");
        let is_old = value < database.value();
        outcomes.count_if(is_old, "a reader gets an old value during a change");
    }
}

static INTERRUPTED: Outcomes<4> = Outcomes::new([
    "a change fails",
    "a change is stored",
    "a writer leaves during a change",
    "a writer that may leave stays",
]);

/// A change whose write fails, or whose caller leaves at any step, is not lost: this server uses no older value, and the
/// other one gets the new value when the backend works again.
pub fn a_change_is_interrupted(schedules: usize) {
    check(schedules, &INTERRUPTED, || {
        set_fails(true);
        let database = Database::default();
        let [one, two] = database.servers();
        runtime::block_on(async {
            get(&one).await;
            get(&two).await;
            database.set(1);
            let stored = one.forget(&KEY).await;
            INTERRUPTED.count_if(stored.is_err(), "a change fails");
            INTERRUPTED.count_if(stored.is_ok(), "a change is stored");
            assert_eq!(get(&one).await, 1, "this server has changed it");
            let writer = {
                let (one, database) = (one.clone(), database.clone());
                spawn(async move {
                    // The change of the database, and the first step of the other one, cannot be separated by a caller
                    // that leaves.
                    database.set(2);
                    one.put(&KEY, &2).await
                })
            };
            wait_for_steps(12).await;
            writer.abort();
            let left = writer.await.is_err();
            INTERRUPTED.count_if(left, "a writer leaves during a change");
            INTERRUPTED.count_if(!left, "a writer that may leave stays");
            set_fails(false);
            assert_eq!(get(&one).await, database.value());
            // Copies do not expire, since no time passes for them: only messages make them invalid.
            becomes_current(&two, &database, RESEND / 4).await;
        });
    });
}
