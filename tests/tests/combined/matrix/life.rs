//! The script of one row: visit, cart, sign in, use on the other server, rotate, renew, two tabs at once, a
//! client with a token header, sign out everywhere, and nothing comes back.

use std::time::Duration;

use axum::Router;
use cloakroom::CookieConfig;
use cloakroom_core::ManualClock;
use http::Method;
use tests::user_agent::{Incoming, UserAgent};

use super::covering::{Edits, FORMER, On, Row};
use crate::app::{self, Meeting, Seen};
use crate::setup::{EMPTY, EVERY, Features, HEADER, Near, Phase, Servers, Storage, servers};
use crate::{v0_14, v0_15};

pub(super) struct Life {
    row: Row,
    storage: Storage,
    features: Features,
    servers: Servers,
    apps: [Router; 2],
    browser: UserAgent,
    /// The browser at earlier moments.
    earlier: Vec<(&'static str, UserAgent)>,
    /// Sessions of nobody that were noted already.
    left_over: usize,
    /// What was not as it should be.
    pub(super) wrong: Vec<String>,
}

impl Life {
    pub(super) async fn begin(row: Row) -> Self {
        let clock = ManualClock::default();
        let storage = match row.on() {
            On::Memory => Storage::memory(&clock),
            On::Redis => Storage::redis(),
            On::Replicated => Storage::replicated(),
        };
        let features = row.features();
        let servers = servers(&storage, &clock, &features).await;
        let apps = servers.layers.clone().map(|layer| {
            let app = match row.edits() {
                Edits::Native => app::edits(),
                Edits::Bridge014 => v0_14::app::bridged_with_users(v0_14::app::edits()),
                Edits::Bridge015 => v0_15::app::bridged_with_users(v0_15::app::edits()),
            };
            app.merge(app::users()).layer(layer)
        });
        Self {
            row,
            storage,
            features,
            servers,
            apps,
            browser: UserAgent::new(),
            earlier: Vec::new(),
            left_over: 0,
            wrong: Vec::new(),
        }
    }

    pub(super) async fn run(&mut self) {
        self.visits().await;
        self.signs_in().await;
        if self.features.rotation {
            self.rotates().await;
        }
        self.renews().await;
        if self.row.is_visited_cross_site() {
            self.is_visited_cross_site().await;
        }
        if self.row.has_long_request() {
            self.uses_long_requests().await;
        }
        self.uses_two_tabs("two renewals", ["/renew/a", "/renew/b"])
            .await;
        let sign_ins = ["/sign-in/ada/c", "/sign-in/ada/d"];
        self.uses_two_tabs("two sign-ins", sign_ins).await;
        if self.features.header {
            self.uses_a_header().await;
        }
        self.signs_out_everywhere().await;
    }

    /// Notes something that is not as it should be, and goes on.
    fn expect(&mut self, step: &str, seen: &Seen, user: &str, cart: &str) {
        if (&*seen.user, &*seen.cart) != (user, cart) {
            let wrong = format!("{step}: {user:?} with {cart:?} expected, {seen:?} seen");
            self.wrong.push(wrong);
        }
    }

    async fn post(&mut self, step: &str, server: usize, path: &str) -> Incoming {
        let response = self
            .browser
            .visit(&self.apps[server], Method::POST, path)
            .await;
        if !response.status.is_success() {
            self.wrong
                .push(format!("{step}: {path}: {}", response.status));
        }
        response
    }

    async fn see(&mut self, server: usize) -> Seen {
        let page = self.browser.visit(&self.apps[server], Method::GET, "/me");
        Seen::of(&page.await)
    }

    /// On both servers the user is signed in, with the cart.
    async fn expect_signed_in(&mut self, step: &str) {
        for server in [1, 0] {
            let seen = self.see(server).await;
            self.expect(&format!("{step}, server {server}"), &seen, "ada", "hat");
        }
    }

    /// The servers look at what is stored: their caches have heard all.
    async fn settle(&self) {
        self.servers.settle(&self.features).await;
    }

    fn remember(&mut self, moment: &'static str) {
        self.earlier.push((moment, self.browser.clone()));
    }

    async fn visits(&mut self) {
        if self.features.phase == Phase::Off {
            let app = self.first_app().await;
            self.browser.post(&app, "/cart/hat").await;
        } else {
            let url = self.storage.server().expect("it is on Redis").url();
            let legacy = v0_14::on_their_store(v0_14::app::whole(), &url).await;
            self.browser.post(&legacy, "/cart/hat").await;
            self.remember("on the legacy app");
        }
        let seen = self.see(1).await;
        self.expect("after the first visit", &seen, "", "hat");
        self.remember("as nobody");
    }

    /// The server that has the first visit: one of the previous version, if the cookie has changed.
    async fn first_app(&self) -> Router {
        if self.features.cookie.is_none() {
            return self.apps[0].clone();
        }
        let features = Features {
            cookie: Some(CookieConfig::new(FORMER)),
            realm: Some(FORMER),
            ..Features::default()
        };
        let before = servers(&self.storage, &self.servers.clock, &features).await;
        let [layer, _] = before.layers;
        app::whole().layer(layer)
    }

    async fn signs_in(&mut self) {
        self.post("sign-in", 0, "/sign-in/ada/s").await;
        self.expect_signed_in("after the sign-in").await;
        self.remember("after the sign-in");
    }

