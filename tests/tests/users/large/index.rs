//! The format of the index in Redis, and its conversion.

use std::collections::HashSet;
use std::time::Duration;

use cloakroom::{
    Expiry, RevokedBy, SessionErrorKind, SessionId, SessionInfo, SessionLayer, SessionLimit,
    Sessions,
};
use cloakroom_core::store::Store;
use cloakroom_core::{Clock, Realm, SystemClock, Timestamp, UserId, UserIndex, UserKey};
use cloakroom_redis::RedisStore;
use tests::browser::Browser;
use tests::faulty_store::{CountingStore, Verb};
use tests::large_user::{Contents, IndexFormat, index_key, score};
use tests::records::{add_request, session};
use tests::redis::RedisServer;

use super::{Far, STORE_TIMEOUT, app};
use crate::{sign_in, whoami};

/// Entries of earlier versions are scored by deadline.
const OLDEST_SCORE: i64 = 100_000_000_000_000;

impl Far {
    /// How many entries are in the format of earlier versions.
    fn unconverted(&self) -> usize {
        let entries = entries(&self.server);
        let is_old = |score| (0..OLDEST_SCORE).contains(&score);
        entries.iter().filter(|(_, score)| is_old(*score)).count()
    }
}

fn ada() -> UserKey {
    let realm = Realm::new(cloakroom::CookieConfig::DEFAULT_NAME);
    UserKey::new(&realm, &UserId::from("ada"))
}

fn entries(server: &RedisServer) -> Vec<(String, i64)> {
    let words = ["ZRANGE", &index_key("ada"), "0", "-1", "WITHSCORES"];
    let mut list = server.command(&words).list().into_iter();
    let mut entries = Vec::new();
    while let (Some(id), Some(score)) = (list.next(), list.next()) {
        entries.push((id.text(), score.text().parse().expect("it is a number")));
    }
    entries
}

#[tokio::test]
async fn a_score_has_the_time_of_the_id_and_the_deadline() {
    let server = RedisServer::start();
    let store = RedisStore::builder(server.url(), "cloakroom").with_command_timeout(STORE_TIMEOUT);
    let store = store.connect().await.expect("the server is running");
    let index = store.index().expect("it has an index");
    let user = ada();
    let day = 24 * 3600 * 1000;
    let lives = [0, 1, 63_000, 64_000, 64_001, 127_000, 128_000, 129_000, day];
    for life in lives
        .into_iter()
        .chain([30 * day, 400 * day, 400_000 * day])
    {
        let (id, record) = session(1);
        let mut request = add_request(id, &record);
        request.deadline = Timestamp::from_millis(id.created_at().as_millis() + life);
        index.add(&user, &request).await.expect("it is added");
        let key = index_key("ada");
        let there = server.command(&["ZSCORE", &key, &id.to_string()]).text();
        assert_eq!(there, score(id, request.deadline).to_string(), "{life}");
        // A later deadline counts, and an earlier one does not.
        let later = request.deadline.plus(cloakroom::days(1));
        for deadline in [later, request.deadline] {
            request.deadline = deadline;
            index.add(&user, &request).await.expect("it is added");
            let there = server.command(&["ZSCORE", &key, &id.to_string()]).text();
            assert_eq!(there, score(id, later).to_string(), "{life}");
        }
    }
}

/// The deadlines are in the reverse order.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_by_creation_is_evicted_from_an_index_of_an_earlier_version() {
    let far = Far::with(50, Contents::Sessions, IndexFormat::ReversedDeadlines);
    let mut browser = far.browser(SessionLimit::evict_oldest(50)).await;
    sign_in(&mut browser, "ada").await;
    let evicted = async || far.indexed() == 50;
    crate::eventually("one is evicted", evicted).await;
    let layer = far.layer().await;
    let left = layer.sessions().list("ada").await.expect("it lists");
    let left: HashSet<_> = left.iter().map(cloakroom::SessionInfo::id).collect();
    assert!(!left.contains(&far.ids[0]), "the oldest");
    assert!(far.ids[1..].iter().all(|id| left.contains(id)));
    assert_eq!(whoami(&mut browser).await, "ada");
}

