//! Signing out.

use cloakroom::{Destroyed, EndReason, SessionId, Store};
use cloakroom_core::store::Loaded;
use tests::app::Stage;
use tests::backend::Backend;
use tests::browser::Effect;
use tests::on_every_store;

use super::{eventually, sign_in, whoami};

on_every_store!(
    signed_out_is_signed_out_everywhere,
    after_it_a_new_session_can_begin
);

async fn signed_out_is_signed_out_everywhere(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let mut elsewhere = browser.on(tests::app::app(backend.layer().await));
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.sign_out().await?, Destroyed::Ended);
            assert_eq!(session.user(), None);
            assert_eq!(session.sign_out().await?, Destroyed::NoSession);
            Ok(())
        })
        .await;
    assert_eq!(answer.effect(), Effect::Removed);
    assert_eq!(whoami(&mut elsewhere).await, "");
    let forgotten = async || backend.entered("ada").await.is_empty();
    eventually("the entry is removed", forgotten).await;
}

async fn after_it_a_new_session_can_begin(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let answer = browser
        .act(|session| async move {
            session.sign_out().await?;
            session.insert("n", 1)
        })
        .await;
    assert_eq!(answer.effect(), Effect::Set);
    assert_eq!(whoami(&mut browser).await, "");
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn the_reason_stands_in_the_tombstone() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let id: SessionId = sign_in(&mut browser, "ada").await;
    browser
        .act(|session| async move { session.sign_out().await.map(|_| ()) })
        .await;
    let Ok(Loaded::Tombstone(tombstone)) = stage.store.load(id).await else {
        panic!("no tombstone");
    };
    assert_eq!(tombstone.reason(), EndReason::SignedOut);
}
