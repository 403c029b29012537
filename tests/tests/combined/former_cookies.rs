//! A cookie that is renamed, gets another scope, or is sealed: during a deploy, servers of the version before
//! and of the version after serve the same browser.

use std::sync::Arc;

use axum::Router;
use cloakroom::{CookieConfig, CookieKey, hours, minutes};
use cloakroom_core::{Clock, ManualClock};
use http::Method;
use tests::user_agent::{Incoming, UserAgent};

use crate::app::{self, Seen};
use crate::setup::{EVERY, Features, Storage, on_both, servers};

on_both!(
    during_the_deploy_either_version_finds_the_session,
    after_the_deploy_the_new_cookie_replaces_the_former_one,
    servers_whose_clocks_differ_find_the_session,
    the_former_cookie_comes_back_with_a_later_date,
    a_former_cookie_is_ignored_from_its_date_on,
    a_former_cookie_does_not_displace_a_live_session,
    an_ended_cookie_is_not_replaced_by_a_former_one,
    signing_in_ends_the_session_of_the_former_cookie,
    a_rotation_after_a_change_of_the_path_is_no_theft,
);

const OLD: &str = "sid";
const NEW: &str = "__Host-Http-shop";

/// What a deploy changes.
#[derive(Clone, Debug)]
struct Change {
    what: &'static str,
    before: CookieConfig,
    after: CookieConfig,
}

fn key() -> CookieKey {
    CookieKey::derived_from(b"a secret of at least thirty-two bytes").expect("it is long")
}

fn changes() -> Vec<Change> {
    let change = |what, before, after| Change {
        what,
        before,
        after,
    };
    let (old, new) = (|| CookieConfig::new(OLD), || CookieConfig::new(NEW));
    vec![
        change("renamed", old(), new()),
        change("encrypted", old(), old().encrypted([key()])),
        change("signed", old(), old().signed([key()])),
        change("not signed any more", old().signed([key()]), old()),
        change(
            "encrypted instead of signed",
            old().signed([key()]),
            old().encrypted([key()]),
        ),
        change("renamed and encrypted", old(), new().encrypted([key()])),
        change(
            "of the host alone",
            old().with_domain("shop.example"),
            new(),
        ),
        change("with another path", old(), old().with_path("/app")),
    ]
}

struct Deploy {
    storage: Arc<Storage>,
    clock: ManualClock,
    rotation: bool,
    change: Change,
    before: Router,
    after: Router,
    browser: UserAgent,
}

impl Deploy {
    async fn start(memory: bool, rotation: bool, change: Change) -> Self {
        let clock = ManualClock::default();
        let storage = if memory {
            Storage::memory(&clock)
        } else {
            Storage::redis()
        };
        let features = Features {
            cookie: Some(change.before.clone()),
            rotation,
            ..Features::default()
        };
        let [before, _] = servers(&storage, &clock, &features).await.layers;
        let mut deploy = Self {
            storage: Arc::new(storage),
            clock: clock.clone(),
            rotation,
            change,
            before: app::whole().layer(before.clone()),
            after: app::whole().layer(before),
            browser: UserAgent::new(),
        };
        deploy.after = deploy.server(&clock, 1).await;
        deploy
    }

    /// A server of the new version by a clock: the former cookie is set for this many hours, and accepted
    /// for two more.
    async fn server(&self, clock: &ManualClock, set_for: u64) -> Router {
        let set_until = self.clock.now().plus(hours(set_for));
        let accepted_until = set_until.plus(hours(2));
        let (before, after) = (self.change.before.clone(), self.change.after.clone());
        let features = Features {
            cookie: Some(after.with_former(before, set_until, accepted_until)),
            rotation: self.rotation,
            // That of the version before, which was its cookie's name.
            realm: Some(OLD),
            ..Features::default()
        };
        let [layer, _] = servers(&self.storage, clock, &features).await.layers;
        app::whole().layer(layer)
    }

    /// The versions in turn.
    fn version(&self, turn: usize) -> Router {
        [&self.before, &self.after][turn % 2].clone()
    }

    async fn post(&mut self, app: &Router, path: &str) {
        let response = self.browser.post(app, path).await;
        self.check(&response);
    }

    async fn see(&mut self, app: &Router) -> Seen {
        let response = self.browser.visit(app, Method::GET, "/app/me").await;
        self.check(&response);
        Seen::of(&response)
    }

    async fn expect_user(&mut self, app: &Router, user: &str, when: &str) {
        let seen = self.see(app).await;
        assert_eq!(seen.user, user, "{}: {when}", self.change.what);
    }

    /// A response that removes a cookie sets the other one, except at the end of a session.
    #[track_caller]
    fn check(&self, response: &Incoming) {
        let removes = |cookie: &&str| cookie.contains("Max-Age=0");
        let removed = response.set_cookies().filter(removes).count();
        let set = response.set_cookies().count() - removed;
        let is_end = response.text() == "ended";
        assert!(removed == 0 || set == 1 || is_end, "{response:?}");
        let held = self.browser.jar.cookies().len();
        assert!(held <= 1, "{}: {held} cookies", self.change.what);
    }

