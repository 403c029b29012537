//! The format of the index in Redis, and its conversion.

use std::collections::HashSet;

use cloakroom::SessionLimit;
use cloakroom_core::store::Store;
use cloakroom_core::{Clock, Realm, SystemClock, Timestamp, UserId, UserIndex, UserKey};
use cloakroom_redis::RedisStore;
use tests::browser::Browser;
use tests::large_user::{Contents, IndexFormat, index_key, score};
use tests::records::{add_request, session};
use tests::redis::RedisServer;

use super::{Far, STORE_TIMEOUT, app};
use crate::{sign_in, whoami};

/// Entries of earlier versions are scored by deadline.
const OLDEST_SCORE: i64 = 100_000_000_000_000;

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
    let user = UserKey::new(
        &Realm::new(cloakroom::CookieConfig::DEFAULT_NAME),
        &UserId::from("ada"),
    );
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
    let far = Far::with(50, Contents::Sessions, IndexFormat::Deadlines);
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

/// A sign-in converts a few, and no entry is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_an_earlier_version_is_converted_in_steps() {
    let far = Far::with(300, Contents::Sessions, IndexFormat::Deadlines);
    let layer = far.layer().await;
    let sessions = layer.sessions();
    assert_eq!(sessions.count("ada").await.expect("it counts"), 300);
    let old = || {
        let entries = entries(&far.server);
        entries.iter().filter(|(_, s)| *s < OLDEST_SCORE).count()
    };
    assert_eq!(old(), 300);
    let mut left = 300;
    for signed_in in 1.. {
        sign_in(&mut Browser::new(app(layer.clone())), "ada").await;
        let now_left = old();
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
