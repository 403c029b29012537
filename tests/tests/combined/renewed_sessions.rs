//! What the tokens of sessions that were renewed a moment ago lead to, and what their ids alone do not.

use std::time::Duration;

use cloakroom::{CookieConfig, Rotation, Session, SessionLayer, StoreErrorKind, minutes};
use cloakroom_core::{SystemRng, Token};
use http::StatusCode;
use tests::app::Fixture;
use tests::browser::Browser;
use tests::faulty_store::{Fault, Verb};

use super::handlers::{destroy, renew, sign_in, user};

const EVERY: Duration = minutes(15);
const GRACE: Duration = minutes(1);

const ADA: &str = "Some(UserId(ada))";

/// How many secrets the session has that is renewed.
#[derive(Clone, Copy, Debug)]
enum Secrets {
    One,
    /// The current one and its next one, which the browser has not presented yet.
    Offered,
    /// The current one and the previous one, in its grace period.
    Replaced,
    /// The grace period of the previous one is over.
    Retired,
    /// Those of two sign-ins at the same time.
    Joined,
}

const ALL: [Secrets; 5] = [
    Secrets::One,
    Secrets::Offered,
    Secrets::Replaced,
    Secrets::Retired,
    Secrets::Joined,
];

/// A session of ada that was renewed.
struct Renewed {
    fixture: Fixture,
    layer: SessionLayer,
    /// With the session in which it continues.
    ada: Browser,
    /// With a token of the old session each.
    old: Vec<Browser>,
}

impl Renewed {
    async fn with(secrets: Secrets) -> Self {
        let fixture = Fixture::memory();
        let layer = match secrets {
            Secrets::One | Secrets::Joined => fixture.builder().build(),
            Secrets::Offered | Secrets::Replaced | Secrets::Retired => fixture
                .builder()
                .with_rotation(Rotation::every(EVERY))
                .build(),
        };
        let layer = layer.expect("it is valid");
        let browser = fixture
            .with_session(fixture.browser_of(layer.clone()))
            .await;
        let old = old_browsers(&fixture, browser, secrets).await;
        let mut ada = old[old.len() - 1].clone();
        assert_eq!(ada.request(renew).await.status, StatusCode::OK);
        Self {
            fixture,
            layer,
            ada,
            old,
        }
    }

    fn forged(&self) -> String {
        let cookie = self.old[0].cookie().expect("it has one");
        let id = Token::parse(cookie).expect("it is a token").id();
        let token = Token::issue_for(id, &SystemRng).expect("it is drawn");
        token.encode()
    }

    /// A browser with the forged token, alone or beside that of an ended session.
    async fn attacker(&self, is_alone: bool) -> Browser {
        let mut attacker = self.fixture.browser_of(self.layer.clone());
        if !is_alone {
            attacker = self.fixture.with_session(attacker).await;
            attacker.clone().request(destroy).await;
        }
        attacker.add_cookie(CookieConfig::DEFAULT_NAME, self.forged());
        attacker
    }
}

/// Signs ada in. Returns browsers with the tokens of her session, oldest first.
async fn old_browsers(fixture: &Fixture, mut browser: Browser, secrets: Secrets) -> Vec<Browser> {
    if let Secrets::Joined = secrets {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let mut elsewhere = browser.clone();
        browser
            .request(|session: Session| async move {
                elsewhere.request(sign_in).await;
                drop(sender.send(elsewhere));
                session.sign_in("ada").await
            })
            .await;
        let elsewhere = receiver.await.expect("the handler runs");
        assert_ne!(elsewhere.cookie(), browser.cookie());
        return vec![elsewhere, browser];
    }
    browser.request(sign_in).await;
    if let Secrets::One = secrets {
        return vec![browser];
    }
    fixture.clock.advance(EVERY);
    let before = browser.clone();
    assert_eq!(user(&mut browser).await, ADA);
    assert_ne!(before.cookie(), browser.cookie(), "the secret was due");
    if let Secrets::Replaced | Secrets::Retired = secrets {
        assert_eq!(user(&mut browser).await, ADA);
    }
    if let Secrets::Retired = secrets {
        fixture.clock.advance(GRACE);
    }
    vec![before, browser]
}

