//! Users who sign in through tower-sessions, and whom Cloakroom knows by their data: `BridgeLayer::with_user`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use axum_login::{AuthManager, AuthSession, AuthUser, AuthnBackend};
use cloakroom::{RevokedBy, Session, SessionLayer, SessionLimit};
use http::Method;
use serde_json::Value;
use tests::log::Log;
use tests::user_agent::{Incoming, UserAgent};
use tower::layer::layer_fn;

use crate::app::{self, Meeting, Seen};
use crate::setup::{Features, Servers, Storage, on_both, shop};
use crate::{v0_14, v0_15};

on_both!(
    a_sign_in_is_known_listed_and_renews_the_session,
    a_sign_in_with_the_cookie_of_a_revoked_session_signs_in,
    a_sign_in_by_a_saved_edit_signs_in_once,
    a_sign_in_with_an_error_response_is_discarded,
    a_limit_counts_bridged_sign_ins,
    another_user_gets_nothing_of_the_previous_one,
    removing_the_user_signs_out_and_keeps_the_rest,
    two_sign_ins_at_once_join_and_either_cookie_works,
    a_renewal_is_no_sign_in,
    two_live_cookies_end_by_a_flush_after_a_read,
    an_old_cookie_flushes_what_the_session_continues_in,
);

struct Shop {
    storage: Arc<Storage>,
    servers: Servers,
    /// With each version of tower-sessions.
    bridged: [Router; 2],
    native: Router,
}

impl Shop {
    async fn open(memory: bool) -> Self {
        Self::with(memory, &Features::default()).await
    }

    async fn with(memory: bool, features: &Features) -> Self {
        let (storage, servers) = shop(memory, features).await;
        let [one, two] = servers.layers.clone();
        Self {
            native: app::whole().layer(one.clone()),
            bridged: [
                v0_14::app::bridged_with_users(v0_14::app::whole()).layer(one),
                v0_15::app::bridged_with_users(v0_15::app::whole()).layer(two),
            ],
            storage,
            servers,
        }
    }

    fn layer(&self) -> &SessionLayer {
        &self.servers.layers[0]
    }

    async fn count(&self, user: &str) -> usize {
        let sessions = self.layer().sessions();
        sessions.count(user).await.expect("it counts")
    }

    /// What native code knows.
    async fn native(&self, browser: &mut UserAgent) -> Seen {
        Seen::of(&browser.visit(&self.native, Method::GET, "/me").await)
    }

    /// A browser with a cart in which ada is signed in.
    async fn signed_in(&self, app: &Router) -> UserAgent {
        let mut browser = UserAgent::new();
        browser.post(app, "/cart/hat").await;
        browser.post(app, "/sign-in/ada/s").await;
        browser
    }
}

async fn seen(browser: &mut UserAgent, app: &Router) -> Seen {
    Seen::of(&browser.visit(app, Method::GET, "/me").await)
}

async fn a_sign_in_is_known_listed_and_renews_the_session(memory: bool) {
    let shop = Shop::open(memory).await;
    for (number, app) in shop.bridged.iter().enumerate() {
        let mut browser = UserAgent::new();
        browser.post(app, "/cart/hat").await;
        let mut before = browser.clone();
        browser.post(app, "/sign-in/ada/s").await;
        assert_eq!(seen(&mut before, app).await, Seen::default(), "it renews");
        let native = shop.native(&mut browser).await;
        assert_eq!((&*native.user, &*native.cart), ("ada", "hat"));
        assert_eq!(shop.count("ada").await, number + 1);
    }
    let sessions = shop.layer().sessions();
    let revoked = sessions.revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(revoked.expect("they end"), 2);
}

async fn a_sign_in_with_the_cookie_of_a_revoked_session_signs_in(memory: bool) {
    let shop = Shop::open(memory).await;
    let sessions = shop.layer().sessions();
    for app in &shop.bridged {
        let mut browser = shop.signed_in(app).await;
        let revoked = sessions.revoke_all("ada", RevokedBy::Admin).await;
        assert_eq!(revoked.expect("it ends"), 1);
        assert_eq!(seen(&mut browser, app).await, Seen::default());
        browser.post(app, "/sign-in/ada/a").await;
        let found = seen(&mut browser, app).await;
        // Nothing of the revoked session is in it.
        let found = (&*found.user, &*found.cart, &*found.marks);
        assert_eq!(found, ("ada", "", "a"));
        assert_eq!(shop.count("ada").await, 1);
        sessions
            .revoke_all("ada", RevokedBy::Admin)
            .await
            .expect("");
    }
}

