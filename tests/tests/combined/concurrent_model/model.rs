//! What a user may see after a round, in plain Rust: no store, no tokens, no order of commands.

use std::fmt;

use super::request::{Action, Request};
use crate::app::Seen;

/// What is known of a request after its response.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) request: Request,
    pub(super) success: bool,
    /// What the page says: whether a session was ended.
    pub(super) text: String,
    pub(super) edits_dropped: bool,
}

/// What there is after a round.
#[derive(Clone, Debug)]
pub(super) struct After {
    pub(super) seen: Seen,
    /// What the cookies from before the round still show.
    pub(super) before_shows: Seen,
    /// Live sessions of the user from before, or who has signed in.
    pub(super) of_user: usize,
    /// All live sessions.
    pub(super) live: usize,
}

/// A rule that did not hold.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) name: &'static str,
    detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}

/// A round, as far as the rules tell rounds apart.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) before: Seen,
    pub(super) outcomes: Vec<Outcome>,
}

impl Round {
    /// Who has signed in.
    pub(super) fn sign_ins(&self) -> Vec<&'static str> {
        let successful = self.outcomes.iter().filter(|outcome| outcome.success);
        let users = successful.filter_map(|outcome| match outcome.request.action {
            Action::SignIn(user) => Some(user),
            _ => None,
        });
        users.collect()
    }

    /// Whether something was ended that the browser had.
    pub(super) fn ended(&self) -> bool {
        self.outcomes
            .iter()
            .any(|outcome| match outcome.request.action {
                Action::SignOut | Action::Destroy => outcome.text == "ended",
                Action::RevokeAll(user) => {
                    user == self.before.user || self.sign_ins().contains(&user)
                }
                _ => false,
            })
    }

    /// Whether different users have signed in at once, or one over another; or somebody while the session of
    /// nobody was renewed: a request with the cookie of such a renewal must not get into the session of the
    /// sign-in, so the response that arrives last counts.
    pub(super) fn is_mixed(&self) -> bool {
        let renews = |outcome: &Outcome| outcome.request.action == Action::Renew;
        let has_old_cookies = |outcome: &Outcome| outcome.request.with_old_cookies;
        if self.before.user.is_empty()
            && !self.sign_ins().is_empty()
            && self
                .outcomes
                .iter()
                .any(|outcome| renews(outcome) || has_old_cookies(outcome))
        {
            return true;
        }
        let before = Some(&*self.before.user).filter(|user| !user.is_empty());
        let mut users: Vec<_> = self.sign_ins().into_iter().chain(before).collect();
        users.sort_unstable();
        users.dedup();
        users.len() > 1
    }

    /// Whether a sign-in with old cookies has joined the session that a request with the current ones has
    /// renewed after that. If its response is overtaken by that of the renewal, the browser keeps a cookie of
    /// the renewed session, as with any two responses that overtake each other.
    fn may_cross(&self) -> bool {
        let signs_in_late = |outcome: &Outcome| {
            let request = &outcome.request;
            request.with_old_cookies && matches!(request.action, Action::SignIn(_))
        };
        let renews = |outcome: &Outcome| {
            let request = &outcome.request;
            let renews = matches!(request.action, Action::Renew | Action::SignIn(_));
            renews && !request.with_old_cookies
        };
        self.outcomes.iter().any(signs_in_late) && self.outcomes.iter().any(renews)
    }

    /// Whether a sign-in may have met a renewal, of this round or, with old cookies, of an earlier one. It must not
    /// get into the renewed session, as after a second factor, so it has one of its own, with what it had loaded.
    pub(super) fn signs_in_beside_a_renewal(&self) -> bool {
        let renews = |outcome: &Outcome| outcome.request.action == Action::Renew;
        let renews = self.outcomes.iter().any(renews);
        self.outcomes.iter().any(|outcome| {
            let request = &outcome.request;
            let signs_in = matches!(request.action, Action::SignIn(_));
            signs_in && (renews || request.with_old_cookies)
        })
    }

    /// Who should be signed in, if nothing was ended and the users are not mixed.
    pub(super) fn expected_user(&self) -> String {
        let signed_in = self.sign_ins().first().map(|&user| user.to_owned());
        signed_in.unwrap_or_else(|| self.before.user.clone())
    }

    /// The rules that do not hold.
    pub(super) fn judge(&self, after: &After) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut rule = |name, holds: bool, detail: String| {
            if !holds {
                broken.push(Broken { name, detail });
            }
        };
        let seen = &after.seen;
        let foreign = seen.marks.contains('!') || after.before_shows.marks.contains('!');
        rule("no data of another user", !foreign, format!("{after:?}"));
        self.judge_errors(&mut rule);
        match (self.ended(), self.is_mixed(), self.sign_ins().is_empty()) {
            (false, false, _) => self.judge_kept(after, &mut rule),
            (true, _, true) => judge_ended(after, &mut rule),
            (true, _, false) => rule(
                "the ended session stays ended",
                after.before_shows.user.is_empty(),
                format!("{:?}", after.before_shows),
            ),
            (false, true, _) => rule(
                "somebody who signed in is signed in",
                self.sign_ins().contains(&&*seen.user) || seen.user == self.before.user,
                format!("{seen:?}"),
            ),
        }
        broken
    }

    fn judge_errors(&self, rule: &mut impl FnMut(&'static str, bool, String)) {
        // A sign-in or a renewal may be refused while sessions of the user are ended.
        let ends = |outcome: &Outcome| {
            let action = outcome.request.action;
            action.ends() || action == Action::RevokeOthers
        };
        if self.outcomes.iter().any(ends) {
            return;
        }
        for outcome in &self.outcomes {
            // A call that awaits its save gets an error if the session has ended.
            let reported = outcome.edits_dropped && outcome.request.action.awaits_its_save();
            rule(
                "success",
                outcome.success || reported,
                format!("{outcome:?}"),
            );
        }
    }

    /// Nothing was ended: signed-in users stay signed in, and nothing is lost or left over.
    fn judge_kept(&self, after: &After, rule: &mut impl FnMut(&'static str, bool, String)) {
        let (seen, expected) = (&after.seen, self.expected_user());
        if self.may_cross() && *seen == Seen::default() {
            return;
        }
        let found = format!("{:?} before, {seen:?} after", self.before);
        rule("nobody is signed out", seen.user == expected, found.clone());
        let extra = format!(
            "{} live sessions, {} of the user",
            after.live, after.of_user
        );
        if self.signs_in_beside_a_renewal() {
            let most = 1 + self.sign_ins().len();
            rule(
                "no session but those of sign-ins",
                after.live <= most,
                extra,
            );
            return;
        }
        rule("no session is left over", after.live <= 1, extra);
        rule(
            "no cart is lost",
            seen.cart == self.before.cart,
            found.clone(),
        );
        let kept = self
            .before
            .marks
            .chars()
            .all(|mark| seen.marks.contains(mark));
        rule("nothing from before is lost", kept, found);
        for outcome in &self.outcomes {
            let request = &outcome.request;
            let saved = outcome.success && request.action.leaves_a_mark() && !outcome.edits_dropped;
            let there = !saved || seen.marks.contains(request.mark);
            rule(
                "no edit is lost without a sign of it",
                there,
                format!("{request}: {seen:?}"),
            );
        }
    }
}

/// The session was ended, and nobody signed in meanwhile.
fn judge_ended(after: &After, rule: &mut impl FnMut(&'static str, bool, String)) {
    let found = format!("{after:?}");
    let nobody = after.seen.user.is_empty() && after.before_shows.user.is_empty();
    rule(
        "nobody is signed in after a sign-out",
        nobody,
        found.clone(),
    );
    let data = &after.seen.cart;
    rule("no data comes back", data.is_empty(), found.clone());
    rule("nothing ended is alive", after.live == 0, found);
}
