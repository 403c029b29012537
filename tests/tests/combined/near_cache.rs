//! A cache in front of the store that is behind: it may say that a session is there, and never anything
//! that ends one, or signs a user out.

use std::sync::Arc;

use axum::Router;
use cloakroom::{CookieConfig, MemoryStore};
use cloakroom_core::ManualClock;
use http::Method;
use tests::faulty_store::CountingStore;
use tests::iterations::times;
use tests::stale_cache::StaleCache;
use tests::user_agent::{Incoming, UserAgent};

use crate::app::{self, Meeting, Seen};
use crate::setup::{EVERY, Features, Near, Phase, Servers, Storage, layer, on_both, shop};

on_both!(
    a_rotation_elsewhere_does_not_sign_out,
    a_rotation_elsewhere_does_not_create_a_session,
    concurrent_rotations_do_not_sign_out,
    use_elsewhere_keeps_the_session_alive,
    a_renewal_elsewhere_keeps_user_and_cart,
    a_write_after_a_sign_out_elsewhere_revives_nothing,
    a_renewal_after_a_sign_out_elsewhere_revives_nothing,
    a_sign_in_after_a_sign_out_elsewhere_keeps_no_data,
    a_sign_out_by_a_stale_record_holds_for_the_next_secret,
    a_longer_life_chosen_elsewhere_counts,
);

struct Shop {
    storage: Arc<Storage>,
    servers: Servers,
    features: Features,
    apps: [Router; 2],
    browser: UserAgent,
}

impl Shop {
    /// A browser that is signed in, and whose session is cached on the second server.
    async fn open(memory: bool, near: Near) -> Self {
        let features = Features {
            near,
            rotation: true,
            ..Features::default()
        };
        let (storage, servers) = shop(memory, &features).await;
        let apps = [0, 1].map(|server: usize| app::whole().layer(servers.layers[server].clone()));
        let mut browser = UserAgent::new();
        browser.post(&apps[0], "/cart/hat").await;
        browser.post(&apps[0], "/sign-in/ada/s").await;
        let mut shop = Self {
            storage,
            servers,
            features,
            apps,
            browser,
        };
        assert_eq!(shop.see(1).await.user, "ada");
        shop
    }

    async fn see(&mut self, server: usize) -> Seen {
        let request = self.browser.visit(&self.apps[server], Method::GET, "/me");
        Seen::of(&request.await)
    }

    async fn post(&mut self, server: usize, path: &str) -> Incoming {
        self.browser.post(&self.apps[server], path).await
    }

    async fn one_session(&self) {
        assert_eq!(self.storage.count("ada").await, (1, 0));
    }
}

async fn a_rotation_elsewhere_does_not_sign_out(memory: bool) {
    let mut shop = Shop::open(memory, Near::Stale).await;
    for round in 0..6 {
        shop.servers.clock.advance(EVERY);
        let rotates = round % 2;
        assert_eq!(shop.see(rotates).await.user, "ada", "round {round}");
        let seen = shop.see(1 - rotates).await;
        assert_eq!(seen.user, "ada", "round {round}, the next request");
        assert_eq!(shop.see(rotates).await.user, "ada", "round {round}");
    }
    shop.one_session().await;
}

async fn a_rotation_elsewhere_does_not_create_a_session(memory: bool) {
    let mut shop = Shop::open(memory, Near::Stale).await;
    shop.servers.clock.advance(EVERY);
    assert_eq!(shop.see(0).await.user, "ada");
    let response = shop.post(1, "/mark/a").await;
    let rotation = response.set_cookies().count();
    shop.one_session().await;
    shop.servers.settle(&shop.features).await;
    let seen = shop.see(0).await;
    assert_eq!(
        (&*seen.user, &*seen.cart, &*seen.marks),
        ("ada", "hat", "as"),
        "{rotation} cookies were set"
    );
}

