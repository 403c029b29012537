//! Beginning, saving, renewing and ending, in every order.

use cloakroom::{Destroyed, Saved, Session, SessionError};
use tests::app::Stage;
use tests::browser::Effect;
use tests::faults::Verb::{Create, End, Load, Update};

#[tokio::test]
async fn saving_twice_begins_one_session() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let answer = browser
        .act(|session| async move {
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
    stage.expect(&answer, 200, &[Create, Update, Update], Effect::Set);
    assert_eq!(browser.read().await, Some(3));
}

#[tokio::test]
async fn tasks_of_one_request_that_save_at_once_begin_one_session() {
    let stage = Stage::memory();
    let answer = stage
        .browser()
        .act(|session| async move {
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
    assert_eq!(answer.effect(), Effect::Set);
    let verbs = stage.store.take_verbs();
    let creations = verbs.iter().filter(|&&verb| verb == Create);
    assert_eq!(creations.count(), 1, "{verbs:?}");
}

#[tokio::test]
async fn an_edit_beside_a_save_is_saved_by_the_next() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let gate = stage.store.hold(Update);
    let answer = browser
        .act(|session| async move {
            let add = |session: &Session| session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1);
            add(&session)?;
            let beside = async {
                gate.reached().await;
                assert_eq!(add(&session)?, 3);
                gate.open();
                Ok::<_, SessionError>(())
            };
            let (saved, edited) = tokio::join!(session.save(), beside);
            assert_eq!(saved?, Saved::Stored);
            edited?;
            assert_eq!(session.get::<u32>("n")?, Some(3));
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load, Update, Update], Effect::Nothing);
    assert_eq!(browser.read().await, Some(3));
}

#[tokio::test]
async fn save_edit_destroy() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let answer = browser
        .act(|session| async move {
            session.insert("n", 1)?;
            session.save().await?;
            session.insert("n", 2)?;
            assert_eq!(session.destroy().await?, Destroyed::Ended);
            assert!(session.id().is_none() && session.keys().is_empty());
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Create, End], Effect::Removed);
}

#[tokio::test]
async fn destroy_then_edit_begins_a_new_session() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let mut stale = browser.clone();
    let answer = browser
        .act(|session| async move {
            session.insert("n", 2)?;
            session.renew()?;
            session.destroy().await?;
            session.insert("farewell", true)
        })
        .await;
    stage.expect(&answer, 200, &[Load, End, Create], Effect::Set);
    browser
        .act(|session| async move {
            assert_eq!(session.keys(), ["farewell"]);
            Ok(())
        })
        .await;
    assert_eq!(stale.read().await, None);
}

#[tokio::test]
async fn destroy_twice() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.destroy().await?, Destroyed::Ended);
            assert_eq!(session.destroy().await?, Destroyed::NoSession);
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load, End], Effect::Removed);
}

#[tokio::test]
async fn destroying_what_ended_a_moment_ago_says_so_and_leaves_the_cookie() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let mut stale = browser.clone();
    browser.act(|session| async move { session.renew() }).await;
    drop(stage.store.take_verbs());
    let answer = stale
        .act(|session| async move {
            assert_eq!(session.destroy().await?, Destroyed::AlreadyOver);
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load], Effect::Nothing);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn renew_and_save_gives_a_new_id_at_once() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move {
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
    stage.expect(&answer, 200, &[Load, Create, End, Update], Effect::Set);
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test]
async fn renew_without_a_session_begins_none_by_itself() {
    let stage = Stage::memory();
    let answer = stage
        .browser()
        .act(|session| async move { session.renew() })
        .await;
    stage.expect(&answer, 200, &[], Effect::Nothing);
    let mut browser = stage.browser();
    let answer = browser
        .act(|session| async move {
            session.renew()?;
            session.insert("n", 1)
        })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn renew_then_end_leaves_nothing() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let mut stale = browser.clone();
    let answer = browser
        .act(|session| async move {
            session.renew()?;
            session.save().await?;
            session.destroy().await.map(|_| ())
        })
        .await;
    stage.expect(&answer, 200, &[Load, Create, End, End], Effect::Removed);
    assert_eq!(stale.read().await, None);
}

#[tokio::test]
async fn a_save_tells_that_the_session_ended_elsewhere() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let mut elsewhere = browser.clone();
    let answer = browser
        .act(|session| async move {
            session.insert("m", 2)?;
            elsewhere
                .act(|session| async move { session.destroy().await.map(|_| ()) })
                .await;
            assert_eq!(session.save().await?, Saved::Ended);
            assert_eq!(session.id(), None);
            assert_eq!(session.keys(), ["m"], "of what is seen, the own edits stay");
            assert_eq!(session.save().await?, Saved::Unchanged);
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load, Load, End, Update], Effect::Nothing);
}
