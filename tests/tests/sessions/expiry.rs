//! Idle and absolute timeouts, with a manual clock.

use std::time::Duration;

use cloakroom::{Expiry, SessionErrorKind, days, hours, minutes};
use cloakroom_core::{Clock, Limits};
use http::StatusCode;
use tests::app::{Fixture, app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb::{self, Create, End, Load, Touch, Update};
use tests::log::Log;

const SECOND: Duration = Duration::from_secs(1);

/// Idle 10 minutes, absolute 2 hours.
fn rule() -> Expiry {
    Expiry::idle(minutes(10)).absolute(hours(2))
}

async fn begin(fixture: &Fixture, rule: Expiry) -> Browser {
    let layer = fixture
        .builder()
        .with_expiry(rule)
        .build()
        .expect("it can be kept");
    fixture.with_session(fixture.browser_of(layer)).await
}

/// The same browser, with the app under another rule.
fn under(fixture: &Fixture, browser: &Browser, rule: Expiry) -> Browser {
    browser.on(app(fixture
        .builder()
        .with_expiry(rule)
        .build()
        .expect("it can be kept")))
}

#[tokio::test]
async fn an_idle_session_expires() {
    for (idle, alive) in [(minutes(10) - SECOND, true), (minutes(10), false)] {
        let fixture = Fixture::memory();
        let mut browser = begin(&fixture, rule()).await;
        fixture.clock.advance(idle);
        assert_eq!(browser.read().await.is_some(), alive, "{idle:?}");
    }
}

#[tokio::test]
async fn an_expiry_is_logged_once_and_an_edit_creates_a_new_session() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    // The app has a stricter expiry now; the store still has the record.
    browser = under(&fixture, &browser, Expiry::idle(minutes(1)));
    fixture.clock.advance(minutes(1) + Limits::CLOCK_TOLERANCE);
    let stale = browser.cookie().unwrap().to_owned();
    let response = browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    fixture.assert_response(&response, 200, &[Load, Create], CookieChange::Set);
    assert_ne!(browser.cookie(), Some(&*stale));
    assert_eq!(log.count("session expired"), 1);
}

#[tokio::test]
async fn use_keeps_a_session_alive_until_its_absolute_deadline() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    for round in 0..14 {
        fixture.clock.advance(minutes(8));
        let response = match round % 4 {
            0 => browser.request(|_| async { Ok(()) }).await,
            1 => {
                browser
                    .request(|session| async move { session.insert("m", 1) })
                    .await
            }
            2 => {
                browser
                    .request(|session| async move { session.renew() })
                    .await
            }
            _ => {
                browser
                    .request(|session| async move { session.remove("m") })
                    .await
            }
        };
        assert!(response.status.is_success());
        assert_eq!(browser.read().await, Some(1), "{round}");
    }
    fixture.clock.advance(minutes(8) - SECOND);
    assert_eq!(browser.read().await, Some(1));
    fixture.clock.advance(SECOND);
    assert_eq!(browser.read().await, None, "two hours are over");
}

#[tokio::test]
async fn no_kind_of_use_moves_the_deadline() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    let deadline = fixture.clock.now().plus(hours(2)).into();
    fixture.clock.advance(minutes(5));
    let response = browser
        .request(move |session| async move {
            assert_eq!(session.deadline(), Some(deadline));
            session.insert("m", 1)?;
            session.save().await?;
            assert_eq!(session.deadline(), Some(deadline));
            session.renew()?;
            session.save().await?;
            assert_eq!(session.deadline(), Some(deadline));
            Ok(())
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Update, Create, End],
        CookieChange::Set,
    );
}

#[tokio::test]
async fn last_seen_is_updated_only_when_due() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    let read = async |browser: &mut Browser, verbs: &[Verb]| {
        assert_eq!(browser.read().await, Some(1));
        assert_eq!(fixture.store.take_verbs(), verbs);
    };
    fixture.clock.advance(minutes(1) - Duration::from_millis(1));
    read(&mut browser, &[Load]).await;
    fixture.clock.advance(Duration::from_millis(1));
    read(&mut browser, &[Load, Touch]).await;
    read(&mut browser, &[Load]).await;
    // A save updates last-seen, too.
    fixture.clock.advance(minutes(2));
    let response = browser
        .request(|session| async move { session.insert("m", 1) })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    read(&mut browser, &[Load]).await;
    // A request that does not load the session does not use it.
    fixture.clock.advance(minutes(2));
    let response = browser.lazy(|_| async { Ok(()) }).await;
    fixture.assert_session_unused(&response);
}

#[tokio::test]
async fn a_session_expires_after_nine_to_ten_tenths_of_its_idle_timeout() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    // Used just before a touch was due: last-seen was not updated.
    fixture.clock.advance(minutes(1) - SECOND);
    browser.read().await;
    fixture.clock.advance(minutes(9));
    assert_eq!(browser.read().await, Some(1));
    fixture.clock.advance(minutes(1) - SECOND);
    browser.read().await;
    fixture.clock.advance(minutes(9) + SECOND);
    assert_eq!(browser.read().await, None);
}

#[tokio::test]
async fn a_session_can_have_its_own_expiry() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    fixture.clock.advance(minutes(5));
    let remembered = Expiry::idle(days(10)).absolute(days(30));
    let deadline = fixture.clock.now().plus(days(30)).into();
    let idle = fixture.clock.now().plus(days(10)).into();
    browser
        .request(move |session| async move {
            session.set_expiry(remembered)?;
            assert_eq!(session.deadline(), Some(deadline));
            session.save().await?;
            assert_eq!(session.deadline(), Some(deadline));
            assert_eq!(session.expires_at(), Some(idle));
            Ok(())
        })
        .await;
    for _ in 0..3 {
        fixture.clock.advance(days(10) - SECOND);
        assert_eq!(browser.read().await, Some(1));
    }
    fixture.clock.advance(3 * SECOND);
    assert_eq!(browser.read().await, None, "thirty days are over");
}

