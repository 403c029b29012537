//! Flash messages.

use std::collections::BTreeMap;

use cloakroom::{Key, Session, SessionErrorKind};
use serde::{Deserialize, Serialize};
use tests::app::Fixture;
use tests::backend::Backend;
use tests::browser::{Browser, CookieChange};
use tests::on_every_store;

use super::sign_in;

on_every_store!(
    a_message_is_shown_once_after_a_renewal_and_a_sign_in,
    of_many_requests_exactly_one_shows_each_message,
);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Notice {
    Saved { id: u32 },
    Text(String),
}

const NOTICES: Key<Vec<Notice>> = Key::new("notices");

async fn add(browser: &mut Browser, id: u32) {
    let response = browser
        .request(move |session| async move { session.flash(NOTICES, Notice::Saved { id }) })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
}

async fn show(browser: &mut Browser) -> Vec<u32> {
    let response = browser
        .request(|session: Session| async move {
            let notices = session.take_flashes(NOTICES).await?;
            let ids = notices.iter().map(|notice| match notice {
                Notice::Saved { id } => id.to_string(),
                Notice::Text(text) => text.clone(),
            });
            Ok(ids.collect::<Vec<_>>().join(" "))
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    let ids = response.text().split_whitespace();
    ids.map(|id| id.parse().expect("a number")).collect()
}

async fn a_message_is_shown_once_after_a_renewal_and_a_sign_in(backend: Backend) {
    let mut browser = backend.browser().await;
    add(&mut browser, 1).await;
    add(&mut browser, 2).await;
    browser
        .request(|session| async move { session.renew() })
        .await;
    sign_in(&mut browser, "ada").await;
    add(&mut browser, 3).await;
    assert_eq!(show(&mut browser).await, [1, 2, 3]);
    assert!(show(&mut browser).await.is_empty());
    // A message about the sign-out itself.
    let response = browser
        .request(|session| async move {
            session.sign_out().await?;
            session.flash(NOTICES, Notice::Saved { id: 4 })
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(show(&mut browser).await, [4]);
}

async fn of_many_requests_exactly_one_shows_each_message(backend: Backend) {
    let app = tests::app::app(backend.layer().await);
    let mut browser = Browser::new(app);
    add(&mut browser, 0).await;
    let mut shown = BTreeMap::<u32, usize>::new();
    for round in 1..=20 {
        let tasks = (0..4).map(|task| {
            let mut browser = browser.clone();
            tokio::spawn(async move {
                if task == 0 {
                    add(&mut browser, round).await;
                }
                show(&mut browser).await
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            for id in task.await.expect("no panic") {
                *shown.entry(id).or_default() += 1;
            }
        }
    }
    for id in show(&mut browser).await {
        *shown.entry(id).or_default() += 1;
    }
    let expected = (0..=20).map(|id| (id, 1)).collect();
    assert_eq!(shown, expected, "each exactly once");
}

#[tokio::test]
async fn number_and_length_are_limited_and_a_message_is_only_data() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move {
            for id in 0..40 {
                session.flash(NOTICES, Notice::Saved { id })?;
            }
            let long = Notice::Text("x".repeat(Session::MAX_FLASH_LEN));
            let refused = session.flash(NOTICES, long).expect_err("it is too long");
            assert_eq!(refused.kind(), SessionErrorKind::TooLarge);
            let notices: Vec<Notice> = session.get(NOTICES)?.expect("they are kept");
            assert_eq!(notices.len(), Session::MAX_FLASHES);
            assert_eq!(notices[0], Notice::Saved { id: 24 });
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    let text = r#"</script>"],"role":"admin","x":["#;
    browser
        .request(move |session| async move {
            session.remove(NOTICES)?;
            session.flash(NOTICES, Notice::Text(text.to_owned()))
        })
        .await;
    let response = browser
        .request(move |session| async move {
            assert_eq!(session.keys(), ["notices"]);
            let shown = session.take_flashes(NOTICES).await?;
            assert_eq!(shown, [Notice::Text(text.to_owned())]);
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
}

#[tokio::test]
async fn a_page_without_messages_costs_one_read() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    assert!(show(&mut browser).await.is_empty());
    assert_eq!(
        fixture.store.take_verbs(),
        [tests::faulty_store::Verb::Load]
    );
}
