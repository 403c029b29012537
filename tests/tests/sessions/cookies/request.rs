//! Which cookies of a request authenticate a session, and how many loads they cost.

use cloakroom::{CookieConfig, CookieKey, Expiry, SessionLayer, days, hours};
use cloakroom_core::{Clock, SystemRng, Timestamp, Token};
use tests::app::{Fixture, app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb::{Create, Load, Update};
use tests::log::Log;

const NAME: &str = CookieConfig::DEFAULT_NAME;

/// Reads `n` with these cookies; also checks how many loads that costs.
async fn read(fixture: &Fixture, cookies: &[(&str, &str)], loads: usize) -> Option<u32> {
    let mut browser = fixture.browser();
    for &(name, value) in cookies {
        browser.add_cookie(name, value);
    }
    fixture.clear_verbs();
    let n = browser.read().await;
    assert_eq!(fixture.store.take_verbs(), vec![Load; loads], "{cookies:?}");
    n
}

#[tokio::test]
async fn malformed_tokens_cost_no_command() {
    let fixture = Fixture::memory();
    let good = fixture
        .browser_with_session()
        .await
        .cookie()
        .unwrap()
        .to_owned();
    assert_eq!(read(&fixture, &[(NAME, &good)], 1).await, Some(1));
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
        assert_eq!(read(&fixture, &[(NAME, value)], 0).await, None);
    }
    for name in [
        "__host-http-id",
        "__Host-Http-Id",
        "__Host-id",
        "id",
        "%5F_Host-Http-id",
        "",
    ] {
        assert_eq!(read(&fixture, &[(name, &good)], 0).await, None);
    }
}

#[tokio::test]
async fn a_token_older_than_the_maximum_costs_no_command() {
    let fixture = Fixture::memory();
    let rule = Expiry::idle(hours(1)).absolute(days(1));
    let builder = fixture.builder().with_expiry(rule).with_max_expiry(days(2));
    let layer = builder.build().unwrap();
    let issued = |ago| {
        let now = fixture.clock.now().as_millis();
        let moment = Timestamp::from_millis(now - ago);
        Token::issue(moment, &SystemRng).unwrap().encode()
    };
    let two_days = u64::try_from(days(2).as_millis()).unwrap();
    for (ago, verbs) in [(two_days, &[Load][..]), (two_days + 1, &[])] {
        let mut browser = fixture.browser_of(layer.clone());
        browser.add_cookie(NAME, issued(ago));
        assert_eq!(browser.read().await, None);
        assert_eq!(fixture.store.take_verbs(), verbs);
    }
    // One from a little in the future, by another server's clock, is as good as one from now.
    let ahead = Timestamp::from_millis(fixture.clock.now().as_millis() + 3000);
    let clock = cloakroom_core::ManualClock::at(ahead);
    let other_server = SessionLayer::builder(fixture.store.clone())
        .with_clock(clock)
        .build()
        .expect("it is valid");
    let browser = fixture.with_session(Browser::new(app(other_server))).await;
    assert_eq!(browser.on(app(layer)).read().await, Some(1));
}

#[tokio::test]
async fn of_a_live_and_an_ended_session_the_live_one_is_used() {
    let fixture = Fixture::memory();
    let live = fixture
        .browser_with_session()
        .await
        .cookie()
        .unwrap()
        .to_owned();
    let mut gone = fixture.browser_with_session().await;
    let ended = gone.cookie().unwrap().to_owned();
    gone.request(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    let unknown = Token::issue(fixture.clock.now(), &SystemRng)
        .unwrap()
        .encode();
    for dead in [&ended, &unknown] {
        assert_eq!(
            read(&fixture, &[(NAME, dead), (NAME, &live)], 2).await,
            Some(1)
        );
        assert_eq!(
            read(&fixture, &[(NAME, &live), (NAME, dead)], 2).await,
            Some(1)
        );
    }
    assert_eq!(
        read(&fixture, &[(NAME, "broken"), (NAME, &live)], 1).await,
        Some(1)
    );
    assert_eq!(
        read(&fixture, &[(NAME, &live), (NAME, &live)], 1).await,
        Some(1)
    );
    assert_eq!(
        read(&fixture, &[(NAME, &ended), (NAME, &unknown)], 2).await,
        None
    );
    // At most eight cookies are looked up.
    let unknown: Vec<_> = (0..7)
        .map(|_| Token::issue(fixture.clock.now(), &SystemRng).unwrap())
        .map(|token| token.encode())
        .collect();
    let mut cookies: Vec<_> = unknown.iter().map(|token| (NAME, &**token)).collect();
    cookies.push((NAME, &live));
    assert_eq!(read(&fixture, &cookies, 8).await, Some(1));
    cookies.insert(0, (NAME, &ended));
    assert_eq!(read(&fixture, &cookies, 8).await, None);
}

#[tokio::test]
async fn of_two_live_sessions_neither_is_trusted_and_it_is_logged() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let one = fixture
        .browser_with_session()
        .await
        .cookie()
        .unwrap()
        .to_owned();
    let two = fixture
        .browser_with_session()
        .await
        .cookie()
        .unwrap()
        .to_owned();
    assert_eq!(read(&fixture, &[(NAME, &one), (NAME, &two)], 2).await, None);
    assert_eq!(log.count("both are ignored"), 1);
    for token in [&one, &two] {
        let id = Token::parse(token).unwrap().id().to_string();
        assert!(log.text().contains(&id));
        assert!(!log.text().contains(&token[22..]));
    }
    // Each session stays valid on its own.
    assert_eq!(read(&fixture, &[(NAME, &one)], 1).await, Some(1));
    assert_eq!(read(&fixture, &[(NAME, &two)], 1).await, Some(1));
}

