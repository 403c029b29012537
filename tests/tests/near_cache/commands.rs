//! Commands per request.

use axum::Router;
use cloakroom::{Reloaded, Session, SessionLayer};
use cloakroom_redis::NearCache;
use tests::app::{Handler, app};
use tests::browser::Browser;
use tests::redis::RedisServer;
use tokio::time::Instant;

use super::{PATIENCE, near};

struct Setup {
    redis: RedisServer,
    near: NearCache,
    browser: Browser,
}

impl Setup {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let near = near(&redis.url()).await;
        let mut browser = Browser::new(server(&near));
        browser
            .request(async |session| session.insert("n", 1))
            .await;
        browser
            .request(async |session| session.insert("n", 2))
            .await;
        Self {
            redis,
            near,
            browser,
        }
    }

    /// Waits until `times` requests cost exactly these session commands. It retries, since on a busy
    /// machine a late heartbeat may clear the cache.
    async fn eventually_costs(
        &mut self,
        expected: &[&str],
        times: usize,
        handler: impl Fn() -> Handler,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let commands = self.commands_of(times, &handler).await;
            if commands == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{commands:?}");
        }
    }

    /// The session commands that `times` requests send.
    async fn commands_of(&mut self, times: usize, handler: impl Fn() -> Handler) -> Vec<String> {
        let monitor = self.redis.monitor();
        for _ in 0..times {
            self.browser.request_with(handler()).await;
        }
        let of_sessions = |words: &Vec<String>| !matches!(&*words[0], "INFO" | "CLIENT");
        let commands = monitor.commands().into_iter().filter(of_sessions);
        commands.map(|mut words| words.remove(0)).collect()
    }
}

fn server(near: &NearCache) -> Router {
    app(SessionLayer::builder(near.clone())
        .without_events()
        .build()
        .expect("it is valid"))
}

fn read() -> Handler {
    Handler::session(async |session: Session| {
        Ok(session.get::<u32>("n")?.unwrap_or_default().to_string())
    })
}

fn write() -> Handler {
    Handler::session(async |session: Session| {
        let n = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)?;
        Ok(n.to_string())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_read_costs_no_command_and_a_write_costs_one() {
    let mut setup = Setup::start().await;
    setup.eventually_costs(&[], 20, read).await;
    setup.eventually_costs(&["EVALSHA"; 20], 20, write).await;
    setup.eventually_costs(&[], 20, read).await;
    assert!(setup.near.stats().hits >= 60, "{:?}", setup.near);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_bypass_the_cache() {
    let mut setup = Setup::start().await;
    let ask = || {
        Handler::session(async |session: Session| {
            assert_eq!(session.reload().await?, Reloaded::Live);
            Ok(String::new())
        })
    };
    setup.eventually_costs(&["GET"; 3], 3, ask).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_csrf_token_is_refused_the_session_is_read_from_redis_once() {
    let mut setup = Setup::start().await;
    let check = || {
        Handler::session(async |session: Session| {
            assert!(session.check_csrf_token("x").await.is_err());
            Ok(String::new())
        })
    };
    setup.eventually_costs(&["GET"; 3], 3, check).await;
    let reads = |near: &NearCache| near.stats().hits + near.stats().misses;
    let before = reads(&setup.near);
    setup.commands_of(3, check).await;
    assert_eq!(reads(&setup.near) - before, 3, "one for each request");
}
