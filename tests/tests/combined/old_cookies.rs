//! The cookie of a session that has ended: whatever a request without a sign-in does with it, nothing is
//! created and the browser's cookie stays, since it may be a better one by now.

use axum::Router;
use cloakroom::RevokedBy;
use http::Method;
use tests::user_agent::UserAgent;

use crate::app::{self, Seen};
use crate::setup::{Features, Servers, Storage, on_both, shop};
use crate::{v0_14, v0_15};

on_both!(
    after_a_renewal_nothing_is_created,
    after_a_sign_out_nothing_is_created,
    after_a_revocation_nothing_is_created,
    a_sign_in_after_a_sign_out_has_its_own_edits_alone,
    a_sign_in_after_two_sign_ins_joins,
    a_sign_in_after_a_renewal_does_not_join,
    revoking_others_with_an_old_cookie_does_not_sign_out,
);

const NATIVE: [&str; 5] = [
    "/mark/c",
    "/save/c",
    "/update-now/c",
    "/renew/c",
    "/cart/cap",
];
const BRIDGED: [&str; 4] = ["/mark/c", "/save/c", "/renew/c", "/flush/c"];

struct Shop {
    storage: std::sync::Arc<Storage>,
    servers: Servers,
    app: Router,
}

impl Shop {
    async fn open(memory: bool) -> Self {
        let (storage, servers) = shop(memory, &Features::default()).await;
        let app = app::whole().layer(servers.layers[0].clone());
        Self {
            storage,
            servers,
            app,
        }
    }

    async fn signed_in(&self) -> UserAgent {
        let mut browser = UserAgent::new();
        browser.post(&self.app, "/cart/hat").await;
        browser.post(&self.app, "/sign-in/ada/s").await;
        browser
    }

    /// Sends every kind of write with these cookies, to native and bridged handlers of the other server.
    async fn nothing_is_created(&self, old: &UserAgent, bridged: &[&str]) {
        let layer = || self.servers.layers[1].clone();
        let apps = [
            ("native", app::whole().layer(layer()), &NATIVE[..]),
            (
                "bridge 0.14",
                v0_14::app::bridged(v0_14::app::whole()).layer(layer()),
                bridged,
            ),
            (
                "bridge 0.15",
                v0_15::app::bridged(v0_15::app::whole()).layer(layer()),
                bridged,
            ),
        ];
        let mut wrong = Vec::new();
        for (name, app, paths) in apps {
            for path in paths {
                let before = self.storage.live().await.len();
                let response = old.start(Method::POST, path).send(&app).await;
                if self.storage.live().await.len() != before {
                    wrong.push(format!("{name}: {path} creates a session"));
                }
                if response.changes_cookies() {
                    wrong.push(format!("{name}: {path} changes the cookie"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    async fn see(&self, browser: &mut UserAgent) -> Seen {
        Seen::of(&browser.visit(&self.app, Method::GET, "/me").await)
    }
}

async fn after_a_renewal_nothing_is_created(memory: bool) {
    let shop = Shop::open(memory).await;
    let mut browser = shop.signed_in().await;
    let old = browser.clone();
    browser.post(&shop.app, "/renew/f").await;
    // To end what the session continues in is not to create something.
    shop.nothing_is_created(&old, &BRIDGED[..3]).await;
    assert_eq!(shop.see(&mut browser).await.user, "ada");
}

async fn after_a_sign_out_nothing_is_created(memory: bool) {
    let shop = Shop::open(memory).await;
    let mut browser = shop.signed_in().await;
    let old = browser.clone();
    browser.post(&shop.app, "/sign-out").await;
    shop.nothing_is_created(&old, &BRIDGED).await;
}

async fn after_a_revocation_nothing_is_created(memory: bool) {
    let shop = Shop::open(memory).await;
    let old = shop.signed_in().await;
    let sessions = shop.servers.layers[0].sessions();
    let ended = sessions.revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(ended.expect("it ends"), 1);
    shop.nothing_is_created(&old, &BRIDGED).await;
}

async fn a_sign_in_after_a_sign_out_has_its_own_edits_alone(memory: bool) {
    let shop = Shop::open(memory).await;
    let mut browser = shop.signed_in().await;
    let mut old = browser.clone();
    browser.post(&shop.app, "/sign-out").await;
    old.post(&shop.app, "/sign-in/ada/b").await;
    let seen = shop.see(&mut old).await;
    assert_eq!((&*seen.user, &*seen.cart, &*seen.marks), ("ada", "", "b"));
    assert_eq!(shop.storage.count("ada").await, (1, 0));
}

/// The session that took the old one's place was renewed itself: the sign-in finds the last one.
async fn a_sign_in_after_two_sign_ins_joins(memory: bool) {
    let shop = Shop::open(memory).await;
    let mut browser = shop.signed_in().await;
    let old = browser.clone();
    browser.post(&shop.app, "/sign-in/ada/a").await;
    browser.post(&shop.app, "/sign-in/ada/b").await;
    let response = old.start(Method::POST, "/sign-in/ada/c");
    browser.receive(&response.send(&shop.app).await);
    let seen = shop.see(&mut browser).await;
    assert_eq!((&*seen.user, &*seen.cart), ("ada", "hat"));
    assert_eq!(shop.storage.count("ada").await, (1, 0));
}

/// A renewal that follows the sign-in, however soon, may be that of a second factor.
async fn a_sign_in_after_a_renewal_does_not_join(memory: bool) {
    let shop = Shop::open(memory).await;
    let mut browser = shop.signed_in().await;
    let mut old = browser.clone();
    browser.post(&shop.app, "/renew/f").await;
    old.post(&shop.app, "/sign-in/ada/c").await;
    let seen = shop.see(&mut old).await;
    assert_eq!((&*seen.user, &*seen.cart, &*seen.marks), ("ada", "", "c"));
    assert_eq!(shop.see(&mut browser).await.marks, "fs");
    assert_eq!(shop.storage.count("ada").await, (2, 0));
}

/// The request's own session has been renewed: what took its place is not another session.
async fn revoking_others_with_an_old_cookie_does_not_sign_out(memory: bool) {
    let shop = Shop::open(memory).await;
    let mut browser = shop.signed_in().await;
    shop.signed_in().await;
    let old = browser.clone();
    let meeting = app::Meeting::of(2);
    let start = |path| old.start(Method::POST, path).with(meeting.clone());
    let revoke = start("/revoke-others-late").send(&shop.app);
    let renew = async {
        // When the other request has loaded the session.
        meeting.wait().await;
        let response = old.start(Method::POST, "/renew/a").send(&shop.app).await;
        meeting.wait().await;
        response
    };
    let (revoked, renewed) = tokio::join!(revoke, renew);
    assert_eq!(
        (revoked.status.as_u16(), renewed.status.as_u16()),
        (200, 200)
    );
    browser.receive(&revoked);
    browser.receive(&renewed);
    let seen = shop.see(&mut browser).await;
    assert_eq!((&*seen.user, &*seen.cart), ("ada", "hat"));
    assert_eq!(
        shop.storage.count("ada").await,
        (1, 0),
        "the other is revoked"
    );
}
