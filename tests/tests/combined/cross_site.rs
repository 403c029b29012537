//! Requests that a page of another site causes: the browser withholds a `SameSite` cookie, so a request
//! without one does not mean that there is none.

use axum::Router;
use cloakroom::{CookieConfig, SameSite};
use http::Method;
use tests::user_agent::{Incoming, UserAgent};

use crate::app::{self, Seen};
use crate::setup::{EMPTY, Features, HEADER, Servers, Storage, on_both, shop};
use crate::{v0_14, v0_15};

on_both!(
    a_cross_site_post_does_not_replace_the_cookie,
    a_cross_site_post_that_saves_stores_nothing,
    a_cross_site_post_that_renews_stores_nothing,
    a_cross_site_post_through_the_bridge_does_not_replace_the_cookie,
    a_cross_site_post_that_signs_in_sets_the_cookie,
    other_requests_without_a_cookie_create_a_session,
    a_cookie_that_is_sent_cross_site_works,
    a_client_with_a_token_header_is_not_affected,
);

struct Shop {
    storage: std::sync::Arc<Storage>,
    servers: Servers,
    app: Router,
}

impl Shop {
    async fn open(memory: bool, features: &Features) -> Self {
        let (storage, servers) = shop(memory, features).await;
        let app = app::whole().layer(servers.layers[0].clone());
        Self {
            storage,
            servers,
            app,
        }
    }

    /// A browser that is signed in, with a cart.
    async fn signed_in(&self) -> UserAgent {
        let mut browser = UserAgent::new();
        browser.post(&self.app, "/cart/hat").await;
        browser.post(&self.app, "/sign-in/ada/s").await;
        browser
    }

    async fn see(&self, browser: &mut UserAgent) -> Seen {
        Seen::of(&browser.visit(&self.app, Method::GET, "/me").await)
    }

    /// The request sets no cookie and stores nothing, and the user stays signed in.
    async fn changes_nothing(&self, app: &Router, path: &str) {
        let mut browser = self.signed_in().await;
        assert_eq!(self.storage.count("ada").await, (1, 0));
        let response = cross_site_post(&mut browser, app, path).await;
        assert_eq!(self.see(&mut browser).await.user, "ada", "{path}");
        assert_eq!(self.see(&mut browser).await.cart, "hat", "{path}");
        assert!(!response.changes_cookies(), "{path}: {response:?}");
        assert_eq!(self.storage.count("ada").await, (1, 0), "{path}");
        browser.post(&self.app, "/sign-out").await;
    }
}

async fn cross_site_post(browser: &mut UserAgent, app: &Router, path: &str) -> Incoming {
    let request = browser.start_cross_site(Method::POST, path);
    let response = request.send(app).await;
    browser.receive(&response);
    response
}

async fn a_cross_site_post_does_not_replace_the_cookie(memory: bool) {
    let shop = Shop::open(memory, &Features::default()).await;
    shop.changes_nothing(&shop.app, "/mark/f").await;
}

async fn a_cross_site_post_that_saves_stores_nothing(memory: bool) {
    let shop = Shop::open(memory, &Features::default()).await;
    shop.changes_nothing(&shop.app, "/save/f").await;
    shop.changes_nothing(&shop.app, "/update-now/f").await;
}

async fn a_cross_site_post_that_renews_stores_nothing(memory: bool) {
    let shop = Shop::open(memory, &Features::default()).await;
    shop.changes_nothing(&shop.app, "/renew/f").await;
}

async fn a_cross_site_post_through_the_bridge_does_not_replace_the_cookie(memory: bool) {
    let shop = Shop::open(memory, &Features::default()).await;
    let layer = || shop.servers.layers[1].clone();
    let apps = [
        v0_14::app::bridged(v0_14::app::whole()).layer(layer()),
        v0_15::app::bridged(v0_15::app::whole()).layer(layer()),
    ];
    for app in &apps {
        for path in ["/mark/f", "/renew/f", "/flush/f", "/save/f"] {
            shop.changes_nothing(app, path).await;
        }
    }
}

async fn a_cross_site_post_that_signs_in_sets_the_cookie(memory: bool) {
    let shop = Shop::open(memory, &Features::default()).await;
    let mut browser = UserAgent::new();
    let response = cross_site_post(&mut browser, &shop.app, "/sign-in/ada/s").await;
    assert_eq!(response.status, 200);
    let seen = shop.see(&mut browser).await;
    assert_eq!((&*seen.user, &*seen.marks), ("ada", "s"));
    assert_eq!(shop.storage.count("ada").await, (1, 0));
}

async fn other_requests_without_a_cookie_create_a_session(memory: bool) {
    let shop = Shop::open(memory, &Features::default()).await;
    for site in [None, Some("same-origin"), Some("same-site"), Some("none")] {
        let mut browser = UserAgent::new();
        let request = browser.outgoing(Method::POST, "/mark/f", site);
        browser.receive(&request.send(&shop.app).await);
        assert_eq!(shop.see(&mut browser).await.marks, "f", "{site:?}");
    }
    // A link from another site carries the cookie, and a first visit through one is a visit.
    let mut browser = shop.signed_in().await;
    let link = browser.start_cross_site(Method::GET, "/me");
    let response = link.send(&shop.app).await;
    browser.receive(&response);
    assert_eq!(Seen::of(&response).user, "ada");
}

async fn a_cookie_that_is_sent_cross_site_works(memory: bool) {
    let cookie = CookieConfig::default().with_same_site(SameSite::None);
    let features = Features {
        cookie: Some(cookie),
        ..Features::default()
    };
    let shop = Shop::open(memory, &features).await;
    let mut browser = shop.signed_in().await;
    cross_site_post(&mut browser, &shop.app, "/mark/f").await;
    let seen = shop.see(&mut browser).await;
    assert_eq!(
        (&*seen.user, &*seen.cart, &*seen.marks),
        ("ada", "hat", "fs")
    );
    assert_eq!(shop.storage.count("ada").await, (1, 0));
}

async fn a_client_with_a_token_header_is_not_affected(memory: bool) {
    let features = Features {
        header: true,
        ..Features::default()
    };
    let shop = Shop::open(memory, &features).await;
    let client = UserAgent::new();
    let mut request = client.start_cross_site(Method::POST, "/mark/f");
    let empty = EMPTY.parse().expect("it is ASCII");
    request.request.headers_mut().insert(HEADER, empty);
    let response = request.send(&shop.app).await;
    let token = response.headers.get(HEADER).expect("a first token").clone();
    let mut request = client.start_cross_site(Method::GET, "/me");
    request.request.headers_mut().insert(HEADER, token);
    assert_eq!(Seen::of(&request.send(&shop.app).await).marks, "f");
}
