//! Neither tokens nor values of entries are ever printed.

use std::fmt::Write;

use cloakroom::testing::TestSession;
use cloakroom::{CookieConfig, CookieKey, Expiry, Key, Session, SessionError, days};
use cloakroom_core::{Realm, StoreErrorKind, Token};
use tests::app::{Fixture, app};
use tests::browser::Browser;
use tests::faulty_store::Fault::{LoseCommand, Refuse};
use tests::faulty_store::Verb::{Load, Touch, Update};
use tests::log::Log;
use tower::{Layer, service_fn};

const VALUE: &str = "a-value-that-nobody-must-see";

/// Checks that a text contains no value, and no token or half of one.
fn holds_no_secret(text: &str, tokens: &[String]) {
    assert!(!text.contains(VALUE), "{text}");
    assert!(!tokens.is_empty());
    for token in tokens {
        assert!(!text.contains(&token[22..]), "{text}");
        assert!(!text.contains(&token[..21]), "{text}");
    }
}

async fn put(session: Session) -> Result<(), SessionError> {
    session.insert("secret", VALUE)
}

async fn destroy(session: Session) -> Result<(), SessionError> {
    session.destroy().await.map(|_| ())
}

#[tokio::test]
async fn debug_shows_neither_tokens_nor_values() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    browser.request(put).await;
    let mut text = String::new();
    let debug = browser
        .lazy(|lazy| async move {
            let mut text = format!("{lazy:?}");
            let session = lazy.load().await?;
            session.insert("other", VALUE)?;
            let detached = session.detach()?;
            write!(text, "{lazy:?} {session:?} {detached:?}").expect("a string takes it");
            Ok(text)
        })
        .await;
    assert!(debug.text().contains("\"secret\""), "keys are shown");
    text.push_str(debug.text());
    let token = browser.cookie().unwrap().to_owned();
    let parsed = Token::parse(&token).unwrap();
    assert!(
        debug.text().contains(&parsed.id().to_string()),
        "and the public id"
    );

    let layer = fixture.layer();
    let test_session = TestSession::begin(&layer, |session| session.insert("n", VALUE))
        .await
        .unwrap();
    let other = test_session
        .cookie()
        .to_str()
        .unwrap()
        .split_once('=')
        .unwrap()
        .1
        .to_owned();
    let service = layer.layer(service_fn(|_: http::Request<()>| async {
        Ok::<_, ()>(http::Response::new(()))
    }));
    let realm = Realm::new("shop");
    write!(text, "{layer:?} {:?} {test_session:?}", layer.layer(())).unwrap();
    drop(service);
    write!(text, "{parsed:?} {realm:?} {:?}", realm.digest(&parsed)).unwrap();
    write!(text, "{:?}", test_session.cookie()).unwrap();
    let loaded = cloakroom::Store::load(&fixture.store, parsed.id())
        .await
        .unwrap();
    write!(text, "{loaded:?} {:?}", fixture.store.inner()).unwrap();
    write!(text, "{:?}", Key::<u32>::new("n")).unwrap();
    holds_no_secret(&text, &[token, other]);
}

#[tokio::test]
async fn debug_of_a_configuration_shows_no_key() {
    let secret = b"a secret of the deployment, thirty-two bytes or more";
    let key = CookieKey::derived_from(secret).unwrap();
    let config = CookieConfig::default().signed([key.clone()]);
    let layer = Fixture::memory()
        .builder()
        .with_cookie(config.clone())
        .build()
        .unwrap();
    let text = format!("{key:?} {config:?} {layer:?}");
    assert!(text.contains("CookieKey(..)"));
    assert!(!text.contains("a secret of"));
    assert!(!text.contains(&format!("{:?}", &secret[..4])[1..12]));
}

#[tokio::test]
async fn set_cookie_is_marked_as_sensitive() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let response = browser.request(put).await;
    let header = &response.headers[http::header::SET_COOKIE];
    assert!(header.is_sensitive());
    holds_no_secret(
        &format!("{:?}", response.headers),
        &[browser.cookie().unwrap().to_owned()],
    );
}

/// Everything that can happen to a session, logged at every level.
#[tokio::test]
async fn the_log_covers_the_whole_lifecycle_and_holds_no_secret() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let mut tokens = Vec::new();
    let mut note = |browser: &Browser| tokens.extend(browser.cookie().map(str::to_owned));

    let mut browser = fixture.browser();
    browser.request(put).await;
    note(&browser);
    let mut stale = browser.clone();
    browser
        .request(|session| async move { session.renew() })
        .await;
    note(&browser);
    stale.request(put).await;

    for fault in [Refuse(StoreErrorKind::Unavailable), LoseCommand] {
        fixture.store.next(Update, fault);
        browser
            .request(|session| async move { session.insert("other", VALUE) })
            .await;
    }
    fixture.store.next(Load, Refuse(StoreErrorKind::Unreadable));
    browser.request(|_| async { Ok(()) }).await;
    fixture
        .store
        .next(Load, Refuse(StoreErrorKind::Unavailable));
    browser.request(|_| async { Ok(()) }).await;
    fixture.clock.advance(cloakroom::hours(3));
    fixture
        .store
        .next(Touch, Refuse(StoreErrorKind::OutOfMemory));
    browser.request(|_| async { Ok(()) }).await;

    let mut other = browser.clone();
    let over = |session: Session| async move {
        session.insert("secret", 1)?;
        other
            .request(|session| async move { session.insert("secret", 2) })
            .await;
        Ok(())
    };
    browser.request(over).await;
    let mut other = browser.clone();
    let ended = |session: Session| async move {
        session.insert("secret", VALUE)?;
        other.request(destroy).await;
        Ok(())
    };
    browser.request(ended).await;

    let mut expiring = fixture.browser();
    expiring.request(put).await;
    note(&expiring);
    fixture
        .clock
        .advance(days(1) - std::time::Duration::from_secs(1));
    let strict = fixture
        .builder()
        .with_expiry(Expiry::idle(days(1) / 2))
        .build()
        .unwrap();
    expiring.on(app(strict)).request(|_| async { Ok(()) }).await;
    fixture.clock.advance(days(2));
    expiring.request(|_| async { Ok(()) }).await;

    for event in [
        "session created",
        "session renewed",
        "session ended",
        "token of an ended session presented",
        "session ended concurrently",
        "failed to save the session",
        "failed to load the session",
        "stored session cannot be read",
        "failed to update last-seen",
        "overwrote a concurrent change",
        "session expired",
        "unknown token presented",
    ] {
        assert!(log.count(event) >= 1, "{event}\n{}", log.text());
    }
    assert_eq!(tokens.len(), 3);
    holds_no_secret(&log.text(), &tokens);
}
