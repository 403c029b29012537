//! A sign-in whose session another request of the browser has renewed or ended in the meantime: which session
//! it continues in, and with which data.

use std::time::Duration;

use cloakroom::{EndedConcurrently, Expiry, Session, SessionError, SessionLimit, Sessions, days};
use cloakroom_core::StoreErrorKind;
use cloakroom_core::rotation::Rotation;
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::{Fault, Gate, Verb};

async fn sign_in(session: Session) -> Result<(), SessionError> {
    session.sign_in("ada").await
}

/// Signs in while `meanwhile` happens in another tab, and returns the browser that has this response alone.
async fn sign_in_late(browser: &Browser, meanwhile: impl AsyncFnOnce(Browser)) -> Browser {
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
        assert_eq!(response.await.status, 200);
    };
    let meanwhile = async {
        loaded.notified().await;
        meanwhile(elsewhere).await;
        resumed.notify_one();
    };
    tokio::join!(request, meanwhile);
    late
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

#[tokio::test]
async fn what_was_signed_out_meanwhile_gives_no_data_even_through_a_renewal() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let mut late = sign_in_late(&browser, async |mut tab: Browser| {
        tab.request(sign_in).await;
        tab.request(|session| async move { session.sign_out().await.map(drop) })
            .await;
    })
    .await;
    assert_eq!(see(&mut late).await, (vec!["late".to_owned()], ada()));
}

#[tokio::test]
async fn updates_are_kept_and_run_on_nothing_when_the_session_was_signed_out_meanwhile() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let sign_out = |session: Session| async move { session.sign_out().await.map(drop) };
    let response = browser
        .request(move |session| async move {
            session.increment("n", 1_u32)?;
            session.push("list", 7_u32)?;
            elsewhere.request(sign_out).await;
            session.sign_in("ada").await?;
            Ok(format!("{:?}", session.get::<Vec<u32>>("list")?))
        })
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "Some([7])");
    let keys = vec!["list".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut browser).await, (keys, ada()));
    assert_eq!(
        browser.read().await,
        Some(1),
        "not that of the ended session"
    );
}

#[tokio::test]
async fn sign_ins_of_another_user_at_once_keep_the_updates_of_both() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    browser.request(sign_in).await;
    let mut elsewhere = browser.clone();
    let append = |session: &Session, element: u32| {
        session.increment("n", 1_u32)?;
        session.push("list", element)
    };
    browser
        .request(move |session| async move {
            append(&session, 1)?;
            let first = elsewhere.request(move |session| async move {
                append(&session, 2)?;
                session.sign_in("bob").await
            });
            assert_eq!(first.await.status, 200);
            session.sign_in("bob").await
        })
        .await;
    let response = browser.request(|session| async move {
        let user = session.user().map(|user| user.to_string());
        Ok(format!("{user:?} {:?}", session.get::<Vec<u32>>("list")?))
    });
    assert_eq!(response.await.text(), "Some(\"bob\") Some([2, 1])");
    assert_eq!(browser.read().await, Some(2), "nothing of the other user");
}

#[tokio::test]
async fn without_a_successor_the_loaded_data_is_kept() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let mut late = sign_in_late(&browser, async |mut tab: Browser| {
        // Of nobody: the sign-in must not get into it, and neither must its cookie into that of the sign-in.
        tab.request(|session| async move { session.renew() }).await;
    })
    .await;
    let keys = vec!["late".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut late).await, (keys, ada()));
}

#[tokio::test]
async fn a_sign_in_that_discards_data_joins_nothing() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let response = browser
        .request(|session| async move {
            elsewhere.request(sign_in).await;
            session.sign_in("ada").discard_data().await
        })
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(see(&mut browser).await, (vec![], ada()));
}

#[tokio::test]
async fn an_expired_successor_is_not_joined() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let clock = fixture.clock.clone();
    let mut late = sign_in_late(&browser, async move |mut tab: Browser| {
        tab.request(|session| async move {
            let short = Expiry::idle(Duration::from_secs(30)).absolute(Duration::from_secs(30));
            session.sign_in("ada").with_expiry(short).await?;
            session.insert("short", true)
        })
        .await;
        clock.advance(Duration::from_secs(45));
    })
    .await;
    let keys = vec!["late".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut late).await, (keys, ada()));
}

