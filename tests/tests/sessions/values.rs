//! Reading and editing entries.

use std::collections::BTreeMap;

use cloakroom::{Key, Session, SessionError};
use serde::{Deserialize, Serialize};
use tests::app::Stage;
use tests::browser::Effect;
use tests::faults::Verb::{Create, Load, Touch, Update};

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Cart {
    items: Vec<u32>,
    notes: BTreeMap<String, String>,
}

const CART: Key<Cart> = Key::new("cart");

fn full() -> Cart {
    let notes = [("gift".to_owned(), "für \"Ida\"\n\u{1f9e5}".to_owned())];
    Cart {
        items: vec![3, 5],
        notes: notes.into(),
    }
}

#[tokio::test]
async fn what_is_put_in_is_what_comes_out_in_the_next_request() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    browser
        .act(|session| async move {
            session.insert(CART, full())?;
            session.insert("text", "words")?;
            session.insert(String::from("none"), None::<u32>)?;
            session.insert("unit", ())
        })
        .await;
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.get(CART)?, Some(full()));
            assert_eq!(session.get::<Cart>("cart")?, Some(full()));
            assert_eq!(session.get::<String>("text")?.as_deref(), Some("words"));
            assert_eq!(session.get::<Option<u32>>("none")?, Some(None));
            assert_eq!(session.get::<u32>("missing")?, None);
            assert_eq!(session.keys(), ["cart", "none", "text", "unit"]);
            assert!(session.contains(CART) && session.contains("text"));
            assert!(!session.contains("missing"));
            Ok(())
        })
        .await;
    assert!(answer.status.is_success());
}

#[tokio::test]
async fn remove_take_and_clear() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let put = |session: Session| async move {
        for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
            session.insert(key, n)?;
        }
        Ok(())
    };
    browser.act(put).await;
    stage.forget();
    let answer = browser
        .act(|session| async move {
            session.remove("a")?;
            session.remove("missing")?;
            assert_eq!(session.take::<u32>("b")?, Some(1));
            assert_eq!(session.take::<u32>("b")?, None);
            assert_eq!(session.keys(), ["c"]);
            session.save().await?;
            session.clear()?;
            assert!(session.keys().is_empty());
            session.insert("d", 4)
        })
        .await;
    stage.expect(&answer, 200, &[Load, Update, Update], Effect::Nothing);
    browser
        .act(|session| async move {
            assert_eq!(session.keys(), ["d"]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn update_makes_a_new_value_of_the_old() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    for (expected, verbs) in [(vec![1], &[Create][..]), (vec![1, 2], &[Load, Update])] {
        let answer = browser
            .act(|session| async move {
                let cart = session.update(CART, |cart| {
                    let mut cart = cart.unwrap_or_default();
                    cart.items
                        .push(u32::try_from(cart.items.len()).unwrap_or(0) + 1);
                    cart
                })?;
                assert_eq!(session.get(CART)?, Some(cart.clone()));
                Ok(format!("{:?}", cart.items))
            })
            .await;
        assert_eq!(answer.text(), format!("{expected:?}"));
        assert_eq!(stage.store.take_verbs(), verbs);
    }
}

#[tokio::test]
async fn equal_bytes_are_not_saved_again() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let same = |session: Session| async move {
        session.insert("n", 1)?;
        session.update("n", |n: Option<u32>| n.unwrap_or(0))?;
        session.insert("m", 1)?;
        session.remove("m")
    };
    let answer = browser.act(same).await;
    stage.expect(&answer, 200, &[Load], Effect::Nothing);
    stage.clock.advance(cloakroom::hours(3));
    let answer = browser.act(same).await;
    stage.expect(&answer, 200, &[Load, Touch], Effect::Nothing);
}

/// What the request saw may be stale: with another edit, the one that changes nothing is replayed.
#[tokio::test]
async fn equal_bytes_are_put_back_with_the_next_commit() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let mut other = browser.clone();
    browser
        .act(|session| async move {
            session.insert("n", 1)?;
            session.insert("m", 1)?;
            other
                .act(|session| async move { session.insert("n", 9) })
                .await;
            Ok(())
        })
        .await;
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn the_closure_of_an_update_may_use_the_session_itself() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move {
            session.insert("step", 5)?;
            let inner = session.clone();
            let n = session.update("n", move |n: Option<u32>| {
                let step = inner.get::<u32>("step").ok().flatten();
                let runs = inner.update("runs", |runs: Option<u32>| runs.unwrap_or(0) + 1);
                assert_eq!(runs.ok(), Some(1));
                n.unwrap_or(0) + step.unwrap_or(0)
            })?;
            Ok(n.to_string())
        })
        .await;
    assert_eq!(answer.text(), "6");
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
}

#[tokio::test]
async fn clones_are_the_same_session() {
    let stage = Stage::memory();
    let answer = stage
        .browser()
        .act(|session| async move {
            session.clone().insert("n", 1)?;
            assert_eq!(session.get::<u32>("n")?, Some(1));
            Ok::<_, SessionError>(())
        })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
}
