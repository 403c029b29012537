//! A user with very many sessions, written to Redis directly, so that it is fast.

use cloakroom::{CookieConfig, SessionId, UserId};
use cloakroom_core::{
    Authentication, Clock, Entries, Expiry, Limits, Realm, Record, Revision, SystemClock,
    SystemRng, Timestamp, Token, UserKey, codec,
};

use crate::redis::RedisServer;

/// How many keys are written with one command.
const CHUNK: usize = 1000;

/// How the index is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexFormat {
    /// By the time of creation and the deadline.
    Current,
    /// By the deadline, as before: the deadlines are in the order of creation.
    Deadlines,
    /// By the deadline, as before: the deadlines are in the reverse order of creation.
    ReversedDeadlines,
}

/// What is written for each id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A live session.
    Sessions,
    /// Nothing: the sessions have expired, before their deadlines.
    Nothing,
}

/// Writes sessions of a user of an app with the default realm and the name `cloakroom`. The first was created an hour ago,
/// and each of the others a millisecond later. Returns their ids, the oldest first.
///
/// # Panics
///
/// When the server does not accept them.
#[must_use = "the ids are those to check"]
pub fn seed(
    server: &RedisServer,
    user: &str,
    count: usize,
    contents: Contents,
    format: IndexFormat,
) -> Vec<SessionId> {
    let now = SystemClock.now();
    let hour_ago = Timestamp::from_millis(now.as_millis() - 3_600_000);
    let index = index_key(user);
    let mut ids = Vec::with_capacity(count);
    for start in (0..count).step_by(CHUNK) {
        let mut mset = vec!["MSET".to_owned()];
        let mut zadd = vec!["ZADD".to_owned(), index.clone()];
        for number in start..(start + CHUNK).min(count) {
            let created = Timestamp::from_millis(hour_ago.as_millis() + number as u64);
            let (id, record) = session(user, created, now);
            let deadline = record.limits().deadline();
            let score = match format {
                IndexFormat::Current => score(id, deadline),
                IndexFormat::Deadlines => deadline.as_millis(),
                IndexFormat::ReversedDeadlines => deadline.as_millis() - 2 * number as u64,
            };
            zadd.extend([score.to_string(), id.to_string()]);
            mset.extend([format!("cloakroom:{id}"), codec::encode(&record)]);
            ids.push(id);
        }
        if contents == Contents::Sessions {
            assert_eq!(server.command(&mset).text(), "OK");
        }
        assert!(server.command(&zadd).number() > 0);
    }
    ids
}

/// The key of a user's index.
#[must_use]
pub fn index_key(user: &str) -> String {
    let realm = Realm::new(CookieConfig::DEFAULT_NAME);
    format!(
        "cloakroom:user:{}",
        UserKey::new(&realm, &UserId::from(user))
    )
}

/// The score of an id in the index, computed as `index_add.lua` documents it.
#[must_use]
pub fn score(id: SessionId, deadline: Timestamp) -> u64 {
    let life = deadline.since(id.created_at()).as_millis();
    let seconds = u64::try_from(life.div_ceil(1000)).unwrap_or(u64::MAX);
    let mut code = 0;
    while decode(code) < seconds {
        code += 1;
    }
    id.created_at().as_millis() * 2048 + code
}

/// The seconds from the creation of an id to its deadline.
fn decode(code: u64) -> u64 {
    (64 + code % 64) << (code / 64)
}

fn session(user: &str, created: Timestamp, now: Timestamp) -> (SessionId, Record) {
    let token = Token::issue(created, &SystemRng).expect("the system has randomness");
    let mut entries = Entries::new();
    Authentication::new(UserId::from(user), created).put_into(&mut entries);
    let record = Record::new(
        Revision::draw(&SystemRng).expect("the system has randomness"),
        now,
        Limits::begin(Expiry::default(), created),
        Realm::new(CookieConfig::DEFAULT_NAME).digest(&token),
        entries,
    );
    (token.id(), record)
}
