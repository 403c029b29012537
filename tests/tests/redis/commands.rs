//! The exact commands that each kind of request sends to Redis, recorded with MONITOR.
//!
//! Events are published in the background: one test covers that, and the others use a layer without
//! events.

use std::time::Duration;

use axum::Router;
use cloakroom::{CookieConfig, Expiry, Session, SessionEvent, days, hours, minutes};
use cloakroom_core::{Clock, ManualClock, SystemRng, Timestamp, Token};
use http::StatusCode;
use tests::app::{Handler, app};
use tests::browser::{Browser, CookieChange};
use tests::generous;
use tests::redis::RedisServer;

/// One app on one Redis, and a browser with a session there.
struct Setup {
    redis: RedisServer,
    clock: ManualClock,
    app: Router,
    browser: Browser,
}

impl Setup {
    /// Starts both, and runs every script once, so that Redis has it cached.
    async fn start() -> Self {
        let redis = RedisServer::start();
        let store = generous::connect(redis.url(), "cloakroom")
            .await
            .expect("the server is running");
        let clock = ManualClock::default();
        let layer = generous::layer_builder(store)
            .with_clock(clock.clone())
            .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
            .without_events()
            .build()
            .expect("it is valid");
        let app = app(layer);
        let mut browser = Browser::new(app.clone());
        browser
            .request(async |session| session.insert("n", 1))
            .await;
        browser
            .request(async |session| session.insert("n", 2))
            .await;
        clock.advance(minutes(4));
        browser.read().await;
        browser
            .request(async |session| Ok(format!("{:?}", session.destroy().await?)))
            .await;
        browser
            .request(async |session| session.insert("n", 1))
            .await;
        Self {
            redis,
            clock,
            app,
            browser,
        }
    }

    /// The names of the commands that a request sends, and what it does to the cookie.
    async fn commands_of(&mut self, handler: Handler) -> (Vec<String>, CookieChange) {
        let monitor = self.redis.monitor();
        let response = self.browser.request_with(handler).await;
        assert_eq!(response.status, StatusCode::OK);
        let mut commands = monitor.commands();
        let names = commands.iter_mut().map(|words| words.remove(0)).collect();
        (names, response.cookie_change())
    }

    /// Checks that every key has a TTL, at most the absolute timeout.
    fn check_ttls(&self) {
        for (key, ttl) in self.redis.keys_with_ttl() {
            let ttl = ttl.unwrap_or_else(|| panic!("{key} has no TTL"));
            assert!(ttl <= hours(12), "{key}: {ttl:?}");
        }
    }
}

async fn sign_in(browser: &mut Browser) {
    let response = browser.request(async |session| session.sign_in("ada").await);
    assert_eq!(response.await.status, StatusCode::OK);
}

/// Signs in so often that Redis has both scripts cached: the end of an id, which is random, decides which one a
/// sign-in needs, and one of eight needs the longer one.
async fn run_scripts_of_sign_ins(setup: &Setup) {
    for _ in 0..80 {
        sign_in(&mut Browser::new(setup.app.clone())).await;
    }
}

#[tokio::test]
async fn an_unused_session_costs_no_command() {
    let mut setup = Setup::start().await;
    let handler = Handler::lazy(async |lazy| Ok(lazy.cookie_name().to_owned()));
    assert_eq!(
        setup.commands_of(handler).await,
        (vec![], CookieChange::Nothing)
    );
}

#[tokio::test]
async fn an_anonymous_read_costs_no_command() {
    let mut setup = Setup::start().await;
    setup.browser = Browser::new(setup.app.clone());
    let handler = Handler::session(async |session| Ok(session.contains("n").to_string()));
    assert_eq!(
        setup.commands_of(handler).await,
        (vec![], CookieChange::Nothing)
    );
    let handler = Handler::session(async |session| {
        session.clear()?;
        Ok(format!("{:?}", session.destroy().await?))
    });
    assert_eq!(
        setup.commands_of(handler).await,
        (vec![], CookieChange::Nothing)
    );
}

