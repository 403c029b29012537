//! What one request does.

use std::fmt;

use tests::rng::Rng;

/// What one request does. The text is the mark that it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Mark,
    UpdateNow,
    Save,
    Renew,
    SignIn(&'static str),
    SignOut,
    Destroy,
    RevokeAll(&'static str),
    RevokeOthers,
}

/// A request of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) action: Action,
    pub(super) mark: &'static str,
    pub(super) server: usize,
    /// It carries the cookies that the browser had a round ago.
    pub(super) with_old_cookies: bool,
}

impl Action {
    /// Whether it is to end the session that it carries, or all of a user.
    pub(super) const fn ends(self) -> bool {
        matches!(self, Self::SignOut | Self::Destroy | Self::RevokeAll(_))
    }

    pub(super) const fn awaits_its_save(self) -> bool {
        matches!(self, Self::UpdateNow | Self::Save)
    }

    pub(super) const fn leaves_a_mark(self) -> bool {
        matches!(
            self,
            Self::Mark | Self::UpdateNow | Self::Save | Self::Renew | Self::SignIn(_)
        )
    }
}

impl Request {
    /// A random one. `user` is who was signed in so far; only that one signs in with old cookies.
    pub(super) fn draw(rng: &mut Rng, mark: &'static str, user: &str, old: bool) -> Self {
        let with_old_cookies = old && below(rng, 3) == 0;
        let action = match below(rng, 20) {
            0..4 => Action::Mark,
            4..6 => Action::UpdateNow,
            6..7 => Action::Save,
            7..12 => Action::Renew,
            12..16 => Action::SignIn(if user == "bob" { "bob" } else { "ada" }),
            16 if !with_old_cookies => Action::SignIn("bob"),
            17 => Action::SignOut,
            18 => [Action::Destroy, Action::RevokeOthers][below(rng, 2)],
            _ => Action::RevokeAll("ada"),
        };
        Self {
            action,
            mark,
            server: below(rng, 2),
            with_old_cookies,
        }
    }

    pub(super) fn path(&self) -> String {
        let mark = self.mark;
        match self.action {
            Action::Mark => format!("/mark/{mark}"),
            Action::UpdateNow => format!("/update-now/{mark}"),
            Action::Save => format!("/save/{mark}"),
            Action::Renew => format!("/renew/{mark}"),
            Action::SignIn(user) => format!("/sign-in/{user}/{mark}"),
            Action::SignOut => "/sign-out".to_owned(),
            Action::Destroy => "/destroy".to_owned(),
            Action::RevokeAll(user) => format!("/revoke-all/{user}"),
            Action::RevokeOthers => "/revoke-others".to_owned(),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old = if self.with_old_cookies {
            " with old cookies"
        } else {
            ""
        };
        write!(f, "{}{old} at server {}", self.path(), self.server)
    }
}

pub(super) fn below(rng: &mut Rng, bound: usize) -> usize {
    // The low bits of the first numbers of a small seed are alike.
    let number = rng.next_u64() >> 17;
    usize::try_from(number).expect("47 bits") % bound
}
