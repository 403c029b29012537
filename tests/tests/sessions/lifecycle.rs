//! Creating, saving, renewing and destroying, in every order.

use cloakroom::{Destroyed, Saved, Session, SessionError};
use tests::app::Fixture;
use tests::browser::CookieChange;
use tests::faulty_store::Verb::{Create, End, Load, Update};

#[tokio::test]
async fn saving_twice_creates_one_session() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move {
            assert_eq!((session.id(), session.created_at()), (None, None));
            assert_eq!(session.save().await?, Saved::Unchanged);
            session.insert("n", 1)?;
            assert_eq!(session.save().await?, Saved::Stored);
            let id = session.id();
            assert!(id.is_some() && session.created_at().is_some());
            assert!(session.last_seen().is_some() && session.expires_at().is_some());
            assert_eq!(session.save().await?, Saved::Unchanged);
            session.insert("n", 2)?;
            assert_eq!(session.save().await?, Saved::Stored);
            assert_eq!(session.id(), id);
            session.insert("n", 3)
        })
        .await;
    fixture.assert_response(&response, 200, &[Create, Update, Update], CookieChange::Set);
    assert_eq!(browser.read().await, Some(3));
}

#[tokio::test]
async fn concurrent_saves_of_one_request_create_one_session() {
    let fixture = Fixture::memory();
    let response = fixture
        .browser()
        .request(|session| async move {
            session.insert("a", 1)?;
            let other = session.clone();
            let second = async {
                other.insert("b", 2)?;
                other.save().await
            };
            let (one, two) = tokio::join!(session.save(), second);
            one.and(two).map(|_| ())
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    let verbs = fixture.store.take_verbs();
    let creations = verbs.iter().filter(|&&verb| verb == Create);
    assert_eq!(creations.count(), 1, "{verbs:?}");
}

#[tokio::test]
async fn an_edit_during_a_save_is_saved_by_the_next() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let gate = fixture.store.hold(Update);
    let response = browser
        .request(|session| async move {
            let add = |session: &Session| session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1);
            add(&session)?;
            let concurrent = async {
                gate.reached().await;
                assert_eq!(add(&session)?, 3);
                gate.open();
                Ok::<_, SessionError>(())
            };
            let (saved, edited) = tokio::join!(session.save(), concurrent);
            assert_eq!(saved?, Saved::Stored);
            edited?;
            assert_eq!(session.get::<u32>("n")?, Some(3));
            Ok(())
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Update, Update],
        CookieChange::Nothing,
    );
    assert_eq!(browser.read().await, Some(3));
}

#[tokio::test]
async fn save_edit_destroy() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move {
            session.insert("n", 1)?;
            session.save().await?;
            session.insert("n", 2)?;
            assert_eq!(session.destroy().await?, Destroyed::Ended);
            assert!(session.id().is_none() && session.keys().is_empty());
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Create, End], CookieChange::Removed);
}

#[tokio::test]
async fn an_edit_after_destroy_creates_a_new_session() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut stale = browser.clone();
    let response = browser
        .request(|session| async move {
            session.insert("n", 2)?;
            session.renew()?;
            session.destroy().await?;
            session.insert("farewell", true)
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, End, Create], CookieChange::Set);
    browser
        .request(|session| async move {
            assert_eq!(session.keys(), ["farewell"]);
            Ok(())
        })
        .await;
    assert_eq!(stale.read().await, None);
}

#[tokio::test]
async fn destroy_twice() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move {
            assert_eq!(session.destroy().await?, Destroyed::Ended);
            assert_eq!(session.destroy().await?, Destroyed::NoSession);
            Ok(())
        })
        .await;
    // The second time the end is confirmed again: the first may have reached too few replicas.
    fixture.assert_response(
        &response,
        200,
        &[Load, End, Load, End],
        CookieChange::Removed,
    );
}

#[tokio::test]
async fn destroying_a_renewed_session_ends_its_successor() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut stale = browser.clone();
    for _ in 0..2 {
        browser
            .request(|session| async move { session.renew() })
            .await;
    }
    drop(fixture.store.take_verbs());
    let response = stale
        .request(|session| async move {
            assert_eq!(session.destroy().await?, Destroyed::Ended);
            Ok(())
        })
        .await;
    let verbs = [Load, Load, Load, Load, End];
    fixture.assert_response(&response, 200, &verbs, CookieChange::Removed);
    assert_eq!(browser.read().await, None);
}

/// The same if it is renewed after the request has loaded it.
#[tokio::test]
async fn destroying_a_session_that_is_renewed_meanwhile_ends_its_successor() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let response = browser
        .request(|session| async move {
            let renewal = elsewhere.request(|session| async move { session.renew() });
            assert_eq!(renewal.await.status, 200);
            assert_eq!(session.destroy().await?, Destroyed::Ended);
            assert_eq!(elsewhere.read().await, None);
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(browser.cookie(), None);
}

#[tokio::test]
async fn destroying_an_ended_session_reports_it_and_keeps_the_cookie() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut stale = browser.clone();
    browser
        .request(|session| async move { session.destroy().await.map(drop) })
        .await;
    browser
        .request(|session| async move { session.insert("n", 1) })
        .await;
    drop(fixture.store.take_verbs());
    let response = stale
        .request(|session| async move {
            assert_eq!(session.destroy().await?, Destroyed::AlreadyEnded);
            Ok(())
        })
        .await;
    // It is looked up whether the session was renewed, and the end is confirmed again.
    let verbs = [Load, Load, End];
    fixture.assert_response(&response, 200, &verbs, CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn renew_and_save_gives_a_new_id_at_once() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move {
            let old = session.id();
            session.renew()?;
            assert_eq!(session.id(), old, "not before it is saved");
            assert_eq!(session.save().await?, Saved::Stored);
            assert!(session.id().is_some() && session.id() != old);
            assert_eq!(session.get::<u32>("n")?, Some(1));
            assert_eq!(session.save().await?, Saved::Unchanged);
            session.insert("n", 2)
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Create, End, Update],
        CookieChange::Set,
    );
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test]
async fn renew_without_a_session_creates_none() {
    let fixture = Fixture::memory();
    let response = fixture
        .browser()
        .request(|session| async move { session.renew() })
        .await;
    fixture.assert_response(&response, 200, &[], CookieChange::Nothing);
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move {
            session.renew()?;
            session.insert("n", 1)
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn destroy_after_renew_leaves_no_session() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut stale = browser.clone();
    let response = browser
        .request(|session| async move {
            session.renew()?;
            session.save().await?;
            session.destroy().await.map(|_| ())
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Create, End, End],
        CookieChange::Removed,
    );
    assert_eq!(stale.read().await, None);
}

#[tokio::test]
async fn a_save_reports_that_the_session_ended_elsewhere() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let response = browser
        .request(|session| async move {
            session.insert("m", 2)?;
            elsewhere
                .request(|session| async move { session.destroy().await.map(|_| ()) })
                .await;
            assert_eq!(session.save().await?, Saved::Ended);
            assert_eq!(session.id(), None);
            assert_eq!(session.keys(), ["m"], "only its own edits are left");
            assert_eq!(session.save().await?, Saved::Ended, "again");
            Ok(())
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Load, End, Update],
        CookieChange::Nothing,
    );
}