/// The session of the other sign-in does not have to make room for that of this one.
#[tokio::test]
async fn a_sign_in_that_joins_does_not_count_against_the_limit() {
    for limit in [SessionLimit::evict_oldest(1), SessionLimit::reject_above(1)] {
        let fixture = Fixture::memory();
        let layer = fixture.builder().with_session_limit(limit).build();
        let layer = layer.expect("it is valid");
        let sessions: Sessions = layer.sessions();
        let browser = fixture.with_session(fixture.browser_of(layer)).await;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let mut late = sign_in_late(&browser, async move |mut tab: Browser| {
            tab.request(sign_in).await;
            drop(sender.send(tab));
        })
        .await;
        let mut tab = receiver.await.expect("it has signed in");
        for browser in [&mut tab, &mut late] {
            let keys = vec!["late".to_owned(), "n".to_owned()];
            assert_eq!(see(browser).await, (keys, ada()), "{limit:?}");
        }
        assert_eq!(sessions.count("ada").await.unwrap(), 1);
    }
}

/// The joined session lives as long as this sign-in says, and its user is in the list as long.
#[tokio::test]
async fn a_sign_in_that_joins_renews_the_lifetime_and_the_time_of_the_sign_in() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture
        .with_session(fixture.browser_of(layer.clone()))
        .await;
    browser
        .request(|session| async move {
            let short = Expiry::idle(days(1)).absolute(days(1));
            session.sign_in("ada").with_expiry(short).await
        })
        .await;
    fixture.clock.advance(minutes_before_the_next_sign_in());
    let mut stale = browser.clone();
    browser
        .request(|session| async move {
            let short = Expiry::idle(days(1)).absolute(days(1));
            session.sign_in("ada").with_expiry(short).await
        })
        .await;
    let response = stale
        .request(|session| async move {
            let long = Expiry::idle(days(7)).absolute(days(30));
            session.sign_in("ada").with_expiry(long).await
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(response.set_cookie().max_age(), Some(days(30).as_secs()));
    fixture.clock.advance(days(6));
    for browser in [&mut stale, &mut browser] {
        browser
            .request(|session| async move {
                let ago = days(6) + Duration::from_secs(1);
                assert!(session.signed_in_within(ago));
                Ok(())
            })
            .await;
    }
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    // A further sign-in removes what has expired by the deadlines in the index.
    fixture.browser_of(layer).request(sign_in).await;
    assert_eq!(sessions.count("ada").await.unwrap(), 2);
}

const fn minutes_before_the_next_sign_in() -> Duration {
    Duration::from_secs(20 * 60)
}

/// A next secret that was offered to one cookie is not sent to the other, and neither is taken for stolen.
#[tokio::test]
async fn each_cookie_of_a_joined_session_rotates_for_itself() {
    let every = Duration::from_secs(600);
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_rotation(Rotation::every(every));
    let layer = layer.build().expect("it is valid");
    let browser = fixture.with_session(fixture.browser_of(layer)).await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut late = sign_in_late(&browser, async move |mut tab: Browser| {
        tab.request(sign_in).await;
        drop(sender.send(tab));
    })
    .await;
    let mut tab = receiver.await.expect("it has signed in");
    fixture.clock.advance(every);
    for browser in [&mut late, &mut tab] {
        let before = browser.cookie().map(str::to_owned);
        let response = browser.request(|_| async { Ok(()) }).await;
        assert_eq!(response.cookie_change(), CookieChange::Set, "a next secret");
        assert_ne!(browser.cookie().map(str::to_owned), before);
        assert_eq!(see(browser).await.1, ada());
    }
    assert_eq!(see(&mut late).await.1, ada());
    assert_eq!(see(&mut tab).await.1, ada());
}

/// "Sign out this device" with the id of a list from before its renewal.
#[tokio::test]
async fn a_renewed_session_is_revoked_by_its_earlier_id() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    browser.request(sign_in).await;
    let listed = sessions.list("ada").await.unwrap()[0].id();
    for _ in 0..2 {
        browser
            .request(|session| async move { session.renew() })
            .await;
    }
    assert!(!sessions.revoke("bob", listed).await.unwrap(), "not bob's");
    assert_eq!(see(&mut browser).await.1, ada());
    assert!(sessions.revoke("ada", listed).await.unwrap());
    assert_eq!(see(&mut browser).await.1, None);
    assert!(!sessions.revoke("ada", listed).await.unwrap());
}

