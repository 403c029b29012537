//! The behaviour of the same handlers with each implementation below `tower_sessions::Session`.

use std::sync::Arc;

use axum::Router;

use super::handlers;
use crate::browser::{Browser, Gate};
use crate::servers::Redis;

/// A Redis, and a function that adds the layers.
pub(crate) struct Setup<A> {
    redis: Redis,
    around: A,
}

impl<A: AsyncFn(&Redis, Router) -> Router> Setup<A> {
    pub(crate) fn new(around: A) -> Self {
        let redis = Redis::start();
        Self { redis, around }
    }

    async fn around(&self, app: Router) -> Router {
        (self.around)(&self.redis, app).await
    }
}

/// Checks the behaviour that is the same in every setup.
pub(crate) async fn check<A: AsyncFn(&Redis, Router) -> Router>(setup: Setup<A>) {
    let gate = Arc::<Gate>::default();
    let app = setup.around(handlers::app(gate)).await;
    values_round_trip(&app).await;
    no_cookie_is_set_without_a_change(&app).await;
    a_flushed_session_is_gone(&app).await;
    a_cycled_session_continues_under_another_id(&app).await;
    an_error_drops_edits(&app).await;
    a_save_gives_the_id_at_once(&app).await;
    an_expiry_reaches_the_cookie(&app).await;
}

async fn values_round_trip(app: &Router) {
    let mut one = Browser::new(app);
    one.text("/set/a/1").await;
    one.text("/set/b/2").await;
    assert_eq!(one.text("/get/a").await, "1");
    assert_eq!(Browser::new(app).text("/get/a").await, "nothing");
    assert_eq!(one.text("/remove/a").await, "1");
    assert_eq!(one.text("/get/a").await, "nothing");
    assert_eq!(one.text("/get/b").await, "2");
    one.text("/clear").await;
    assert_eq!(one.text("/get/b").await, "nothing");
    one.text("/set/c/3").await;
    assert_eq!(one.text("/get/c").await, "3");
}

async fn no_cookie_is_set_without_a_change(app: &Router) {
    let mut browser = Browser::new(app);
    for path in ["/idle", "/get/a", "/remove/a", "/clear", "/flush", "/hour"] {
        let response = browser.get(path).await;
        assert_eq!(response.status, 200, "{path}: {}", response.text);
        if path != "/remove/a" {
            assert!(response.set_cookies.is_empty(), "{path}: {response:?}");
        }
    }
    browser.text("/set/a/1").await;
    assert!(browser.get("/get/a").await.set_cookies.is_empty());
}

async fn a_flushed_session_is_gone(app: &Router) {
    let mut one = Browser::new(app);
    one.text("/set/a/1").await;
    let mut stale = one.clone();
    one.text("/flush").await;
    assert_eq!(one.cookie(), None);
    assert_eq!(stale.text("/get/a").await, "nothing");

    one.text("/set/a/1").await;
    let mut stale = one.clone();
    one.text("/flush/b/2").await;
    assert_eq!(one.text("/get/a").await, "nothing");
    assert_eq!(one.text("/get/b").await, "2");
    assert_eq!(stale.text("/get/a").await, "nothing");
}

async fn a_cycled_session_continues_under_another_id(app: &Router) {
    let mut one = Browser::new(app);
    one.text("/set/a/1").await;
    let mut stale = one.clone();
    one.text("/cycle").await;
    assert_ne!(one.cookie(), stale.cookie());
    assert_eq!(one.text("/get/a").await, "1");
    assert_eq!(stale.text("/get/a").await, "nothing");
}

async fn an_error_drops_edits(app: &Router) {
    let mut one = Browser::new(app);
    one.text("/set/a/1").await;
    assert_eq!(one.get("/fail/a/2").await.status, 500);
    assert_eq!(one.text("/get/a").await, "1");
    let mut two = Browser::new(app);
    assert_eq!(two.get("/fail/a/2").await.status, 500);
    assert_eq!(two.cookie(), None);
}

async fn a_save_gives_the_id_at_once(app: &Router) {
    let mut one = Browser::new(app);
    let id = one.text("/save/a/1").await;
    assert_eq!(id.len(), 22);
    assert_eq!(one.text("/get/a").await, "1");
    assert_eq!(one.text("/save/a/2").await, id);
    one.text("/cycle").await;
    assert_ne!(one.text("/save/a/3").await, id);
}

async fn an_expiry_reaches_the_cookie(app: &Router) {
    let mut one = Browser::new(app);
    one.text("/set/a/1").await;
    let response = one.get("/hour").await;
    let set = &response.set_cookies[0];
    assert!(set.contains("Max-Age="), "{set}");
    assert_eq!(one.text("/get/a").await, "1");
}

/// Known differences, with reasons.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Whether concurrent changes of different entries are both kept: ours merges entries, theirs stores
    /// the record of the last request.
    pub(crate) merges: bool,
    /// The status of a request whose session ended meanwhile: for ours that is not an error.
    pub(crate) ended_concurrently: u16,
    /// Whether `insert` after `flush` keeps the old id: theirs creates a session under the id of the
    /// record, ours always generates one.
    pub(crate) keeps_flushed_id: bool,
    /// Whether a response to a stale cookie removes the cookie: theirs does, and may sign out a browser
    /// that has just got a newer one. Behind their trait that cannot be changed.
    pub(crate) takes_stale_cookie: bool,
    /// Whether the cookie's value is stored in Redis: ours stores hashes.
    pub(crate) shows_ids: bool,
    /// Whether the id that the handler sees is the cookie's value: under our layer it is the public id,
    /// which does not authenticate.
    pub(crate) id_is_secret: bool,
}

pub(crate) async fn differences<A: AsyncFn(&Redis, Router) -> Router>(
    setup: Setup<A>,
) -> Differences {
    let gate = Arc::<Gate>::default();
    let app = setup.around(handlers::app(Arc::clone(&gate))).await;
    let mut one = Browser::new(&app);
    one.text("/set/a/1").await;
    let shows_ids = setup.redis.holds(one.cookie().expect("a cookie was set"));

    let slow = during(&one, &gate, "/slow/b/2", "/set/a/2").await;
    assert_eq!(slow, 200);
    let merges = one.text("/get/a").await == "2" && one.text("/get/b").await == "2";

    let mut ended = one.clone();
    let ended_concurrently = during(&one, &gate, "/slow/b/3", "/flush").await;
    assert_eq!(
        ended.clone().text("/get/b").await,
        "nothing",
        "it was revived"
    );
    let takes_stale_cookie = !ended.get("/get/b").await.set_cookies.is_empty();

    let mut two = Browser::new(&app);
    let id = two.text("/save/a/1").await;
    let before = two.cookie().expect("a cookie was set").to_owned();
    two.text("/flush/b/2").await;
    Differences {
        merges,
        ended_concurrently,
        keeps_flushed_id: two.cookie() == Some(&*before),
        takes_stale_cookie,
        shows_ids,
        id_is_secret: id == before,
    }
}

/// Sends a request during a slow one, and returns the status of the slow one.
async fn during(browser: &Browser, gate: &Gate, slow: &str, other: &str) -> u16 {
    let (mut first, mut second) = (browser.clone(), browser.clone());
    let slow = slow.to_owned();
    let slow = tokio::spawn(async move { first.get(&slow).await.status });
    gate.arrived.notified().await;
    second.text(other).await;
    gate.open.notify_one();
    slow.await.expect("no panic")
}