/// Ids are public. With a made-up secret, alone or beside an ended session of one's own, nobody gets at the session
/// in which another one continues.
#[tokio::test]
async fn a_forged_token_beside_that_of_an_ended_session_ends_nothing() {
    for (secrets, is_alone) in ALL.iter().flat_map(|one| [(one, false), (one, true)]) {
        let case = format!("{secrets:?}, alone: {is_alone}");
        let mut renewed = Renewed::with(*secrets).await;
        let mut attacker = renewed.attacker(is_alone).await;
        let response = attacker.request(destroy).await;
        assert_eq!(response.status, StatusCode::OK, "{case}");
        assert_ne!(response.text(), "Ended", "{case}");
        assert_eq!(user(&mut renewed.ada).await, ADA, "{case}");

        let mut attacker = renewed.attacker(is_alone).await;
        let response = attacker.request(sign_in).await;
        assert_eq!(response.status, StatusCode::OK, "{case}");
        assert_eq!(user(&mut renewed.ada).await, ADA, "{case}");
        renewed.ada.request(destroy).await;
        let user = user(&mut attacker).await;
        assert_eq!(user, ADA, "{case}: a session of its own");
    }
}

#[tokio::test]
async fn every_token_that_was_valid_leads_a_sign_out_to_the_renewed_session() {
    for secrets in [
        Secrets::One,
        Secrets::Offered,
        Secrets::Replaced,
        Secrets::Joined,
    ] {
        let count = Renewed::with(secrets).await.old.len();
        for index in 0..count {
            let mut renewed = Renewed::with(secrets).await;
            let response = renewed.old[index].request(destroy).await;
            assert_eq!(response.text(), "Ended", "{secrets:?}, {index}");
            let user = user(&mut renewed.ada).await;
            assert_eq!(user, "None", "{secrets:?}, {index}");
        }
    }
}

/// It may have been stolen. The reuse ends the session that it was of, and that has ended.
#[tokio::test]
async fn a_retired_token_does_not_lead_to_the_renewed_session() {
    let mut renewed = Renewed::with(Secrets::Retired).await;
    let response = renewed.old[0].request(destroy).await;
    assert_eq!(response.text(), "AlreadyEnded");
    assert_eq!(user(&mut renewed.ada).await, ADA);
}

/// A browser with the old cookies of two sessions that were renewed, in two paths for instance.
async fn two_renewed(fixture: &Fixture) -> (Browser, [Browser; 2]) {
    let mut both = fixture.browser();
    let mut renewed = Vec::new();
    for _ in 0..2 {
        let mut browser = fixture.browser();
        browser.request(sign_in).await;
        let cookie = browser.cookie().expect("it has one").to_owned();
        both.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
        browser.request(renew).await;
        renewed.push(browser);
    }
    (both, renewed.try_into().expect("there are two"))
}

#[tokio::test]
async fn signing_out_with_two_old_cookies_ends_both_renewed_sessions() {
    let fixture = Fixture::memory();
    let (mut both, [mut one, mut two]) = two_renewed(&fixture).await;
    assert_eq!(both.request(destroy).await.text(), "Ended");
    assert_eq!(user(&mut one).await, "None");
    assert_eq!(user(&mut two).await, "None");
}

#[tokio::test]
async fn a_renewed_session_that_cannot_be_ended_does_not_keep_the_other_alive() {
    let fixture = Fixture::memory();
    let (mut both, [mut one, mut two]) = two_renewed(&fixture).await;
    fixture
        .store
        .next(Verb::End, Fault::Refuse(StoreErrorKind::Unavailable));
    let response = both.request(destroy).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(user(&mut one).await, ADA);
    assert_eq!(user(&mut two).await, "None");
    assert_eq!(both.request(destroy).await.text(), "Ended", "tried again");
    assert_eq!(user(&mut one).await, "None");
}

#[tokio::test]
async fn signing_out_with_a_live_cookie_ends_the_renewed_session_of_another_one() {
    let fixture = Fixture::memory();
    let (mut both, [mut one, mut two]) = two_renewed(&fixture).await;
    // A third session, which was not renewed.
    let mut live = fixture.browser();
    live.request(sign_in).await;
    let cookie = live.cookie().expect("it has one").to_owned();
    both.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
    assert_eq!(both.request(destroy).await.text(), "Ended");
    for browser in [&mut one, &mut two, &mut live] {
        assert_eq!(user(browser).await, "None");
    }
}

