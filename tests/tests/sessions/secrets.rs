//! Nothing that a browser could present, and nothing that a session holds, is ever printed.

use std::fmt::Write;

use cloakroom::testing::TestSession;
use cloakroom::{CookieConfig, Expiry, Key, SealKey, Session, SessionError, days};
use cloakroom_core::{Realm, StoreErrorKind, Token};
use tests::app::{Stage, app};
use tests::browser::Browser;
use tests::faults::Fault::{LoseCommand, Refuse};
use tests::faults::Verb::{Load, Touch, Update};
use tests::log::Log;
use tower::{Layer, service_fn};

const VALUE: &str = "a-value-that-nobody-must-see";

/// Checks that no token is in a text, neither whole nor its secret half, and no value.
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
    let stage = Stage::memory();
    let mut browser = stage.browser();
    browser.act(put).await;
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

    let layer = stage.layer();
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
    let loaded = cloakroom::Store::load(&stage.store, parsed.id())
        .await
        .unwrap();
    write!(text, "{loaded:?} {:?}", stage.store.inner()).unwrap();
    write!(text, "{:?}", Key::<u32>::new("n")).unwrap();
    holds_no_secret(&text, &[token, other]);
}

#[tokio::test]
async fn debug_of_a_configuration_shows_no_key() {
    let secret = b"a secret of the deployment, thirty-two bytes or more";
    let key = SealKey::derived_from(secret).unwrap();
    let config = CookieConfig::default().signed([key.clone()]);
    let layer = Stage::memory()
        .builder()
        .with_cookie(config.clone())
        .build()
        .unwrap();
    let text = format!("{key:?} {config:?} {layer:?}");
    assert!(text.contains("SealKey(..)"));
    assert!(!text.contains("a secret of"));
    assert!(!text.contains(&format!("{:?}", &secret[..4])[1..12]));
}

#[tokio::test]
async fn set_cookie_is_marked_as_sensitive() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let answer = browser.act(put).await;
    let header = &answer.headers[http::header::SET_COOKIE];
    assert!(header.is_sensitive());
    holds_no_secret(
        &format!("{:?}", answer.headers),
        &[browser.cookie().unwrap().to_owned()],
    );
}

/// Everything that can happen to a session, told to the log at every level.
#[tokio::test]
async fn the_log_tells_the_whole_life_and_holds_no_secret() {
    let log = Log::keep();
    let stage = Stage::memory();
    let mut tokens = Vec::new();
    let mut note = |browser: &Browser| tokens.extend(browser.cookie().map(str::to_owned));

    let mut browser = stage.browser();
    browser.act(put).await;
    note(&browser);
    let mut stale = browser.clone();
    browser.act(|session| async move { session.renew() }).await;
    note(&browser);
    stale.act(put).await;

    for fault in [Refuse(StoreErrorKind::Unavailable), LoseCommand] {
        stage.store.next(Update, fault);
        browser
            .act(|session| async move { session.insert("other", VALUE) })
            .await;
    }
    stage.store.next(Load, Refuse(StoreErrorKind::Unreadable));
    browser.act(|_| async { Ok(()) }).await;
    stage.store.next(Load, Refuse(StoreErrorKind::Unavailable));
    browser.act(|_| async { Ok(()) }).await;
    stage.clock.advance(cloakroom::hours(3));
    stage.store.next(Touch, Refuse(StoreErrorKind::OutOfMemory));
    browser.act(|_| async { Ok(()) }).await;

    let mut other = browser.clone();
    let over = |session: Session| async move {
        session.insert("secret", 1)?;
        other
            .act(|session| async move { session.insert("secret", 2) })
            .await;
        Ok(())
    };
    browser.act(over).await;
    let mut other = browser.clone();
    let ended = |session: Session| async move {
        session.insert("secret", VALUE)?;
        other.act(destroy).await;
        Ok(())
    };
    browser.act(ended).await;

    let mut expiring = stage.browser();
    expiring.act(put).await;
    note(&expiring);
    stage
        .clock
        .advance(days(1) - std::time::Duration::from_secs(1));
    let strict = stage
        .builder()
        .with_expiry(Expiry::idle(days(1) / 2))
        .build()
        .unwrap();
    expiring.on(app(strict)).act(|_| async { Ok(()) }).await;
    stage.clock.advance(days(2));
    expiring.act(|_| async { Ok(()) }).await;

    for told in [
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
        assert!(log.count(told) >= 1, "{told}\n{}", log.text());
    }
    assert_eq!(tokens.len(), 3);
    holds_no_secret(&log.text(), &tokens);
}
