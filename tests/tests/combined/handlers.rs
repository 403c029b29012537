//! Handlers for what a request does to its session.

use cloakroom::{Session, SessionError};
use tests::browser::Browser;

pub(super) async fn sign_in(session: Session) -> Result<(), SessionError> {
    session.insert("n", 1)?;
    session.sign_in("ada").await
}

pub(super) async fn destroy(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.destroy().await?))
}

pub(super) async fn renew(session: Session) -> Result<(), SessionError> {
    session.renew()
}

/// The user of the session to which the browser's cookie leads, as `Debug` shows it.
pub(super) async fn user(browser: &mut Browser) -> String {
    let who = |session: Session| async move { Ok(format!("{:?}", session.user())) };
    browser.request(who).await.text().to_owned()
}