async fn concurrent_rotations_do_not_sign_out(memory: bool) {
    let mut shop = Shop::open(memory, Near::Stale).await;
    for round in 0..10 {
        shop.servers.clock.advance(EVERY);
        let start = || shop.browser.start(Method::GET, "/me");
        let [one, two] = [start().send(&shop.apps[0]), start().send(&shop.apps[1])];
        let (one, two) = tokio::join!(one, two);
        let mut order = [one, two];
        if round % 2 == 1 {
            order.reverse();
        }
        for response in &order {
            assert_eq!(Seen::of(response).user, "ada", "round {round}");
            shop.browser.receive(response);
        }
        assert_eq!(shop.see(round % 2).await.user, "ada", "round {round}");
        assert_eq!(shop.see(1 - round % 2).await.user, "ada", "round {round}");
    }
    shop.one_session().await;
}

/// What is cached was last used longer ago than the idle timeout; what is stored was not.
async fn use_elsewhere_keeps_the_session_alive(memory: bool) {
    let features = Features {
        near: Near::Stale,
        ..Features::default()
    };
    let (storage, servers) = crate::setup::shop(memory, &features).await;
    let apps = servers
        .layers
        .clone()
        .map(|layer| app::whole().layer(layer));
    let mut browser = UserAgent::new();
    browser.post(&apps[0], "/sign-in/ada/s").await;
    let see = async |browser: &mut UserAgent, server: usize| {
        Seen::of(&browser.visit(&apps[server], Method::GET, "/me").await).user
    };
    assert_eq!(see(&mut browser, 1).await, "ada", "it is cached");
    for _ in 0..3 {
        // Ten hours, of a day without use. The write updates the time of the last use.
        servers.clock.advance(cloakroom::hours(10));
        browser.post(&apps[0], "/mark/a").await;
    }
    assert_eq!(see(&mut browser, 1).await, "ada");
    browser.post(&apps[1], "/mark/b").await;
    assert_eq!(storage.count("ada").await, (1, 0));
}

async fn a_renewal_elsewhere_keeps_user_and_cart(memory: bool) {
    let mut shop = Shop::open(memory, Near::Stale).await;
    let old = shop.browser.clone();
    shop.post(0, "/renew/f").await;
    let seen = shop.see(1).await;
    assert_eq!((&*seen.user, &*seen.cart), ("ada", "hat"));
    // A page that was open sends the old cookie once more, to the server that has the old session cached.
    let late = old.start(Method::POST, "/mark/a").send(&shop.apps[1]).await;
    assert!(!late.changes_cookies(), "{late:?}");
    let late = old
        .start(Method::POST, "/renew/b")
        .send(&shop.apps[1])
        .await;
    assert!(!late.changes_cookies(), "{late:?}");
    shop.browser.receive(&late);
    assert_eq!(shop.see(1).await.user, "ada");
    shop.one_session().await;
}

async fn a_write_after_a_sign_out_elsewhere_revives_nothing(memory: bool) {
    after_a_sign_out(memory, "/mark/a").await;
}

async fn a_renewal_after_a_sign_out_elsewhere_revives_nothing(memory: bool) {
    after_a_sign_out(memory, "/renew/a").await;
}

async fn after_a_sign_out(memory: bool, path: &str) {
    let mut shop = Shop::open(memory, Near::Stale).await;
    let mut old = shop.browser.clone();
    assert_eq!(shop.post(0, "/sign-out").await.text(), "ended");
    let late = old.start(Method::POST, path).send(&shop.apps[1]).await;
    assert!(!late.changes_cookies(), "{late:?}");
    assert!(app::edits_dropped(&late));
    assert_eq!(shop.storage.live().await, [""; 0]);
    shop.servers.settle(&shop.features).await;
    for app in &shop.apps {
        assert_eq!(Seen::of(&old.visit(app, Method::GET, "/me").await).user, "");
    }
}