/// A session that was joined is spared like the one that it continues.
#[tokio::test]
async fn revoking_the_others_spares_a_joined_session() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    browser.request(sign_in).await;
    let (mut tab, mut late) = (browser.clone(), browser.clone());
    let response = browser
        .request(move |session| async move {
            tab.request(sign_in).await;
            late.request(sign_in).await;
            assert_eq!(sessions.revoke_others(&session).await?, 0);
            assert_eq!(see(&mut tab).await.1, ada());
            assert_eq!(see(&mut late).await.1, ada());
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200);
}

/// A plain renewal of a session that a sign-in has joined meanwhile creates nothing, and ends nothing.
#[tokio::test]
async fn a_renewal_yields_to_a_sign_in_that_has_joined() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut oldest = browser.clone();
    browser.request(sign_in).await;
    let mut joined = oldest.clone();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let response = browser
        .request(|session| async move {
            session.insert("factors", 2)?;
            oldest.request(sign_in).await;
            drop(sender.send(oldest));
            session.renew()
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert!(response.extension::<EndedConcurrently>().is_some());
    joined.clone_from(&receiver.await.expect("it has signed in"));
    for browser in [&mut browser, &mut joined] {
        assert_eq!(see(browser).await, (vec!["n".to_owned()], ada()));
    }
}

/// The reply to the end of the old session is lost, so the first sign-in fails and its session is rolled back. Before
/// that, the tombstone of the old session leads another sign-in there.
#[tokio::test]
async fn a_session_that_a_sign_in_has_joined_is_not_rolled_back() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut first = fixture.with_session(fixture.browser_of(layer)).await;
    let mut second = first.clone();
    let roll_back = Gate::new();
    fixture.store.next(Verb::End, Fault::LoseReply);
    fixture
        .store
        .next(Verb::End, Fault::Before(roll_back.clone()));
    assert_eq!(first.request(sign_in).await.status, 503);
    roll_back.reached().await;
    let response = second.request(sign_in).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    roll_back.open();
    // The runtime has one thread, and no command of this store waits: the roll back runs to its end.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(see(&mut second).await.1, ada());
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
}

/// The copy of what was saved meanwhile has an unknown outcome, so the new session has another revision than the
/// sign-in knows of. Nobody has joined it.
#[tokio::test]
async fn a_session_whose_copy_was_not_confirmed_is_rolled_back() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let (store, mut tab) = (fixture.store.clone(), browser.clone());
    let response = browser
        .request(|session| async move {
            tab.request(|session| async move { session.insert("tab", 1) })
                .await;
            store.next(Verb::Update, Fault::LoseReply);
            store.next(Verb::Load, Fault::Refuse(StoreErrorKind::Unavailable));
            session.sign_in("ada").await
        })
        .await;
    assert_eq!(response.status, 503);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sessions.count("ada").await.unwrap(), 0);
    let keys = vec!["n".to_owned(), "tab".to_owned()];
    assert_eq!(see(&mut browser).await, (keys, None));
}

/// A second factor that was given in a session must not be had by a sign-in with the password alone and a
/// cookie from before: the app renews the session at that step.
#[tokio::test]
async fn a_session_that_was_renewed_after_its_sign_in_is_not_joined() {
    let fixture = Fixture::memory();
    let browser = fixture.browser_with_session().await;
    let mut tab = browser.clone();
    tab.request(sign_in).await;
    tab.request(|session| async move {
        session.insert("second factor", true)?;
        session.renew()
    })
    .await;
    let mut late = browser.clone();
    late.request(sign_in).await;
    assert_eq!(see(&mut late).await.1, ada());
    let keys = see(&mut late).await.0;
    assert!(!keys.contains(&"second factor".to_owned()), "{keys:?}");
    let (keys, user) = see(&mut tab).await;
    assert!(keys.contains(&"second factor".to_owned()) && user == ada());
}