#[tokio::test]
async fn a_chosen_deadline_is_capped_at_the_age_limit_of_the_token() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_max_expiry(days(30))
        .build()
        .expect("it can be kept");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let taken_until = fixture.clock.now().plus(days(30));
    fixture.clock.advance(hours(12));
    let response = browser
        .request(move |session| async move {
            session.set_expiry(Expiry::idle(days(30)).absolute(days(30)))?;
            session.save().await?;
            assert_eq!(session.deadline(), Some(taken_until.into()));
            Ok(())
        })
        .await;
    assert_eq!(response.status, StatusCode::OK);
    let left = (days(30) - hours(12)).as_secs();
    assert_eq!(response.set_cookie().max_age(), Some(left));
    fixture.clock.advance(days(30) - hours(12) - SECOND);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn only_a_renewal_with_reset_expiry_moves_the_deadline() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    let first_deadline = fixture.clock.now().plus(hours(2));
    fixture.clock.advance(minutes(9));
    let reset = browser
        .request(move |session| async move {
            session.reset_expiry()?;
            session.save().await?;
            assert_eq!(session.deadline(), Some(first_deadline.into()));
            Ok(())
        })
        .await;
    assert_eq!(
        (reset.status, reset.set_cookie().max_age()),
        (StatusCode::OK, None)
    );

    let fresh_deadline = fixture.clock.now().plus(hours(2));
    let signed_in = browser
        .request(move |session| async move {
            session.renew()?;
            session.reset_expiry()?;
            session.save().await?;
            assert_eq!(session.deadline(), Some(fresh_deadline.into()));
            Ok(())
        })
        .await;
    assert_eq!(signed_in.status, StatusCode::OK);
}

#[tokio::test]
async fn reset_expiry_takes_back_a_chosen_expiry() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    browser
        .request(
            |session| async move { session.set_expiry(Expiry::idle(days(7)).absolute(days(30))) },
        )
        .await;
    let response = browser
        .request(|session| async move {
            session.renew()?;
            session.reset_expiry()
        })
        .await;
    assert_eq!(
        response.set_cookie().max_age(),
        None,
        "until the browser closes"
    );
    fixture.clock.advance(minutes(10));
    assert_eq!(browser.read().await, None);
}

#[tokio::test]
async fn an_expiry_longer_than_the_maximum_is_rejected() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_max_expiry(days(30)).build().unwrap();
    let response = fixture
        .browser_of(layer)
        .request(|session| async move {
            session.insert("n", 1)?;
            let kind = SessionErrorKind::InvalidExpiry;
            let choose = |idle, absolute| session.set_expiry(Expiry::idle(idle).absolute(absolute));
            assert_eq!(choose(days(1), days(31)).unwrap_err().kind(), kind);
            assert_eq!(choose(Duration::ZERO, days(3)).unwrap_err().kind(), kind);
            assert_eq!(choose(days(4), days(3)).unwrap_err().kind(), kind);
            choose(days(1), days(30))
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
}

#[tokio::test]
async fn a_stricter_rule_takes_effect_at_once() {
    let fixture = Fixture::memory();
    let browser = begin(&fixture, rule()).await;
    fixture.clock.advance(minutes(3));
    let idle = Expiry::idle(minutes(2)).absolute(hours(2));
    assert_eq!(under(&fixture, &browser, idle).read().await, None);
    let absolute = Expiry::idle(minutes(3)).absolute(minutes(3));
    assert_eq!(under(&fixture, &browser, absolute).read().await, None);
    let neither = Expiry::idle(minutes(4)).absolute(minutes(4));
    assert_eq!(under(&fixture, &browser, neither).read().await, Some(1));
}

#[tokio::test]
async fn a_stricter_rule_does_not_affect_sessions_with_their_own_expiry() {
    let fixture = Fixture::memory();
    let mut browser = begin(&fixture, rule()).await;
    let remembered = Expiry::idle(days(10)).absolute(days(30));
    browser
        .request(move |session| async move { session.set_expiry(remembered) })
        .await;
    fixture.clock.advance(days(1));
    let strict = Expiry::idle(minutes(1)).absolute(minutes(2));
    let mut browser = under(&fixture, &browser, strict);
    assert_eq!(browser.read().await, Some(1));
    fixture.clock.advance(days(9));
    assert_eq!(
        browser.read().await,
        Some(1),
        "the touch kept it alive by its own rule"
    );
}

#[tokio::test]
async fn a_looser_rule_gives_more_idle_time_from_the_next_use_and_no_later_deadline() {
    let fixture = Fixture::memory();
    let browser = begin(&fixture, rule()).await;
    let loose = Expiry::idle(hours(1)).absolute(days(1));
    let mut browser = under(&fixture, &browser, loose);
    fixture.clock.advance(minutes(9));
    assert_eq!(browser.read().await, Some(1));
    assert_eq!(fixture.store.take_verbs(), [Load, Touch]);
    fixture.clock.advance(minutes(50));
    assert_eq!(browser.read().await, Some(1));
    fixture.clock.advance(minutes(50));
    assert_eq!(browser.read().await, Some(1));
    fixture.clock.advance(minutes(11));
    assert_eq!(browser.read().await, None, "it began under two hours");
}
