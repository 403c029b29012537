//! Idle and absolute expiry, by a clock that the test moves.

use std::time::Duration;

use cloakroom::{Expiry, SessionErrorKind, days, hours, minutes};
use cloakroom_core::{Clock, Limits};
use http::StatusCode;
use tests::app::{Stage, app};
use tests::browser::{Browser, Effect};
use tests::faults::Verb::{self, Create, End, Load, Touch, Update};
use tests::log::Log;

const SECOND: Duration = Duration::from_secs(1);

/// Idle 10 minutes, absolute 2 hours.
fn rule() -> Expiry {
    Expiry::idle(minutes(10)).absolute(hours(2))
}

async fn begin(stage: &Stage, rule: Expiry) -> Browser {
    let layer = stage
        .builder()
        .with_expiry(rule)
        .build()
        .expect("it can be kept");
    stage.with_session(stage.browser_of(layer)).await
}

/// The same browser, with the app under another rule.
fn under(stage: &Stage, browser: &Browser, rule: Expiry) -> Browser {
    browser.on(app(stage
        .builder()
        .with_expiry(rule)
        .build()
        .expect("it can be kept")))
}

#[tokio::test]
async fn a_session_that_is_not_used_ends() {
    for (idle, alive) in [(minutes(10) - SECOND, true), (minutes(10), false)] {
        let stage = Stage::memory();
        let mut browser = begin(&stage, rule()).await;
        stage.clock.advance(idle);
        assert_eq!(browser.read().await.is_some(), alive, "{idle:?}");
    }
}

#[tokio::test]
async fn expiry_is_told_once_and_an_edit_begins_anew() {
    let log = Log::keep();
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    // The rule became stricter; the store still has the record.
    browser = under(&stage, &browser, Expiry::idle(minutes(1)));
    stage.clock.advance(minutes(1) + Limits::CLOCK_TOLERANCE);
    let stale = browser.cookie().unwrap().to_owned();
    let answer = browser
        .act(|session| async move { session.insert("n", 2) })
        .await;
    stage.expect(&answer, 200, &[Load, Create], Effect::Set);
    assert_ne!(browser.cookie(), Some(&*stale));
    assert_eq!(log.count("session expired"), 1);
}

#[tokio::test]
async fn use_keeps_a_session_alive_but_not_past_its_absolute_deadline() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    for round in 0..14 {
        stage.clock.advance(minutes(8));
        let answer = match round % 4 {
            0 => browser.act(|_| async { Ok(()) }).await,
            1 => {
                browser
                    .act(|session| async move { session.insert("m", 1) })
                    .await
            }
            2 => browser.act(|session| async move { session.renew() }).await,
            _ => {
                browser
                    .act(|session| async move { session.remove("m") })
                    .await
            }
        };
        assert!(answer.status.is_success());
        assert_eq!(browser.read().await, Some(1), "{round}");
    }
    stage.clock.advance(minutes(8) - SECOND);
    assert_eq!(browser.read().await, Some(1));
    stage.clock.advance(SECOND);
    assert_eq!(browser.read().await, None, "two hours are over");
}

#[tokio::test]
async fn the_deadline_is_what_it_was_after_every_kind_of_use() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    let deadline = stage.clock.now().plus(hours(2)).into();
    stage.clock.advance(minutes(5));
    let answer = browser
        .act(move |session| async move {
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
    stage.expect(&answer, 200, &[Load, Update, Create, End], Effect::Set);
}

#[tokio::test]
async fn a_use_is_written_down_only_when_due() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    let read = async |browser: &mut Browser, verbs: &[Verb]| {
        assert_eq!(browser.read().await, Some(1));
        assert_eq!(stage.store.take_verbs(), verbs);
    };
    stage.clock.advance(minutes(1) - Duration::from_millis(1));
    read(&mut browser, &[Load]).await;
    stage.clock.advance(Duration::from_millis(1));
    read(&mut browser, &[Load, Touch]).await;
    read(&mut browser, &[Load]).await;
    // A save writes it down as well.
    stage.clock.advance(minutes(2));
    let answer = browser
        .act(|session| async move { session.insert("m", 1) })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
    read(&mut browser, &[Load]).await;
    // Who does not ask for the session does not use it.
    stage.clock.advance(minutes(2));
    let answer = browser.lazy(|_| async { Ok(()) }).await;
    stage.expect_untouched(&answer);
}

#[tokio::test]
async fn a_session_lives_nine_to_ten_tenths_of_its_idle_timeout() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    // Used just before a touch was due: nothing was written down.
    stage.clock.advance(minutes(1) - SECOND);
    browser.read().await;
    stage.clock.advance(minutes(9));
    assert_eq!(browser.read().await, Some(1));
    stage.clock.advance(minutes(1) - SECOND);
    browser.read().await;
    stage.clock.advance(minutes(9) + SECOND);
    assert_eq!(browser.read().await, None);
}