#[tokio::test]
async fn a_live_session_that_cannot_be_ended_is_an_error_although_renewed_ones_have_ended() {
    let fixture = Fixture::memory();
    let (mut both, [mut one, mut two]) = two_renewed(&fixture).await;
    let mut live = fixture.browser();
    live.request(sign_in).await;
    let cookie = live.cookie().expect("it has one").to_owned();
    both.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
    // The renewed sessions end, and the live one does not.
    for _ in 0..2 {
        fixture.store.hold(Verb::End).open();
    }
    fixture
        .store
        .next(Verb::End, Fault::Refuse(StoreErrorKind::Unavailable));
    let response = both.request(destroy).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(user(&mut one).await, "None");
    assert_eq!(user(&mut two).await, "None");
    assert_eq!(user(&mut live).await, ADA);
    assert_eq!(both.request(destroy).await.text(), "Ended", "tried again");
    assert_eq!(user(&mut live).await, "None");
}

/// A client that knows only the id of a session that was renewed, and had one secret, does not even learn that it has ended.
#[tokio::test]
async fn a_forged_token_of_a_renewed_session_is_that_of_no_session() {
    let renewed = Renewed::with(Secrets::One).await;
    let mut attacker = renewed.attacker(true).await;
    let asks = |session: Session| async move { Ok(session.needs_sign_in().to_string()) };
    assert_eq!(attacker.request(asks).await.text(), "false");
    let mut old = renewed.old[0].clone();
    assert_eq!(old.request(asks).await.text(), "true");
}

/// To end a session once more, of which this request has no secret, would be a command for nothing.
#[tokio::test]
async fn signing_out_with_a_forged_token_confirms_the_end_of_the_own_session_alone() {
    let renewed = Renewed::with(Secrets::One).await;
    let mut attacker = renewed.attacker(false).await;
    renewed.fixture.clear_verbs();
    assert_eq!(attacker.request(destroy).await.text(), "AlreadyEnded");
    let verbs = renewed.fixture.store.take_verbs();
    let ends = verbs.iter().filter(|verb| **verb == Verb::End);
    assert_eq!(ends.count(), 1, "{verbs:?}");
}

/// The grace period of the client's token was over when the session ended. Too few replicas may have that end.
#[tokio::test]
async fn signing_out_with_a_retired_token_confirms_the_end() {
    let mut renewed = Renewed::with(Secrets::Retired).await;
    let mut old = renewed.old[0].clone();
    renewed.fixture.clear_verbs();
    assert_eq!(old.request(destroy).await.text(), "AlreadyEnded");
    let verbs = renewed.fixture.store.take_verbs();
    assert_eq!(verbs.last(), Some(&Verb::End), "{verbs:?}");
    assert_eq!(user(&mut renewed.ada).await, ADA);
}

/// The tombstone of an old token, or the session in which it continues, cannot be read.
#[tokio::test]
async fn signing_out_with_an_old_token_needs_what_the_store_has() {
    use StoreErrorKind::{NewerFormat, Unavailable, Unreadable};
    for (is_successor, kind, expected) in [
        (false, Unreadable, "AlreadyEnded"),
        (false, NewerFormat, ""),
        (false, Unavailable, ""),
        (true, Unreadable, "Ended"),
        (true, NewerFormat, "Ended"),
        (true, Unavailable, ""),
    ] {
        let case = format!("{is_successor}, {kind:?}");
        let mut renewed = Renewed::with(Secrets::One).await;
        let mut old = renewed.old[0].clone();
        let store = &renewed.fixture.store;
        // To authenticate, and for its tombstone.
        for _ in 0..1 + usize::from(is_successor) {
            store.hold(Verb::Load).open();
        }
        store.next(Verb::Load, Fault::Refuse(kind));
        let response = old.request(destroy).await;
        let text = if response.status == StatusCode::OK {
            response.text()
        } else {
            assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE, "{case}");
            ""
        };
        assert_eq!(text, expected, "{case}");
        let left = if text == "Ended" { "None" } else { ADA };
        assert_eq!(user(&mut renewed.ada).await, left, "{case}");
    }
}
