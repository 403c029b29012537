//! Rows in which a session is begun, saved or renewed.

use cloakroom::{Expiry, Session, Store, days};
use tests::app::Stage;
use tests::browser::Effect;
use tests::faults::Verb::{Create, End, Load, Update};

crate::rows! {
    none_and_written,
    a_good_one_written,
    a_good_one_written_with_an_expiry_of_its_own,
    a_good_one_of_which_every_entry_is_removed,
    renews,
    renews_and_meanwhile_another_request_saves,
    writes_while_another_request_saves,
}

async fn none_and_written<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.browser();
    let answer = browser
        .act(|session| async move { session.insert("n", 1) })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
    assert_eq!(browser.read().await, Some(1));
}

async fn a_good_one_written<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move { session.insert("n", 2) })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
    assert_eq!(browser.read().await, Some(2));
}

async fn a_good_one_written_with_an_expiry_of_its_own<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let token = browser.cookie().unwrap().to_owned();
    let answer = browser
        .act(|session| async move { session.set_expiry(Expiry::idle(days(7)).absolute(days(60))) })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Set);
    let cookie = answer.set_cookie();
    assert_eq!(cookie.value, token);
    assert_eq!(cookie.max_age(), Some(days(60).as_secs()));
}

async fn a_good_one_of_which_every_entry_is_removed<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move { session.remove("n") })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
    let answer = browser
        .act(|session| async move {
            assert!(session.id().is_some() && session.keys().is_empty());
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load], Effect::Nothing);
}

async fn renews<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let mut stale = browser.clone();
    let answer = browser.act(|session| async move { session.renew() }).await;
    stage.expect(&answer, 200, &[Load, Create, End], Effect::Set);
    let (new, old) = (browser.cookie().unwrap(), stale.cookie().unwrap());
    // Neither the id (its random part) nor the secret is what it was.
    assert_ne!(new[8..21], old[8..21]);
    assert_ne!(new[22..], old[22..]);
    assert_eq!(browser.read().await, Some(1), "the data carries over");
    assert_eq!(stale.read().await, None, "the old token is dead at once");
}

/// `n` and one more.
fn count(session: &Session) -> Result<u32, cloakroom::SessionError> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
}

async fn renews_and_meanwhile_another_request_saves<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let mut other = browser.clone();
    let gate = stage.store.hold(End);
    let renewal = tokio::spawn(async move {
        let act = |session: Session| async move {
            count(&session)?;
            session.renew()
        };
        let answer = browser.act(act).await;
        (browser, answer)
    });
    gate.reached().await;
    stage.forget();
    let answer = other
        .act(|session| async move {
            count(&session)?;
            session.insert("cart", 5)
        })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
    gate.open();
    let (mut browser, answer) = renewal.await.unwrap();
    // The end meets the other's revision; what was saved is merged, then the old one ends.
    stage.expect(&answer, 200, &[Update, End], Effect::Set);
    assert_eq!(browser.read().await, Some(3));
    browser
        .act(|session| async move {
            assert_eq!(session.keys(), ["cart", "n"]);
            Ok(())
        })
        .await;
}

async fn writes_while_another_request_saves<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let mut other = browser.clone();
    let gate = stage.store.hold(Update);
    let slow = tokio::spawn(async move {
        let answer = browser
            .act(|session| async move { count(&session).map(|_| ()) })
            .await;
        (browser, answer)
    });
    gate.reached().await;
    stage.forget();
    other
        .act(|session| async move {
            count(&session)?;
            session.insert("cart", 5)
        })
        .await;
    stage.forget();
    gate.open();
    let (mut browser, answer) = slow.await.unwrap();
    stage.expect(&answer, 200, &[Update], Effect::Nothing);
    assert_eq!(browser.read().await, Some(3), "no update is lost");
    browser
        .act(|session| async move {
            assert_eq!(session.get::<u32>("cart")?, Some(5));
            Ok(())
        })
        .await;
}
