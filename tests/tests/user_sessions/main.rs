//! Whose session it is: signing in and out, the user's sessions listed, limited and ended, on every
//! store.

mod devices;
mod ending;
mod everything;
mod fresh;
mod header;
mod killed;
mod limits;
mod linked;
mod listing;
mod rotation;
mod signing_in;
mod signing_out;

use cloakroom::{Session, SessionError, SessionId, UserId};
use tests::browser::{Answer, Browser};

/// Signs in, and expects it to succeed.
async fn sign_in(browser: &mut Browser, user: impl Into<UserId>) -> SessionId {
    let user = user.into();
    let answer = try_sign_in(browser, user).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().parse().expect("the answer is the id")
}

/// Signs in; the answer is the new session's id.
async fn try_sign_in(browser: &mut Browser, user: impl Into<UserId>) -> Answer {
    let user = user.into();
    browser
        .act(|session| async move {
            session.sign_in(user).await?;
            Ok(id(&session))
        })
        .await
}

/// Who is signed in, as the handler sees it; nobody is empty.
async fn whoami(browser: &mut Browser) -> String {
    let answer = browser.act(user_of).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().to_owned()
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

/// Waits until what happens in the background has happened.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = std::time::Instant::now();
    while !condition().await {
        assert!(began.elapsed().as_secs() < 20, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
