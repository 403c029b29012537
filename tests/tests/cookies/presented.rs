//! Which cookies of a request open something, and at what cost.

use cloakroom::{CookieConfig, Expiry, SealKey, SessionLayer, days, hours};
use cloakroom_core::{Clock, SystemEntropy, Timestamp, Token};
use tests::app::{Stage, app};
use tests::browser::{Browser, Effect};
use tests::faults::Verb::{Create, Load, Update};
use tests::log::Log;

const NAME: &str = CookieConfig::DEFAULT_NAME;

/// Reads `n` with these cookies; also checks how many loads that costs.
async fn read(stage: &Stage, cookies: &[(&str, &str)], loads: usize) -> Option<u32> {
    let mut browser = stage.browser();
    for &(name, value) in cookies {
        browser.add_cookie(name, value);
    }
    stage.forget();
    let n = browser.read().await;
    assert_eq!(stage.store.take_verbs(), vec![Load; loads], "{cookies:?}");
    n
}

#[tokio::test]
async fn what_is_no_token_costs_no_command() {
    let stage = Stage::memory();
    let good = stage.signed_in().await.cookie().unwrap().to_owned();
    assert_eq!(read(&stage, &[(NAME, &good)], 1).await, Some(1));
    let last = good.as_bytes()[42];
    let stray_bits = char::from(if last == b'B' { b'C' } else { last + 1 });
    let values = [
        String::new(),
        "x".into(),
        good[1..].into(),
        format!("{good}A"),
        format!("{good}="),
        format!("\"{good}\""),
        good.replace(&good[..1], "+"),
        format!("{}{stray_bits}", &good[..42]),
        good.repeat(100),
        "A".repeat(8000),
    ];
    for value in &values {
        assert_eq!(read(&stage, &[(NAME, value)], 0).await, None);
    }
    for name in [
        "__host-http-id",
        "__Host-Http-Id",
        "__Host-id",
        "id",
        "%5F_Host-Http-id",
        "",
    ] {
        assert_eq!(read(&stage, &[(name, &good)], 0).await, None);
    }
}

#[tokio::test]
async fn an_over_age_id_costs_no_command() {
    let stage = Stage::memory();
    let rule = Expiry::idle(hours(1)).absolute(days(1));
    let builder = stage.builder().with_expiry(rule).with_max_expiry(days(2));
    let layer = builder.build().unwrap();
    let issued = |ago| {
        let now = stage.clock.now().as_millis();
        let moment = Timestamp::from_millis(now - ago);
        Token::issue(moment, &SystemEntropy).unwrap().encode()
    };
    let two_days = u64::try_from(days(2).as_millis()).unwrap();
    for (ago, verbs) in [(two_days, &[Load][..]), (two_days + 1, &[])] {
        let mut browser = stage.browser_of(layer.clone());
        browser.add_cookie(NAME, issued(ago));
        assert_eq!(browser.read().await, None);
        assert_eq!(stage.store.take_verbs(), verbs);
    }
    // One from a little in the future, by another server's clock, is as good as one from now.
    let ahead = Timestamp::from_millis(stage.clock.now().as_millis() + 3000);
    let clock = cloakroom_core::ManualClock::at(ahead);
    let other_server = SessionLayer::builder(stage.store.clone())
        .with_clock(clock)
        .build()
        .expect("it is valid");
    let browser = stage.with_session(Browser::new(app(other_server))).await;
    assert_eq!(browser.on(app(layer)).read().await, Some(1));
}

