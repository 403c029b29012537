//! Sign-ins of one user at the same time with one cookie: whichever response the browser keeps, it opens the
//! one session. Nobody else gets in by that.

use std::sync::Arc;

use axum::Router;
use http::Method;
use tests::user_agent::{Incoming, UserAgent};

use crate::app::{self, Meeting, Seen};
use crate::setup::{EVERY, Features, Servers, Storage, on_both, shop};

on_both!(
    both_cookies_open_one_session_with_the_edits_of_both,
    signing_out_with_one_cookie_ends_the_session_for_both,
    revoking_all_ends_a_joined_session,
    rotation_takes_neither_cookie_for_stolen,
    a_renewal_ends_both_cookies,
    six_sign_ins_at_once_all_work,
    different_users_at_once_share_nothing,
    the_old_cookie_alone_opens_nothing,
    an_old_cookie_signs_in_another_user_without_data,
);

struct Shop {
    storage: Arc<Storage>,
    servers: Servers,
    apps: [Router; 2],
    /// With a cart, and not signed in.
    browser: UserAgent,
}

impl Shop {
    async fn open(memory: bool, rotation: bool) -> Self {
        let features = Features {
            rotation,
            ..Features::default()
        };
        let (storage, servers) = shop(memory, &features).await;
        let apps = servers
            .layers
            .clone()
            .map(|layer| app::whole().layer(layer));
        let mut browser = UserAgent::new();
        browser.post(&apps[0], "/cart/hat").await;
        Self {
            storage,
            servers,
            apps,
            browser,
        }
    }