async fn the_newest_are_left(count: usize, limit: u32, format: IndexFormat) {
    let far = Far::with(count, Contents::Sessions, format);
    let layer = far.limited(SessionLimit::evict_oldest(limit)).await;
    let id = sign_in(&mut Browser::new(app(layer.clone())), "ada").await;
    let evicted = async || far.indexed() == i64::from(limit);
    crate::eventually("the oldest are evicted", evicted).await;
    let left = all_pages(&layer.sessions()).await;
    let mut expected = far.ids[count + 1 - limit as usize..].to_vec();
    expected.push(id);
    expected.reverse();
    assert_eq!(left, expected, "{count} of {format:?}");
}

/// The ids of all pages.
async fn all_pages(sessions: &Sessions) -> Vec<SessionId> {
    pages_after(sessions, None).await
}

async fn pages_after(sessions: &Sessions, after: Option<SessionId>) -> Vec<SessionId> {
    let (mut ids, mut after) = (Vec::new(), after);
    loop {
        let page = sessions.list_page("ada", after).await.expect("it lists");
        ids.extend(page.sessions.iter().map(SessionInfo::id));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_leaves_the_newest_of_an_index_of_an_earlier_version() {
    for format in [IndexFormat::Deadlines, IndexFormat::ReversedDeadlines] {
        the_newest_are_left(100, 80, format).await;
        the_newest_are_left(300, 5, format).await;
    }
}

/// More than one sign-in converts.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_leaves_the_newest_of_a_large_index_of_an_earlier_version() {
    the_newest_are_left(5_000, 4_990, IndexFormat::Deadlines).await;
}

#[tokio::test]
async fn one_sign_in_converts_a_limited_number() {
    for format in [IndexFormat::Deadlines, IndexFormat::ReversedDeadlines] {
        let far = Far::with(1_100, Contents::Nothing, format);
        let store = far.store().await;
        let index = store.index().expect("it has an index");
        let user = ada();
        let evicted = index.evict(&user, SystemClock.now(), 1_099, None).await;
        assert_eq!(evicted.expect("it evicts").len(), 1);
        // One of the others is marked.
        assert_eq!(far.unconverted(), 1_100 - 1_024 - 1);
    }
}

/// The first page is read before the conversion, and the others during it.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_an_index_that_is_being_converted_have_every_session() {
    let far = Far::with(400, Contents::Sessions, IndexFormat::Deadlines);
    let layer = far.layer().await;
    let sessions = layer.sessions();
    let page = sessions.list_page("ada", None).await.expect("it lists");
    let mut listed: Vec<_> = page.sessions.iter().map(SessionInfo::id).collect();
    assert_eq!(listed.len(), 256);
    for signed_in in 1.. {
        sign_in(&mut Browser::new(app(layer.clone())), "ada").await;
        if far.unconverted() < 400 {
            break;
        }
        assert!(signed_in < 1000, "none are converted");
    }
    assert!(far.unconverted() > 0, "the conversion is in progress");
    listed.extend(pages_after(&sessions, page.next).await);
    listed.reverse();
    assert_eq!(listed, far.ids);
}

/// A conversion moves ids from the second page to the first, after that was read.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_escapes_no_revocation() {
    let far = Far::with(300, Contents::Sessions, IndexFormat::ReversedDeadlines);
    let store = CountingStore::new(far.store().await);
    let layer = SessionLayer::builder(store.clone())
        .with_store_timeout(STORE_TIMEOUT)
        .build()
        .expect("it is valid");
    let gate = store.hold(Verb::End);
    let sessions = layer.sessions();
    let revoking = tokio::spawn(async move { sessions.revoke_all("ada", RevokedBy::Admin).await });
    gate.reached().await;
    let index = store.inner().index().expect("it has an index");
    let over = index.evict(&ada(), SystemClock.now(), 299, None).await;
    assert_eq!(over.expect("it evicts").len(), 1);
    assert_eq!(far.unconverted(), 0);
    gate.open();
    let ended = revoking.await.expect("it does not panic");
    assert_eq!(ended.expect("the store responds"), 300);
    assert_eq!(far.indexed(), 0);
}

