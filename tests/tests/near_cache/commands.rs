//! What a request costs.

use axum::Router;
use cloakroom::{Reloaded, Session, SessionLayer};
use cloakroom_redis::NearCache;
use tests::app::{Act, app};
use tests::browser::Browser;
use tests::redis::RedisServer;

use super::near;

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
    app(SessionLayer::new(near.clone()).without_events())
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
    assert_eq!(scene.commands_of(20, read).await, [""; 0]);
    assert_eq!(scene.commands_of(20, write).await, ["EVALSHA"; 20]);
    assert_eq!(scene.commands_of(20, read).await, [""; 0]);
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
