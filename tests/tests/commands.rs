//! What each kind of request sends to Redis, to the command, as MONITOR tells it.
//!
//! What is published goes out beside the request, which does not wait for it: a test of its own is
//! about that, and the others are on a layer that publishes nothing.

use std::time::Duration;

use axum::Router;
use cloakroom::{CookieConfig, Expiry, Session, SessionEvent, SessionLayer, days, hours, minutes};
use cloakroom_core::{Clock, ManualClock, SystemEntropy, Timestamp, Token};
use cloakroom_redis::RedisStore;
use http::StatusCode;
use tests::app::{Act, app};
use tests::browser::{Browser, Effect};
use tests::redis::RedisServer;

/// One app on one Redis, and a browser with a session there.
struct Scene {
    redis: RedisServer,
    clock: ManualClock,
    app: Router,
    browser: Browser,
}

impl Scene {
    /// A scene on which every script has been run once, so that Redis knows them.
    async fn set() -> Self {
        let redis = RedisServer::start();
        let store = RedisStore::connect(redis.url()).await.expect("it runs");
        let clock = ManualClock::default();
        let layer = SessionLayer::builder(store)
            .with_clock(clock.clone())
            .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
            .without_events()
            .build()
            .expect("it is valid");
        let app = app(layer);
        let mut browser = Browser::new(app.clone());
        browser.act(async |session| session.insert("n", 1)).await;
        browser.act(async |session| session.insert("n", 2)).await;
        clock.advance(minutes(4));
        browser.read().await;
        browser
            .act(async |session| Ok(format!("{:?}", session.destroy().await?)))
            .await;
        browser.act(async |session| session.insert("n", 1)).await;
        Self {
            redis,
            clock,
            app,
            browser,
        }
    }

    /// The names of the commands that `act` causes, and what it does to the cookie.
    async fn commands_of(&mut self, act: Act) -> (Vec<String>, Effect) {
        let monitor = self.redis.monitor();
        let answer = self.browser.perform(act).await;
        assert_eq!(answer.status, StatusCode::OK);
        let mut commands = monitor.commands();
        let names = commands.iter_mut().map(|words| words.remove(0)).collect();
        (names, answer.effect())
    }

    /// Every key has a TTL, and none over the session's absolute life.
    fn check_ttls(&self) {
        for (key, ttl) in self.redis.keys_with_ttl() {
            let ttl = ttl.unwrap_or_else(|| panic!("{key} has no TTL"));
            assert!(ttl <= hours(12), "{key}: {ttl:?}");
        }
    }
}