#[tokio::test]
async fn a_first_write_costs_one_set() {
    let mut setup = Setup::start().await;
    setup.browser = Browser::new(setup.app.clone());
    let monitor = setup.redis.monitor();
    let response = setup
        .browser
        .request(async |session| session.insert("n", 1))
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
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
    setup.check_ttls();
}

#[tokio::test]
async fn a_read_costs_one_get() {
    let mut setup = Setup::start().await;
    let handler = Handler::session(async |session| Ok(format!("{:?}", session.get::<u32>("n")?)));
    let read = (vec!["GET".to_owned()], CookieChange::Nothing);
    assert_eq!(setup.commands_of(handler).await, read);
}

#[tokio::test]
async fn a_read_after_a_tenth_of_the_idle_timeout_updates_last_seen_once() {
    let mut setup = Setup::start().await;
    let read = || Handler::session(async |session| Ok(session.contains("n").to_string()));
    setup.clock.advance(minutes(3));
    let touched = setup.commands_of(read()).await;
    assert_eq!(touched.0, ["GET", "EVALSHA"]);
    let again = setup.commands_of(read()).await;
    assert_eq!(again.0, ["GET"]);
    setup.check_ttls();
}

#[tokio::test]
async fn a_write_costs_one_get_and_one_script() {
    let mut setup = Setup::start().await;
    let hit = |n: Option<u32>| n.unwrap_or(0) + 1;
    let handler = Handler::session(async move |session| Ok(session.update("n", hit)?.to_string()));
    let (commands, effect) = setup.commands_of(handler).await;
    assert_eq!(commands, ["GET", "EVALSHA"]);
    assert_eq!(effect, CookieChange::Nothing);
    setup.check_ttls();
}

/// The old record can be long, and only its start is compared.
#[tokio::test]
async fn the_script_of_a_write_reads_only_the_start_of_the_old_record() {
    let mut setup = Setup::start().await;
    let monitor = setup.redis.monitor();
    let written = setup
        .browser
        .request(async |session| session.insert("n", 2));
    assert_eq!(written.await.status, StatusCode::OK);
    let recorded = monitor.recorded().into_iter();
    let scripted: Vec<_> = recorded.filter(|command| command.by_script).collect();
    let [read, write] = scripted.as_slice() else {
        panic!("{scripted:?}");
    };
    let name_and_range = [&read.words[0], &read.words[2], &read.words[3]];
    assert_eq!(name_and_range, ["GETRANGE", "0", "19"]);
    assert_eq!(write.words[0], "SET");
    assert_eq!(write.words[1], read.words[1]);
}

#[tokio::test]
async fn an_unchanged_value_costs_no_write() {
    let mut setup = Setup::start().await;
    let handler = Handler::session(async |session| session.insert("n", 1));
    assert_eq!(setup.commands_of(handler).await.0, ["GET"]);
}

#[tokio::test]
async fn a_renewal_costs_one_get_one_set_and_one_script() {
    let mut setup = Setup::start().await;
    let handler = Handler::session(async |session| {
        session.renew()?;
        session.set_expiry(Expiry::idle(hours(1)).absolute(hours(2)))?;
        session.insert("user", "ann")
    });
    let (commands, effect) = setup.commands_of(handler).await;
    assert_eq!(commands, ["GET", "SET", "EVALSHA"]);
    assert_eq!(effect, CookieChange::Set);
    setup.check_ttls();
}