/// A stale record is not what a sign-in carries over.
async fn a_sign_in_after_a_sign_out_elsewhere_keeps_no_data(memory: bool) {
    let mut shop = Shop::open(memory, Near::Stale).await;
    let mut old = shop.browser.clone();
    shop.post(0, "/sign-out").await;
    old.post(&shop.apps[1], "/sign-in/ada/b").await;
    shop.servers.settle(&shop.features).await;
    let seen = Seen::of(&old.visit(&shop.apps[0], Method::GET, "/me").await);
    assert_eq!((&*seen.user, &*seen.cart, &*seen.marks), ("ada", "", "b"));
    shop.one_session().await;
}

/// The tombstone is written by a server that does not know the secret which another one has handed out.
async fn a_sign_out_by_a_stale_record_holds_for_the_next_secret(memory: bool) {
    let mut shop = Shop::open(memory, Near::Stale).await;
    shop.servers.clock.advance(EVERY);
    let old = shop.browser.clone();
    let response = old.start(Method::GET, "/me").send(&shop.apps[0]).await;
    assert_eq!(Seen::of(&response).user, "ada");
    shop.browser.receive(&response);
    // Presented once, so that it is the current one.
    assert_eq!(shop.see(0).await.user, "ada");
    // A page that has loaded before signs out with the old secret.
    let out = old
        .start(Method::POST, "/sign-out")
        .send(&shop.apps[1])
        .await;
    assert_eq!(out.text(), "ended");
    let late = shop.browser.start(Method::POST, "/mark/a");
    let late = late.send(&shop.apps[0]).await;
    assert!(!late.changes_cookies(), "{late:?}");
    assert!(app::edits_dropped(&late));
    assert_eq!(shop.storage.live().await, [""; 0]);
}

/// The deadline of what is cached has passed, and that of what is stored was moved.
async fn a_longer_life_chosen_elsewhere_counts(memory: bool) {
    let features = Features {
        near: Near::Stale,
        ..Features::default()
    };
    let (storage, servers) = shop(memory, &features).await;
    let apps = [0, 1].map(|server: usize| app::whole().layer(servers.layers[server].clone()));
    let mut browser = UserAgent::new();
    browser.post(&apps[0], "/sign-in/ada/s").await;
    browser.post(&apps[0], "/live-for/3600").await;
    let see = Seen::of(&browser.visit(&apps[1], Method::GET, "/me").await);
    assert_eq!(see.user, "ada", "it is cached");
    browser.post(&apps[0], "/live-for/7200").await;
    // A request that has loaded what is cached, and saves after its deadline.
    let meeting = Meeting::of(2);
    let slow = browser
        .start(Method::POST, "/mark/a")
        .with(meeting.clone())
        .send(&apps[1]);
    let later = async {
        servers.clock.advance(cloakroom::minutes(90));
        meeting.wait().await;
    };
    let (slow, ()) = tokio::join!(slow, later);
    assert!(!app::edits_dropped(&slow));
    for app in &apps {
        let seen = Seen::of(&browser.visit(app, Method::GET, "/me").await);
        assert_eq!((&*seen.user, &*seen.marks), ("ada", "as"));
    }
    assert_eq!(storage.count("ada").await, (1, 0));
}

/// The same for a session that is found by its legacy cookie, for clients that never accept the new one.
#[tokio::test(flavor = "multi_thread")]
async fn use_elsewhere_keeps_a_migrated_session_alive() {
    let features = Features {
        near: Near::Stale,
        phase: Phase::SideBySide,
        ..Features::default()
    };
    let (storage, servers) = shop(false, &features).await;
    let apps = [0, 1].map(|server: usize| app::whole().layer(servers.layers[server].clone()));
    let url = storage.server().expect("it is on Redis").url();
    let legacy = crate::v0_14::on_their_store(crate::v0_14::app::whole(), &url).await;
    let mut browser = UserAgent::new();
    browser.post(&legacy, "/cart/hat").await;
    let see = async |server: usize| {
        let page = browser.start(Method::GET, "/me").send(&apps[server]).await;
        Seen::of(&page).cart
    };
    assert_eq!(see(0).await, "hat");
    assert_eq!(see(1).await, "hat", "it is cached");
    for _ in 0..3 {
        servers.clock.advance(cloakroom::hours(10));
        let mark = browser.start(Method::POST, "/mark/a").send(&apps[0]).await;
        assert!(!app::edits_dropped(&mark));
    }
    assert_eq!(see(1).await, "hat");
}