#[tokio::test]
async fn of_a_live_and_a_dead_one_the_live_one_counts() {
    let stage = Stage::memory();
    let live = stage.signed_in().await.cookie().unwrap().to_owned();
    let mut gone = stage.signed_in().await;
    let ended = gone.cookie().unwrap().to_owned();
    gone.act(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    let unknown = Token::issue(stage.clock.now(), &SystemEntropy)
        .unwrap()
        .encode();
    for dead in [&ended, &unknown] {
        assert_eq!(
            read(&stage, &[(NAME, dead), (NAME, &live)], 2).await,
            Some(1)
        );
        assert_eq!(
            read(&stage, &[(NAME, &live), (NAME, dead)], 2).await,
            Some(1)
        );
    }
    assert_eq!(
        read(&stage, &[(NAME, "broken"), (NAME, &live)], 1).await,
        Some(1)
    );
    assert_eq!(
        read(&stage, &[(NAME, &live), (NAME, &live)], 1).await,
        Some(1)
    );
    assert_eq!(
        read(&stage, &[(NAME, &ended), (NAME, &unknown)], 2).await,
        None
    );
    // At most two are tried.
    let three = [(NAME, &*ended), (NAME, &*unknown), (NAME, &*live)];
    assert_eq!(read(&stage, &three, 2).await, None);
}

#[tokio::test]
async fn of_two_live_ones_neither_is_trusted_and_an_event_says_so() {
    let log = Log::keep();
    let stage = Stage::memory();
    let one = stage.signed_in().await.cookie().unwrap().to_owned();
    let two = stage.signed_in().await.cookie().unwrap().to_owned();
    assert_eq!(read(&stage, &[(NAME, &one), (NAME, &two)], 2).await, None);
    assert_eq!(log.count("both are ignored"), 1);
    for token in [&one, &two] {
        let id = Token::parse(token).unwrap().id().to_string();
        assert!(log.text().contains(&id));
        assert!(!log.text().contains(&token[22..]));
    }
    // Both go on, apart from each other.
    assert_eq!(read(&stage, &[(NAME, &one)], 1).await, Some(1));
    assert_eq!(read(&stage, &[(NAME, &two)], 1).await, Some(1));
}

#[tokio::test]
async fn a_token_of_one_realm_opens_nothing_in_another() {
    let stage = Stage::memory();
    let apps = [
        stage.layer(),
        stage
            .builder()
            .with_realm("shop-staging")
            .build()
            .expect("it is valid"),
        stage
            .builder()
            .with_cookie(CookieConfig::new("id"))
            .build()
            .unwrap(),
        stage
            .builder()
            .with_realm("shop")
            .with_cookie(CookieConfig::new("id"))
            .build()
            .unwrap(),
    ];
    for (index, layer) in apps.iter().enumerate() {
        let mut browser = stage.browser_of(layer.clone());
        browser
            .act(|session| async move { session.insert("n", 1) })
            .await;
        let token = browser
            .cookie()
            .or(browser.cookie_named("id"))
            .unwrap()
            .to_owned();
        for (other, layer) in apps.iter().enumerate() {
            let mut visitor = stage.browser_of(layer.clone());
            visitor.add_cookie(NAME, token.clone());
            visitor.add_cookie("id", token.clone());
            assert_eq!(visitor.read().await.is_some(), index == other);
        }
        let mut intruder = stage.browser_of(apps[(index + 1) % 4].clone());
        intruder.add_cookie(NAME, token.clone());
        intruder.add_cookie("id", token);
        intruder
            .act(|session| async move { session.destroy().await.map(|_| ()) })
            .await;
        assert_eq!(browser.read().await, Some(1), "nor does it end anything");
    }
}

fn sealed(stage: &Stage, config: CookieConfig) -> axum::Router {
    app(stage.builder().with_cookie(config).build().unwrap())
}

#[tokio::test]
async fn sealed_cookies_open_by_listed_keys_and_nothing_else_costs_a_command() {
    let [new, old] = [(); 2].map(|()| SealKey::generate().unwrap());
    type Seal = fn(CookieConfig, Vec<SealKey>) -> CookieConfig;
    let seals: [Seal; 2] = [CookieConfig::signed, CookieConfig::encrypted];
    for seal in seals {
        let stage = Stage::memory();
        let on = |keys: &[&SealKey]| {
            let keys = keys.iter().map(|&key| key.clone()).collect();
            sealed(&stage, seal(CookieConfig::default(), keys))
        };
        let before = stage.with_session(Browser::new(on(&[&old]))).await;
        let mut rotated = before.on(on(&[&new, &old]));
        assert_eq!(
            rotated.read().await,
            Some(1),
            "a retired key opens while it is listed"
        );
        let answer = rotated.act(|session| async move { session.renew() }).await;
        assert_eq!(answer.effect(), Effect::Set);
        stage.forget();
        assert_eq!(
            rotated.on(on(&[&new])).read().await,
            Some(1),
            "the first key seals"
        );
        assert_eq!(stage.store.take_verbs(), [Load]);
        let refused = [
            rotated.on(on(&[&old])),
            before.on(on(&[&new])),
            rotated.on(app(stage.layer())),
            stage.signed_in().await.on(on(&[&new, &old])),
        ];
        for mut browser in refused {
            assert_eq!(browser.read().await, None);
            assert_eq!(stage.store.take_verbs(), []);
        }
    }
}

#[tokio::test]
async fn one_session_in_two_encrypted_cookies_is_one() {
    let stage = Stage::memory();
    let config = CookieConfig::default().encrypted([SealKey::generate().unwrap()]);
    let mut browser = stage
        .with_session(Browser::new(sealed(&stage, config)))
        .await;
    let first = browser.cookie().unwrap().to_owned();
    let remember = Expiry::idle(days(1)).absolute(days(2));
    browser
        .act(move |session| async move { session.set_expiry(remember) })
        .await;
    assert_ne!(
        browser.cookie(),
        Some(&*first),
        "each sealing draws a nonce"
    );
    browser.add_cookie(NAME, first);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn a_cookie_that_opens_nothing_is_replaced_by_a_write_alone() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    browser.add_cookie(NAME, "broken");
    assert_eq!(browser.read().await, None);
    assert_eq!(browser.cookie(), Some("broken"));
    let answer = browser
        .act(|session| async move { session.insert("n", 1) })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
    let answer = browser
        .act(|session| async move { session.insert("n", 2) })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
}