#[tokio::test]
async fn signing_a_user_in_costs_one_get_and_two_scripts() {
    let setup = Setup::start().await;
    run_scripts_of_sign_ins(&setup).await;
    let mut browser = Browser::new(setup.app.clone());
    browser
        .request(async |session| session.insert("n", 1))
        .await;
    let monitor = setup.redis.monitor();
    sign_in(&mut browser).await;
    let commands = monitor.commands();
    let names: Vec<_> = commands.iter().map(|words| &*words[0]).collect();
    // The session is indexed and stored in one step, and the previous one ended. After that, index
    // entries may be checked in the background.
    assert_eq!(names[..3], ["GET", "EVALSHA", "EVALSHA"]);
    assert!(names[3..].iter().all(|name| *name == "GET"), "{names:?}");
    let index = setup.redis.keys_with_ttl();
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
    let setup = Setup::start().await;
    run_scripts_of_sign_ins(&setup).await;
    let monitor = setup.redis.monitor();
    let mut browser = Browser::new(setup.app.clone());
    let act = async |session: Session| {
        session.insert("cart", 7)?;
        session.sign_in("bob").insert("name", "Bob")?.await
    };
    let answer = browser.request(act).await;
    assert_eq!(answer.cookie_change(), CookieChange::Set);
    let commands = monitor.commands();
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert_eq!(commands[0][0], "EVALSHA");
    let holds = |part: &str| commands[0].iter().any(|word| word.contains(part));
    assert!(holds("cart") && holds("Bob"), "{commands:?}");
}

#[tokio::test]
async fn each_event_is_published_once_in_the_background() {
    let redis = RedisServer::start();
    let store = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let layer = generous::layer(store);
    let mut events = layer.sessions().events().expect("there is a bus");
    assert_eq!(events.next().await, Some(SessionEvent::Missed), "it holds");
    let mut browser = Browser::new(app(layer));
    let monitor = redis.monitor();
    browser
        .request(async |session| session.insert("n", 1))
        .await;
    browser
        .request(async |session| session.insert("n", 2))
        .await;
    browser
        .request(async |session| session.sign_in("ada").await)
        .await;
    browser.request(async |session| session.renew()).await;
    browser
        .request(async |session| Ok(format!("{:?}", session.sign_out().await?)))
        .await;
    for _ in 0..4 {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        assert!(event.expect("the event arrives").is_some());
    }
    let mut published: Vec<String> = monitor
        .commands()
        .into_iter()
        .filter(|words| words[0] == "PUBLISH")
        .flat_map(|words| {
            assert_eq!(words[1], "cloakroom:events");
            let lines: Vec<_> = words[2].lines().map(str::to_owned).collect();
            lines
        })
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            event["event"].as_str().expect("a word").to_owned()
        })
        .collect();
    published.sort();
    assert_eq!(published, ["created", "ended", "renewed", "signed_in"]);
}

#[tokio::test]
async fn ending_a_session_costs_one_get_and_one_script_and_leaves_a_tombstone() {
    let mut setup = Setup::start().await;
    let handler = Handler::session(async |session| Ok(format!("{:?}", session.destroy().await?)));
    let (commands, effect) = setup.commands_of(handler).await;
    assert_eq!(commands, ["GET", "EVALSHA"]);
    assert_eq!(effect, CookieChange::Removed);
    for (key, ttl) in setup.redis.keys_with_ttl() {
        let ttl = ttl.expect("every key has a TTL");
        assert!(ttl <= Duration::from_secs(60), "{key}: {ttl:?}");
    }
}

#[tokio::test]
async fn malformed_cookies_cost_no_command() {
    let setup = Setup::start().await;
    let token = setup.browser.cookie().expect("it has one").to_owned();
    let long_ago = {
        let age = Expiry::MAX + days(1);
        let now = setup.clock.now().since(Timestamp::from_millis(0));
        let then = Timestamp::from_millis(0).plus(now - age);
        let token = Token::issue(then, &SystemRng);
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
        let monitor = setup.redis.monitor();
        let mut browser = Browser::new(setup.app.clone());
        browser.add_cookie(CookieConfig::DEFAULT_NAME, &value);
        let response = browser
            .request(async |session| Ok(format!("{:?}", session.id())))
            .await;
        assert_eq!((response.status, response.text()), (StatusCode::OK, "None"));
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
        assert!(monitor.commands().is_empty(), "{value}");
    }
}
