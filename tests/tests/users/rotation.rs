//! Token rotation and reuse detection.

use std::time::Duration;

use cloakroom::{Rotation, SessionEvent, SessionLayer, minutes};
use tests::app::app;
use tests::backend::Backend;
use tests::browser::{Browser, CookieChange};
use tests::on_every_store;
use tokio::task::JoinSet;

use super::{sign_in, whoami};

on_every_store!(
    the_secret_rotates_without_interruption,
    reuse_of_a_stolen_cookie_is_detected,
    reuse_is_detected_when_the_attacker_rotates_first,
    a_thousand_requests_across_a_rotation_stay_signed_in,
    a_lost_response_does_not_end_the_session,
    a_wrong_secret_is_not_reuse,
    edits_during_a_rotation_are_kept,
    a_renewal_starts_with_a_new_secret,
    a_detached_session_survives_rotations,
);

pub(super) const EVERY: Duration = minutes(15);
pub(super) const GRACE: Duration = Duration::from_secs(60);

async fn rotating(backend: &Backend) -> SessionLayer {
    let builder = backend.builder().await;
    builder
        .with_rotation(Rotation::every(EVERY))
        .build()
        .expect("it is valid")
}

async fn signed_in(backend: &Backend) -> Browser {
    let mut browser = Browser::new(app(rotating(backend).await));
    sign_in(&mut browser, "ada").await;
    browser
}

fn cookie(browser: &Browser) -> String {
    browser.cookie().expect("it has one").to_owned()
}

async fn the_secret_rotates_without_interruption(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    let mut held = vec![cookie(&browser)];
    for _ in 0..3 {
        assert_eq!(whoami(&mut browser).await, "ada");
        assert_eq!(
            cookie(&browser),
            held[held.len() - 1],
            "the secret is not due yet"
        );
        backend.clock.advance(EVERY);
        let response = browser.request(super::user_of).await;
        assert_eq!(response.text(), "ada");
        assert_eq!(response.cookie_change(), CookieChange::Set);
        assert_eq!(response.cache_control(), "no-store");
        assert!(!held.contains(&cookie(&browser)));
        held.push(cookie(&browser));
        let response = browser.request(super::user_of).await;
        assert_eq!(
            response.cookie_change(),
            CookieChange::Nothing,
            "once the new secret was presented"
        );
    }
    // It is always the same session: the id is the first half of each token.
    assert!(held.iter().all(|token| token[..21] == held[0][..21]));
    assert_eq!(backend.entered("ada").await.len(), 1);
}

async fn reuse_of_a_stolen_cookie_is_detected(backend: Backend) {
    let mut owner = signed_in(&backend).await;
    let mut attacker = owner.clone();
    let layer = rotating(&backend).await;
    let mut events = backend.listen(&layer).await;
    backend.clock.advance(EVERY);
    whoami(&mut owner).await;
    whoami(&mut owner).await;
    backend.clock.advance(GRACE);
    assert_eq!(whoami(&mut owner).await, "ada");
    assert_eq!(
        whoami(&mut attacker).await,
        "",
        "the stolen cookie is rejected"
    );
    assert_eq!(whoami(&mut owner).await, "", "nor for a possible attacker");
    let stolen = loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        let event = event.expect("the event arrives").expect("the bus is open");
        if let SessionEvent::Ended { user, reason, .. } = event {
            break (user.map(|user| user.to_string()), reason.as_str());
        }
    };
    assert_eq!(stolen, (Some("ada".to_owned()), "token_reused"));
    // No new session is created with the stolen cookie.
    let response = attacker
        .request(|session| async move { session.insert("n", 1) })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
}

async fn reuse_is_detected_when_the_attacker_rotates_first(backend: Backend) {
    let mut owner = signed_in(&backend).await;
    let mut attacker = owner.clone();
    backend.clock.advance(EVERY);
    whoami(&mut attacker).await;
    whoami(&mut attacker).await;
    backend.clock.advance(GRACE);
    assert_eq!(whoami(&mut owner).await, "");
    assert_eq!(whoami(&mut attacker).await, "");
}

