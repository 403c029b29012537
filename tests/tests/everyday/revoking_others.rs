//! "Sign out everywhere else", beside a renewal of the session that is kept.

use cloakroom::{Session, Sessions};
use cloakroom_core::StoreErrorKind;
use tests::app::{Fixture, Handler};
use tests::backend::Backend;
use tests::faulty_store::{Fault, Verb};
use tests::on_every_store;

use super::impersonation::{impersonate, users};
use super::sign_in;

on_every_store!(revoking_the_others_keeps_the_session_that_was_renewed_meanwhile);

async fn revoking_the_others_keeps_the_session_that_was_renewed_meanwhile(backend: Backend) {
    let (mut ada, mut carl) = (backend.browser().await, backend.browser().await);
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    sign_in(&mut carl, "carl").await;
    impersonate(&mut carl, "bob").await;
    let mut tab = ada.clone();
    let response = tab
        .request_with(Handler::with(
            |(session, sessions): (Session, Sessions)| async move {
                session.require_user()?;
                ada.request(|session| async move { session.renew() }).await;
                let ended = sessions.revoke_others(&session).await?;
                let users = users(&mut ada).await;
                Ok(format!("{ended} {users}"))
            },
        ))
        .await;
    assert_eq!(response.text(), "0 bob by ada");
    assert_eq!(users(&mut carl).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_the_others_keeps_the_session_that_is_being_renewed() {
    let fixture = Fixture::memory();
    let mut ada = fixture.browser();
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    let mut tab = ada.clone();
    let gate = fixture.store.hold(Verb::End);
    let renewing = tokio::spawn(async move {
        let response = ada.request(|session| async move { session.renew() }).await;
        (response.status, ada)
    });
    // The new session is stored, and the old one is about to end.
    gate.reached().await;
    let response = tab
        .request_with(Handler::with(
            |(session, sessions): (Session, Sessions)| async move {
                Ok(sessions.revoke_others(&session).await?.to_string())
            },
        ))
        .await;
    assert_eq!(response.text(), "0");
    gate.open();
    let (status, mut ada) = renewing.await.expect("no request panics");
    assert_eq!(status, 200);
    assert_eq!(users(&mut ada).await, "bob by ada");
}

/// A session that cannot be read at the moment may be the one in which this one continues: it stays, and the call fails.
#[tokio::test]
async fn revoking_the_others_fails_while_one_cannot_be_read() {
    let fixture = Fixture::memory();
    let (mut ada, mut other) = (fixture.browser(), fixture.browser());
    sign_in(&mut ada, "ada").await;
    sign_in(&mut other, "ada").await;
    let refused = Fault::Refuse(StoreErrorKind::Unavailable);
    fixture.store.next(Verb::LoadMany, refused);
    let revoke_others = || {
        Handler::with(|(session, sessions): (Session, Sessions)| async move {
            Ok(sessions.revoke_others(&session).await?.to_string())
        })
    };
    assert_eq!(ada.request_with(revoke_others()).await.status, 503);
    assert_eq!(users(&mut other).await, "ada");
    assert_eq!(ada.request_with(revoke_others()).await.text(), "1");
    assert_eq!(users(&mut other).await, "");
    assert_eq!(users(&mut ada).await, "ada");
}
