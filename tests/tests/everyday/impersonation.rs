//! Acting as another user.

use cloakroom::{
    EndReason, RevokedBy, Session, SessionError, SessionErrorKind, SessionEvent, SessionLimit,
    minutes,
};
use tests::app::{Fixture, app};
use tests::backend::Backend;
use tests::browser::{Browser, CookieChange, TestResponse};
use tests::on_every_store;

use super::sign_in;

on_every_store!(
    a_user_acts_as_another_with_data_of_its_own_and_gets_the_former_back,
    it_is_never_a_recent_sign_in,
    it_ends_when_either_user_is_revoked,
    it_is_in_the_list_and_the_limit_of_the_impersonator_alone,
    events_have_both_users,
);

pub(super) async fn impersonate(browser: &mut Browser, user: &'static str) -> TestResponse {
    browser
        .request(move |session| async move { session.impersonate(user).await })
        .await
}

pub(super) async fn stop(browser: &mut Browser) -> TestResponse {
    browser
        .request(|session| async move { Ok(session.stop_impersonating().await?.to_string()) })
        .await
}

/// The user and the impersonator in the handler.
pub(super) async fn users(browser: &mut Browser) -> String {
    let response = browser.request(users_of).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.text().to_owned()
}

async fn users_of(session: Session) -> Result<String, SessionError> {
    let name = |user: Option<cloakroom::UserId>| user.map(|user| user.to_string());
    let user = name(session.user()).unwrap_or_default();
    let impersonator = name(session.impersonator());
    Ok(impersonator.map_or(user.clone(), |by| format!("{user} by {by}")))
}

/// The kind of the error of a refused request.
fn kind(response: &TestResponse) -> SessionErrorKind {
    let error: Option<&SessionError> = response.extension();
    error.map(SessionError::kind).expect("it was refused")
}

pub(super) async fn set(browser: &mut Browser, n: u32) {
    browser
        .request(move |session| async move { session.insert("n", n) })
        .await;
}

async fn a_user_acts_as_another_with_data_of_its_own_and_gets_the_former_back(backend: Backend) {
    let mut ada = backend.browser().await;
    sign_in(&mut ada, "ada").await;
    set(&mut ada, 1).await;
    let mut old = ada.clone();
    let response = impersonate(&mut ada, "bob").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(users(&mut ada).await, "bob by ada");
    assert_eq!(users(&mut old).await, "", "the old token is invalid");
    assert_eq!(ada.read().await, None, "the data are set aside");
    set(&mut ada, 2).await;
    ada.request(|session| async move { session.clear() }).await;
    set(&mut ada, 3).await;
    ada.request(|session| async move { session.renew() }).await;
    assert_eq!(users(&mut ada).await, "bob by ada");
    assert_eq!(ada.read().await, Some(3));

    let response = stop(&mut ada).await;
    assert_eq!(
        (response.text(), response.cookie_change()),
        ("true", CookieChange::Set)
    );
    assert_eq!(users(&mut ada).await, "ada");
    assert_eq!(ada.read().await, Some(1), "what was stored before is back");
    assert_eq!(stop(&mut ada).await.text(), "false");
}

async fn it_is_never_a_recent_sign_in(backend: Backend) {
    let recent = async |browser: &mut Browser| {
        let recent = |session: Session| async move {
            session.require_recent_sign_in(minutes(10))?;
            Ok(())
        };
        let response = browser.request(recent).await;
        (response.status == 401).then(|| kind(&response))
    };
    let mut ada = backend.browser().await;
    sign_in(&mut ada, "ada").await;
    assert_eq!(recent(&mut ada).await, None);
    impersonate(&mut ada, "bob").await;
    assert_eq!(
        recent(&mut ada).await,
        Some(SessionErrorKind::ReauthenticationRequired)
    );
    let none = ada
        .request(|session| async move {
            assert_eq!(session.signed_in_at(), None);
            assert!(!session.signed_in_within(minutes(10)));
            Ok(())
        })
        .await;
    assert_eq!(none.status, 200);
    backend.clock.advance(minutes(11));
    impersonate(&mut ada, "bob").await;
    stop(&mut ada).await;
    let found = recent(&mut ada).await;
    assert_eq!(
        found,
        Some(SessionErrorKind::ReauthenticationRequired),
        "nor afterwards"
    );
}

async fn it_ends_when_either_user_is_revoked(backend: Backend) {
    let sessions = backend.sessions().await;
    for (revoked, expected) in [("ada", 1), ("bob", 0)] {
        let mut ada = backend.browser().await;
        sign_in(&mut ada, "ada").await;
        impersonate(&mut ada, "bob").await;
        // Its id is another one by now.
        ada.request(|session| async move { session.renew() }).await;
        assert_eq!(users(&mut ada).await, "bob by ada");
        let ended = sessions.revoke_all(revoked, RevokedBy::Admin).await;
        assert_eq!(ended.expect("the store responds"), expected);
        assert_eq!(users(&mut ada).await, "", "{revoked} was revoked");
        assert_eq!(sessions.count("ada").await.expect("the store responds"), 0);
    }
    // One that has stopped is not concerned.
    let mut ada = backend.browser().await;
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    stop(&mut ada).await;
    sessions
        .revoke_all("bob", RevokedBy::User)
        .await
        .expect("the store responds");
    assert_eq!(users(&mut ada).await, "ada");
}

