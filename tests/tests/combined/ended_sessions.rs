//! What a request can do with the cookie of a session that has ended, apart from what it creates.

use std::time::Duration;

use cloakroom::{CookieConfig, EndedConcurrently, Expiry, Saved, Session, SessionErrorKind};
use cloakroom_core::{SystemRng, Token};
use tests::app::{Fixture, app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb;

use super::handlers::{destroy, renew, sign_in, user};

/// A browser with the cookie of a session that has ended, of which a minute has not passed.
async fn ended(fixture: &Fixture) -> Browser {
    let mut browser = fixture.browser_with_session().await;
    let old = browser.clone();
    browser.request(destroy).await;
    fixture.clear_verbs();
    old
}

#[tokio::test]
async fn saving_to_a_session_that_has_ended_before_says_so() {
    let fixture = Fixture::memory();
    let mut old = ended(&fixture).await;
    let response = old
        .request(|session: Session| async move {
            assert!(session.needs_sign_in());
            assert_eq!(session.save().await?, Saved::Unchanged, "no edits");
            session.insert("n", 2)?;
            assert_eq!(session.save().await?, Saved::Ended);
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Verb::Load], CookieChange::Nothing);
    assert!(response.extension::<EndedConcurrently>().is_some());
}

#[tokio::test]
async fn a_request_that_may_store_needs_no_sign_in() {
    let fixture = Fixture::memory();
    let asks = |session: Session| async move { Ok(session.needs_sign_in().to_string()) };
    let mut live = fixture.browser_with_session().await;
    assert_eq!(live.request(asks).await.text(), "false");
    assert_eq!(fixture.browser().request(asks).await.text(), "false");
    let mut unknown = fixture.browser();
    let token = Token::issue(fixture_time(&fixture), &SystemRng).expect("it is drawn");
    unknown.add_cookie(CookieConfig::DEFAULT_NAME, token.encode());
    assert_eq!(unknown.request(asks).await.text(), "false");
}

fn fixture_time(fixture: &Fixture) -> cloakroom_core::Timestamp {
    cloakroom_core::Clock::now(&fixture.clock)
}

#[tokio::test]
async fn destroying_a_session_that_has_ended_reads_it_once_and_confirms_its_end() {
    let fixture = Fixture::memory();
    let mut old = ended(&fixture).await;
    let response = old.request(destroy).await;
    assert_eq!(response.text(), "AlreadyEnded");
    // To authenticate, to follow renewals, and to confirm.
    let verbs = [Verb::Load, Verb::Load, Verb::End];
    fixture.assert_response(&response, 200, &verbs, CookieChange::Nothing);
}

#[tokio::test]
async fn a_detached_session_can_be_ended_again() {
    let fixture = Fixture::memory();
    let (_browser, mut detached) = fixture.detached().await;
    assert_eq!(format!("{:?}", detached.destroy().await), "Ok(Ended)");
    fixture.clear_verbs();
    let again = detached.destroy().await;
    assert_eq!(format!("{again:?}"), "Ok(AlreadyEnded)");
    let verbs = fixture.store.take_verbs();
    assert!(verbs.contains(&Verb::End), "it is confirmed: {verbs:?}");
}

/// Two servers of a deploy that shortens the timeout: by the new one's rule the successor has expired, although
/// it is still stored.
#[tokio::test]
async fn a_successor_that_has_expired_by_the_rule_here_is_not_joined() {
    let fixture = Fixture::memory();
    let short = Expiry::idle(Duration::from_secs(20)).absolute(Duration::from_secs(3600));
    let strict = fixture.builder().with_expiry(short).build();
    let strict = app(strict.expect("it is valid"));
    let mut browser = fixture.browser_with_session().await;
    let mut old = browser.on(strict.clone());
    browser.request(sign_in).await;
    browser
        .request(|session: Session| async move { session.insert("mark", 1) })
        .await;
    fixture.clock.advance(Duration::from_secs(30));
    old.request(sign_in).await;
    let keys = |session: Session| async move { Ok(session.keys().join(" ")) };
    assert_eq!(old.request(keys).await.text(), "n", "a session of its own");
    let stale = browser.on(strict).request(keys).await;
    assert_eq!(stale.text(), "", "what has expired does not come back");
}

/// A renewal adds its new session to the index before it stores it: until then, nothing tells whose it is.
#[tokio::test]
async fn revoking_the_others_spares_a_renewal_that_is_not_stored_yet() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let sessions = layer.sessions();
    let mut other = fixture.browser_of(layer.clone());
    other.request(sign_in).await;
    let mut browser = fixture.browser_of(layer);
    browser.request(sign_in).await;
    let mut tab = browser.clone();
    let renewal = fixture.store.hold(Verb::Create);
    let renew = browser.request(renew);
    let revoke = async {
        renewal.reached().await;
        let revoke = |session: Session| async move {
            let revoked = sessions.revoke_others(&session).await?;
            Ok(revoked.to_string())
        };
        assert_eq!(tab.request(revoke).await.text(), "1");
        renewal.open();
    };
    let (response, ()) = tokio::join!(renew, revoke);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(user(&mut browser).await, "Some(UserId(ada))");
    assert_eq!(user(&mut other).await, "None");
}

/// The sign-in is stored with the other edits, and an error response discards it with them.
#[tokio::test]
async fn a_sign_in_on_save_is_stored_or_discarded_with_the_other_edits() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let before = browser.cookie().map(str::to_owned);
    browser
        .request(|session: Session| async move {
            session.insert("n", 2)?;
            session.sign_in("ada").on_save()?;
            assert_eq!(session.user(), None, "not yet");
            Err::<(), _>(session.require_user().expect_err("nobody is signed in"))
        })
        .await;
    assert_eq!(user(&mut browser).await, "Some(UserId(ada))", "a 401");
    assert_ne!(browser.cookie().map(str::to_owned), before);

    let mut browser = fixture.browser_with_session().await;
    let before = browser.cookie().map(str::to_owned);
    let failed = tests::app::Handler::on_request(|request: axum::extract::Request| async move {
        let lazy = request.extensions().get::<cloakroom::LazySession>();
        let session = lazy.expect("there is one").load().await.expect("it loads");
        session.insert("n", 3).expect("it fits");
        session.sign_in("ada").on_save().expect("it is handled");
        http::StatusCode::INTERNAL_SERVER_ERROR
    });
    browser.request_with(failed).await;
    assert_eq!(user(&mut browser).await, "None");
    assert_eq!(browser.cookie().map(str::to_owned), before);
    assert_eq!(browser.read().await, Some(1));
}

/// A sign-in that a limit refuses is not forgotten: the edits that came with it are not stored without it.
#[tokio::test]
async fn a_refused_sign_in_on_save_stores_nothing_at_the_end_either() {
    let fixture = Fixture::memory();
    let limit = cloakroom::SessionLimit::reject_above(1);
    let layer = fixture.builder().with_session_limit(limit).build();
    let layer = layer.expect("it is valid");
    fixture.browser_of(layer.clone()).request(sign_in).await;
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let response = browser
        .request(|session: Session| async move {
            session.insert("n", 2)?;
            session.sign_in("ada").on_save()?;
            let refused = session.save().await.expect_err("there is one already");
            assert_eq!(refused.kind(), SessionErrorKind::TooManySessions);
            Ok(())
        })
        .await;
    assert_eq!(response.status, 409);
    assert_eq!(browser.read().await, Some(1));
    assert_eq!(user(&mut browser).await, "None");
}