    fn name(&self) -> &str {
        &self.browser.jar.cookies()[0].name
    }
}

async fn during_the_deploy_either_version_finds_the_session(memory: bool) {
    for change in changes() {
        let mut deploy = Deploy::start(memory, true, change).await;
        for start in 0..2 {
            let first = deploy.version(start);
            deploy.post(&first, "/app/cart/hat").await;
            deploy.post(&first, "/app/sign-in/ada/s").await;
            for turn in 1..5 {
                let app = deploy.version(start + turn);
                deploy.clock.advance(minutes(5));
                deploy.expect_user(&app, "ada", "in turn").await;
                deploy.post(&app, "/app/mark/a").await;
            }
            let (this, other) = (deploy.version(start), deploy.version(start + 1));
            deploy.post(&other, "/app/renew/b").await;
            deploy.expect_user(&this, "ada", "after a renewal").await;
            deploy.post(&other, "/app/sign-in/bob/c").await;
            deploy.expect_user(&this, "bob", "after a sign-in").await;
            deploy.post(&other, "/app/sign-out").await;
            deploy.expect_user(&this, "", "after a sign-out").await;
            assert_eq!(deploy.storage.live().await, [""; 0]);
        }
    }
}

async fn after_the_deploy_the_new_cookie_replaces_the_former_one(memory: bool) {
    for change in changes() {
        for rotation in [false, true] {
            let mut deploy = Deploy::start(memory, rotation, change.clone()).await;
            let (before, after) = (deploy.before.clone(), deploy.after.clone());
            deploy.post(&before, "/app/sign-in/ada/s").await;
            deploy.expect_user(&after, "ada", "during the deploy").await;
            let former = deploy.browser.clone();
            deploy.clock.advance(minutes(55));
            // With rotation, this hands out the next secret, which is presented after the switch.
            deploy.expect_user(&after, "ada", "before the switch").await;
            deploy.clock.advance(minutes(5));
            for _ in 0..3 {
                deploy.expect_user(&after, "ada", "after the deploy").await;
            }
            // A cookie of another path or domain cannot be distinguished from this one.
            if deploy.change.what != "with another path" {
                assert_eq!(deploy.name(), deploy.change.after.name());
                assert_ne!(deploy.browser.jar.cookies(), former.jar.cookies());
                deploy.clock.advance(hours(2));
                deploy.expect_user(&after, "ada", "for good").await;
            }
            assert_eq!(deploy.storage.count("ada").await, (1, 0));
            deploy.post(&after, "/app/sign-out").await;
            assert_eq!(deploy.browser.jar.cookies(), []);
            assert_eq!(deploy.storage.live().await, [""; 0]);
        }
    }
}

/// Some servers set the one cookie, and some the other.
async fn servers_whose_clocks_differ_find_the_session(memory: bool) {
    for change in changes() {
        let mut deploy = Deploy::start(memory, true, change).await;
        let behind = deploy.after.clone();
        let fast = ManualClock::at(deploy.clock.now().plus(hours(1)));
        let ahead = deploy.server(&fast, 1).await;
        deploy.post(&behind, "/app/sign-in/ada/s").await;
        for turn in 0..6 {
            let app = [&behind, &ahead][turn % 2].clone();
            deploy.expect_user(&app, "ada", "in turn").await;
        }
        for turn in 0..6 {
            let start = || deploy.browser.start(Method::GET, "/app/me");
            let (one, two) = tokio::join!(start().send(&behind), start().send(&ahead));
            let mut responses = [one, two];
            if turn % 2 == 1 {
                responses.reverse();
            }
            for response in &responses {
                assert_eq!(Seen::of(response).user, "ada", "{}", deploy.change.what);
                deploy.browser.receive(response);
            }
        }
        assert_eq!(deploy.storage.count("ada").await, (1, 0));
    }
}

async fn the_former_cookie_comes_back_with_a_later_date(memory: bool) {
    for change in changes() {
        if change.what == "with another path" {
            continue;
        }
        let mut deploy = Deploy::start(memory, false, change).await;
        let (before, after) = (deploy.before.clone(), deploy.after.clone());
        deploy.post(&before, "/app/sign-in/ada/s").await;
        deploy.clock.advance(hours(1));
        deploy.expect_user(&after, "ada", "after the deploy").await;
        let back = deploy.server(&deploy.clock.clone(), 1).await;
        deploy.expect_user(&back, "ada", "with a later date").await;
        deploy
            .expect_user(&before, "ada", "with the version before")
            .await;
    }
}

