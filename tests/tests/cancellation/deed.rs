//! What the requests do that are cut off, and what is seen of a session.

use std::fmt;

use cloakroom::{Session, SessionError};
use tests::app::Act;
use tests::browser::Browser;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Reads.
    Look,
    /// Reads, when the session was not used for so long that this is written down.
    Touch,
    /// Edits.
    Count,
    /// Edits and saves, and edits once more.
    CountTwice,
    /// Edits and renews.
    Renew,
    /// Ends the session.
    Destroy,
    /// Begins a session, with somebody who has none.
    Begin,
}

impl Deed {
    pub(crate) const ALL: [Self; 7] = [
        Self::Look,
        Self::Touch,
        Self::Count,
        Self::CountTwice,
        Self::Renew,
        Self::Destroy,
        Self::Begin,
    ];

    /// How often it counts.
    pub(crate) const fn counts(self) -> u32 {
        match self {
            Self::Count | Self::Renew => 1,
            Self::CountTwice => 2,
            Self::Look | Self::Touch | Self::Destroy | Self::Begin => 0,
        }
    }

    /// What the handler does. `sign` tells this request from others. The answer is what it has seen.
    pub(crate) fn act(self, sign: u32) -> Act {
        Act::session(async move |session| {
            match self {
                Self::Look | Self::Touch => {}
                Self::Count => count(&session, sign)?,
                Self::CountTwice => {
                    count(&session, sign)?;
                    session.save().await?;
                    count(&session, sign + 1)?;
                }
                Self::Renew => {
                    count(&session, sign)?;
                    session.renew()?;
                }
                Self::Destroy => {
                    let seen = view(&session)?;
                    return Ok(format!("{seen}{:?}", session.destroy().await?));
                }
                Self::Begin => begin(&session, &format!("begun-{sign}"))?,
            }
            Ok(view(&session)?.to_string())
        })
    }
}

/// Counts on, and writes two entries that belong together.
fn count(session: &Session, sign: u32) -> Result<(), SessionError> {
    // What is over is not begun again.
    if session.contains("mark") {
        session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)?;
        session.insert("left", sign)?;
        session.insert("right", sign)?;
    }
    Ok(())
}

fn begin(session: &Session, mark: &str) -> Result<(), SessionError> {
    session.insert("mark", mark)?;
    session.insert("n", 0)
}

/// What a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Whose it is; nothing, if it is nobody's.
    pub(crate) mark: String,
    pub(crate) n: u32,
    pub(crate) left: u32,
    pub(crate) right: u32,
}

fn view(session: &Session) -> Result<View, SessionError> {
    Ok(View {
        mark: session.get("mark")?.unwrap_or_default(),
        n: session.get("n")?.unwrap_or_default(),
        left: session.get("left")?.unwrap_or_default(),
        right: session.get("right")?.unwrap_or_default(),
    })
}

impl View {
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let mark = words.next().expect("a word").to_owned();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let mut number = || number().expect("a number");
        Self {
            mark,
            n: number(),
            left: number(),
            right: number(),
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} ", self.mark, self.n, self.left, self.right)
    }
}

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) browser: Browser,
    pub(crate) mark: String,
    /// How often it was counted and said so.
    pub(crate) counted: u32,
    /// How often it was perhaps counted.
    pub(crate) perhaps: u32,
}

impl Guest {
    pub(crate) async fn begin(mut browser: Browser, mark: String) -> Self {
        let named = mark.clone();
        let act = Act::session(async move |session| begin(&session, &named));
        let answer = browser.perform(act).await;
        assert_eq!(answer.status, 200, "{mark}");
        Self {
            browser,
            mark,
            counted: 0,
            perhaps: 0,
        }
    }

    /// Counts, undisturbed, and checks that it was answered with its own session.
    pub(crate) async fn count_alone(&mut self, sign: u32) {
        let answer = self.browser.perform(Deed::Count.act(sign)).await;
        assert_eq!(answer.status, 200, "{}", self.mark);
        self.counted += 1;
        let expected = View {
            mark: self.mark.clone(),
            n: self.counted,
            left: sign,
            right: sign,
        };
        assert_eq!(View::parse(answer.text()), expected);
    }

    /// Checks what its session is seen to hold.
    pub(crate) fn check(&self, seen: &View) {
        assert_eq!(seen.mark, self.mark, "somebody else's session: {seen:?}");
        assert_eq!(seen.left, seen.right, "half of an edit: {seen:?}");
        let possible = self.counted..=self.counted + self.perhaps;
        assert!(possible.contains(&seen.n), "{seen:?}, not {possible:?}");
    }
}

/// What a browser's cookie opens; nothing, if the session is over.
pub(crate) async fn look(mut browser: Browser) -> Option<View> {
    let answer = browser.perform(Deed::Look.act(0)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = View::parse(answer.text());
    (seen != View::default()).then_some(seen)
}
