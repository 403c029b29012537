//! Rows in which nothing is written.

use std::time::Duration;

use cloakroom::{CookieConfig, Expiry, Store, days};
use cloakroom_core::{Clock, SystemEntropy, Timestamp, Token};
use tests::app::Stage;
use tests::browser::{Browser, Effect};
use tests::faults::Verb::{Create, Load, Touch, Update};

crate::rows! {
    none_and_not_asked_for,
    none_and_only_read,
    a_good_one_and_not_asked_for,
    a_good_one_read,
    a_good_one_read_when_a_touch_is_due,
    one_that_opens_nothing_read_and_written,
    one_that_costs_no_command_read_and_written,
    an_expired_one_read_and_written,
    a_tombstone_read_and_written,
    a_tombstone_and_an_explicit_sign_in,
}

async fn none_and_not_asked_for<S: Store + Clone>(stage: Stage<S>) {
    let answer = stage.browser().lazy(|_| async { Ok(()) }).await;
    stage.expect_untouched(&answer);
}

async fn none_and_only_read<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.browser();
    let answer = browser
        .act(|session| async move {
            assert!(session.keys().is_empty() && !session.contains("n"));
            assert_eq!(session.get::<u32>("n")?, None);
            assert_eq!(session.take::<u32>("n")?, None);
            session.remove("n")?;
            session.clear()
        })
        .await;
    stage.expect(&answer, 200, &[], Effect::Nothing);
}

async fn a_good_one_and_not_asked_for<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let answer = browser.lazy(|_| async { Ok(()) }).await;
    stage.expect_untouched(&answer);
}

async fn a_good_one_read<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.get::<u32>("n")?, Some(1));
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load], Effect::Nothing);
}

async fn a_good_one_read_when_a_touch_is_due<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    stage.clock.advance(Expiry::default().idle_timeout() / 10);
    let answer = browser.act(|_| async { Ok(()) }).await;
    stage.expect(&answer, 200, &[Load, Touch], Effect::Nothing);
    let answer = browser.act(|_| async { Ok(()) }).await;
    stage.expect(&answer, 200, &[Load], Effect::Nothing);
}

/// A browser with this cookie alone.
fn with_cookie<S: Store + Clone>(stage: &Stage<S>, value: &str) -> Browser {
    let mut browser = stage.browser();
    browser.add_cookie(CookieConfig::DEFAULT_NAME, value);
    browser
}

/// Reads with a cookie that opens nothing, then writes with it: a fresh session begins.
async fn reads_and_writes<S: Store + Clone>(stage: &Stage<S>, cookie: &str, loads: bool) {
    stage.forget();
    let load = if loads { &[Load][..] } else { &[] };
    let mut browser = with_cookie(stage, cookie);
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.id(), None);
            assert_eq!(session.get::<u32>("n")?, None);
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, load, Effect::Nothing);
    let answer = browser
        .act(|session| async move { session.insert("n", 2) })
        .await;
    stage.expect(&answer, 200, &[load, &[Create]].concat(), Effect::Set);
    let fresh = browser.cookie().unwrap();
    assert_ne!(fresh, cookie);
    let id = |text| Token::parse(text).map(|token| token.id());
    assert!(id(fresh).is_some() && id(fresh) != id(cookie));
    assert_eq!(browser.read().await, Some(2));
}

async fn one_that_opens_nothing_read_and_written<S: Store + Clone>(stage: Stage<S>) {
    let unknown = Token::issue(stage.clock.now(), &SystemEntropy).unwrap();
    reads_and_writes(&stage, &unknown.encode(), true).await;

    // Forged: the id of a live session, and another secret.
    let mut owner = stage.signed_in().await;
    let good = owner.cookie().unwrap();
    let forged = format!("{}{}", &good[..22], &unknown.encode()[22..]);
    assert!(Token::parse(&forged).is_some());
    reads_and_writes(&stage, &forged, true).await;
    assert_eq!(owner.read().await, Some(1), "the owner notices nothing");

    // A good one of another realm.
    let layer = stage
        .builder()
        .with_realm("elsewhere")
        .build()
        .expect("it is valid");
    let other = stage.with_session(stage.browser_of(layer)).await;
    reads_and_writes(&stage, other.cookie().unwrap(), true).await;
}

async fn one_that_costs_no_command_read_and_written<S: Store + Clone>(stage: Stage<S>) {
    reads_and_writes(&stage, "malformed", false).await;
    reads_and_writes(&stage, &"A".repeat(43), false).await;
    let now = stage.clock.now().as_millis();
    let ago = u64::try_from(days(401).as_millis()).unwrap();
    let over_age = Token::issue(Timestamp::from_millis(now - ago), &SystemEntropy).unwrap();
    reads_and_writes(&stage, &over_age.encode(), false).await;
}

async fn an_expired_one_read_and_written<S: Store + Clone>(stage: Stage<S>) {
    let browser = stage.signed_in().await;
    let tolerance = Duration::from_secs(6);
    stage
        .clock
        .advance(Expiry::default().idle_timeout() + tolerance);
    reads_and_writes(&stage, browser.cookie().unwrap(), true).await;
}

/// A browser whose session has just ended elsewhere.
async fn ended<S: Store + Clone>(stage: &Stage<S>) -> Browser {
    let browser = stage.signed_in().await;
    let mut elsewhere = browser.clone();
    elsewhere
        .act(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    stage.forget();
    browser
}

async fn a_tombstone_read_and_written<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = ended(&stage).await;
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.get::<u32>("n")?, None);
            session.insert("n", 2)?;
            assert_eq!(session.get::<u32>("n")?, Some(2));
            session.set_expiry(Expiry::default())?;
            session.save().await.map(|_| ())
        })
        .await;
    stage.expect(&answer, 200, &[Load], Effect::Nothing);
    assert_eq!(browser.read().await, None);
}

async fn a_tombstone_and_an_explicit_sign_in<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = ended(&stage).await;
    let stale = browser.cookie().unwrap().to_owned();
    let answer = browser
        .act(|session| async move {
            session.renew()?;
            session.insert("user", 7)
        })
        .await;
    stage.expect(&answer, 200, &[Load, Create], Effect::Set);
    assert_ne!(browser.cookie(), Some(&*stale));
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.keys(), ["user"]);
            session.insert("user", 8)
        })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
}