/// Another browser of the user has signed in, so the session had to make room.
#[tokio::test]
async fn a_sign_in_whose_session_is_evicted_meanwhile_keeps_the_loaded_data() {
    let fixture = Fixture::memory();
    let limit = SessionLimit::evict_oldest(1);
    let layer = fixture.builder().with_session_limit(limit).build();
    let layer = layer.expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture
        .with_session(fixture.browser_of(layer.clone()))
        .await;
    browser.request(sign_in).await;
    let clock = fixture.clock.clone();
    let mut other = fixture.browser_of(layer);
    let mut late = sign_in_late(&browser, async move |mut tab: Browser| {
        clock.advance(Duration::from_secs(1));
        assert_eq!(other.request(sign_in).await.status, 200);
        assert_eq!(see(&mut tab).await.1, None, "it is evicted");
        clock.advance(Duration::from_secs(1));
    })
    .await;
    let keys = vec!["late".to_owned(), "n".to_owned()];
    assert_eq!(see(&mut late).await, (keys, ada()));
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    // The data of another user is not kept, also not that of an evicted session.
    fixture.clock.advance(Duration::from_secs(1));
    let bob = |session: Session| async move { session.sign_in("bob").await };
    late.request(bob).await;
    assert_eq!(see(&mut late).await.0, Vec::<String>::new());
}

/// The limit counts a sign-in in place of its old session, which a renewal has continued meanwhile.
#[tokio::test]
async fn a_renewal_during_a_sign_in_leaves_no_session_above_the_limit() {
    for (most, status) in [(1, 409), (2, 200)] {
        let fixture = Fixture::memory();
        let limit = SessionLimit::evict_oldest(most);
        let layer = fixture.builder().with_session_limit(limit).build();
        let layer = layer.expect("it is valid");
        let sessions = layer.sessions();
        let second = || fixture.clock.advance(Duration::from_secs(1));
        let mut oldest = fixture.browser_of(layer.clone());
        oldest.request(sign_in).await;
        second();
        let mut tab = fixture.browser_of(layer);
        tab.request(sign_in).await;
        second();
        let mut late = tab.clone();
        let gate = fixture.store.hold(Verb::End);
        let late = tokio::spawn(async move { (late.request(sign_in).await.status, late) });
        gate.reached().await;
        second();
        let renew = |session: Session| async move { session.renew() };
        assert_eq!(tab.request(renew).await.status, 200);
        gate.open();
        let (late_status, mut late) = late.await.expect("no request panics");
        assert_eq!(late_status, status, "{most}");
        assert_eq!(sessions.count("ada").await.unwrap(), most as usize);
        assert_eq!(see(&mut tab).await.1, ada(), "the newest");
        assert_eq!(see(&mut oldest).await.1, None);
        let signed_in = (status == 200).then(ada).flatten();
        assert_eq!(see(&mut late).await.1, signed_in, "{most}");
    }
}

/// Other sign-ins have joined the old session meanwhile, as many as may, so it stays beside that of this sign-in.
#[tokio::test]
async fn a_sign_in_that_cannot_join_leaves_no_session_above_the_limit() {
    let fixture = Fixture::memory();
    let limit = SessionLimit::evict_oldest(1);
    let layer = fixture.builder().with_session_limit(limit).build();
    let layer = layer.expect("it is valid");
    let sessions = layer.sessions();
    let before = fixture.with_session(fixture.browser_of(layer)).await;
    let mut first = before.clone();
    first.request(sign_in).await;
    fixture.clock.advance(Duration::from_secs(1));
    let mut late = first.clone();
    let gate = fixture.store.hold(Verb::End);
    let late = tokio::spawn(async move { (late.request(sign_in).await.status, late) });
    gate.reached().await;
    let mut joined = before.clone();
    for _ in 0..4 {
        joined = before.clone();
        assert_eq!(joined.request(sign_in).await.status, 200);
    }
    assert_eq!(see(&mut joined).await.1, ada());
    gate.open();
    let (status, mut late) = late.await.expect("no request panics");
    assert_eq!(status, 200);
    assert_eq!(see(&mut late).await.1, ada());
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    assert_eq!(see(&mut joined).await.1, None, "it is the older one");
}
