//! A cached record that is behind, with former cookies and revocations: it may accept a request for a while,
//! and never sets, replaces or removes a cookie, nor keeps a session alive that was revoked.

use std::sync::Arc;

use axum::Router;
use cloakroom::{CookieConfig, MemoryStore, hours, minutes};
use cloakroom_core::{Clock, ManualClock};
use http::Method;
use tests::stale_cache::StaleCache;
use tests::user_agent::UserAgent;

use crate::app::{self, Seen};
use crate::setup::{EVERY, Features, Near, Servers, Storage, layer, on_both, servers};

on_both!(
    a_former_cookie_and_rotations_elsewhere_do_not_sign_out,
    the_former_cookie_of_a_session_that_has_ended_elsewhere_is_not_replaced,
    a_request_with_a_record_that_was_revoked_elsewhere_stores_nothing,
);

const FORMER: &str = "sid";

/// Two servers with a cookie that is renamed in an hour, and the browser of a user.
struct Deploy {
    storage: Arc<Storage>,
    servers: Servers,
    apps: [Router; 2],
    browser: UserAgent,
}

impl Deploy {
    async fn start(memory: bool, rotation: bool) -> Self {
        let clock = ManualClock::default();
        let storage = if memory {
            Storage::memory(&clock)
        } else {
            Storage::redis()
        };
        let set_until = clock.now().plus(hours(1));
        let accepted_until = set_until.plus(hours(10));
        let former = CookieConfig::new(FORMER);
        let cookie = CookieConfig::default().with_former(former, set_until, accepted_until);
        let features = Features {
            near: Near::Stale,
            cookie: Some(cookie),
            rotation,
            realm: Some(FORMER),
            ..Features::default()
        };
        let servers = servers(&storage, &clock, &features).await;
        let apps = servers
            .layers
            .clone()
            .map(|layer| app::whole().layer(layer));
        let mut deploy = Self {
            storage: Arc::new(storage),
            servers,
            apps,
            browser: UserAgent::new(),
        };
        deploy.browser.post(&deploy.apps[0], "/cart/hat").await;
        deploy.browser.post(&deploy.apps[0], "/sign-in/ada/s").await;
        assert_eq!(deploy.name(), FORMER);
        assert_eq!(deploy.user(1).await, "ada", "it is cached");
        deploy
    }

    async fn user(&mut self, server: usize) -> String {
        let page = self.browser.visit(&self.apps[server], Method::GET, "/me");
        Seen::of(&page.await).user
    }

    fn name(&self) -> &str {
        &self.browser.jar.cookies()[0].name
    }
}

async fn a_former_cookie_and_rotations_elsewhere_do_not_sign_out(memory: bool) {
    let mut deploy = Deploy::start(memory, true).await;
    // From the second round on, the new cookie is set, by the server whose record is current.
    for round in 0..8 {
        deploy.servers.clock.advance(EVERY + minutes(10));
        let server = round % 2;
        for server in [server, 1 - server, server] {
            assert_eq!(deploy.user(server).await, "ada", "round {round}, {server}");
        }
        let mark = deploy.browser.post(&deploy.apps[1 - server], "/mark/a");
        assert!(!app::edits_dropped(&mark.await), "round {round}");
    }
    assert_eq!(deploy.name(), CookieConfig::DEFAULT_NAME);
    assert_eq!(deploy.browser.jar.cookies().len(), 1);
    assert_eq!(deploy.storage.count("ada").await, (1, 0));
}

/// A live session that is found by its former cookie gets the new one; what is cached does not prove that it
/// is live.
async fn the_former_cookie_of_a_session_that_has_ended_elsewhere_is_not_replaced(memory: bool) {
    for path in ["/sign-out", "/renew/a", "/revoke-all/ada"] {
        let mut deploy = Deploy::start(memory, false).await;
        deploy.servers.clock.advance(hours(2));
        let late = deploy.browser.clone();
        deploy.browser.post(&deploy.apps[0], path).await;
        let page = late.start(Method::GET, "/me").send(&deploy.apps[1]).await;
        assert!(!page.changes_cookies(), "{path}: {page:?}");
    }
}

async fn a_request_with_a_record_that_was_revoked_elsewhere_stores_nothing(memory: bool) {
    for path in ["/mark/a", "/renew/a", "/live-for/7200", "/save/a"] {
        let mut deploy = Deploy::start(memory, false).await;
        let mut admin = UserAgent::new();
        let revoked = admin.post(&deploy.apps[0], "/revoke-all/ada").await;
        assert_eq!(revoked.text(), "1");
        let late = deploy.browser.post(&deploy.apps[1], path).await;
        assert!(!late.changes_cookies(), "{path}: {late:?}");
        assert_eq!(deploy.storage.live().await, [""; 0], "{path}");
        // By now the cache knows that it has ended.
        assert_eq!(deploy.user(1).await, "", "{path}");
    }
}

/// The time of the revocation applies to what is cached, though no message about the session arrives.
#[tokio::test(start_paused = true)]
async fn a_cached_record_from_before_everyone_was_revoked_is_refused() {
    let clock = ManualClock::default();
    let store = MemoryStore::with_clock(clock.clone());
    let features = Features::default();
    let cache = StaleCache::new(store.clone());
    let behind = app::whole().layer(layer(cache.clone(), &clock, &features, None));
    let elsewhere = layer(store, &clock, &features, None);
    let mut browser = UserAgent::new();
    browser.post(&behind, "/sign-in/ada/s").await;
    let mut user = async || Seen::of(&browser.visit(&behind, Method::GET, "/me").await).user;
    assert_eq!(user().await, "ada");
    assert_eq!(cache.len(), 1);
    let revoked = elsewhere.sessions().revoke_everyone().await;
    assert_eq!(revoked.expect("it ends"), 1);
    assert_eq!(cache.len(), 1, "it is still cached");
    assert_eq!(user().await, "");
}