#[tokio::test]
async fn a_token_is_valid_in_its_own_realm_only() {
    let fixture = Fixture::memory();
    let apps = [
        fixture.layer(),
        fixture
            .builder()
            .with_realm("shop-staging")
            .build()
            .expect("it is valid"),
        fixture
            .builder()
            .with_cookie(CookieConfig::new("id"))
            .build()
            .unwrap(),
        fixture
            .builder()
            .with_realm("shop")
            .with_cookie(CookieConfig::new("id"))
            .build()
            .unwrap(),
    ];
    for (index, layer) in apps.iter().enumerate() {
        let mut browser = fixture.browser_of(layer.clone());
        browser
            .request(|session| async move { session.insert("n", 1) })
            .await;
        let token = browser
            .cookie()
            .or(browser.cookie_named("id"))
            .unwrap()
            .to_owned();
        for (other, layer) in apps.iter().enumerate() {
            let mut other_browser = fixture.browser_of(layer.clone());
            other_browser.add_cookie(NAME, token.clone());
            other_browser.add_cookie("id", token.clone());
            assert_eq!(other_browser.read().await.is_some(), index == other);
        }
        let mut attacker = fixture.browser_of(apps[(index + 1) % 4].clone());
        attacker.add_cookie(NAME, token.clone());
        attacker.add_cookie("id", token);
        attacker
            .request(|session| async move { session.destroy().await.map(|_| ()) })
            .await;
        assert_eq!(browser.read().await, Some(1), "it does not end the session");
    }
}

fn sealed(fixture: &Fixture, config: CookieConfig) -> axum::Router {
    app(fixture.builder().with_cookie(config).build().unwrap())
}

#[tokio::test]
async fn sealed_cookies_need_a_listed_key_and_others_cost_no_command() {
    let [new, old] = [(); 2].map(|()| CookieKey::generate().unwrap());
    type Seal = fn(CookieConfig, Vec<CookieKey>) -> CookieConfig;
    let seals: [Seal; 2] = [CookieConfig::signed, CookieConfig::encrypted];
    for seal in seals {
        let fixture = Fixture::memory();
        let on = |keys: &[&CookieKey]| {
            let keys = keys.iter().map(|&key| key.clone()).collect();
            sealed(&fixture, seal(CookieConfig::default(), keys))
        };
        let before = fixture.with_session(Browser::new(on(&[&old]))).await;
        let mut rotated = before.on(on(&[&new, &old]));
        assert_eq!(
            rotated.read().await,
            Some(1),
            "an old key is valid while it is listed"
        );
        let response = rotated
            .request(|session| async move { session.renew() })
            .await;
        assert_eq!(response.cookie_change(), CookieChange::Set);
        fixture.clear_verbs();
        assert_eq!(
            rotated.on(on(&[&new])).read().await,
            Some(1),
            "the first key is used for new cookies"
        );
        assert_eq!(fixture.store.take_verbs(), [Load]);
        let refused = [
            rotated.on(on(&[&old])),
            before.on(on(&[&new])),
            rotated.on(app(fixture.layer())),
            fixture.browser_with_session().await.on(on(&[&new, &old])),
        ];
        for mut browser in refused {
            assert_eq!(browser.read().await, None);
            assert_eq!(fixture.store.take_verbs(), []);
        }
    }
}

#[tokio::test]
async fn two_encrypted_cookies_of_one_session_count_as_one() {
    let fixture = Fixture::memory();
    let config = CookieConfig::default().encrypted([CookieKey::generate().unwrap()]);
    let mut browser = fixture
        .with_session(Browser::new(sealed(&fixture, config)))
        .await;
    let first = browser.cookie().unwrap().to_owned();
    let remember = Expiry::idle(days(1)).absolute(days(2));
    browser
        .request(move |session| async move { session.set_expiry(remember) })
        .await;
    assert_ne!(
        browser.cookie(),
        Some(&*first),
        "each encryption uses a new nonce"
    );
    browser.add_cookie(NAME, first);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn an_invalid_cookie_is_replaced_only_by_a_write() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    browser.add_cookie(NAME, "broken");
    assert_eq!(browser.read().await, None);
    assert_eq!(browser.cookie(), Some("broken"));
    let response = browser
        .request(|session| async move { session.insert("n", 1) })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
    let response = browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
}