async fn it_is_in_the_list_and_the_limit_of_the_impersonator_alone(backend: Backend) {
    let builder = backend.builder().await;
    let layer = builder
        .with_session_limit(SessionLimit::evict_oldest(1))
        .build();
    let layer = layer.expect("it is valid");
    let sessions = layer.sessions();
    let app = app(layer);
    let (mut ada, mut bob) = (Browser::new(app.clone()), Browser::new(app));
    sign_in(&mut bob, "bob").await;
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    assert_eq!(
        users(&mut bob).await,
        "bob",
        "the limit of bob is not reached"
    );
    let listed = sessions.list("bob").await.expect("the store responds");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].impersonating(), None);
    let listed = sessions.list("ada").await.expect("the store responds");
    assert_eq!(listed.len(), 1);
    let (user, since) = listed[0].impersonating().expect("it is shown");
    assert_eq!(user, &"bob".into());
    assert_eq!(
        since,
        std::time::SystemTime::from(cloakroom_core::Clock::now(&backend.clock))
    );
}

async fn events_have_both_users(backend: Backend) {
    let layer = backend.layer().await;
    let mut events = backend.listen(&layer).await;
    let mut ada = backend.browser().await;
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    stop(&mut ada).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), events.next());
        match next.await.expect("it is published") {
            Some(SessionEvent::ImpersonationStarted {
                impersonator, user, ..
            }) => {
                seen.push(format!("{impersonator} as {user}"));
            }
            Some(SessionEvent::ImpersonationStopped {
                impersonator, user, ..
            }) => {
                seen.push(format!("{impersonator} no longer as {user}"));
            }
            _ => {}
        }
    }
    seen.sort();
    assert_eq!(seen, ["ada as bob", "ada no longer as bob"]);
}

#[tokio::test]
async fn it_does_not_nest_and_needs_a_signed_in_user() {
    let fixture = Fixture::memory();
    let mut nobody = fixture.browser_with_session().await;
    let refused = impersonate(&mut nobody, "bob").await;
    assert_eq!(
        (refused.status.as_u16(), kind(&refused)),
        (401, SessionErrorKind::NotSignedIn)
    );
    let mut ada = fixture.browser();
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    let refused = impersonate(&mut ada, "carol").await;
    assert_eq!(
        (refused.status.as_u16(), kind(&refused)),
        (403, SessionErrorKind::Impersonating)
    );
    assert_eq!(users(&mut ada).await, "bob by ada");
}

#[tokio::test]
async fn a_sign_in_or_a_sign_out_ends_it_and_no_data_mix() {
    let fixture = Fixture::memory();
    for user in ["ada", "bob", "carol"] {
        let mut ada = fixture.browser();
        sign_in(&mut ada, "ada").await;
        set(&mut ada, 1).await;
        impersonate(&mut ada, "bob").await;
        set(&mut ada, 2).await;
        sign_in(&mut ada, user).await;
        assert_eq!(users(&mut ada).await, user);
        assert_eq!(ada.read().await, None, "{user}");
        assert_eq!(stop(&mut ada).await.text(), "false");
    }
    let mut ada = fixture.browser();
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    let response = ada.request(|session| async move { session.sign_out().await.map(|_| ()) });
    assert_eq!(response.await.cookie_change(), CookieChange::Removed);
    assert_eq!(users(&mut ada).await, "");
}

/// Edits of this request and of a concurrent one belong to the one who is signed in.
#[tokio::test]
async fn edits_before_it_are_saved_for_the_impersonator() {
    let fixture = Fixture::memory();
    let mut ada = fixture.browser();
    sign_in(&mut ada, "ada").await;
    let mut other = ada.clone();
    ada.request(|session| async move {
        session.insert("own", 1)?;
        other
            .request(|session| async move { session.insert("n", 7) })
            .await;
        session.impersonate("bob").await?;
        assert_eq!(session.keys(), Vec::<String>::new());
        session.insert("own", 2)
    })
    .await;
    assert_eq!(ada.read().await, None);
    stop(&mut ada).await;
    assert_eq!(ada.read().await, Some(7));
    let own = ada.request(|session| async move {
        let own: Option<u32> = session.get("own")?;
        Ok(format!("{own:?}"))
    });
    assert_eq!(own.await.text(), "Some(1)");
}

/// All sessions of the impersonated user are revoked while the impersonation begins: it must not survive as an
/// earlier one.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_begins_during_a_revocation_ends_or_counts_as_later() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let sessions = layer.sessions();
    let mut refused = 0;
    for _ in 0..200 {
        let mut ada = Browser::new(app(layer.clone()));
        sign_in(&mut ada, "ada").await;
        let revoke = {
            let sessions = sessions.clone();
            tokio::spawn(async move { sessions.revoke_all("bob", RevokedBy::Admin).await })
        };
        refused += usize::from(impersonate(&mut ada, "bob").await.status != 200);
        revoke.await.expect("no panic").expect("the store responds");
        let found = users(&mut ada).await;
        assert!(["", "ada", "bob by ada"].contains(&&*found), "{found}");
        // Whatever came first, another revocation finds it.
        sessions
            .revoke_all("bob", RevokedBy::Admin)
            .await
            .expect("the store responds");
        assert!(["", "ada"].contains(&&*users(&mut ada).await));
        sessions
            .revoke_all("ada", RevokedBy::Admin)
            .await
            .expect("the store responds");
    }
    assert!(refused < 200, "some begin");
}

#[tokio::test]
async fn a_watch_learns_why_it_has_ended() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let mut ada = Browser::new(app(layer.clone()));
    sign_in(&mut ada, "ada").await;
    impersonate(&mut ada, "bob").await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    ada.request(|session| async move {
        assert!(sender.send(session.watch()?).is_ok());
        Ok(())
    })
    .await;
    let watch = receiver.await.expect("it was sent");
    layer
        .sessions()
        .revoke_all("bob", RevokedBy::User)
        .await
        .expect("the store responds");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), watch).await;
    assert_eq!(ended, Ok(EndReason::ImpersonationRevoked));
}