    /// What one server hands out, the other has to take at once.
    async fn rotates(&mut self) {
        for round in 0..4 {
            self.servers.clock.advance(EVERY);
            for server in [round % 2, 1 - round % 2, round % 2] {
                let seen = self.see(server).await;
                let step = format!("rotation {round}, server {server}");
                self.expect(&step, &seen, "ada", "hat");
            }
        }
        self.expect_signed_in("after rotations").await;
        self.remember("after rotations");
    }

    async fn renews(&mut self) {
        self.post("renewal", 1, "/renew/f").await;
        self.expect_signed_in("after the renewal").await;
        self.remember("after the renewal");
    }

    /// The browser does not send the cookie, and keeps it.
    async fn is_visited_cross_site(&mut self) {
        let before = self.storage.live().await.len();
        let request = self.browser.start_cross_site(Method::POST, "/mark/a");
        let response = request.send(&self.apps[0]).await;
        self.browser.receive(&response);
        if response.changes_cookies() || self.storage.live().await.len() != before {
            self.wrong.push(format!("cross-site: {response:?}"));
        }
        self.expect_signed_in("after a request of another site")
            .await;
    }

    /// A request in progress keeps the session alive. The clock of the servers goes on with that of Redis.
    async fn uses_long_requests(&mut self) {
        self.post("short idle timeout", 0, "/idle-for/5").await;
        // Within its window, a cache may still have the longer timeout.
        self.settle().await;
        let clock = self.servers.clock.clone();
        let tick = Duration::from_millis(100);
        let time = tokio::spawn(async move {
            loop {
                tokio::time::sleep(tick).await;
                clock.advance(tick);
            }
        });
        self.post("a long request", 1, "/slow/6500").await;
        time.abort();
        self.expect_signed_in("after a long request").await;
        // With the timeouts of the layer again.
        self.post("after a long request", 0, "/sign-in/ada/s").await;
    }

    async fn uses_two_tabs(&mut self, step: &str, paths: [&'static str; 2]) {
        for order in [[0, 1], [1, 0]] {
            let meeting = Meeting::of(2);
            let start = |path: &'static str| {
                let request = self.browser.start(Method::POST, path);
                request.with(meeting.clone())
            };
            let [one, two] = paths.map(start);
            let (one, two) = tokio::join!(one.send(&self.apps[0]), two.send(&self.apps[1]));
            let responses = [one, two];
            for index in order {
                if !responses[index].status.is_success() {
                    let status = responses[index].status;
                    self.wrong
                        .push(format!("{step}: {}: {status}", paths[index]));
                }
                self.browser.receive(&responses[index]);
            }
            self.expect_signed_in(&format!("{step}, responses in order {order:?}"))
                .await;
            let count = self.storage.count("ada").await;
            if count != (1, self.left_over) {
                let wrong = format!("{step}: {} sessions of ada, {} of nobody", count.0, count.1);
                self.wrong.push(wrong);
                self.start_over().await;
            }
        }
        self.remember("after two tabs");
    }

    /// So that one failure does not hide the next: the browser is as after a sign-in with a cart.
    async fn start_over(&mut self) {
        let sessions = self.servers.layers[0].sessions();
        drop(
            sessions
                .revoke_all("ada", cloakroom::RevokedBy::Admin)
                .await,
        );
        self.settle().await;
        self.left_over = self.storage.count("ada").await.1;
        self.browser = UserAgent::new();
        self.post("starting over", 0, "/cart/hat").await;
        self.post("starting over", 0, "/sign-in/ada/s").await;
    }

    async fn uses_a_header(&mut self) {
        let (client, apps) = (UserAgent::new(), self.apps.clone());
        let send = async |method, path: &'static str, token: http::HeaderValue, server: usize| {
            let mut request = client.start(method, path);
            request.request.headers_mut().insert(HEADER, token);
            request.send(&apps[server]).await
        };
        let empty = http::HeaderValue::from_static(EMPTY);
        let response = send(Method::POST, "/sign-in/ada/s", empty, 0).await;
        let changed = response.changes_cookies();
        let Some(token) = response.headers.get(HEADER).cloned() else {
            self.wrong
                .push(format!("the header gets no token: {response:?}"));
            return;
        };
        let seen = Seen::of(&send(Method::GET, "/me", token, 1).await);
        self.expect("with the header", &seen, "ada", "");
        if changed {
            self.wrong
                .push("a client with the header gets a cookie".to_owned());
        }
        self.expect_signed_in("beside the client with the header")
            .await;
    }

    async fn signs_out_everywhere(&mut self) {
        self.remember("at the end");
        self.post("sign out everywhere", 1, "/revoke-all/ada").await;
        // Within its window, a cache may still say that a session is there.
        if self.features.near != Near::Off {
            self.settle().await;
        }
        let seen = self.see(0).await;
        self.expect("signed out everywhere", &seen, "", "");
        let earlier = std::mem::take(&mut self.earlier);
        for (moment, mut browser) in earlier {
            for (number, app) in self.apps.clone().iter().enumerate() {
                let page = browser.visit(app, Method::GET, "/me").await;
                let step = format!("cookies from {moment}, server {number}, after the end");
                if !Seen::of(&page).user.is_empty() {
                    self.wrong.push(format!("{step}: {:?}", Seen::of(&page)));
                }
                browser.visit(app, Method::POST, "/mark/a").await;
                let user = Seen::of(&browser.visit(app, Method::GET, "/me").await).user;
                if !user.is_empty() {
                    self.wrong.push(format!("{step}, after a write: {user}"));
                }
            }
        }
        let sessions = self.servers.layers[0].sessions();
        let count = sessions.count("ada").await.expect("it counts");
        if count != 0 {
            self.wrong
                .push(format!("{count} sessions of ada after the end"));
        }
    }
}
