//! What cannot be done, and what is said about it.

use cloakroom::{Session, SessionError, SessionErrorKind};
use cloakroom_core::SystemEntropy;
use cloakroom_core::entropy::{Entropy, EntropyError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tests::app::Stage;
use tests::browser::Effect;
use tests::faults::Verb::{Create, Load, Update};

#[tokio::test]
async fn an_edit_over_the_limit_changes_nothing() {
    let stage = Stage::memory();
    let layer = stage.builder().with_max_session_size(2000).build().unwrap();
    let mut browser = stage.browser_of(layer);
    let answer = browser
        .act(|session| async move {
            session.insert("small", "x".repeat(1000))?;
            let error = session.insert("large", "y".repeat(1500)).unwrap_err();
            assert_eq!(error.kind(), SessionErrorKind::TooLarge);
            assert!(error.to_string().contains("limit is 2000"), "{error}");
            let size: usize = error
                .to_string()
                .split(' ')
                .find_map(|word| word.parse().ok())
                .expect("the size is told");
            assert!((2500..2700).contains(&size), "{size}");
            assert_eq!(session.keys(), ["small"]);

            let grow = |text: Option<String>| text.unwrap_or_default().repeat(2);
            let error = session.update("small", grow).unwrap_err();
            assert_eq!(error.kind(), SessionErrorKind::TooLarge);
            let text: Option<String> = session.get("small")?;
            assert_eq!(text, Some("x".repeat(1000)));
            session.insert("small", "shorter")
        })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
    browser
        .act(|session| async move {
            assert_eq!(session.get::<String>("small")?.as_deref(), Some("shorter"));
            assert_eq!(session.keys(), ["small"]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn a_session_that_grows_in_small_steps_ends_at_the_limit() {
    const LIMIT: usize = 1024;
    let stage = Stage::memory();
    let layer = stage
        .builder()
        .with_max_session_size(LIMIT)
        .build()
        .unwrap();
    let mut browser = stage.browser_of(layer);
    let answer = browser
        .act(|session| async move {
            let mut size = None;
            for length in 1..LIMIT {
                if let Err(error) = session.insert("text", "x".repeat(length)) {
                    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
                    size = Some((length, error.to_string()));
                    break;
                }
            }
            let (length, error) = size.expect("there is a limit");
            assert!(error.contains(&(LIMIT + 1).to_string()), "{error}");
            let text: Option<String> = session.get("text")?;
            assert_eq!(text.map(|text| text.len()), Some(length - 1));
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
}

#[tokio::test]
async fn a_session_over_a_limit_that_was_lowered_may_shrink() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    browser
        .act(|session| async move {
            session.insert("a", "x".repeat(2000))?;
            session.insert("b", "x".repeat(2000))
        })
        .await;
    stage.forget();
    let layer = stage.builder().with_max_session_size(1024).build().unwrap();
    let mut browser = browser.on(tests::app::app(layer));
    let answer = browser
        .act(|session| async move { session.remove("a") })
        .await;
    stage.expect(&answer, 200, &[Load, Update], Effect::Nothing);
    let answer = browser
        .act(|session| async move { session.insert("c", 1) })
        .await;
    assert_eq!(answer.status, 500);
    let error = answer.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
}

#[tokio::test]
async fn reserved_keys_are_refused() {
    let stage = Stage::memory();
    let answer = stage
        .browser()
        .act(|session| async move {
            let reserved = SessionErrorKind::ReservedKey;
            assert_eq!(session.insert("$user", 1).unwrap_err().kind(), reserved);
            assert_eq!(session.get::<u32>("$user").unwrap_err().kind(), reserved);
            assert_eq!(session.take::<u32>("$user").unwrap_err().kind(), reserved);
            assert_eq!(session.remove("$").unwrap_err().kind(), reserved);
            let update = session.update("$user", |n: Option<u32>| n.unwrap_or(0));
            assert_eq!(update.unwrap_err().kind(), reserved);
            let error = session.take_once::<u32>("$user").await.unwrap_err();
            assert_eq!(error.kind(), reserved);
            assert!(error.to_string().contains("`$user`"));
            assert!(!session.contains("$user") && session.keys().is_empty());
            session.insert("user$", 1)
        })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
}

#[tokio::test]
async fn a_value_of_another_type_is_named_by_its_key_and_never_shown() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let answer = browser
        .act(|session| async move {
            session.insert("n", "hunter2")?;
            let told = |error: SessionError| {
                assert_eq!(error.kind(), SessionErrorKind::Entry);
                let text = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
                assert!(text.contains("`n`"), "{text}");
                assert!(!text.contains("hunter2"), "{text}");
            };
            told(session.get::<u32>("n").unwrap_err());
            told(session.take::<u32>("n").unwrap_err());
            told(
                session
                    .update("n", |n: Option<u32>| n.unwrap_or(0))
                    .unwrap_err(),
            );
            let unwritable: std::collections::HashMap<Vec<u8>, u8> = [(vec![1], 1)].into();
            told(session.insert("n", unwritable).unwrap_err());
            assert_eq!(session.get::<String>("n")?.as_deref(), Some("hunter2"));
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Create], Effect::Set);
}

#[tokio::test]
async fn an_error_of_the_handler_is_told_without_its_edits() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let act = |session: Session| async move {
        session.insert("n", 2)?;
        session.get::<Vec<u8>>("n").map(|_| ())
    };
    let answer = browser.act(act).await;
    stage.expect(&answer, 500, &[Load], Effect::Nothing);
    assert_eq!(browser.read().await, Some(1));
}

/// A generator that works until it is told to fail.
#[derive(Clone, Debug, Default)]
struct Failing(Arc<AtomicBool>);

impl Entropy for Failing {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(EntropyError::new("no randomness today"));
        }
        SystemEntropy.fill(bytes)
    }
}

#[tokio::test]
async fn without_randomness_nothing_is_written() {
    let stage = Stage::memory();
    let entropy = Failing::default();
    let layer = stage
        .builder()
        .with_rng(entropy.clone())
        .build()
        .expect("it is valid");
    let mut browser = stage.with_session(stage.browser_of(layer.clone())).await;
    entropy.0.store(true, Ordering::SeqCst);

    let mut new = stage.browser_of(layer);
    let answer = new
        .act(|session| async move { session.insert("n", 2) })
        .await;
    assert_eq!(answer.status, 500);
    let error = answer.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), SessionErrorKind::NoRandomness);
    assert_eq!(
        (stage.store.take_verbs(), answer.effect()),
        (vec![], Effect::Nothing)
    );

    let answer = browser.act(|session| async move { session.renew() }).await;
    assert_eq!(answer.status, 500);
    assert_eq!(
        (stage.store.take_verbs(), answer.effect()),
        (vec![Load], Effect::Nothing)
    );

    let answer = browser
        .act(|session| async move { session.insert("n", 2) })
        .await;
    assert_eq!(answer.status, 500);
    assert_eq!(stage.store.take_verbs(), [Load]);
    assert_eq!(browser.read().await, Some(1), "reading needs none");
}
