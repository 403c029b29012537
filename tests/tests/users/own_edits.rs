//! What a sign-in carries over if the session ends elsewhere during the request: this request's own edits,
//! and nothing else. And what the cookie of an ended session is worth.

use std::collections::BTreeMap;

use axum::Router;
use cloakroom::{Session, SessionError};
use tests::app::{Fixture, app};
use tests::browser::{Browser, CookieChange};

use super::{sign_in, whoami};

type Entries = BTreeMap<String, u32>;

fn entries(session: &Session) -> Result<Entries, SessionError> {
    let mut entries = Entries::new();
    for key in session.keys() {
        if let Some(value) = session.get(&*key)? {
            entries.insert(key, value);
        }
    }
    Ok(entries)
}

/// A session with the entries `cart` and `n` ends elsewhere after a request has edited it; the request then
/// signs in. Returns what the browser has afterwards.
async fn signed_in_after(
    edit: impl FnOnce(&Session) -> Result<(), SessionError> + Send + 'static,
) -> Entries {
    let fixture = Fixture::memory();
    let app: Router = app(fixture.layer());
    let mut browser = Browser::new(app);
    browser
        .request(|session| async move {
            session.insert("n", 1)?;
            session.insert("cart", 1)
        })
        .await;
    let mut other_tab = browser.clone();
    let response = browser
        .request(move |session| async move {
            edit(&session)?;
            other_tab
                .request(|session| async move { session.sign_out().await.map(|_| ()) })
                .await;
            session.sign_in("ada").await
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(whoami(&mut browser).await, "ada");
    let response = browser
        .request(|session| async move { Ok(format!("{:?}", entries(&session)?)) })
        .await;
    let text = response.text().to_owned();
    let keys = ["cart", "n", "x", "y"].into_iter();
    let kept = keys.filter(|key| text.contains(&format!("{key:?}")));
    kept.map(|key| (key.to_owned(), 1)).collect()
}

fn only(keys: &[&str]) -> Entries {
    keys.iter().map(|key| ((*key).to_owned(), 1)).collect()
}

#[tokio::test]
async fn inserted_entries_are_own_edits() {
    let kept = signed_in_after(|session| {
        session.insert("x", 1)?;
        session.insert("y", 1)
    });
    assert_eq!(kept.await, only(&["x", "y"]));
}

#[tokio::test]
async fn entries_removed_again_are_not_own_edits() {
    let kept = signed_in_after(|session| {
        session.insert("x", 1)?;
        session.insert("y", 1)?;
        session.remove("x")
    });
    assert_eq!(kept.await, only(&["y"]));
}

#[tokio::test]
async fn entries_cleared_again_are_not_own_edits() {
    let kept = signed_in_after(|session| {
        session.insert("x", 1)?;
        session.clear()?;
        session.insert("y", 1)
    });
    assert_eq!(kept.await, only(&["y"]));
}

#[tokio::test]
async fn a_removed_entry_of_the_ended_session_does_not_come_back() {
    let kept = signed_in_after(|session| {
        session.remove("cart")?;
        session.insert("y", 1)
    });
    assert_eq!(kept.await, only(&["y"]));
}

/// Only the holder of its secret can tell that a session has ended: to anybody else its id is unknown, and
/// a write creates a session.
#[tokio::test]
async fn an_ended_id_with_another_secret_is_unknown() {
    let fixture = Fixture::memory();
    let app = app(fixture.layer());
    let mut owner = Browser::new(app.clone());
    sign_in(&mut owner, "ada").await;
    let token = owner.cookie().expect("it has one").to_owned();
    let holder = owner.clone();
    owner
        .request(|session| async move { session.sign_out().await.map(|_| ()) })
        .await;
    let write = async |mut browser: Browser| {
        let response = browser.request(|session| async move { session.insert("n", 1) });
        response.await.cookie_change()
    };
    assert_eq!(write(holder).await, CookieChange::Nothing, "its holder");
    let mut other = Browser::new(app);
    // The id is the first half of the token.
    let forged = format!("{}{}", &token[..22], "A".repeat(21));
    other.add_cookie("__Host-Http-id", forged);
    assert_eq!(write(other).await, CookieChange::Set, "another secret");
}