#[tokio::test]
async fn a_session_has_the_expiry_that_was_chosen_for_it() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    stage.clock.advance(minutes(5));
    let remembered = Expiry::idle(days(10)).absolute(days(30));
    let deadline = stage.clock.now().plus(days(30)).into();
    let idle = stage.clock.now().plus(days(10)).into();
    browser
        .act(move |session| async move {
            session.set_expiry(remembered)?;
            assert_eq!(session.deadline(), Some(deadline));
            session.save().await?;
            assert_eq!(session.deadline(), Some(deadline));
            assert_eq!(session.expires_at(), Some(idle));
            Ok(())
        })
        .await;
    for _ in 0..3 {
        stage.clock.advance(days(10) - SECOND);
        assert_eq!(browser.read().await, Some(1));
    }
    stage.clock.advance(3 * SECOND);
    assert_eq!(browser.read().await, None, "thirty days are over");
}

#[tokio::test]
async fn a_chosen_deadline_is_no_later_than_the_token_is_taken() {
    let stage = Stage::memory();
    let layer = stage
        .builder()
        .with_max_expiry(days(30))
        .build()
        .expect("it can be kept");
    let mut browser = stage.with_session(stage.browser_of(layer)).await;
    let taken_until = stage.clock.now().plus(days(30));
    stage.clock.advance(hours(12));
    let answer = browser
        .act(move |session| async move {
            session.set_expiry(Expiry::idle(days(30)).absolute(days(30)))?;
            session.save().await?;
            assert_eq!(session.deadline(), Some(taken_until.into()));
            Ok(())
        })
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let left = (days(30) - hours(12)).as_secs();
    assert_eq!(answer.set_cookie().max_age(), Some(left));
    stage.clock.advance(days(30) - hours(12) - SECOND);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn signing_in_begins_a_new_life_and_nothing_less_does() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    let first_deadline = stage.clock.now().plus(hours(2));
    stage.clock.advance(minutes(9));
    let reset = browser
        .act(move |session| async move {
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

    let fresh_deadline = stage.clock.now().plus(hours(2));
    let signed_in = browser
        .act(move |session| async move {
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
async fn a_session_can_be_forgotten_again() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    browser
        .act(|session| async move { session.set_expiry(Expiry::idle(days(7)).absolute(days(30))) })
        .await;
    let answer = browser
        .act(|session| async move {
            session.renew()?;
            session.reset_expiry()
        })
        .await;
    assert_eq!(
        answer.set_cookie().max_age(),
        None,
        "until the browser closes"
    );
    stage.clock.advance(minutes(10));
    assert_eq!(browser.read().await, None);
}

#[tokio::test]
async fn an_expiry_longer_than_allowed_cannot_be_chosen() {
    let stage = Stage::memory();
    let layer = stage.builder().with_max_expiry(days(30)).build().unwrap();
    let answer = stage
        .browser_of(layer)
        .act(|session| async move {
            session.insert("n", 1)?;
            let kind = SessionErrorKind::InvalidExpiry;
            let choose = |idle, absolute| session.set_expiry(Expiry::idle(idle).absolute(absolute));
            assert_eq!(choose(days(1), days(31)).unwrap_err().kind(), kind);
            assert_eq!(choose(Duration::ZERO, days(3)).unwrap_err().kind(), kind);
            choose(days(1), days(30))
        })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
}

#[tokio::test]
async fn a_stricter_rule_takes_effect_at_once() {
    let stage = Stage::memory();
    let browser = begin(&stage, rule()).await;
    stage.clock.advance(minutes(3));
    let idle = Expiry::idle(minutes(2)).absolute(hours(2));
    assert_eq!(under(&stage, &browser, idle).read().await, None);
    let absolute = Expiry::idle(minutes(10)).absolute(minutes(3));
    assert_eq!(under(&stage, &browser, absolute).read().await, None);
    let neither = Expiry::idle(minutes(4)).absolute(minutes(4));
    assert_eq!(under(&stage, &browser, neither).read().await, Some(1));
}

#[tokio::test]
async fn a_stricter_rule_leaves_remembered_sessions_alone() {
    let stage = Stage::memory();
    let mut browser = begin(&stage, rule()).await;
    let remembered = Expiry::idle(days(10)).absolute(days(30));
    browser
        .act(move |session| async move { session.set_expiry(remembered) })
        .await;
    stage.clock.advance(days(1));
    let strict = Expiry::idle(minutes(1)).absolute(minutes(2));
    let mut browser = under(&stage, &browser, strict);
    assert_eq!(browser.read().await, Some(1));
    stage.clock.advance(days(9));
    assert_eq!(
        browser.read().await,
        Some(1),
        "the touch kept it alive by its own rule"
    );
}

#[tokio::test]
async fn a_looser_rule_gives_more_idle_time_from_the_next_use_and_no_later_deadline() {
    let stage = Stage::memory();
    let browser = begin(&stage, rule()).await;
    let loose = Expiry::idle(hours(1)).absolute(days(1));
    let mut browser = under(&stage, &browser, loose);
    stage.clock.advance(minutes(9));
    assert_eq!(browser.read().await, Some(1));
    assert_eq!(stage.store.take_verbs(), [Load, Touch]);
    stage.clock.advance(minutes(50));
    assert_eq!(browser.read().await, Some(1));
    stage.clock.advance(minutes(50));
    assert_eq!(browser.read().await, Some(1));
    stage.clock.advance(minutes(11));
    assert_eq!(browser.read().await, None, "it began under two hours");
}