/// Adds members to the index that are not ids. They are the first ones that a list reads.
fn add_members(far: &Far, count: usize) {
    let mut zadd = vec!["ZADD".to_owned(), index_key("ada")];
    for number in 0..count {
        zadd.extend([i64::MAX.to_string(), format!("not an id {number}")]);
    }
    let added = far.server.command(&zadd).number();
    assert_eq!(added, i64::try_from(count).expect("it is small"));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_not_ids_hide_no_session() {
    for count in [1, 256, 600] {
        let far = Far::with_sessions(300);
        add_members(&far, count);
        let layer = far.layer().await;
        let sessions = layer.sessions();
        let mut listed = all_pages(&sessions).await;
        listed.reverse();
        assert_eq!(listed, far.ids, "{count} members");
        assert_eq!(sessions.count("ada").await.expect("it counts"), 300);
        let ended = sessions.revoke_all("ada", RevokedBy::Admin).await;
        assert_eq!(ended.expect("it ends"), 300);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_members_that_are_not_ids_are_an_error() {
    let far = Far::with_sessions(10);
    add_members(&far, 4_096);
    let layer = far.layer().await;
    let listed = layer.sessions().list("ada").await;
    let error = listed.expect_err("they are not read");
    assert_eq!(error.kind(), SessionErrorKind::Unreadable);
}

/// A server of an earlier version takes a score for a deadline, when it adds an id again.
#[tokio::test]
async fn a_time_to_live_that_is_too_long_is_repaired() {
    let server = RedisServer::start();
    let store = RedisStore::builder(server.url(), "cloakroom").with_command_timeout(STORE_TIMEOUT);
    let store = store.connect().await.expect("the server is running");
    let index = store.index().expect("it has an index");
    let key = index_key("ada");
    let ttl = || Duration::from_millis(server.command(&["PTTL", &key]).number().unsigned_abs());
    let longest = Expiry::MAX + cloakroom_core::index::STALE_AFTER;
    let is_longest = |ttl| ttl <= longest && ttl > longest - Duration::from_secs(3600);
    let add = async |life| {
        let (id, record) = session(1);
        let mut request = add_request(id, &record);
        request.deadline = request.now.plus(life);
        index.add(&ada(), &request).await.expect("it is added");
    };
    add(Duration::from_secs(3600)).await;
    assert!(ttl() < Duration::from_secs(2 * 3600));
    add(Expiry::MAX).await;
    assert!(is_longest(ttl()));
    // The longest one is kept.
    add(Duration::from_secs(3600)).await;
    assert!(is_longest(ttl()));
    let years = Duration::from_secs(114_000 * 365 * 24 * 3600);
    let pexpire = ["PEXPIRE", &key, &years.as_millis().to_string()];
    assert_eq!(server.command(&pexpire).number(), 1);
    assert!(ttl() > longest);
    add(Duration::from_secs(3600)).await;
    assert!(is_longest(ttl()));
}

/// A sign-in converts a few, and no entry is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_an_earlier_version_is_converted_in_steps() {
    let far = Far::with(300, Contents::Sessions, IndexFormat::Deadlines);
    let layer = far.layer().await;
    let sessions = layer.sessions();
    assert_eq!(sessions.count("ada").await.expect("it counts"), 300);
    assert_eq!(far.unconverted(), 300);
    let mut left = 300;
    for signed_in in 1.. {
        sign_in(&mut Browser::new(app(layer.clone())), "ada").await;
        let now_left = far.unconverted();
        assert!(left - now_left <= 64, "in steps");
        left = now_left;
        assert_eq!(far.indexed(), 300 + signed_in);
        if left == 0 {
            break;
        }
        assert!(signed_in < 1000, "{left} are never converted");
    }
    for (id, stored) in entries(&far.server) {
        let id = id.parse().expect("it is an id");
        let deadline = Timestamp::from_millis(SystemClock.now().as_millis());
        assert!(stored >= i64::try_from(score(id, deadline)).expect("it is small"));
    }
}
