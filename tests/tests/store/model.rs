//! The same random history on the memory store and on Redis, by several clients in turn, while time
//! passes: all outcomes and the final state must be equal.

use std::thread::sleep;
use std::time::{Duration, Instant};

use cloakroom_core::codec::RecordFormat;
use cloakroom_core::store::Store;
use cloakroom_core::{
    Clock, Digest, EndReason, Entries, Expiry, Limits, ManualClock, MemoryStore, Record, Revision,
    SessionId, SystemRng, Timestamp, Token, Tombstone,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tests::generous;
use tests::iterations::times;
use tests::redis::RedisServer;
use tokio::runtime::Runtime;

const SESSIONS: usize = 3;
const CLIENTS: usize = 3;

/// TTLs: shorter than a pause, or longer than a history.
const TTLS: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(24 * 3600)];

/// The time that passes in a pause.
const PAUSE: Duration = Duration::from_secs(1200);

/// A command. There are few revisions and times, so that they often collide.
#[derive(Clone, Debug)]
struct Command {
    client: usize,
    session: usize,
    ttl: Duration,
    verb: Verb,
}

#[derive(Clone, Debug)]
enum Verb {
    Create(Content),
    Load,
    Update(u64, Content),
    Touch(u64, u64),
    End(Option<u64>, EndReason),
    /// Time passes, for all sessions.
    Pause,
}

#[derive(Clone, Debug)]
struct Content {
    revision: u64,
    seen: u64,
    value: String,
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let revision = || 0..4_u64;
    let seen = || 1..5_u64;
    let content =
        (revision(), seen(), any::<String>()).prop_map(|(revision, seen, value)| Content {
            revision,
            seen,
            value,
        });
    let reason = prop_oneof![Just(EndReason::Destroyed), Just(EndReason::Renewed)];
    let verb = prop_oneof![
        3 => content.clone().prop_map(Verb::Create),
        2 => Just(Verb::Load),
        6 => (revision(), content).prop_map(|(expected, content)| Verb::Update(expected, content)),
        3 => (revision(), seen()).prop_map(|(expected, seen)| Verb::Touch(expected, seen)),
        1 => (proptest::option::of(revision()), reason).prop_map(|(at, why)| Verb::End(at, why)),
        1 => Just(Verb::Pause),
    ];
    let ttl = prop::sample::select(&TTLS[..]);
    let command = (0..CLIENTS, 0..SESSIONS, ttl, verb);
    let command = command.prop_map(|(client, session, ttl, verb)| Command {
        client,
        session,
        ttl,
        verb,
    });
    prop::collection::vec(command, 1..60)
}

/// Runs a history, and returns all outcomes as text.
async fn run<S: Store>(
    clients: &[S; CLIENTS],
    ids: &[SessionId],
    now: Timestamp,
    history: &[Command],
    pause: impl Fn(),
) -> String {
    let mut outcomes = String::new();
    for command in history {
        let (id, ttl) = (ids[command.session], command.ttl);
        let store = &clients[command.client];
        let outcome = match &command.verb {
            Verb::Pause => {
                pause();
                String::new()
            }
            Verb::Create(content) => {
                let created = store.create(id, &record(content, now), ttl).await;
                format!("{:?}", created.expect("the command succeeds"))
            }
            Verb::Load => format!("{:?}", store.load(id).await.expect("the command succeeds")),
            Verb::Update(expected, content) => {
                let expected = Revision::from_bits(*expected);
                let updated = store.update(id, expected, &record(content, now), ttl).await;
                format!("{:?}", updated.expect("the command succeeds"))
            }
            Verb::Touch(expected, seen) => {
                let expected = Revision::from_bits(*expected);
                let touched = store.touch(id, expected, moment(now, *seen), ttl).await;
                format!("{:?}", touched.expect("the command succeeds"))
            }
            Verb::End(expected, reason) => {
                let expected = expected.map(Revision::from_bits);
                let tombstone = Tombstone::new(None, now, *reason);
                let ended = store.end(id, expected, &tombstone, ttl).await;
                format!("{:?}", ended.expect("the command succeeds"))
            }
        };
        outcomes.push_str(&outcome);
        outcomes.push('\n');
    }
    for id in ids {
        let left = clients[0].load(*id).await.expect("the command succeeds");
        outcomes.push_str(&format!("{left:?}\n"));
    }
    outcomes
}

fn record(content: &Content, now: Timestamp) -> Record {
    let mut entries = Entries::new();
    entries
        .set(&content.value, &content.value)
        .expect("text is JSON");
    Record::new(
        Revision::from_bits(content.revision),
        moment(now, content.seen),
        Limits::begin(Expiry::default(), now),
        Digest::from_bytes([7; 32]),
        entries,
    )
}

fn moment(now: Timestamp, seconds: u64) -> Timestamp {
    now.plus(Duration::from_secs(seconds))
}

/// Simulates a pause on Redis: keys whose TTL is at most a pause expire now. The TTLs of all others
/// exceed all pauses of a history together.
fn pause(redis: &RedisServer) {
    let ends = |ttl: &Option<Duration>| ttl.expect("all has an end") <= PAUSE;
    let keys = redis.keys_with_ttl();
    let ending: Vec<_> = keys.iter().filter(|(_, ttl)| ends(ttl)).collect();
    for (key, _) in &ending {
        redis.command(&["PEXPIRE", key, "1"]);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    for (key, _) in &ending {
        while redis.command(&["EXISTS", key]).number() != 0 {
            assert!(Instant::now() < deadline, "{key} does not expire");
            sleep(Duration::from_millis(1));
        }
    }
}

/// Removes all keys, so that a history does not wait for keys of another.
fn clear(redis: &RedisServer) {
    for (key, _) in redis.keys_with_ttl() {
        redis.command(&["DEL", &key]);
    }
}

#[test]
fn memory_and_redis_agree_on_random_histories() {
    let runtime = Runtime::new().expect("a runtime");
    let redis = RedisServer::start();
    // As in a deployment that introduces format 2, or goes back from it.
    let stored = [RecordFormat::V1, RecordFormat::V2, RecordFormat::V2].map(|format| {
        let store = generous::redis(redis.url(), "cloakroom");
        let store = runtime.block_on(store.with_record_format(format).connect());
        store.expect("the server is running")
    });
    let clock = ManualClock::default();
    let memory = MemoryStore::with_clock(clock.clone());
    let in_memory = [memory.clone(), memory.clone(), memory];
    let asked = ProptestConfig::default();
    let config = ProptestConfig {
        cases: times(asked.cases, 20_000),
        ..asked
    };
    TestRunner::new(config)
        .run(&commands(), |history| {
            let now = clock.now();
            let issue = |_| {
                Token::issue(now, &SystemRng)
                    .expect("there is randomness")
                    .id()
            };
            let ids: Vec<_> = (0..SESSIONS).map(issue).collect();
            let (in_memory, on_redis) = runtime.block_on(async {
                let later = || clock.advance(PAUSE);
                let outcomes = run(&in_memory, &ids, now, &history, later).await;
                let later = || pause(&redis);
                (outcomes, run(&stored, &ids, now, &history, later).await)
            });
            clear(&redis);
            prop_assert_eq!(in_memory, on_redis);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