    /// Sends requests at once, on both servers, and returns for each a browser that received its response
    /// alone.
    async fn at_once(&self, paths: &[&str]) -> Vec<UserAgent> {
        let meeting = Meeting::of(paths.len());
        let tasks = paths.iter().enumerate().map(|(index, path)| {
            let request = self.browser.start(Method::POST, path);
            let (request, app) = (request.with(meeting.clone()), self.apps[index % 2].clone());
            tokio::spawn(async move { request.send(&app).await })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut browsers = Vec::new();
        for task in tasks {
            let response: Incoming = task.await.expect("no request panics");
            assert_eq!(response.status, 200, "{response:?}");
            let mut browser = self.browser.clone();
            browser.receive(&response);
            browsers.push(browser);
        }
        browsers
    }

    /// Two sign-ins of ada at once.
    async fn two(&self) -> [UserAgent; 2] {
        let browsers = self.at_once(&["/sign-in/ada/a", "/sign-in/ada/b"]).await;
        browsers.try_into().expect("there are two")
    }

    async fn see(&self, browser: &mut UserAgent, server: usize) -> Seen {
        let page = browser.visit(&self.apps[server], Method::GET, "/me");
        Seen::of(&page.await)
    }

    async fn user(&self, browser: &mut UserAgent, server: usize) -> String {
        self.see(browser, server).await.user
    }
}

async fn both_cookies_open_one_session_with_the_edits_of_both(memory: bool) {
    let shop = Shop::open(memory, false).await;
    let [mut one, mut two] = shop.two().await;
    assert_eq!(shop.storage.count("ada").await, (1, 0));
    for (server, browser) in [&mut one, &mut two].into_iter().enumerate() {
        let seen = shop.see(browser, server).await;
        assert_eq!(
            (&*seen.user, &*seen.cart, &*seen.marks),
            ("ada", "hat", "ab")
        );
    }
    one.post(&shop.apps[0], "/mark/c").await;
    two.post(&shop.apps[1], "/mark/d").await;
    assert_eq!(shop.see(&mut one, 1).await.marks, "abcd");
}

async fn signing_out_with_one_cookie_ends_the_session_for_both(memory: bool) {
    let shop = Shop::open(memory, false).await;
    let [mut one, mut two] = shop.two().await;
    assert_eq!(one.post(&shop.apps[0], "/sign-out").await.text(), "ended");
    assert_eq!(shop.user(&mut two, 1).await, "");
    assert_eq!(shop.storage.count("ada").await, (0, 0));
    let late = two.post(&shop.apps[1], "/mark/c").await;
    assert!(!late.changes_cookies(), "its cookie is one that has ended");
}

async fn revoking_all_ends_a_joined_session(memory: bool) {
    let shop = Shop::open(memory, false).await;
    let [mut one, mut two] = shop.two().await;
    let mut admin = UserAgent::new();
    admin.post(&shop.apps[0], "/revoke-all/ada").await;
    assert_eq!(shop.user(&mut one, 0).await, "");
    assert_eq!(shop.user(&mut two, 1).await, "");
    assert_eq!(shop.storage.count("ada").await, (0, 0));
}

async fn rotation_takes_neither_cookie_for_stolen(memory: bool) {
    let shop = Shop::open(memory, true).await;
    let [mut one, mut two] = shop.two().await;
    for round in 0..3 {
        // Both browsers are one: two tabs that sent their requests before either response arrived.
        assert_eq!(shop.user(&mut one, round % 2).await, "ada", "round {round}");
        assert_eq!(shop.user(&mut two, 1 - round % 2).await, "ada");
    }
    // The browser keeps the second response's cookie, and its secret rotates twice.
    for round in 0..2 {
        shop.servers.clock.advance(EVERY);
        for server in [0, 1, 0] {
            assert_eq!(shop.user(&mut two, server).await, "ada", "rotation {round}");
        }
    }
    assert_eq!(shop.storage.count("ada").await, (1, 0));
}

async fn a_renewal_ends_both_cookies(memory: bool) {
    let shop = Shop::open(memory, false).await;
    let [mut one, mut two] = shop.two().await;
    let (mut old_one, mut old_two) = (one.clone(), two.clone());
    one.post(&shop.apps[0], "/renew/f").await;
    assert_eq!(shop.user(&mut one, 1).await, "ada");
    assert_eq!(shop.user(&mut old_one, 1).await, "");
    assert_eq!(shop.user(&mut old_two, 1).await, "");
    // As of every old cookie, a write with it sets none.
    let late = two.post(&shop.apps[1], "/renew/c").await;
    assert!(!late.changes_cookies(), "{late:?}");
    assert_eq!(shop.storage.count("ada").await, (1, 0));
}

async fn six_sign_ins_at_once_all_work(memory: bool) {
    let shop = Shop::open(memory, false).await;
    let paths = ["a", "b", "c", "d", "f", "s"].map(|mark| format!("/sign-in/ada/{mark}"));
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let browsers = shop.at_once(&paths).await;
    for (index, mut browser) in browsers.into_iter().enumerate() {
        let seen = shop.see(&mut browser, index % 2).await;
        assert_eq!((&*seen.user, &*seen.cart), ("ada", "hat"), "cookie {index}");
    }
    // How many can join one session is bounded.
    let (of_ada, of_nobody) = shop.storage.count("ada").await;
    assert!(of_ada <= 3 && of_nobody == 0, "{of_ada}, {of_nobody}");
}

async fn different_users_at_once_share_nothing(memory: bool) {
    for _ in 0..10 {
        let shop = Shop::open(memory, false).await;
        let browsers = shop.at_once(&["/sign-in/ada/a", "/sign-in/bob/b"]).await;
        for (mut browser, expected) in browsers.into_iter().zip([("ada", "a"), ("bob", "b")]) {
            let seen = shop.see(&mut browser, 0).await;
            assert_eq!((&*seen.user, &*seen.marks), expected);
        }
    }
}

async fn the_old_cookie_alone_opens_nothing(memory: bool) {
    let shop = Shop::open(memory, false).await;
    let mut old = shop.browser.clone();
    drop(shop.two().await);
    for path in ["/mark/c", "/renew/c", "/save/c", "/update-now/c"] {
        let response = old.visit(&shop.apps[0], Method::POST, path).await;
        assert!(!response.changes_cookies(), "{path}: {response:?}");
        assert_eq!(shop.see(&mut old, 1).await, Seen::default(), "{path}");
    }
    assert_eq!(shop.storage.count("ada").await.1, 0);
}

/// A proof of being bob is none of being ada.
async fn an_old_cookie_signs_in_another_user_without_data(memory: bool) {
    let mut shop = Shop::open(memory, false).await;
    shop.browser.post(&shop.apps[0], "/sign-in/ada/s").await;
    let old = shop.browser.clone();
    shop.browser.post(&shop.apps[1], "/renew/f").await;
    let mut bob = old;
    bob.post(&shop.apps[0], "/sign-in/bob/b").await;
    let seen = shop.see(&mut bob, 1).await;
    assert_eq!((&*seen.user, &*seen.cart, &*seen.marks), ("bob", "", "b"));
    assert_eq!(shop.storage.count("ada").await, (1, 1));
}
