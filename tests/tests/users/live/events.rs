//! Events on every server.

use cloakroom::{EndReason, RevokedBy, Rotation, SessionEvent, SessionLimit, minutes};
use tests::app::app;
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

use super::{next, sign_in, sign_out};

on_every_store!(
    every_lifecycle_step_is_published_to_other_servers,
    every_end_is_published_with_its_reason,
    a_layer_without_events_publishes_nothing,
);

async fn every_lifecycle_step_is_published_to_other_servers(backend: Backend) {
    let listener = backend.layer().await;
    let mut events = backend.listen(&listener).await;
    let mut browser = backend.browser().await;
    browser
        .request(|session| async move { session.insert("n", 1) })
        .await;
    let SessionEvent::Created { id: anonymous } = next(&mut events).await else {
        panic!("it was created");
    };
    let first = sign_in(&mut browser, "ada").await;
    let signed_in = SessionEvent::SignedIn {
        id: first,
        user: "ada".into(),
        from: Some(anonymous),
        client: None,
    };
    assert_eq!(next(&mut events).await, signed_in);
    browser
        .request(|session| async move { session.renew() })
        .await;
    let SessionEvent::Renewed { id, from, user, .. } = next(&mut events).await else {
        panic!("it was renewed");
    };
    assert_eq!((from, user), (first, Some("ada".into())));
    browser.request(sign_out).await;
    let ended = SessionEvent::Ended {
        id,
        user: Some("ada".into()),
        reason: EndReason::SignedOut,
        client: None,
    };
    assert_eq!(next(&mut events).await, ended);
}

async fn every_end_is_published_with_its_reason(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_rotation(Rotation::every(minutes(15)))
        .with_session_limit(SessionLimit::evict_oldest(1))
        .build()
        .expect("it is valid");
    let mut events = backend.listen(&layer).await;
    let sessions = layer.sessions();
    let reason = async |events: &mut _| loop {
        if let SessionEvent::Ended { reason, .. } = next(events).await {
            break reason;
        }
    };
    let new = || Browser::new(app(layer.clone()));

    let mut one = new();
    let id = sign_in(&mut one, "ada").await;
    assert!(sessions.revoke("ada", id).await.expect("it ends"));
    assert_eq!(reason(&mut events).await, EndReason::RevokedByUser);
    let id = sign_in(&mut one, "ada").await;
    assert!(sessions.revoke_any(id).await.expect("it ends"));
    assert_eq!(reason(&mut events).await, EndReason::RevokedByAdmin);
    sign_in(&mut one, "ada").await;
    assert_eq!(
        sessions
            .revoke_all("ada", RevokedBy::Admin)
            .await
            .expect("it ends"),
        1
    );
    assert_eq!(reason(&mut events).await, EndReason::RevokedByAdmin);
    sign_in(&mut one, "ada").await;
    sign_in(&mut new(), "ada").await;
    assert_eq!(reason(&mut events).await, EndReason::LimitExceeded);
    sign_in(&mut one, "bob").await;
    one.request(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    assert_eq!(reason(&mut events).await, EndReason::Destroyed);

    sign_in(&mut one, "cleo").await;
    let mut attacker = one.clone();
    backend.clock.advance(minutes(15));
    one.read().await;
    one.read().await;
    backend.clock.advance(minutes(2));
    attacker.read().await;
    assert_eq!(reason(&mut events).await, EndReason::TokenReused);
}

async fn a_layer_without_events_publishes_nothing(backend: Backend) {
    let listener = backend.layer().await;
    let mut events = backend.listen(&listener).await;
    let mut silent = Browser::new(app(backend
        .builder()
        .await
        .without_events()
        .build()
        .expect("it is valid")));
    sign_in(&mut silent, "ada").await;
    silent.request(sign_out).await;
    let mut loud = backend.browser().await;
    let bob = sign_in(&mut loud, "bob").await;
    let first = next(&mut events).await;
    assert!(
        matches!(first, SessionEvent::SignedIn { id, .. } if id == bob),
        "{first:?}"
    );
}