async fn a_sign_in_by_a_saved_edit_signs_in_once(memory: bool) {
    let shop = Shop::open(memory).await;
    for (number, app) in shop.bridged.iter().enumerate() {
        let mut browser = UserAgent::new();
        browser.post(app, "/sign-in-saved/ada/a").await;
        let found = seen(&mut browser, app).await;
        assert_eq!((&*found.user, &*found.marks), ("ada", "a"));
        assert_eq!(shop.storage.count("ada").await, (number + 1, 0));
    }
}

async fn a_sign_in_with_an_error_response_is_discarded(memory: bool) {
    let shop = Shop::open(memory).await;
    for app in &shop.bridged {
        let mut browser = UserAgent::new();
        browser.post(app, "/cart/hat").await;
        let request = browser.start(Method::POST, "/sign-in-failing/ada");
        let response = request.send(app).await;
        assert_eq!(response.status, 500);
        assert!(!response.changes_cookies(), "{response:?}");
        let found = seen(&mut browser, app).await;
        assert_eq!((&*found.user, &*found.cart), ("", "hat"));
    }
    assert_eq!(shop.count("ada").await, 0);
}

async fn a_limit_counts_bridged_sign_ins(memory: bool) {
    for limit in [SessionLimit::evict_oldest(1), SessionLimit::reject_above(1)] {
        let features = Features {
            limit: Some(limit),
            ..Features::default()
        };
        let shop = Shop::with(memory, &features).await;
        let app = &shop.bridged[0];
        let mut first = shop.signed_in(app).await;
        let mut second = UserAgent::new();
        let response = second.visit(app, Method::POST, "/sign-in/ada/a").await;
        let evicts = limit == SessionLimit::evict_oldest(1);
        assert_eq!(response.status, if evicts { 200 } else { 409 });
        let signed_in = [
            seen(&mut first, app).await.user,
            seen(&mut second, app).await.user,
        ];
        assert_eq!(signed_in, if evicts { ["", "ada"] } else { ["ada", ""] });
        assert_eq!(shop.count("ada").await, 1);
    }
}

async fn another_user_gets_nothing_of_the_previous_one(memory: bool) {
    let shop = Shop::open(memory).await;
    for app in &shop.bridged {
        let mut browser = shop.signed_in(app).await;
        browser.post(app, "/sign-in/bob/b").await;
        let found = seen(&mut browser, app).await;
        let found = (&*found.user, &*found.cart, &*found.marks);
        assert_eq!(found, ("bob", "", "b"));
        assert_eq!(shop.native(&mut browser).await.user, "bob");
        assert_eq!(shop.count("ada").await, 0);
    }
}

async fn removing_the_user_signs_out_and_keeps_the_rest(memory: bool) {
    let shop = Shop::open(memory).await;
    for app in &shop.bridged {
        let mut browser = shop.signed_in(app).await;
        let mut before = browser.clone();
        browser.post(app, "/forget-user").await;
        let found = seen(&mut browser, app).await;
        let found = (&*found.user, &*found.cart, &*found.marks);
        assert_eq!(found, ("", "hat", "s"));
        assert_eq!(shop.native(&mut browser).await.user, "");
        assert_eq!(seen(&mut before, app).await, Seen::default());
        assert_eq!(shop.count("ada").await, 0);
    }
}

async fn two_sign_ins_at_once_join_and_either_cookie_works(memory: bool) {
    let shop = Shop::open(memory).await;
    let mut browser = UserAgent::new();
    browser.post(&shop.bridged[0], "/cart/hat").await;
    let meeting = Meeting::of(2);
    let start = |path| {
        let request = browser.start(Method::POST, path);
        request.with(meeting.clone())
    };
    let (one, two) = tokio::join!(
        start("/sign-in/ada/a").send(&shop.bridged[0]),
        start("/sign-in/ada/b").send(&shop.bridged[1]),
    );
    for response in [one, two] {
        let mut browser = browser.clone();
        browser.receive(&response);
        let found = shop.native(&mut browser).await;
        assert_eq!((&*found.user, &*found.cart), ("ada", "hat"));
    }
    assert_eq!(shop.storage.count("ada").await, (1, 0));
}

/// With a second factor an app renews the session of the same user. That must not open it to another sign-in
/// with an old cookie.
async fn a_renewal_is_no_sign_in(memory: bool) {
    let shop = Shop::open(memory).await;
    for app in &shop.bridged {
        let mut browser = shop.signed_in(app).await;
        let mut old = browser.clone();
        browser.post(app, "/renew/f").await;
        old.post(app, "/sign-in/ada/b").await;
        let found = seen(&mut old, app).await;
        assert!(!found.marks.contains('f'), "{found:?}");
        assert_eq!(seen(&mut browser, app).await.marks, "fs");
        let sessions = shop.layer().sessions();
        sessions
            .revoke_all("ada", RevokedBy::Admin)
            .await
            .expect("");
    }
}

