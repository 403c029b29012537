//! Several cookies of the session's name in one request: after a change of the path or the domain, or planted
//! by a sibling subdomain.

use axum::Router;
use cloakroom::{CookieConfig, MemoryStore, StoreErrorKind};
use cloakroom_core::ManualClock;
use http::Method;
use tests::faulty_store::{CountingStore, Fault, Verb};
use tests::user_agent::{Incoming, UserAgent};

use crate::app::{self, Seen};
use crate::setup::{Features, Storage, layer, on_both, servers};
use crate::{v0_14, v0_15};

on_both!(
    signing_out_with_two_paths_ends_both,
    destroying_with_two_paths_ends_both,
    signing_out_with_two_domains_ends_both,
    signing_in_with_two_live_sessions_leaves_one,
    renewing_with_two_live_sessions_leaves_no_more_than_one,
    a_write_with_two_live_sessions_sets_no_third_cookie,
    a_sign_in_through_the_bridge_with_two_live_sessions_leaves_one,
    dead_cookies_do_not_hide_a_live_one,
    ended_cookies_do_not_hide_a_live_one,
    planted_cookies_do_not_prevent_a_sign_in,
    nothing_is_created_outside_of_the_path,
);

const NAME: &str = "sid";

fn at(path: &str) -> Features {
    let cookie = CookieConfig::new(NAME).with_path(path);
    Features {
        cookie: Some(cookie),
        ..Features::default()
    }
}

fn below(domain: &str) -> Features {
    let cookie = CookieConfig::new(NAME).with_domain(domain);
    Features {
        cookie: Some(cookie),
        ..Features::default()
    }
}

fn storage(memory: bool, clock: &ManualClock) -> Storage {
    if memory {
        Storage::memory(clock)
    } else {
        Storage::redis()
    }
}

/// A server before a deploy that changed the scope of the cookie, one after it, and a browser that holds a
/// live session of each: both of ada.
struct Changed {
    storage: Storage,
    after: Router,
    browser: UserAgent,
}

impl Changed {
    async fn start(memory: bool, before: &Features, after: &Features) -> Self {
        let clock = ManualClock::default();
        let storage = storage(memory, &clock);
        let [old, _] = servers(&storage, &clock, before).await.layers;
        let [new, _] = servers(&storage, &clock, after).await.layers;
        let (old, after) = (app::whole().layer(old), app::whole().layer(new));
        let mut browser = UserAgent::new();
        browser.post(&old, "/app/sign-in/ada/a").await;
        let other = UserAgent::new().post(&after, "/app/sign-in/ada/b").await;
        browser.receive(&other);
        assert_eq!(browser.jar.cookies().len(), 2);
        assert_eq!(storage.count("ada").await, (2, 0));
        Self {
            storage,
            after,
            browser,
        }
    }

    async fn paths(memory: bool) -> Self {
        Self::start(memory, &at("/"), &at("/app")).await
    }

    async fn post(&mut self, path: &str) -> Incoming {
        self.browser.post(&self.after, path).await
    }

    /// What the page shows to a browser with each of these cookies alone.
    async fn opens(&self, browser: &UserAgent) -> Vec<String> {
        let mut users = Vec::new();
        for cookie in browser.jar.cookies() {
            let mut alone = browser.clone();
            alone.jar.retain(|other| other == cookie);
            users.push(me(&mut alone, &self.after).await.user);
        }
        users
    }

    async fn end_by(mut self, path: &str) {
        let before = self.browser.clone();
        let response = self.post(path).await;
        assert_eq!(response.text(), "ended");
        assert_eq!(self.storage.count("ada").await, (0, 0), "both have ended");
        assert_eq!(self.opens(&before).await, ["", ""]);
        let left = self.browser.jar.cookies();
        assert!(left.is_empty(), "both cookies are removed: {left:?}");
        assert_eq!(me(&mut self.browser, &self.after).await.user, "");
    }
}

async fn me(browser: &mut UserAgent, app: &Router) -> Seen {
    Seen::of(&browser.visit(app, Method::GET, "/app/me").await)
}

async fn signing_out_with_two_paths_ends_both(memory: bool) {
    Changed::paths(memory).await.end_by("/app/sign-out").await;
}

async fn destroying_with_two_paths_ends_both(memory: bool) {
    Changed::paths(memory).await.end_by("/app/destroy").await;
}

async fn signing_out_with_two_domains_ends_both(memory: bool) {
    let changed = Changed::start(memory, &at("/"), &below("shop.example")).await;
    changed.end_by("/app/sign-out").await;
}

