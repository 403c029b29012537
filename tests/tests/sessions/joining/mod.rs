//! A sign-in whose session another request of the browser has renewed or ended in the meantime: which session
//! it continues in, and with which data.

mod data;
mod failures;
mod joined;
mod limits;

use cloakroom::{Session, SessionError};
use tests::browser::Browser;

async fn sign_in(session: Session) -> Result<(), SessionError> {
    session.sign_in("ada").await
}

/// Signs in while `meanwhile` happens in another tab, and returns the browser that has this response alone.
async fn sign_in_late(browser: &Browser, meanwhile: impl AsyncFnOnce(Browser)) -> Browser {
    let (status, late) = try_sign_in_late(browser, meanwhile).await;
    assert_eq!(status, 200);
    late
}

/// Signs in in another tab, and while that happens in this one too, which joins the session. Returns the browsers that have
/// each response alone, that of the other tab first.
async fn sign_in_twice(browser: &Browser) -> (Browser, Browser) {
    let mut first = None;
    let late = sign_in_late(browser, async |mut tab: Browser| {
        tab.request(sign_in).await;
        first = Some(tab);
    });
    let late = late.await;
    (first.expect("it has signed in"), late)
}

/// The same for a sign-in that may fail. Also returns its status.
async fn try_sign_in_late(
    browser: &Browser,
    meanwhile: impl AsyncFnOnce(Browser),
) -> (u16, Browser) {
    let (mut late, elsewhere) = (browser.clone(), browser.clone());
    let loaded = std::sync::Arc::new(tokio::sync::Notify::new());
    let resumed = std::sync::Arc::new(tokio::sync::Notify::new());
    let (at_load, at_resume) = (loaded.clone(), resumed.clone());
    let request = async {
        let response = late.request(move |session: Session| async move {
            session.insert("late", true)?;
            at_load.notify_one();
            at_resume.notified().await;
            session.sign_in("ada").await
        });
        response.await.status.as_u16()
    };
    let meanwhile = async {
        loaded.notified().await;
        meanwhile(elsewhere).await;
        resumed.notify_one();
    };
    let (status, ()) = tokio::join!(request, meanwhile);
    (status, late)
}

/// The keys of the session, and who is signed in.
async fn see(browser: &mut Browser) -> (Vec<String>, Option<String>) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    browser
        .request(move |session: Session| async move {
            let user = session.user().map(|user| user.to_string());
            drop(sender.send((session.keys(), user)));
            Ok(())
        })
        .await;
    receiver.await.expect("the handler runs")
}

fn ada() -> Option<String> {
    Some("ada".to_owned())
}
