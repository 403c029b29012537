//! Secrets that change in place, and what a thief makes of them.

use std::time::Duration;

use cloakroom::{MemoryStore, Rotation, SessionEvent, SessionLayer, minutes};
use cloakroom_core::StoreErrorKind;
use tests::app::{Act, Stage, app};
use tests::backend::Backend;
use tests::browser::{Browser, Effect};
use tests::faults::{Fault, Verb};
use tests::on_every_store;
use tokio::task::JoinSet;

use super::{sign_in, whoami};

on_every_store!(
    the_secret_changes_and_nobody_notices,
    a_stolen_cookie_gives_itself_away,
    a_thief_who_is_first_gives_the_owner_away,
    a_thousand_requests_across_a_rotation_log_nobody_out,
    an_answer_that_is_lost_costs_nothing,
    a_wrong_secret_is_no_theft,
    edits_beside_a_rotation_are_kept,
    a_renewal_begins_with_a_secret_of_its_own,
    a_job_that_took_the_session_along_goes_on,
);

const EVERY: Duration = minutes(15);
const GRACE: Duration = Duration::from_secs(60);

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

async fn the_secret_changes_and_nobody_notices(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    let mut held = vec![cookie(&browser)];
    for _ in 0..3 {
        assert_eq!(whoami(&mut browser).await, "ada");
        assert_eq!(cookie(&browser), held[held.len() - 1], "it is young");
        backend.clock.advance(EVERY);
        let answer = browser.act(super::user_of).await;
        assert_eq!(answer.text(), "ada");
        assert_eq!(answer.effect(), Effect::Set);
        assert_eq!(answer.cache_control(), "no-store");
        assert!(!held.contains(&cookie(&browser)));
        held.push(cookie(&browser));
        let answer = browser.act(super::user_of).await;
        assert_eq!(answer.effect(), Effect::Nothing, "once it is presented");
    }
    // It is the same session all the time: the id is the first half of each token.
    assert!(held.iter().all(|token| token[..21] == held[0][..21]));
    assert_eq!(backend.entered("ada").await.len(), 1);
}

async fn a_stolen_cookie_gives_itself_away(backend: Backend) {
    let mut owner = signed_in(&backend).await;
    let mut thief = owner.clone();
    let layer = rotating(&backend).await;
    let mut events = backend.listen(&layer).await;
    backend.clock.advance(EVERY);
    whoami(&mut owner).await;
    whoami(&mut owner).await;
    backend.clock.advance(GRACE);
    assert_eq!(whoami(&mut owner).await, "ada");
    assert_eq!(whoami(&mut thief).await, "", "nothing for the thief");
    assert_eq!(whoami(&mut owner).await, "", "nor for who could be one");
    let stolen = loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        let event = event.expect("it is told").expect("the bus is open");
        if let SessionEvent::Ended { user, reason, .. } = event {
            break (user.map(|user| user.to_string()), reason.as_str());
        }
    };
    assert_eq!(stolen, (Some("ada".to_owned()), "stolen"));
    // The thief cannot begin anything on it.
    let answer = thief
        .act(|session| async move { session.insert("n", 1) })
        .await;
    assert_eq!(answer.effect(), Effect::Nothing);
}

async fn a_thief_who_is_first_gives_the_owner_away(backend: Backend) {
    let mut owner = signed_in(&backend).await;
    let mut thief = owner.clone();
    backend.clock.advance(EVERY);
    whoami(&mut thief).await;
    whoami(&mut thief).await;
    backend.clock.advance(GRACE);
    assert_eq!(whoami(&mut owner).await, "");
    assert_eq!(whoami(&mut thief).await, "");
}

/// Tabs, images and scripts of one browser, on two servers, some of them slow: all send the cookie
/// that they know.
async fn a_thousand_requests_across_a_rotation_log_nobody_out(backend: Backend) {
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
            let answer = if index % 10 == 0 {
                let count = |n: Option<u32>| n.unwrap_or(0) + 1;
                let act =
                    tab.act(move |session| async move { session.update("n", count).map(|_| ()) });
                act.await
            } else {
                tab.act(super::user_of).await
            };
            (index, answer, cookie(&tab))
        });
    }
    let mut newest = None;
    while let Some(request) = requests.join_next().await {
        let (index, answer, cookie) = request.expect("no request panics");
        assert_eq!(answer.status, 200);
        if index % 10 != 0 {
            assert_eq!(answer.text(), "ada");
        }
        if answer.effect() == Effect::Set {
            let newest = newest.get_or_insert_with(|| cookie.clone());
            assert_eq!(
                *newest, cookie,
                "all that hold the old secret arrive at the same"
            );
        }
    }
    let newest = newest.expect("one was handed out");
    browser = Browser::new(apps[0].clone());
    browser.add_cookie("__Host-Http-id", newest);
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(browser.read().await, Some(100));
}

