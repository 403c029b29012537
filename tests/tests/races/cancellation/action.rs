//! The requests that are cancelled, and views of their session.

use std::fmt;

use cloakroom::{Session, SessionError};
use tests::app::Handler;
use tests::browser::Browser;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Reads.
    Look,
    /// Reads, when an update of last-seen is due.
    Touch,
    /// Edits.
    Count,
    /// Edits, saves, and edits again.
    CountTwice,
    /// Edits and renews.
    Renew,
    /// Ends the session.
    Destroy,
    /// Creates a session in a browser without one.
    Begin,
}

impl Action {
    pub(crate) const ALL: [Self; 7] = [
        Self::Look,
        Self::Touch,
        Self::Count,
        Self::CountTwice,
        Self::Renew,
        Self::Destroy,
        Self::Begin,
    ];

    /// How often it increments the counter.
    pub(crate) const fn counts(self) -> u32 {
        match self {
            Self::Count | Self::Renew => 1,
            Self::CountTwice => 2,
            Self::Look | Self::Touch | Self::Destroy | Self::Begin => 0,
        }
    }

    /// The handler. `tag` identifies the request. The response is what it has read.
    pub(crate) fn handler(self, tag: u32) -> Handler {
        Handler::session(async move |session| {
            match self {
                Self::Look | Self::Touch => {}
                Self::Count => count(&session, tag)?,
                Self::CountTwice => {
                    count(&session, tag)?;
                    session.save().await?;
                    count(&session, tag + 1)?;
                }
                Self::Renew => {
                    count(&session, tag)?;
                    session.renew()?;
                }
                Self::Destroy => {
                    let seen = view(&session)?;
                    return Ok(format!("{seen}{:?}", session.destroy().await?));
                }
                Self::Begin => begin(&session, &format!("begun-{tag}"))?,
            }
            Ok(view(&session)?.to_string())
        })
    }
}

/// Increments the counter, and writes two entries that must stay equal.
fn count(session: &Session, tag: u32) -> Result<(), SessionError> {
    // An ended session is not created again.
    if session.contains("mark") {
        session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)?;
        session.insert("left", tag)?;
        session.insert("right", tag)?;
    }
    Ok(())
}

fn begin(session: &Session, owner: &str) -> Result<(), SessionError> {
    session.insert("mark", owner)?;
    session.insert("n", 0)
}

/// What a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// The user of the session; empty if there is no session.
    pub(crate) owner: String,
    pub(crate) n: u32,
    pub(crate) left: u32,
    pub(crate) right: u32,
}

fn view(session: &Session) -> Result<View, SessionError> {
    Ok(View {
        owner: session.get("mark")?.unwrap_or_default(),
        n: session.get("n")?.unwrap_or_default(),
        left: session.get("left")?.unwrap_or_default(),
        right: session.get("right")?.unwrap_or_default(),
    })
}

impl View {
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let owner = words.next().expect("a word").to_owned();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let mut number = || number().expect("a number");
        Self {
            owner,
            n: number(),
            left: number(),
            right: number(),
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} ", self.owner, self.n, self.left, self.right)
    }
}

/// A browser with a session.
#[derive(Clone, Debug)]
pub(crate) struct TestUser {
    pub(crate) browser: Browser,
    pub(crate) owner: String,
    /// Acknowledged increments.
    pub(crate) counted: u32,
    /// Increments with unknown outcome.
    pub(crate) maybe_counted: u32,
}

impl TestUser {
    pub(crate) async fn begin(mut browser: Browser, owner: String) -> Self {
        let named = owner.clone();
        let handler = Handler::session(async move |session| begin(&session, &named));
        let response = browser.request_with(handler).await;
        assert_eq!(response.status, 200, "{owner}");
        Self {
            browser,
            owner,
            counted: 0,
            maybe_counted: 0,
        }
    }

    /// Increments the counter undisturbed, and checks that the response is of its own session.
    pub(crate) async fn count_undisturbed(&mut self, tag: u32) {
        let response = self.browser.request_with(Action::Count.handler(tag)).await;
        assert_eq!(response.status, 200, "{}", self.owner);
        self.counted += 1;
        let expected = View {
            owner: self.owner.clone(),
            n: self.counted,
            left: tag,
            right: tag,
        };
        assert_eq!(View::parse(response.text()), expected);
    }

    /// Checks a view of its session.
    pub(crate) fn check(&self, seen: &View) {
        assert_eq!(seen.owner, self.owner, "somebody else's session: {seen:?}");
        assert_eq!(seen.left, seen.right, "half of an edit: {seen:?}");
        let possible = self.counted..=self.counted + self.maybe_counted;
        assert!(possible.contains(&seen.n), "{seen:?}, not {possible:?}");
    }
}

/// A view of a browser's session; `None` if it has ended.
pub(crate) async fn look(mut browser: Browser) -> Option<View> {
    let response = browser.request_with(Action::Look.handler(0)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let seen = View::parse(response.text());
    (seen != View::default()).then_some(seen)
}
