//! Which session a request uses that presents several tokens, in the present cookie and in a former one.

use std::time::Duration;

use cloakroom::{CookieConfig, Rotation, Session, SessionLayer, minutes};
use cloakroom_core::{Clock, SystemRng, Token};
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};

use super::handlers::{destroy, sign_in, user};

const FORMER: &str = "sid";
const EVERY: Duration = minutes(15);
const ADA: &str = "Some(UserId(ada))";

/// An app whose cookie was renamed an hour ago.
struct Renamed {
    fixture: Fixture,
    layer: SessionLayer,
}

impl Renamed {
    fn new() -> Self {
        let fixture = Fixture::memory();
        let now = fixture.clock.now();
        let (set_until, accepted_until) = (now, now.plus(minutes(600)));
        let former = CookieConfig::new(FORMER);
        let cookie = CookieConfig::default().with_former(former, set_until, accepted_until);
        let builder = fixture.builder().with_cookie(cookie).with_realm(FORMER);
        let layer = builder.with_rotation(Rotation::every(EVERY)).build();
        fixture.clock.advance(minutes(60));
        Self {
            layer: layer.expect("it is valid"),
            fixture,
        }
    }

    fn browser(&self) -> Browser {
        self.fixture.browser_of(self.layer.clone())
    }

    /// A browser with a session of ada.
    async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        assert_eq!(browser.request(sign_in).await.status, 200);
        browser
    }

    /// A browser that sends these cookies.
    fn with(&self, cookies: &[(&str, &str)]) -> Browser {
        let mut browser = self.browser();
        for (name, value) in cookies {
            browser.add_cookie(*name, *value);
        }
        browser
    }

    /// Two cookies of one session, as of two sign-ins at once.
    async fn joined(&self) -> [String; 2] {
        let mut browser = self.fixture.with_session(self.browser()).await;
        let mut tab = browser.clone();
        for browser in [&mut browser, &mut tab] {
            assert_eq!(browser.request(sign_in).await.status, 200);
        }
        assert_ne!(cookie(&browser), cookie(&tab));
        assert_eq!(id(&mut browser).await, id(&mut tab).await);
        [cookie(&browser).to_owned(), cookie(&tab).to_owned()]
    }
}

const NAME: &str = CookieConfig::DEFAULT_NAME;

fn cookie(browser: &Browser) -> &str {
    browser.cookie().expect("it has one")
}

async fn id(browser: &mut Browser) -> String {
    let id = |session: Session| async move { Ok(format!("{:?}", session.id())) };
    browser.request(id).await.text().to_owned()
}

#[tokio::test]
async fn a_session_of_the_former_cookie_is_used_if_there_is_no_other() {
    let renamed = Renamed::new();
    let mut browser = renamed.signed_in().await;
    let unknown = Token::issue(renamed.fixture.clock.now(), &SystemRng).expect("it is drawn");
    let unknown = unknown.encode();
    let mut both = renamed.with(&[(NAME, &unknown), (FORMER, cookie(&browser))]);
    assert_eq!(id(&mut both).await, id(&mut browser).await);
    assert_eq!(cookie(&both), cookie(&browser), "it is set");
}

/// A session of which any cookie has the present name has priority.
#[tokio::test]
async fn a_session_of_both_cookies_is_used_rather_than_one_of_the_former_cookie() {
    let renamed = Renamed::new();
    let [one, two] = renamed.joined().await;
    let other = renamed.signed_in().await;
    let own = id(&mut renamed.with(&[(NAME, &one)])).await;
    for former in [[&two, cookie(&other)], [cookie(&other), &two]] {
        let cookies = [(NAME, &*one), (FORMER, former[0]), (FORMER, former[1])];
        let mut browser = renamed.with(&cookies);
        assert_eq!(id(&mut browser).await, own);
    }
}

/// The browser has a cookie of the present name, and it is as good as the other one.
#[tokio::test]
async fn a_session_of_both_cookies_needs_no_new_one() {
    let renamed = Renamed::new();
    let [one, two] = renamed.joined().await;
    for [present, former] in [[&one, &two], [&two, &one]] {
        let mut browser = renamed.with(&[(NAME, present), (FORMER, former)]);
        let response = browser.request(|_| async { Ok(()) }).await;
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
    }
}

/// Another session beside it is no proof that the browser itself holds the successor of the replaced token.
#[tokio::test]
async fn a_replaced_token_beside_that_of_another_session_is_reuse() {
    let renamed = Renamed::new();
    let mut ada = renamed.signed_in().await;
    let stolen = cookie(&ada).to_owned();
    for _ in 0..2 {
        renamed.fixture.clock.advance(EVERY);
        for _ in 0..2 {
            assert_eq!(user(&mut ada).await, ADA);
        }
    }
    let other = renamed.signed_in().await;
    let mut attacker = renamed.with(&[(NAME, &stolen), (NAME, cookie(&other))]);
    assert_eq!(user(&mut attacker).await, ADA, "of the other session");
    assert_eq!(user(&mut ada).await, "None", "it has ended for both");
}

/// Ids are public. A client that has signed out ends nothing else with a made-up secret.
#[tokio::test]
async fn a_forged_token_of_a_live_session_beside_that_of_an_ended_one_ends_nothing() {
    let renamed = Renamed::new();
    let mut ada = renamed.signed_in().await;
    let id = Token::parse(cookie(&ada)).expect("it is a token").id();
    let forged = Token::issue_for(id, &SystemRng).expect("it is drawn");
    let own = renamed.signed_in().await;
    assert_eq!(own.clone().request(destroy).await.text(), "Ended");
    let mut attacker = renamed.with(&[(NAME, cookie(&own)), (NAME, &forged.encode())]);
    assert_eq!(attacker.request(destroy).await.text(), "AlreadyEnded");
    assert_eq!(user(&mut ada).await, ADA);
}
