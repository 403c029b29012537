//! Signing out.

use cloakroom::{Destroyed, EndReason, SessionId, Store};
use cloakroom_core::store::Loaded;
use tests::app::Fixture;
use tests::backend::Backend;
use tests::browser::CookieChange;
use tests::on_every_store;

use super::{eventually, sign_in, whoami};

on_every_store!(
    a_sign_out_takes_effect_on_every_server,
    a_new_session_can_be_created_after_a_sign_out
);

async fn a_sign_out_takes_effect_on_every_server(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let mut elsewhere = browser.on(tests::app::app(backend.layer().await));
    let response = browser
        .request(|session| async move {
            assert_eq!(session.sign_out().await?, Destroyed::Ended);
            assert_eq!(session.user(), None);
            assert_eq!(session.sign_out().await?, Destroyed::NoSession);
            Ok(())
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Removed);
    assert_eq!(whoami(&mut elsewhere).await, "");
    let forgotten = async || backend.entered("ada").await.is_empty();
    eventually("the entry is removed", forgotten).await;
}

async fn a_new_session_can_be_created_after_a_sign_out(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let response = browser
        .request(|session| async move {
            session.sign_out().await?;
            session.insert("n", 1)
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(whoami(&mut browser).await, "");
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn the_tombstone_holds_the_reason() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let id: SessionId = sign_in(&mut browser, "ada").await;
    browser
        .request(|session| async move { session.sign_out().await.map(|_| ()) })
        .await;
    let Ok(Loaded::Tombstone(tombstone)) = fixture.store.load(id).await else {
        panic!("no tombstone");
    };
    assert_eq!(tombstone.reason(), EndReason::SignedOut);
}
