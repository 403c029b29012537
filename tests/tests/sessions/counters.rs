//! Counters, lists and maps that two requests edit at once.

use std::collections::{BTreeMap, BTreeSet};

use cloakroom::{Key, Session, SessionError, SessionErrorKind};
use tests::app::Fixture;
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

const COUNT: Key<u8> = Key::new("count");
const LIST: Key<Vec<String>> = Key::new("list");
const MAP: Key<BTreeMap<String, u32>> = Key::new("map");
const SET: Key<BTreeSet<u32>> = Key::new("set");

on_every_store!(
    concurrent_edits_all_land,
    a_sum_that_no_longer_fits_is_an_error
);

/// A browser with a session, and a second tab of it.
async fn two_tabs(backend: &Backend) -> (Browser, Browser) {
    let mut browser = backend.browser().await;
    browser
        .request(|session| async move { session.insert("n", 1) })
        .await;
    let tab = browser.clone();
    (browser, tab)
}

fn edit(session: &Session, name: &str, number: u32) -> Result<(), SessionError> {
    session.increment(COUNT, 100)?;
    session.push(LIST, name.to_owned())?;
    session.merge(
        MAP,
        [(name.to_owned(), number), ("last".to_owned(), number)].into(),
    )?;
    session.merge(SET, [0, number].into())
}

async fn concurrent_edits_all_land(backend: Backend) {
    let (mut browser, mut tab) = two_tabs(&backend).await;
    let answer = browser.request(|session| async move {
        // Another request loads, edits and saves while this one is under way.
        tab.request(|session| async move { edit(&session, "first", 1) })
            .await;
        edit(&session, "second", 2)
    });
    assert_eq!(answer.await.status, 200);
    let answer = browser.request(|session| async move {
        assert_eq!(session.get(COUNT)?, Some(200));
        assert_eq!(session.get(LIST)?.unwrap_or_default(), ["first", "second"]);
        let map = session.get(MAP)?.unwrap_or_default();
        let expected = [("first", 1), ("last", 2), ("second", 2)];
        assert_eq!(
            map,
            expected
                .map(|(key, number)| (key.to_owned(), number))
                .into()
        );
        assert_eq!(session.get(SET)?, Some([0, 1, 2].into()));
        Ok(())
    });
    assert_eq!(answer.await.status, 200);
}

/// Each fits by itself, and both together do not.
async fn a_sum_that_no_longer_fits_is_an_error(backend: Backend) {
    let (mut browser, mut tab) = two_tabs(&backend).await;
    let answer = browser.request(|session| async move {
        let other = tab.request(|session| async move { session.increment(COUNT, 200).map(|_| ()) });
        assert_eq!(other.await.status, 200);
        session.increment(COUNT, 100).map(|_| ())
    });
    let answer = answer.await;
    assert_eq!(answer.status, 500);
    let error = answer.extension::<SessionError>().expect("it failed");
    assert_eq!(error.kind(), SessionErrorKind::Overflow);
    let answer = browser.request(|session| async move { Ok(format!("{:?}", session.get(COUNT)?)) });
    assert_eq!(answer.await.text(), "Some(200)");
}

#[tokio::test]
async fn what_cannot_be_counted_is_a_clear_error_and_changes_nothing() {
    let mut browser = Fixture::memory().browser();
    let answer = browser.request(|session| async move {
        session.insert(COUNT, 250)?;
        let error = session.increment(COUNT, 6).unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Overflow);
        let text = error.to_string();
        assert!(text.contains("`count`") && text.contains("u8"), "{text}");
        assert_eq!(session.increment(COUNT, 5)?, 255);

        session.insert("signed", 1)?;
        assert_eq!(session.increment("signed", -3_i64)?, -2);
        assert_eq!(
            session.increment("signed", i64::MIN).unwrap_err().kind(),
            SessionErrorKind::Overflow
        );
        assert_eq!(
            session.increment::<u64>("signed", 1).unwrap_err().kind(),
            SessionErrorKind::Entry
        );

        session.insert("text", "words")?;
        let kind = |result: Result<(), SessionError>| result.unwrap_err().kind();
        assert_eq!(
            kind(session.increment("text", 1).map(|_| ())),
            SessionErrorKind::Entry
        );
        assert_eq!(kind(session.push("text", 1)), SessionErrorKind::Entry);
        assert_eq!(
            kind(session.merge("text", vec![1])),
            SessionErrorKind::Entry
        );
        assert_eq!(
            kind(session.push("$list", 1)),
            SessionErrorKind::ReservedKey
        );
        session.push("numbers", 1)?;
        assert_eq!(
            kind(session.push("numbers", "one".to_owned())),
            SessionErrorKind::Entry
        );
        assert_eq!(
            kind(session.push("large", "x".repeat(70_000))),
            SessionErrorKind::TooLarge
        );
        assert_eq!(session.keys(), ["count", "numbers", "signed", "text"]);
        assert_eq!(session.get::<String>("text")?.as_deref(), Some("words"));
        Ok(())
    });
    assert_eq!(answer.await.status, 200);
}
