//! Why a user was signed out, and who learns it; a change of the password.

use cloakroom::{
    CookieConfig, EndReason, RevokedBy, Rotation, Session, SessionError, SessionErrorKind,
    SessionLayer, SessionLimit, minutes,
};
use cloakroom_core::StoreErrorKind;
use cloakroom_core::store::MAX_LOADED;
use tests::app::{Fixture, app};
use tests::backend::Backend;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::{Fault, Verb};
use tests::on_every_store;

use super::sign_in;

on_every_store!(
    the_owner_of_a_session_learns_why_it_has_ended,
    with_token_rotation_the_owner_learns_it_as_well,
    a_change_of_the_password_renews_this_session_and_ends_the_others,
);

/// Why the session has ended, by the handler and by the error, which have to agree.
async fn reason(browser: &mut Browser) -> Option<EndReason> {
    let response = browser
        .request(|session| async move {
            let reason = session.ended_reason();
            let error = session.require_user().err();
            assert_eq!(error.and_then(|error| error.ended_reason()), reason);
            let typed = session.require_user_id::<String>().err();
            assert_eq!(typed.and_then(|error| error.ended_reason()), reason);
            Ok(reason.map_or("", EndReason::as_str))
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    response.text().parse().ok()
}

/// A browser that knows the id of another one's session, and not its secret.
fn forged(browser: &Browser) -> Browser {
    let token = browser.cookie().expect("it has a session");
    let flipped = if token.as_bytes()[30] == b'A' {
        "B"
    } else {
        "A"
    };
    let forged = format!("{}{flipped}{}", &token[..30], &token[31..]);
    let mut stranger = browser.without_cookies();
    stranger.add_cookie(CookieConfig::DEFAULT_NAME, forged);
    stranger
}

type End = fn(Browser, SessionLayer) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Each way to end the session of a browser, and what its user learns.
const ENDS: [(EndReason, End); 6] = [
    (EndReason::SignedOut, |mut browser, _| {
        Box::pin(async move {
            let sign_out = |session: Session| async move { session.sign_out().await.map(drop) };
            browser.request(sign_out).await;
        })
    }),
    (EndReason::RevokedByUser, |mut browser, layer| {
        Box::pin(async move {
            let id = id(&mut browser).await;
            let ended = layer.sessions().revoke("ada", id).await;
            assert!(ended.expect("the store responds"));
        })
    }),
    (EndReason::RevokedByAdmin, |mut browser, layer| {
        Box::pin(async move {
            let id = id(&mut browser).await;
            let ended = layer.sessions().revoke_any(id).await;
            assert!(ended.expect("the store responds"));
        })
    }),
    (EndReason::RevokedByAdmin, |_, layer| {
        Box::pin(async move {
            let ended = layer.sessions().revoke_all("ada", RevokedBy::Admin).await;
            assert_eq!(ended.expect("the store responds"), 1);
        })
    }),
    (EndReason::PasswordChanged, |_, layer| {
        Box::pin(async move {
            let by = RevokedBy::PasswordChange;
            let ended = layer.sessions().revoke_all("ada", by).await;
            assert_eq!(ended.expect("the store responds"), 1);
        })
    }),
    (EndReason::LimitExceeded, |_, layer| {
        Box::pin(async move {
            let mut other = Browser::new(app(layer));
            sign_in(&mut other, "ada").await;
        })
    }),
];

async fn id(browser: &mut Browser) -> cloakroom::SessionId {
    let response = browser
        .request(|session| async move { Ok(session.id().expect("it is stored").to_string()) })
        .await;
    response.text().parse().expect("an id")
}

async fn owners_learn_it(layer: SessionLayer) {
    for (expected, end) in ENDS {
        let mut ada = Browser::new(app(layer.clone()));
        sign_in(&mut ada, "ada").await;
        assert_eq!(reason(&mut ada).await, None);
        let mut stranger = forged(&ada);
        end(ada.clone(), layer.clone()).await;
        assert_eq!(reason(&mut ada).await, Some(expected));
        assert_eq!(
            reason(&mut stranger).await,
            None,
            "{expected} to one without the secret"
        );
        layer
            .sessions()
            .revoke_all("ada", RevokedBy::User)
            .await
            .expect("the store responds");
    }
}

async fn the_owner_of_a_session_learns_why_it_has_ended(backend: Backend) {
    let builder = backend.builder().await;
    let layer = builder
        .with_session_limit(SessionLimit::evict_oldest(1))
        .build();
    owners_learn_it(layer.expect("it is valid")).await;
}

async fn with_token_rotation_the_owner_learns_it_as_well(backend: Backend) {
    let builder = backend.builder().await;
    let builder = builder.with_rotation(Rotation::every(minutes(5)));
    let layer = builder
        .with_session_limit(SessionLimit::evict_oldest(1))
        .build();
    let layer = layer.expect("it is valid");
    owners_learn_it(layer.clone()).await;
    // The token of a session that has rotated.
    let mut ada = Browser::new(app(layer.clone()));
    sign_in(&mut ada, "ada").await;
    backend.clock.advance(minutes(6));
    ada.read().await;
    ada.read().await;
    let mut stranger = forged(&ada);
    let ended = layer.sessions().revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(ended.expect("the store responds"), 1);
    assert_eq!(reason(&mut ada).await, Some(EndReason::RevokedByAdmin));
    assert_eq!(reason(&mut stranger).await, None);
}

#[tokio::test]
async fn after_a_minute_nobody_knows_it_and_after_a_sign_in_it_does_not_matter() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let mut ada = Browser::new(app(layer.clone()));
    sign_in(&mut ada, "ada").await;
    let mut late = ada.clone();
    let ended = layer.sessions().revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(ended.expect("the store responds"), 1);
    let response = ada
        .request(|session| async move {
            session.insert("discarded", 1)?;
            assert_eq!(session.ended_reason(), Some(EndReason::RevokedByAdmin));
            session.sign_in("ada").await?;
            assert_eq!(session.ended_reason(), None);
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200);
    fixture.clock.advance(minutes(2));
    assert_eq!(reason(&mut late).await, None);
}

/// The data of a renewed session continue in another: its user was not signed out.
#[tokio::test]
async fn a_renewed_session_has_not_ended_for_its_user() {
    let fixture = Fixture::memory();
    let mut ada = fixture.browser();
    sign_in(&mut ada, "ada").await;
    let mut old = ada.clone();
    ada.request(|session| async move { session.renew() }).await;
    assert_eq!(reason(&mut old).await, None);
}

#[tokio::test]
async fn the_error_response_of_the_app_can_say_it() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_error_response(|error: &SessionError| {
            let reason = error.ended_reason().map_or("unknown", EndReason::as_str);
            http::Response::new(reason.to_owned())
        });
    let layer = layer.build().expect("it is valid");
    let sessions = layer.sessions();
    let mut ada = Browser::new(app(layer));
    sign_in(&mut ada, "ada").await;
    let ended = sessions.revoke_all("ada", RevokedBy::PasswordChange).await;
    assert_eq!(ended.expect("the store responds"), 1);
    let page = |session: Session| async move { session.require_user().map(drop) };
    assert_eq!(ada.request(page).await.text(), "password_changed");
    assert_eq!(fixture.browser().request(page).await.status, 401);
}

async fn a_change_of_the_password_renews_this_session_and_ends_the_others(backend: Backend) {
    let app = app(backend.layer().await);
    let mut ada = Browser::new(app.clone());
    sign_in(&mut ada, "ada").await;
    let mut old = ada.clone();
    let mut others = [(); 3].map(|()| Browser::new(app.clone()));
    for other in &mut others {
        sign_in(other, "ada").await;
    }
    let mut bob = Browser::new(app);
    sign_in(&mut bob, "bob").await;
    backend.clock.advance(minutes(7));
    let response = ada
        .request(|session| async move {
            session.insert("n", 1)?;
            let at = session.signed_in_at();
            let ended = session.password_changed().await?;
            assert_eq!(session.signed_in_at(), at, "it is not a sign-in");
            Ok(ended.to_string())
        })
        .await;
    assert_eq!(
        (response.text(), response.cookie_change()),
        ("3", CookieChange::Set)
    );
    assert_eq!(ada.read().await, Some(1));
    assert_ne!(ada.cookie(), old.cookie());
    assert_eq!(reason(&mut old).await, None, "it was renewed");
    assert_eq!(old.read().await, None);
    for other in &mut others {
        assert_eq!(reason(other).await, Some(EndReason::PasswordChanged));
    }
    assert_eq!(reason(&mut bob).await, None);
    let user = |session: Session| async move { Ok(session.require_user()?.to_string()) };
    assert_eq!(bob.request(user).await.text(), "bob");
    assert_eq!(ada.request(user).await.text(), "ada");
}

#[tokio::test]
async fn who_acts_as_another_user_or_has_been_signed_out_ends_nothing() {
    let fixture = Fixture::memory();
    let (mut bob, mut ada) = (fixture.browser(), fixture.browser());
    sign_in(&mut bob, "bob").await;
    sign_in(&mut ada, "ada").await;
    let kind = |response: &tests::browser::TestResponse| {
        let error: Option<&SessionError> = response.extension();
        error.map(SessionError::kind)
    };
    let change = |session: Session| async move { session.password_changed().await.map(drop) };
    ada.request(|session| async move { session.impersonate("bob").await })
        .await;
    let refused = ada.request(change).await;
    assert_eq!(kind(&refused), Some(SessionErrorKind::Impersonating));
    let mut other = bob.clone();
    let refused = bob
        .request(|session| async move {
            other
                .request(|session| async move { session.sign_out().await.map(drop) })
                .await;
            session.password_changed().await.map(drop)
        })
        .await;
    assert_eq!(kind(&refused), Some(SessionErrorKind::Ended));
    let refused = fixture.browser().request(change).await;
    assert_eq!(kind(&refused), Some(SessionErrorKind::NotSignedIn));
}

/// The user whose password was changed is the one who is signed in once the edits so far are saved.
#[tokio::test]
async fn a_change_of_the_password_after_a_sign_in_that_it_saves_concerns_the_new_user() {
    let fixture = Fixture::memory();
    let [mut ada, mut other_ada, mut bob] = [(); 3].map(|()| fixture.browser());
    sign_in(&mut ada, "ada").await;
    sign_in(&mut other_ada, "ada").await;
    sign_in(&mut bob, "bob").await;
    let change = |session: Session| async move {
        session.sign_in("bob").on_save()?;
        let ended = session.password_changed().await?;
        Ok(format!("{ended} of {}", session.require_user()?))
    };
    assert_eq!(ada.request(change).await.text(), "1 of bob");
    assert_eq!(reason(&mut bob).await, Some(EndReason::PasswordChanged));
    assert_eq!(reason(&mut other_ada).await, None);
    let user = |session: Session| async move { Ok(session.require_user()?.to_string()) };
    assert_eq!(other_ada.request(user).await.text(), "ada");
    assert_eq!(ada.request(user).await.text(), "bob");
}

/// They end without being read.
#[tokio::test]
async fn a_change_of_the_password_ends_the_others_although_some_cannot_be_read() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let mut ada = Browser::new(app(layer.clone()));
    sign_in(&mut ada, "ada").await;
    let further = MAX_LOADED + 10;
    for _ in 0..further {
        sign_in(&mut Browser::new(app(layer.clone())), "ada").await;
    }
    let sessions = layer.sessions();
    let refused = Fault::Refuse(StoreErrorKind::NewerFormat);
    fixture.store.next(Verb::LoadMany, refused);
    let change =
        |session: Session| async move { Ok(session.password_changed().await?.to_string()) };
    assert_eq!(ada.request(change).await.text(), further.to_string());
    let left = sessions.count("ada").await.expect("the store responds");
    assert_eq!(left, 1);
}