async fn signing_in_with_two_live_sessions_leaves_one(memory: bool) {
    let mut changed = Changed::paths(memory).await;
    let before = changed.browser.clone();
    changed.post("/app/sign-in/ada/c").await;
    assert_eq!(changed.storage.count("ada").await, (1, 0));
    assert_eq!(changed.opens(&before).await, ["", ""]);
    let seen = me(&mut changed.browser, &changed.after).await;
    assert_eq!((&*seen.user, &*seen.marks), ("ada", "c"));
}

async fn renewing_with_two_live_sessions_leaves_no_more_than_one(memory: bool) {
    let mut changed = Changed::paths(memory).await;
    changed.post("/app/renew/c").await;
    let live = changed.storage.live().await;
    assert!(live.len() <= 1, "{live:#?}");
}

async fn a_write_with_two_live_sessions_sets_no_third_cookie(memory: bool) {
    let mut changed = Changed::paths(memory).await;
    let before = changed.browser.clone();
    let response = changed.post("/app/mark/c").await;
    assert!(!response.changes_cookies(), "{:?}", response.headers);
    assert_eq!(changed.storage.count("ada").await, (2, 0));
    assert!(app::edits_dropped(&response), "the app can notice it");
    assert_eq!(changed.opens(&before).await, ["ada", "ada"]);
}

/// `cycle_id` and an insert, as axum-login signs in.
async fn a_sign_in_through_the_bridge_with_two_live_sessions_leaves_one(memory: bool) {
    for bridged in [
        v0_14::app::bridged(v0_14::app::whole()),
        v0_15::app::bridged(v0_15::app::whole()),
    ] {
        let clock = ManualClock::default();
        let storage = storage(memory, &clock);
        let [old, _] = servers(&storage, &clock, &at("/")).await.layers;
        let [new, _] = servers(&storage, &clock, &below("shop.example"))
            .await
            .layers;
        let (old, new) = (bridged.clone().layer(old), bridged.layer(new));
        let mut browser = UserAgent::new();
        browser.post(&old, "/sign-in/ada/a").await;
        let other = UserAgent::new().post(&new, "/sign-in/ada/b").await;
        browser.receive(&other);
        let seen = Seen::of(&browser.visit(&new, Method::GET, "/me").await);
        assert_eq!(seen.user, "", "neither is used");
        let written = browser.post(&new, "/mark/c").await;
        assert!(!written.changes_cookies(), "{written:?}");
        browser.post(&new, "/sign-in/ada/d").await;
        assert_eq!(storage.live().await.len(), 1);
        let seen = Seen::of(&browser.visit(&new, Method::GET, "/me").await);
        assert_eq!((&*seen.user, &*seen.marks), ("ada", "d"));
        assert_eq!(browser.jar.cookies().len(), 1);
    }
}

/// As long as one of them may be live, the cookies stay, so that the user can try again.
#[tokio::test]
async fn a_failed_end_of_one_session_keeps_the_cookies() {
    let clock = ManualClock::default();
    let store = CountingStore::new(MemoryStore::with_clock(clock.clone()));
    let [old, new] = [at("/"), at("/app")].map(|features| {
        let layer = layer(store.clone(), &clock, &features, None);
        app::whole().layer(layer)
    });
    let mut browser = UserAgent::new();
    browser.post(&old, "/app/sign-in/ada/a").await;
    let other = UserAgent::new().post(&new, "/app/sign-in/ada/b").await;
    browser.receive(&other);
    store.next(Verb::End, Fault::Refuse(StoreErrorKind::Unavailable));
    let response = browser.visit(&new, Method::POST, "/app/sign-out").await;
    assert_eq!(response.status, 503);
    assert_eq!(browser.jar.cookies().len(), 2);
    let mut before = browser.clone();
    assert_eq!(browser.post(&new, "/app/sign-out").await.text(), "ended");
    assert_eq!(me(&mut browser, &new).await.user, "");
    assert_eq!(me(&mut before, &new).await.user, "");
}

/// Scopes of which all cookies go to `/app/me`; the last one comes last in the header.
const SCOPES: [&str; 8] = [
    "Path=/app/me",
    "Path=/app/me; Domain=www.shop.example",
    "Path=/app/me; Domain=shop.example",
    "Path=/app",
    "Path=/app; Domain=www.shop.example",
    "Path=/app; Domain=shop.example",
    "Path=/; Domain=www.shop.example",
    "Path=/; Domain=shop.example",
];

/// The value of the session's cookie in a response.
fn value(response: &Incoming) -> String {
    let mut cookies = response.set_cookies();
    let pair = cookies.next().and_then(|cookie| cookie.split(';').next());
    let (_, value) = pair.expect("a cookie").split_once('=').expect("a pair");
    value.to_owned()
}