async fn sign_in(browser: &mut Browser) {
    let answer = browser.act(async |session| session.sign_in("ada").await);
    assert_eq!(answer.await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_that_is_not_asked_for_costs_nothing() {
    let mut scene = Scene::set().await;
    let act = Act::lazy(async |lazy| Ok(lazy.cookie_name().to_owned()));
    assert_eq!(scene.commands_of(act).await, (vec![], Effect::Nothing));
}

#[tokio::test]
async fn an_anonymous_request_that_reads_costs_nothing() {
    let mut scene = Scene::set().await;
    scene.browser = Browser::new(scene.app.clone());
    let act = Act::session(async |session| Ok(session.contains("n").to_string()));
    assert_eq!(scene.commands_of(act).await, (vec![], Effect::Nothing));
    let act = Act::session(async |session| {
        session.clear()?;
        Ok(format!("{:?}", session.destroy().await?))
    });
    assert_eq!(scene.commands_of(act).await, (vec![], Effect::Nothing));
}

#[tokio::test]
async fn a_first_write_costs_one_set() {
    let mut scene = Scene::set().await;
    scene.browser = Browser::new(scene.app.clone());
    let monitor = scene.redis.monitor();
    let answer = scene
        .browser
        .act(async |session| session.insert("n", 1))
        .await;
    assert_eq!(answer.effect(), Effect::Set);
    let commands = monitor.commands();
    assert_eq!(commands.len(), 1, "{commands:?}");
    let [set, key, value, options @ ..] = &*commands[0] else {
        panic!("{commands:?}");
    };
    assert_eq!(set, "SET");
    assert!(key.starts_with("cloakroom:") && value.starts_with("c1 "));
    let mut options = options.to_vec();
    options.sort();
    assert_eq!(options, ["1800000", "NX", "PX"]);
    scene.check_ttls();
}

#[tokio::test]
async fn a_read_costs_one_get() {
    let mut scene = Scene::set().await;
    let act = Act::session(async |session| Ok(format!("{:?}", session.get::<u32>("n")?)));
    let read = (vec!["GET".to_owned()], Effect::Nothing);
    assert_eq!(scene.commands_of(act).await, read);
}

#[tokio::test]
async fn a_read_after_a_tenth_of_the_idle_timeout_writes_the_use_down_once() {
    let mut scene = Scene::set().await;
    let read = || Act::session(async |session| Ok(session.contains("n").to_string()));
    scene.clock.advance(minutes(3));
    let touched = scene.commands_of(read()).await;
    assert_eq!(touched.0, ["GET", "EVALSHA"]);
    let again = scene.commands_of(read()).await;
    assert_eq!(again.0, ["GET"]);
    scene.check_ttls();
}

#[tokio::test]
async fn a_write_costs_one_get_and_one_script() {
    let mut scene = Scene::set().await;
    let hit = |n: Option<u32>| n.unwrap_or(0) + 1;
    let act = Act::session(async move |session| Ok(session.update("n", hit)?.to_string()));
    let (commands, effect) = scene.commands_of(act).await;
    assert_eq!(commands, ["GET", "EVALSHA"]);
    assert_eq!(effect, Effect::Nothing);
    scene.check_ttls();
}

#[tokio::test]
async fn the_same_value_again_costs_no_write() {
    let mut scene = Scene::set().await;
    let act = Act::session(async |session| session.insert("n", 1));
    assert_eq!(scene.commands_of(act).await.0, ["GET"]);
}

#[tokio::test]
async fn signing_in_costs_one_get_one_set_and_one_script() {
    let mut scene = Scene::set().await;
    let act = Act::session(async |session| {
        session.renew()?;
        session.set_expiry(Expiry::idle(hours(1)).absolute(hours(2)))?;
        session.insert("user", "ann")
    });
    let (commands, effect) = scene.commands_of(act).await;
    assert_eq!(commands, ["GET", "SET", "EVALSHA"]);
    assert_eq!(effect, Effect::Set);
    scene.check_ttls();
}

#[tokio::test]
async fn signing_a_user_in_costs_no_command_more() {
    let mut scene = Scene::set().await;
    // Once before, so that Redis knows the script.
    sign_in(&mut scene.browser).await;
    let mut browser = Browser::new(scene.app.clone());
    browser.act(async |session| session.insert("n", 1)).await;
    let monitor = scene.redis.monitor();
    sign_in(&mut browser).await;
    let commands = monitor.commands();
    let names: Vec<_> = commands.iter().map(|words| &*words[0]).collect();
    // The session is entered for its user and stored, and the one before ended. After these, in the
    // background: an entry or two are looked at.
    assert_eq!(names[..3], ["GET", "EVALSHA", "EVALSHA"]);
    assert!(names[3..].iter().all(|name| *name == "GET"), "{names:?}");
    let index = scene.redis.keys_with_ttl();
    let index = index
        .iter()
        .find(|(key, _)| key.starts_with("cloakroom:user:"));
    let ttl = index.and_then(|(_, ttl)| *ttl).expect("an index has a TTL");
    assert!(ttl > hours(11) && ttl <= hours(12) + minutes(5), "{ttl:?}");
}

/// The entries that are given to a sign-in, and those that were put in before, are in the record that the
/// one command stores.
#[tokio::test]
async fn a_sign_in_with_entries_is_one_command() {
    let scene = Scene::set().await;
    // Once before, so that Redis knows the script.
    sign_in(&mut Browser::new(scene.app.clone())).await;
    let monitor = scene.redis.monitor();
    let mut browser = Browser::new(scene.app.clone());
    let act = async |session: Session| {
        session.insert("cart", 7)?;
        session.sign_in("bob").insert("name", "Bob")?.await
    };
    let answer = browser.act(act).await;
    assert_eq!(answer.effect(), Effect::Set);
    let commands = monitor.commands();
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert_eq!(commands[0][0], "EVALSHA");
    let holds = |part: &str| commands[0].iter().any(|word| word.contains(part));
    assert!(holds("cart") && holds("Bob"), "{commands:?}");
}

#[tokio::test]
async fn what_happens_is_published_once_and_beside_the_request() {
    let redis = RedisServer::start();
    let store = RedisStore::connect(redis.url()).await.expect("it runs");
    let layer = SessionLayer::new(store);
    let mut events = layer.sessions().events().expect("there is a bus");
    assert_eq!(events.next().await, Some(SessionEvent::Missed), "it holds");
    let mut browser = Browser::new(app(layer));
    let monitor = redis.monitor();
    browser.act(async |session| session.insert("n", 1)).await;
    browser.act(async |session| session.insert("n", 2)).await;
    browser
        .act(async |session| session.sign_in("ada").await)
        .await;
    browser.act(async |session| session.renew()).await;
    browser
        .act(async |session| Ok(format!("{:?}", session.sign_out().await?)))
        .await;
    for _ in 0..4 {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        assert!(event.expect("it is told").is_some());
    }
    let mut published: Vec<String> = monitor
        .commands()
        .into_iter()
        .filter(|words| words[0] == "PUBLISH")
        .map(|words| {
            assert_eq!(words[1], "cloakroom:events");
            let event: serde_json::Value = serde_json::from_str(&words[2]).expect("JSON");
            event["event"].as_str().expect("a word").to_owned()
        })
        .collect();
    published.sort();
    assert_eq!(published, ["created", "ended", "renewed", "signed_in"]);
}

#[tokio::test]
async fn signing_out_costs_one_get_and_one_script_and_leaves_a_minute() {
    let mut scene = Scene::set().await;
    let act = Act::session(async |session| Ok(format!("{:?}", session.destroy().await?)));
    let (commands, effect) = scene.commands_of(act).await;
    assert_eq!(commands, ["GET", "EVALSHA"]);
    assert_eq!(effect, Effect::Removed);
    for (key, ttl) in scene.redis.keys_with_ttl() {
        let ttl = ttl.expect("every key has a TTL");
        assert!(ttl <= Duration::from_secs(60), "{key}: {ttl:?}");
    }
}

#[tokio::test]
async fn what_cannot_open_anything_costs_nothing() {
    let scene = Scene::set().await;
    let token = scene.browser.cookie().expect("it has one").to_owned();
    let long_ago = {
        let age = Expiry::LONGEST + days(1);
        let now = scene.clock.now().since(Timestamp::from_millis(0));
        let then = Timestamp::from_millis(0).plus(now - age);
        let token = Token::issue(then, &SystemEntropy);
        token.expect("the system has randomness").encode()
    };
    let values = [
        String::new(),
        "x".to_owned(),
        token[..42].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        token.replace(|sign: char| sign.is_ascii_digit(), "+"),
        format!("\"{token}\""),
        "A".repeat(43),
        "A".repeat(3000),
        long_ago,
    ];
    for value in values {
        let monitor = scene.redis.monitor();
        let mut browser = Browser::new(scene.app.clone());
        browser.add_cookie(CookieConfig::DEFAULT_NAME, &value);
        let answer = browser
            .act(async |session| Ok(format!("{:?}", session.id())))
            .await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "None"));
        assert_eq!(answer.effect(), Effect::Nothing);
        assert!(monitor.commands().is_empty(), "{value}");
    }
}
