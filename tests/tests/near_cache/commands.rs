//! What a request costs.

use axum::Router;
use cloakroom::{Reloaded, Session, SessionLayer};
use cloakroom_redis::NearCache;
use tests::app::{Act, app};
use tests::browser::Browser;
use tests::redis::RedisServer;
use tokio::time::Instant;

use super::{PATIENCE, near};

struct Scene {
    redis: RedisServer,
    near: NearCache,
    browser: Browser,
}

impl Scene {
    async fn set() -> Self {
        let redis = RedisServer::start();
        let near = near(&redis.url()).await;
        let mut browser = Browser::new(server(&near));
        browser.act(async |session| session.insert("n", 1)).await;
        browser.act(async |session| session.insert("n", 2)).await;
        Self {
            redis,
            near,
            browser,
        }
    }

    /// Waits until `act`, done so many times, costs no more than these commands about sessions. What was
    /// remembered may be forgotten meanwhile: on a busy machine the sign of life comes late.
    async fn costs_in_the_end(&mut self, expected: &[&str], times: usize, act: impl Fn() -> Act) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let commands = self.commands_of(times, &act).await;
            if commands == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{commands:?}");
        }
    }

    /// The commands about sessions that `act` causes, when done so many times.
    async fn commands_of(&mut self, times: usize, act: impl Fn() -> Act) -> Vec<String> {
        let monitor = self.redis.monitor();
        for _ in 0..times {
            self.browser.perform(act()).await;
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

fn read() -> Act {
    Act::session(async |session: Session| {
        Ok(session.get::<u32>("n")?.unwrap_or_default().to_string())
    })
}

fn write() -> Act {
    Act::session(async |session: Session| {
        let n = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)?;
        Ok(n.to_string())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_read_costs_no_command_and_a_write_costs_one() {
    let mut scene = Scene::set().await;
    scene.costs_in_the_end(&[], 20, read).await;
    scene.costs_in_the_end(&["EVALSHA"; 20], 20, write).await;
    scene.costs_in_the_end(&[], 20, read).await;
    assert!(scene.near.stats().hits >= 60, "{:?}", scene.near);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_ask_past_the_cache() {
    let mut scene = Scene::set().await;
    let ask = || {
        Act::session(async |session: Session| {
            assert_eq!(session.fresh().await?, Reloaded::Live);
            Ok(String::new())
        })
    };
    assert_eq!(scene.commands_of(3, ask).await, ["GET"; 3]);
}