/// Well-formed tokens of sessions that the store of the test does not know.
async fn unknown_tokens(count: usize) -> Vec<String> {
    let clock = ManualClock::default();
    let elsewhere = Storage::memory(&clock);
    let [layer, _] = servers(&elsewhere, &clock, &at("/")).await.layers;
    let app = app::whole().layer(layer);
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(value(&UserAgent::new().post(&app, "/mark/a").await));
    }
    tokens
}

/// A browser with the cookies in front of that of a live session.
async fn with_cookies_in_front(app: &Router, tokens: &[String]) -> UserAgent {
    let mut browser = UserAgent::new();
    let page = browser.visit(app, Method::GET, "/app/me").await;
    for (token, scope) in tokens.iter().zip(SCOPES) {
        plant(&mut browser, &page, token, scope);
    }
    let live = UserAgent::new().post(app, "/app/sign-in/ada/a").await;
    browser.receive(&live);
    browser
}

fn plant(browser: &mut UserAgent, page: &Incoming, token: &str, scope: &str) {
    let mut page = page.clone();
    let cookie = format!("{NAME}={token}; Secure; {scope}");
    let cookie = cookie.parse().expect("it is ASCII");
    page.headers.insert(http::header::SET_COOKIE, cookie);
    browser.receive(&page);
}

async fn dead_cookies_do_not_hide_a_live_one(memory: bool) {
    let clock = ManualClock::default();
    let storage = storage(memory, &clock);
    let [layer, _] = servers(&storage, &clock, &at("/")).await.layers;
    let app = app::whole().layer(layer);
    for dead in [1, 2, 3, 7] {
        let tokens = unknown_tokens(dead).await;
        let mut browser = with_cookies_in_front(&app, &tokens).await;
        assert_eq!(browser.jar.cookies().len(), dead + 1);
        let user = me(&mut browser, &app).await.user;
        assert_eq!(user, "ada", "behind {dead} dead cookies");
    }
}

async fn ended_cookies_do_not_hide_a_live_one(memory: bool) {
    let clock = ManualClock::default();
    let storage = storage(memory, &clock);
    let [layer, _] = servers(&storage, &clock, &at("/")).await.layers;
    let app = app::whole().layer(layer);
    let mut ended = Vec::new();
    for _ in 0..3 {
        let mut other = UserAgent::new();
        ended.push(value(&other.post(&app, "/app/sign-in/ada/a").await));
        other.post(&app, "/app/sign-out").await;
    }
    let mut browser = with_cookies_in_front(&app, &ended).await;
    assert_eq!(me(&mut browser, &app).await.user, "ada");
    browser.post(&app, "/app/sign-out").await;
    assert_eq!(me(&mut browser, &app).await.user, "");
    assert_eq!(storage.count("ada").await, (0, 0));
}

async fn planted_cookies_do_not_prevent_a_sign_in(memory: bool) {
    let clock = ManualClock::default();
    let storage = storage(memory, &clock);
    let [layer, _] = servers(&storage, &clock, &at("/")).await.layers;
    let app = app::whole().layer(layer);
    let mut browser = UserAgent::new();
    let page = browser.visit(&app, Method::GET, "/app/me").await;
    for (token, scope) in unknown_tokens(2).await.iter().zip(&SCOPES[1..]) {
        plant(&mut browser, &page, token, scope);
    }
    for round in 0..3 {
        browser.post(&app, "/app/sign-in/ada/a").await;
        let user = me(&mut browser, &app).await.user;
        assert_eq!(user, "ada", "round {round}");
    }
    assert_eq!(storage.count("ada").await, (1, 0));
}

async fn nothing_is_created_outside_of_the_path(memory: bool) {
    let clock = ManualClock::default();
    let storage = storage(memory, &clock);
    let [layer, _] = servers(&storage, &clock, &at("/app")).await.layers;
    let app = app::whole().layer(layer);
    let mut browser = UserAgent::new();
    for _ in 0..7 {
        // An error would be right as well.
        browser.visit(&app, Method::POST, "/mark/a").await;
    }
    assert_eq!(storage.live().await, [""; 0], "after 7 requests");
    browser.post(&app, "/app/mark/a").await;
    assert_eq!(me(&mut browser, &app).await.marks, "a");
    // The cookie for `/app` does not go to this page either, and is not replaced by it.
    browser.visit(&app, Method::POST, "/mark/b").await;
    assert_eq!(storage.live().await.len(), 1);
    assert_eq!(me(&mut browser, &app).await.marks, "a");
}
