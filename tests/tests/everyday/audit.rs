//! Events as an audit log.

use std::time::Duration;

use cloakroom::{RevokedBy, SessionEvent};
use futures_util::StreamExt;
use tests::app::app;
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

use super::sign_in;

on_every_store!(the_stream_has_the_user_and_the_reason_of_each_end);

async fn the_stream_has_the_user_and_the_reason_of_each_end(backend: Backend) {
    let layer = backend.layer().await;
    let mut events = backend.listen(&layer).await;
    // Another server of the app.
    let other = backend.layer().await;
    let app = app(other.clone());
    let (mut ada, mut bob) = (Browser::new(app.clone()), Browser::new(app));
    sign_in(&mut ada, "ada").await;
    sign_in(&mut bob, "bob").await;
    let sessions = other.sessions();
    sessions
        .revoke_all("bob", RevokedBy::PasswordChange)
        .await
        .expect("the store responds");
    bob.request(|session| async move { session.sign_out().await.map(drop) })
        .await;
    ada.request(|session| async move { session.sign_out().await.map(drop) })
        .await;
    let mut rows = Vec::new();
    while rows.len() < 4 {
        let next = tokio::time::timeout(Duration::from_secs(20), StreamExt::next(&mut events));
        match next
            .await
            .expect("it is published")
            .expect("the store is there")
        {
            SessionEvent::SignedIn { id, user, .. } => rows.push((id, user, "signed in")),
            SessionEvent::Ended {
                id, user, reason, ..
            } => {
                rows.push((id, user.expect("it had a user"), reason.as_str()));
            }
            other => panic!("{other:?}"),
        }
    }
    for user in ["ada", "bob"] {
        let of_user: Vec<_> = rows.iter().filter(|row| row.1 == user.into()).collect();
        // Events are published in the background, so an end may come before its sign-in.
        let mut what: Vec<_> = of_user.iter().map(|row| row.2).collect();
        what.sort_by_key(|what| *what != "signed in");
        let end = if user == "ada" {
            "signed_out"
        } else {
            "password_changed"
        };
        assert_eq!(what, ["signed in", end]);
        assert_eq!(of_user[0].0, of_user[1].0, "the id ties them together");
    }
}
