//! Reading and editing entries.

use std::collections::BTreeMap;

use cloakroom::{Key, Session, SessionError};
use serde::{Deserialize, Serialize};
use tests::app::Fixture;
use tests::browser::CookieChange;
use tests::faulty_store::Verb::{Create, Load, Touch, Update};

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
async fn values_round_trip_to_the_next_request() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    browser
        .request(|session| async move {
            session.insert(CART, full())?;
            session.insert("text", "words")?;
            session.insert(String::from("none"), None::<u32>)?;
            session.insert("unit", ())
        })
        .await;
    let response = browser
        .request(|session| async move {
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
    assert!(response.status.is_success());
}

#[tokio::test]
async fn remove_take_and_clear() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let put = |session: Session| async move {
        for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
            session.insert(key, n)?;
        }
        Ok(())
    };
    browser.request(put).await;
    fixture.clear_verbs();
    let response = browser
        .request(|session| async move {
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
    fixture.assert_response(
        &response,
        200,
        &[Load, Update, Update],
        CookieChange::Nothing,
    );
    browser
        .request(|session| async move {
            assert_eq!(session.keys(), ["d"]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn update_computes_the_new_value_from_the_old() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    for (expected, verbs) in [(vec![1], &[Create][..]), (vec![1, 2], &[Load, Update])] {
        let response = browser
            .request(|session| async move {
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
        assert_eq!(response.text(), format!("{expected:?}"));
        assert_eq!(fixture.store.take_verbs(), verbs);
    }
}

#[tokio::test]
async fn unchanged_values_are_not_saved() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let same = |session: Session| async move {
        session.insert("n", 1)?;
        session.update("n", |n: Option<u32>| n.unwrap_or(0))?;
        session.insert("m", 1)?;
        session.remove("m")
    };
    let response = browser.request(same).await;
    fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
    fixture.clock.advance(cloakroom::hours(3));
    let response = browser.request(same).await;
    fixture.assert_response(&response, 200, &[Load, Touch], CookieChange::Nothing);
}

/// The value that a request has read may be stale: together with another edit, an edit that changes
/// nothing is replayed.
#[tokio::test]
async fn unchanged_values_are_replayed_with_other_edits() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut other = browser.clone();
    browser
        .request(|session| async move {
            session.insert("n", 1)?;
            session.insert("m", 1)?;
            other
                .request(|session| async move { session.insert("n", 9) })
                .await;
            Ok(())
        })
        .await;
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn an_update_closure_may_use_the_session() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move {
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
    assert_eq!(response.text(), "6");
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
}

#[tokio::test]
async fn clones_are_the_same_session() {
    let fixture = Fixture::memory();
    let response = fixture
        .browser()
        .request(|session| async move {
            session.clone().insert("n", 1)?;
            assert_eq!(session.get::<u32>("n")?, Some(1));
            Ok::<_, SessionError>(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
}

thread_local! {
    /// The session that [`UsesTheSession`] reads and writes while it is encoded and decoded.
    static CURRENT: std::cell::RefCell<Option<Session>> = const { std::cell::RefCell::new(None) };
}

/// A value whose `Serialize` and `Deserialize` use the session that it is put into.
struct UsesTheSession;

fn use_the_session() {
    let session = CURRENT.with_borrow(Clone::clone).expect("it is set");
    let count: u32 = session.get("count").expect("readable").unwrap_or_default();
    session.insert("count", count + 1).expect("writable");
}

impl Serialize for UsesTheSession {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use_the_session();
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for UsesTheSession {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use_the_session();
        <()>::deserialize(deserializer).map(|()| Self)
    }
}

/// The app's code never runs under a lock of ours: it would wait for itself.
#[test]
fn a_value_may_use_the_session_while_it_is_encoded_and_decoded() {
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let response = runtime.block_on(async {
            let mut browser = Fixture::memory().browser();
            browser
                .request(|session| async move {
                    CURRENT.set(Some(session.clone()));
                    session.insert("value", UsesTheSession)?;
                    assert!(session.get::<UsesTheSession>("value")?.is_some());
                    session.update("value", |_: Option<UsesTheSession>| UsesTheSession)?;
                    assert!(session.take::<UsesTheSession>("value")?.is_some());
                    Ok(session.get::<u32>("count")?.unwrap_or_default().to_string())
                })
                .await
        });
        done.send(response.text().to_owned())
    });
    let count = waits.recv_timeout(std::time::Duration::from_secs(30));
    assert_eq!(count.as_deref(), Ok("5"), "twice for the update");
}