/// Tabs, images and scripts of one browser on two servers, some of them slow: each sends the cookie that
/// it knows.
async fn a_thousand_requests_across_a_rotation_stay_signed_in(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    let long = Duration::from_secs(60);
    let mut apps = Vec::new();
    for _ in 0..2 {
        let layer = backend
            .builder()
            .await
            .with_rotation(Rotation::every(EVERY))
            .with_store_timeout(long)
            .build();
        apps.push(app(layer.expect("it is valid")));
    }
    backend.clock.advance(EVERY);
    let mut requests = JoinSet::new();
    for index in 0..1000 {
        let mut tab = browser.on(apps[index % 2].clone());
        requests.spawn(async move {
            let response = if index % 10 == 0 {
                let count = |n: Option<u32>| n.unwrap_or(0) + 1;
                let handler = tab
                    .request(move |session| async move { session.update("n", count).map(|_| ()) });
                handler.await
            } else {
                tab.request(super::user_of).await
            };
            (index, response, cookie(&tab))
        });
    }
    let mut newest = None;
    while let Some(request) = requests.join_next().await {
        let (index, response, cookie) = request.expect("no request panics");
        assert_eq!(response.status, 200);
        if index % 10 != 0 {
            assert_eq!(response.text(), "ada");
        }
        if response.cookie_change() == CookieChange::Set {
            let newest = newest.get_or_insert_with(|| cookie.clone());
            assert_eq!(
                *newest, cookie,
                "all that hold the old secret arrive at the same"
            );
        }
    }
    let newest = newest.expect("a new one was set");
    browser = Browser::new(apps[0].clone());
    browser.add_cookie("__Host-Http-id", newest);
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(browser.read().await, Some(100));
}

async fn a_lost_response_does_not_end_the_session(backend: Backend) {
    let browser = signed_in(&backend).await;
    // Each of these is a request whose response is lost.
    for _ in 0..5 {
        backend.clock.advance(EVERY);
        assert_eq!(whoami(&mut browser.clone()).await, "ada");
    }
    let mut browser = browser;
    assert_eq!(whoami(&mut browser).await, "ada");
    let before = cookie(&browser);
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(cookie(&browser), before);
}

async fn a_wrong_secret_is_not_reuse(backend: Backend) {
    let mut owner = signed_in(&backend).await;
    backend.clock.advance(EVERY);
    whoami(&mut owner).await;
    whoami(&mut owner).await;
    backend.clock.advance(GRACE * 2);
    let mut forger = Browser::new(app(rotating(&backend).await));
    let forged = format!("{}{}", &cookie(&owner)[..22], "A".repeat(21));
    forger.add_cookie("__Host-Http-id", forged);
    for _ in 0..3 {
        assert_eq!(whoami(&mut forger).await, "");
    }
    assert_eq!(whoami(&mut owner).await, "ada");
}

async fn edits_during_a_rotation_are_kept(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    for round in 1..=6_u32 {
        backend.clock.advance(EVERY / 2);
        let response = browser
            .request(|session| async move {
                session
                    .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                    .map(|_| ())
            })
            .await;
        assert_eq!(response.status, 200);
        assert_eq!(browser.read().await, Some(round));
    }
}

async fn a_renewal_starts_with_a_new_secret(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    backend.clock.advance(EVERY);
    whoami(&mut browser).await;
    whoami(&mut browser).await;
    let mut old = browser.clone();
    browser
        .request(|session| async move { session.renew() })
        .await;
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(whoami(&mut old).await, "");
    backend.clock.advance(GRACE * 2);
    assert_eq!(whoami(&mut old).await, "");
    assert_eq!(whoami(&mut browser).await, "ada", "and that was no reuse");
}

async fn a_detached_session_survives_rotations(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    browser
        .request(|session| async move {
            assert!(sender.send(session.detach()?).is_ok());
            Ok(())
        })
        .await;
    let mut job = receiver.await.expect("it was sent");
    backend.clock.advance(EVERY);
    whoami(&mut browser).await;
    whoami(&mut browser).await;
    backend.clock.advance(GRACE * 2);
    assert_eq!(
        job.reload().await.expect("it loads"),
        cloakroom::Reloaded::Live
    );
    job.insert("n", 5).expect("it is open");
    job.save().await.expect("it is saved");
    assert_eq!(browser.read().await, Some(5));
    assert_eq!(whoami(&mut browser).await, "ada");
}
