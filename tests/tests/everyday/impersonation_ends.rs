//! Ends of impersonations that a failing store or a pending sign-in makes difficult.

use cloakroom::{RevokedBy, Session, SessionErrorKind};
use cloakroom_core::StoreErrorKind;
use tests::app::Fixture;
use tests::browser::Browser;
use tests::faulty_store::{Fault, Verb};

use super::sign_in;

/// A browser in which a user acts as bob.
async fn as_bob(fixture: &Fixture, user: &str) -> Browser {
    let mut browser = fixture.browser();
    sign_in(&mut browser, user).await;
    let impersonate = |session: Session| async move { session.impersonate("bob").await };
    assert_eq!(browser.request(impersonate).await.status, 200);
    browser
}

async fn user(browser: &mut Browser) -> String {
    let user = |session: Session| async move {
        let user = session.user().map(|user| user.to_string());
        Ok(user.unwrap_or_default())
    };
    browser.request(user).await.text().to_owned()
}

/// Too few replicas have the end, and a failover brings the session back.
#[tokio::test]
async fn one_whose_end_is_not_confirmed_is_found_when_all_sessions_of_the_user_are_revoked() {
    let fixture = Fixture::memory();
    let mut ada = as_bob(&fixture, "ada").await;
    let mut back = ada.clone();
    fixture
        .store
        .next(Verb::End, Fault::Refuse(StoreErrorKind::NotReplicated));
    let sign_out = |session: Session| async move { session.sign_out().await.map(drop) };
    ada.request(sign_out).await;
    // What follows from the end: the runtime has one thread, and the store responds at once.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(user(&mut back).await, "bob");
    let sessions = fixture.layer().sessions();
    let revoked = sessions.revoke_all("bob", RevokedBy::Admin).await;
    assert_eq!(revoked.expect("the store responds"), 0, "of bob's own");
    assert_eq!(user(&mut back).await, "");
}

#[tokio::test]
async fn one_that_cannot_be_read_is_ended_with_the_others() {
    let fixture = Fixture::memory();
    for kind in [StoreErrorKind::NewerFormat, StoreErrorKind::Unavailable] {
        let mut browsers = [
            as_bob(&fixture, "ada").await,
            as_bob(&fixture, "carol").await,
        ];
        fixture.store.next(Verb::LoadMany, Fault::Refuse(kind));
        let sessions = fixture.layer().sessions();
        let revoked = sessions.revoke_all("bob", RevokedBy::Admin).await;
        assert_eq!(revoked.expect("they end"), 0, "{kind:?}");
        for browser in &mut browsers {
            assert_eq!(user(browser).await, "", "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_revocation_stops_after_about_a_thousand_that_cannot_be_ended() {
    let fixture = Fixture::memory();
    for _ in 0..1200 {
        as_bob(&fixture, "ada").await;
    }
    let sessions = fixture.layer().sessions();
    fixture.clear_verbs();
    let refused = Fault::Refuse(StoreErrorKind::Unavailable);
    fixture.store.always(Some(refused));
    let revoked = sessions.revoke_all("bob", RevokedBy::Admin).await;
    let error = revoked.expect_err("nothing ends");
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    let verbs = fixture.store.take_verbs();
    let ends = verbs.iter().filter(|verb| **verb == Verb::End).count();
    assert!((1024..1024 + 64).contains(&ends), "{ends}");
}

#[tokio::test]
async fn to_stop_one_that_a_pending_sign_in_ends_changes_nothing() {
    let fixture = Fixture::memory();
    for signed_in in ["ada", "bob"] {
        let mut ada = as_bob(&fixture, "ada").await;
        let response = ada.request(move |session| async move {
            session.insert("own", 1)?;
            session.sign_in(signed_in).insert("role", "x")?.on_save()?;
            Ok(session.stop_impersonating().await?.to_string())
        });
        assert_eq!(response.await.text(), "false");
        let found = ada.request(|session| async move {
            let role: Option<String> = session.get("role")?;
            let own: Option<u32> = session.get("own")?;
            let by = session.impersonator();
            Ok(format!(
                "{:?} {role:?} {own:?} {by:?}",
                session.user_id::<String>()?
            ))
        });
        let expected = format!("Some({signed_in:?}) Some(\"x\") Some(1) None");
        assert_eq!(found.await.text(), expected);
    }
}
