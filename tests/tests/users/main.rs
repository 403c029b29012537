//! Users: signing in and out; listing, limiting and revoking their sessions, on every store.

mod by_id;
mod clocks;
mod devices;
mod event_clients;
mod event_counts;
mod evictions;
mod header;
mod index_entries;
mod killed;
mod large;
mod legacy;
mod legacy_cookies;
mod legacy_ends;
mod limits;
mod linked;
mod listing;
mod live;
mod migrated_ends;
mod model;
mod own_edits;
mod recent_sign_in;
mod revoke;
mod revoke_everyone;
mod rotation;
mod rotation_faults;
mod sign_in;
mod sign_in_steps;
mod sign_out;
mod undecodable;

use cloakroom::{Session, SessionError, SessionId, UserId};
use tests::browser::{Browser, TestResponse};

/// Signs in, and expects it to succeed.
async fn sign_in(browser: &mut Browser, user: impl Into<UserId>) -> SessionId {
    let user = user.into();
    let response = try_sign_in(browser, user).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.text().parse().expect("the response is the id")
}

/// Signs in; the response is the new session's id.
async fn try_sign_in(browser: &mut Browser, user: impl Into<UserId>) -> TestResponse {
    let user = user.into();
    browser
        .request(|session| async move {
            session.sign_in(user).await?;
            Ok(id(&session))
        })
        .await
}

/// The signed-in user in the handler; empty if there is none.
async fn whoami(browser: &mut Browser) -> String {
    let response = browser.request(user_of).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.text().to_owned()
}

async fn user_of(session: Session) -> Result<String, SessionError> {
    Ok(session
        .user()
        .map(|user| user.to_string())
        .unwrap_or_default())
}

fn id(session: &Session) -> String {
    session.id().map(|id| id.to_string()).unwrap_or_default()
}

/// Waits until background work is done.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = std::time::Instant::now();
    while !condition().await {
        assert!(began.elapsed().as_secs() < 20, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