async fn an_answer_that_is_lost_costs_nothing(backend: Backend) {
    let browser = signed_in(&backend).await;
    // Each of these is a request whose answer never arrives.
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

async fn a_wrong_secret_is_no_theft(backend: Backend) {
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

async fn edits_beside_a_rotation_are_kept(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    for round in 1..=6_u32 {
        backend.clock.advance(EVERY / 2);
        let answer = browser
            .act(|session| async move {
                session
                    .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                    .map(|_| ())
            })
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(browser.read().await, Some(round));
    }
}

async fn a_renewal_begins_with_a_secret_of_its_own(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    backend.clock.advance(EVERY);
    whoami(&mut browser).await;
    whoami(&mut browser).await;
    let mut old = browser.clone();
    browser.act(|session| async move { session.renew() }).await;
    assert_eq!(whoami(&mut browser).await, "ada");
    assert_eq!(whoami(&mut old).await, "");
    backend.clock.advance(GRACE * 2);
    assert_eq!(whoami(&mut old).await, "");
    assert_eq!(whoami(&mut browser).await, "ada", "and that was no theft");
}

async fn a_job_that_took_the_session_along_goes_on(backend: Backend) {
    let mut browser = signed_in(&backend).await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    browser
        .act(|session| async move {
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

/// A page that is answered late must not hand out the ticket of a session that has been renewed.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_hands_out_nothing_once_the_session_was_renewed() {
    let stage = Stage::memory();
    let layer = || {
        stage
            .builder()
            .with_rotation(Rotation::every(EVERY))
            .build()
            .expect("it is valid")
    };
    let mut browser = Browser::new(app(layer()));
    sign_in(&mut browser, "ada").await;
    stage.clock.advance(EVERY);
    // The rotation has begun, and its answer was lost: the old secret is still good.
    whoami(&mut browser.clone()).await;
    let gate = tests::faults::Gate::new();
    let (mut slow, held) = (browser.clone(), gate.clone());
    let slow = tokio::spawn(async move {
        let act = Act::session(move |session| async move {
            held.pass().await;
            Ok(session.user().is_some().to_string())
        });
        slow.perform(act).await
    });
    gate.reached().await;
    sign_in(&mut browser, "ada").await;
    gate.open();
    let answer = slow.await.expect("no request panics");
    assert_eq!(answer.text(), "true");
    assert_eq!(answer.effect(), Effect::Nothing);
    assert_eq!(whoami(&mut browser).await, "ada");
}

#[tokio::test]
async fn a_store_that_fails_delays_the_rotation_and_nothing_else() {
    let stage = Stage::memory();
    let layer = stage
        .builder()
        .with_rotation(Rotation::every(EVERY))
        .build();
    let mut browser = Browser::new(app(layer.expect("it is valid")));
    sign_in(&mut browser, "ada").await;
    stage.clock.advance(EVERY);
    for fault in [
        Fault::Refuse(StoreErrorKind::OutOfMemory),
        Fault::LoseCommand,
    ] {
        stage.store.next(Verb::Update, fault.clone());
        let answer = browser.act(super::user_of).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (200, "ada"),
            "{fault:?}"
        );
    }
    let answer = browser.act(super::user_of).await;
    assert_eq!(answer.effect(), Effect::Set);
    assert_eq!(whoami(&mut browser).await, "ada");
}

#[test]
fn a_grace_that_makes_no_sense_is_an_error() {
    let layer = |rotation| {
        SessionLayer::builder(MemoryStore::new())
            .with_rotation(rotation)
            .build()
    };
    assert!(layer(Rotation::every(EVERY).grace(Duration::ZERO)).is_err());
    assert!(layer(Rotation::every(EVERY).grace(EVERY)).is_err());
    assert!(layer(Rotation::every(EVERY).grace(GRACE)).is_ok());
}