/// Adds the cookie of another browser, as a change of the cookie's path would.
fn with_both(one: &UserAgent, two: &UserAgent, path: &str) -> tests::user_agent::Outgoing {
    let mut request = one.start(Method::POST, path);
    let other = two.start(Method::POST, path);
    let cookie = |request: &tests::user_agent::Outgoing| {
        let value = &request.request.headers()[http::header::COOKIE];
        value.to_str().expect("it is ASCII").to_owned()
    };
    let both = format!("{}; {}", cookie(&request), cookie(&other));
    let headers = request.request.headers_mut();
    headers.insert(http::header::COOKIE, both.parse().expect("it is ASCII"));
    request
}

async fn two_live_cookies_end_by_a_flush_after_a_read(memory: bool) {
    let shop = Shop::open(memory).await;
    for app in &shop.bridged {
        let one = shop.signed_in(app).await;
        let two = shop.signed_in(app).await;
        assert_eq!(shop.storage.count("ada").await, (2, 0));
        // The handler reads before it ends.
        let response: Incoming = with_both(&one, &two, "/sign-out").send(app).await;
        assert_eq!(response.status, 200);
        assert!(response.changes_cookies(), "the cookie is removed");
        assert_eq!(shop.storage.count("ada").await, (0, 0), "both have ended");
    }
}

async fn an_old_cookie_flushes_what_the_session_continues_in(memory: bool) {
    let shop = Shop::open(memory).await;
    for app in &shop.bridged {
        let mut browser = shop.signed_in(app).await;
        let mut old = browser.clone();
        browser.post(app, "/renew/f").await;
        old.post(app, "/sign-out").await;
        assert_eq!(seen(&mut browser, app).await, Seen::default());
        assert_eq!(shop.storage.count("ada").await, (0, 0));
    }
}

#[tokio::test]
async fn without_users_a_discarded_renewal_is_logged_once() {
    let log = Log::capture();
    let (_, servers) = shop(true, &Features::default()).await;
    let app = v0_15::app::bridged(v0_15::app::whole()).layer(servers.layers[0].clone());
    let mut browser = UserAgent::new();
    browser.post(&app, "/sign-in/ada/a").await;
    let old = browser.clone();
    browser.post(&app, "/sign-out").await;
    for _ in 0..2 {
        old.clone().post(&app, "/sign-in/ada/b").await;
    }
    let warning = "configure `BridgeLayer::with_user`";
    assert_eq!(log.count(warning), 1, "{}", log.text());
}

#[derive(Clone, Debug)]
struct User(i64);

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.0
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"the hash of a password"
    }
}

#[derive(Clone, Debug)]
struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = i64;
    type Error = std::convert::Infallible;

    async fn authenticate(&self, id: i64) -> Result<Option<User>, Self::Error> {
        Ok(Some(User(id)))
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Self::Error> {
        Ok(Some(User(*id)))
    }
}

/// axum-login, unchanged: its user is Cloakroom's.
#[tokio::test]
async fn the_user_of_axum_login_is_known_and_can_be_revoked() {
    let (_, servers) = shop(true, &Features::default()).await;
    let layer = servers.layers[0].clone();
    let user = |data: &HashMap<String, Value>| {
        let id = data.get("axum-login.data")?.get("user_id")?;
        Some(id.as_i64()?.into())
    };
    let sign_in = async |mut auth: AuthSession<Users>| {
        auth.login(&User(7)).await.expect("the session works");
    };
    let who = async |session: Session, auth: AuthSession<Users>| {
        let ours: Option<i64> = session.user_id().expect("it is a number");
        format!("{ours:?} {:?}", auth.user.map(|user| user.0))
    };
    let app = Router::new()
        .route("/sign-in", post(sign_in))
        .route("/who", get(who))
        .layer(layer_fn(|inner| {
            AuthManager::new(inner, Users, "axum-login.data")
        }))
        .layer(cloakroom_tower_sessions::v0_14::BridgeLayer::new().with_user(user))
        .layer(layer.clone());
    let mut browser = UserAgent::new();
    browser.post(&app, "/sign-in").await;
    let text = async |browser: &mut UserAgent| {
        let response = browser.visit(&app, Method::GET, "/who").await;
        response.text().to_owned()
    };
    assert_eq!(text(&mut browser).await, "Some(7) Some(7)");
    let sessions = layer.sessions();
    assert_eq!(sessions.revoke_all(7, RevokedBy::Admin).await.expect(""), 1);
    assert_eq!(text(&mut browser).await, "None None");
    browser.post(&app, "/sign-in").await;
    assert_eq!(text(&mut browser).await, "Some(7) Some(7)", "at once");
}