/// Whatever a cache claims, the store is asked before a request is decided against.
#[tokio::test]
async fn a_cache_that_denies_every_session_does_not_sign_out() {
    let clock = ManualClock::default();
    let cache = StaleCache::new(MemoryStore::with_clock(clock.clone()));
    let app = app::whole().layer(layer(cache.clone(), &clock, &Features::default(), None));
    let mut browser = UserAgent::new();
    browser.post(&app, "/sign-in/ada/s").await;
    cache.deny();
    let seen = Seen::of(&browser.visit(&app, Method::GET, "/me").await);
    assert_eq!(seen.user, "ada");
    browser.post(&app, "/mark/a").await;
    let seen = Seen::of(&browser.visit(&app, Method::GET, "/me").await);
    assert_eq!((&*seen.user, &*seen.marks), ("ada", "as"));
}

/// Only a request that what is cached does not accept costs one more command.
#[tokio::test]
async fn a_refusal_costs_one_read_and_a_cached_session_none() {
    let clock = ManualClock::default();
    let store = CountingStore::new(MemoryStore::with_clock(clock.clone()));
    let cache = StaleCache::new(store.clone());
    let app = app::whole().layer(layer(cache, &clock, &Features::default(), None));
    let mut browser = UserAgent::new();
    browser.post(&app, "/sign-in/ada/s").await;
    let token = browser.jar.cookies()[0].value.clone();
    let other = UserAgent::new().post(&app, "/sign-in/bob/s").await;
    let other = other.set_cookies().next().expect("a cookie").to_owned();
    let (_, other) = other.split_once('=').expect("a pair");
    let see = async |token: &str| {
        let mut request = UserAgent::new().start(Method::GET, "/me");
        let cookie = format!("{}={token}", CookieConfig::DEFAULT_NAME);
        let headers = request.request.headers_mut();
        headers.insert(http::header::COOKIE, cookie.parse().expect("it is ASCII"));
        drop(store.take_verbs());
        let user = Seen::of(&request.send(&app).await).user;
        (user, store.take_verbs().len())
    };
    assert_eq!(see(&token).await, ("ada".to_owned(), 1));
    assert_eq!(see(&token).await, ("ada".to_owned(), 0));
    // The id of the session with another secret.
    let wrong = format!("{}{}", &token[..22], &other[22..43]);
    assert_eq!(see(&wrong).await, (String::new(), 1));
    assert_eq!(see(&token).await, ("ada".to_owned(), 0));
}

/// The real near cache, without any delay of its own: it is a race, so there are many rounds.
#[tokio::test(flavor = "multi_thread")]
async fn immediate_requests_after_a_rotation_stay_signed_in() {
    let mut shop = Shop::open(false, Near::Cache).await;
    let mut signed_out = Vec::new();
    let rounds = times(100, 1000);
    for round in 0..rounds {
        // Cached on both.
        shop.see(0).await;
        shop.see(1).await;
        shop.see(0).await;
        shop.servers.clock.advance(EVERY);
        shop.see(round % 2).await;
        let seen = shop.see(1 - round % 2).await;
        if seen.user != "ada" {
            signed_out.push(round);
            shop.servers.settle(&shop.features).await;
        }
    }
    assert_eq!(signed_out, [0; 0], "signed out, of {rounds} rounds");
}