async fn a_former_cookie_is_ignored_from_its_date_on(memory: bool) {
    for change in changes() {
        if change.what == "with another path" {
            continue;
        }
        let mut deploy = Deploy::start(memory, false, change).await;
        let (before, after) = (deploy.before.clone(), deploy.after.clone());
        deploy.post(&before, "/app/sign-in/ada/s").await;
        deploy.clock.advance(hours(3));
        deploy.expect_user(&after, "", "after its date").await;
        deploy
            .expect_user(&before, "ada", "with the version before")
            .await;
    }
}

/// Browsers that hold a live session of each cookie.
async fn with_both(memory: bool) -> Deploy {
    let change = changes().swap_remove(0);
    let mut deploy = Deploy::start(memory, false, change).await;
    let (before, after) = (deploy.before.clone(), deploy.after.clone());
    deploy.clock.advance(hours(1));
    let planted = UserAgent::new().post(&before, "/app/sign-in/eve/f").await;
    deploy.post(&after, "/app/sign-in/ada/s").await;
    deploy.browser.receive(&planted);
    assert_eq!(deploy.browser.jar.cookies().len(), 2);
    deploy
}

async fn a_former_cookie_does_not_displace_a_live_session(memory: bool) {
    let mut deploy = with_both(memory).await;
    let after = deploy.after.clone();
    for _ in 0..2 {
        let page = deploy.browser.visit(&after, Method::GET, "/app/me").await;
        assert_eq!(Seen::of(&page).user, "ada");
        assert!(!page.changes_cookies(), "{page:?}");
        deploy.browser.post(&after, "/app/mark/a").await;
    }
    // The other cookie stays: nobody has given up its session.
    deploy.browser.post(&after, "/live-for/7200").await;
    assert_eq!(deploy.browser.jar.cookies().len(), 2);
    assert_eq!(deploy.storage.count("eve").await, (1, 1));
    // And does not take its place.
    let response = deploy.browser.post(&after, "/app/sign-out").await;
    assert_eq!(response.text(), "ended");
    assert_eq!(deploy.storage.live().await, [""; 0]);
    assert_eq!(deploy.browser.jar.cookies(), []);
    deploy.expect_user(&after, "", "after the sign-out").await;
}

/// Another tab has renewed the session, and its response is on its way.
async fn an_ended_cookie_is_not_replaced_by_a_former_one(memory: bool) {
    let deploy = with_both(memory).await;
    let mut late = deploy.browser.clone();
    let mut other_tab = deploy.browser.clone();
    other_tab.jar.retain(|cookie| cookie.name == NEW);
    other_tab.post(&deploy.after, "/app/renew/b").await;
    let page = late.visit(&deploy.after, Method::GET, "/app/me").await;
    assert!(!page.changes_cookies(), "{page:?}");
    late.jar.clone_from(&other_tab.jar);
    let page = late.visit(&deploy.after, Method::GET, "/app/me").await;
    assert_eq!(Seen::of(&page).user, "ada");
}

async fn signing_in_ends_the_session_of_the_former_cookie(memory: bool) {
    let mut deploy = with_both(memory).await;
    let after = deploy.after.clone();
    deploy.browser.post(&after, "/app/sign-in/ada/c").await;
    assert_eq!(deploy.storage.count("ada").await, (1, 0));
    assert_eq!(deploy.browser.jar.cookies().len(), 1);
    assert_eq!(deploy.name(), NEW);
    deploy.expect_user(&after, "ada", "after the sign-in").await;
}

/// The next secret goes into a cookie beside that of the previous one, which the browser keeps. The one with
/// the longer path comes first in a request.
async fn a_rotation_after_a_change_of_the_path_is_no_theft(memory: bool) {
    for paths in [["/", "/app"], ["/app", "/"]] {
        rotate_after_a_change_of_the_path(memory, paths).await;
    }
}

async fn rotate_after_a_change_of_the_path(memory: bool, paths: [&str; 2]) {
    let clock = ManualClock::default();
    let storage = if memory {
        Storage::memory(&clock)
    } else {
        Storage::redis()
    };
    let mut apps = Vec::new();
    for path in paths {
        let features = Features {
            cookie: Some(CookieConfig::new(OLD).with_path(path)),
            rotation: true,
            ..Features::default()
        };
        let [layer, _] = servers(&storage, &clock, &features).await.layers;
        apps.push(app::whole().layer(layer));
    }
    let mut browser = UserAgent::new();
    browser.post(&apps[0], "/app/sign-in/ada/s").await;
    for round in 0..6 {
        clock.advance(EVERY);
        for _ in 0..2 {
            let page = browser.visit(&apps[1], Method::GET, "/app/me").await;
            assert_eq!(Seen::of(&page).user, "ada", "round {round}");
        }
        // Of both secrets in the request, the newer one counts.
        let page = browser.visit(&apps[1], Method::GET, "/app/me").await;
        assert!(!page.changes_cookies(), "round {round}: {page:?}");
    }
    assert_eq!(browser.jar.cookies().len(), 2);
    assert_eq!(storage.count("ada").await, (1, 0));
}
