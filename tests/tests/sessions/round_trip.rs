//! What goes in comes out, or is refused; and stored values that are not of the requested type.

use std::collections::BTreeMap;

use cloakroom::{Base64, MismatchPolicy, Session, SessionError, SessionErrorKind};
use serde::{Deserialize, Serialize};
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb::{Load, Update};
use tests::log::Log;

const WARNING: &str = "stored value is not of the requested type; logged once";

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, SessionError>) {
    let error = result.expect_err("it would not come back");
    assert_eq!(error.kind(), SessionErrorKind::Entry, "{error}");
    assert!(error.to_string().contains("NaN or infinite"), "{error}");
}

#[tokio::test]
async fn every_edit_refuses_a_value_that_would_not_come_back() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let response = browser
        .request(|session| async move {
            session.insert("float", 1.5)?;
            session.insert("list", vec![1.5])?;
            session.insert("map", BTreeMap::from([("a".to_owned(), 1.5)]))?;
            session.save().await?;
            let nan = f64::NAN;
            assert_refused(session.insert("float", nan));
            assert_refused(session.insert("other", vec![(1, Some(f32::INFINITY))]));
            assert_refused(session.update("float", move |_: Option<f64>| nan));
            assert_refused(
                session
                    .update_now("float", move |_: Option<f64>| -nan)
                    .await,
            );
            assert_refused(session.push("list", nan));
            let items = BTreeMap::from([("b".to_owned(), f64::NEG_INFINITY)]);
            assert_refused(session.merge("map", items));
            assert_refused(session.sign_in(7).insert("float", nan).map(drop));
            let mut detached = session.detach()?;
            assert_refused(detached.insert("float", nan));
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    browser
        .request(|session| async move {
            assert_eq!(session.get("float")?, Some(1.5));
            assert_eq!(session.get("list")?, Some(vec![1.5]));
            assert_eq!(session.keys(), ["float", "list", "map"]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn floats_bytes_and_large_integers_come_back_in_the_next_request() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let floats: Vec<f64> = (0..2000).map(|n| f64::from(n) / 1999.7).collect();
    let sent = (117.633_311_394_000_17_f64, floats, u128::MAX, i128::MIN);
    let stored = sent.clone();
    browser
        .request(|session| async move {
            session.insert("numbers", stored)?;
            session.insert("bytes", Base64(vec![0, 255]))
        })
        .await;
    let response = browser
        .request(|session| async move {
            assert_eq!(session.get("numbers")?, Some(sent));
            assert_eq!(session.get("bytes")?, Some(Base64(vec![0, 255])));
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
}

#[tokio::test]
async fn null_is_absent_for_a_type_that_is_never_null() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    browser
        .request(|session| async move {
            for key in ["next", "n", "list", "taken", "once"] {
                session.insert(key, None::<String>)?;
            }
            Ok(())
        })
        .await;
    let response = browser
        .request(|session| async move {
            assert_eq!(session.get::<String>("next")?, None);
            assert_eq!(session.get::<Option<String>>("next")?, Some(None));
            assert_eq!(session.detach()?.get::<String>("next")?, None);
            assert_eq!(session.increment("n", 2)?, 2);
            session.push("list", 7)?;
            assert_eq!(session.get("list")?, Some(vec![7]));
            assert_eq!(session.take::<String>("taken")?, None);
            assert!(!session.contains("taken"), "it is removed");
            assert_eq!(session.take_once::<String>("once").await?, None);
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
}

/// A type as the previous version of an app has stored it, and as the current one reads it.
#[derive(Serialize)]
struct OldCart {
    items: Vec<u32>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
    currency: String,
}

async fn with_old_values(fixture: &Fixture, policy: MismatchPolicy) -> Browser {
    let layer = fixture.builder().with_mismatch_policy(policy).build();
    let mut browser = fixture.browser_of(layer.expect("it is valid"));
    browser
        .request(|session| async move {
            for key in ["cart", "wishes", "taken", "once"] {
                session.insert(key, OldCart { items: vec![4711] })?;
            }
            Ok(())
        })
        .await;
    fixture.clear_verbs();
    browser
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_and_is_logged_once_for_each_key_and_type() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let mut browser = with_old_values(&fixture, MismatchPolicy::default()).await;
    for _ in 0..2 {
        let response = browser
            .request(|session| async move {
                let check = |error: SessionError| {
                    assert_eq!(error.kind(), SessionErrorKind::Entry);
                    assert!(error.to_string().contains("lacks a required field"));
                };
                check(session.get::<Cart>("cart").unwrap_err());
                check(session.take::<Cart>("cart").unwrap_err());
                let update = session.update("cart", |cart: Option<Cart>| cart.unwrap_or_default());
                check(update.unwrap_err());
                assert!(session.contains("cart"));
                Ok(())
            })
            .await;
        fixture.assert_response(&response, 200, &[Load], CookieChange::Nothing);
    }
    assert_eq!(log.count(WARNING), 1, "{}", log.text());
    browser
        .request(|session| async move {
            drop(session.get::<Cart>("wishes"));
            drop(session.get::<Vec<u8>>("wishes"));
            drop(session.get::<Cart>("wishes"));
            Ok(())
        })
        .await;
    let text = log.text();
    assert_eq!(log.count(WARNING), 3, "another key, and another type");
    assert!(text.contains("key=\"wishes\"") && text.contains("Cart"));
    assert!(!text.contains("4711"), "no value is logged");
}

#[tokio::test]
async fn a_value_of_another_type_can_count_as_absent() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let mut browser = with_old_values(&fixture, MismatchPolicy::TreatAsAbsent).await;
    let response = browser
        .request(|session| async move {
            assert_eq!(session.get::<Cart>("cart")?, None);
            assert!(session.contains("cart"), "reading changes nothing");
            let cart = session.update("cart", |cart: Option<Cart>| {
                assert_eq!(cart, None);
                Cart::default()
            })?;
            assert_eq!(session.get("cart")?, Some(cart));
            assert_eq!(session.take::<Cart>("taken")?, None);
            assert!(!session.contains("taken"));
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    let response = browser
        .request(|session| async move {
            assert_eq!(session.get("cart")?, Some(Cart::default()));
            assert_eq!(session.take_once::<Cart>("once").await?, None);
            assert_eq!(session.keys(), ["cart", "wishes"]);
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    assert_eq!(log.count(WARNING), 3, "once for each key");
}

/// A request counts while another one stores a value of another type under the same key.
async fn counts_on_text(policy: MismatchPolicy) -> (u16, Option<u32>) {
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_mismatch_policy(policy).build();
    let layer = layer.expect("it is valid");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let mut other = browser.clone();
    let response = browser
        .request(|session: Session| async move {
            session.increment("n", 1_u32)?;
            other
                .request(|session| async move { session.insert("n", "text") })
                .await;
            Ok(())
        })
        .await;
    let mut n = None;
    if response.status.is_success() {
        n = browser.read().await;
    }
    (response.status.as_u16(), n)
}

#[tokio::test]
async fn a_replay_treats_a_value_of_another_type_as_configured() {
    assert_eq!(counts_on_text(MismatchPolicy::Reject).await, (500, None));
    let absent = counts_on_text(MismatchPolicy::TreatAsAbsent).await;
    assert_eq!(absent, (200, Some(1)));
}
