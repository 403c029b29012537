//! Runs a race once, and judges every order in which the responses can arrive.

use axum::Router;
use http::Method;
use tests::user_agent::{Incoming, Outgoing, UserAgent};

use super::script::{Script, SignOut, Timing};
use crate::app::{Meeting, Seen};
use crate::kinds::{Kind, Shop};

/// How often something went wrong, over all trials. A trial counts once in each column, however many orders
/// of its responses show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) trials: usize,
    /// The browser ends up as nobody.
    pub(crate) signed_out: usize,
    /// The previous cart is gone.
    pub(crate) cart_lost: usize,
    /// An edit that was answered with success is gone.
    pub(crate) edits_lost: usize,
    /// More live sessions of the user than one, in all.
    pub(crate) extra_sessions: usize,
    /// Live sessions of nobody, in all.
    pub(crate) anonymous: usize,
    /// Something is alive, or the browser is signed in, after a sign-out that was confirmed.
    pub(crate) revived: usize,
    /// Signed out or without its cart if one of the responses is lost.
    pub(crate) lost_response: usize,
    /// Requests that were not answered with success.
    pub(crate) errors: usize,
}

impl Figures {
    pub(crate) const HEAD: &str = "                                   trials  signed out  cart lost  \
         edits lost  extra sessions  anonymous  revived  wrong if one is lost  errors";

    pub(crate) fn row(&self, kind: Kind) -> String {
        format!(
            "  {kind:<32} {:>6}  {:>10}  {:>9}  {:>10}  {:>14}  {:>9}  {:>7}  {:>20}  {:>6}",
            self.trials,
            self.signed_out,
            self.cart_lost,
            self.edits_lost,
            self.extra_sessions,
            self.anonymous,
            self.revived,
            self.lost_response,
            self.errors,
        )
    }

    /// What tower-sessions on its own store gets, in every trial: it copies the data into both sessions.
    pub(crate) fn is_not_worse_than_expected_of_theirs(&self, script: &Script) {
        if script.sign_out == SignOut::None && script.timing == Timing::Together {
            assert_eq!(self.signed_out, 0, "signed out: {self:?}");
            assert_eq!(self.cart_lost, 0, "cart lost: {self:?}");
            assert!(self.extra_sessions <= self.trials, "extra: {self:?}");
            assert_eq!(self.errors, 0, "not answered with success: {self:?}");
        }
    }

    /// The first column in which these figures are worse. A lost response counts where the layer knows that both
    /// requests sign in.
    pub(crate) fn worse_than(
        &self,
        other: &Self,
        knows_users: bool,
        script: &Script,
    ) -> Option<String> {
        let lost = if knows_users && script.starts_anonymous() {
            self.lost_response
        } else {
            0
        };
        let columns = [
            ("wrong if one is lost", lost, other.lost_response),
            ("signed out", self.signed_out, other.signed_out),
            ("cart lost", self.cart_lost, other.cart_lost),
            ("extra sessions", self.extra_sessions, other.extra_sessions),
            ("anonymous", self.anonymous, other.anonymous),
            ("revived", self.revived, other.revived),
            ("errors", self.errors, other.errors),
        ];
        let worse = columns.iter().find(|(_, ours, theirs)| ours > theirs);
        worse.map(|(name, ours, theirs)| format!("{name}: {ours}, theirs {theirs}"))
    }
}

/// Runs a race, and adds what comes of it.
pub(crate) async fn run(shop: &Shop, script: &Script, trial: usize, figures: &mut Figures) {
    figures.trials += 1;
    let mut browser = UserAgent::new();
    for (index, path) in script.before.iter().enumerate() {
        browser.post(&shop.apps[index % 2], path).await;
    }
    let responses = race(shop, &browser, script, trial).await;
    let errors = responses
        .iter()
        .filter(|response| !response.status.is_success());
    figures.errors += errors.count();
    let confirmed = match script.sign_out {
        SignOut::None => false,
        SignOut::First => responses[0].text() == "ended",
        SignOut::Second => responses[1].text() == "ended",
    };
    let (of_user, anonymous) = shop.storage.count("ada").await;
    figures.anonymous += anonymous;
    if confirmed {
        let mut revived = of_user > 0;
        for order in [[0, 1], [1, 0]] {
            revived |= !look(shop, &browser, &responses, &order)
                .await
                .user
                .is_empty();
        }
        figures.revived += usize::from(revived);
        return;
    }
    figures.extra_sessions += of_user.saturating_sub(1);
    let (mut signed_out, mut cart_lost, mut edits_lost) = (false, false, false);
    for order in [[0, 1], [1, 0]] {
        let seen = look(shop, &browser, &responses, &order).await;
        signed_out |= seen.user != "ada";
        cart_lost |= seen.cart != "hat";
        edits_lost |= script.marks.chars().any(|mark| !seen.marks.contains(mark));
    }
    figures.signed_out += usize::from(signed_out);
    figures.cart_lost += usize::from(cart_lost);
    figures.edits_lost += usize::from(edits_lost);
    let mut lost = false;
    for only in [[0], [1]] {
        let seen = look(shop, &browser, &responses, &only).await;
        lost |= seen.user != "ada" || seen.cart != "hat";
    }
    figures.lost_response += usize::from(lost);
}

/// Sends both requests with the cookies of now, to both servers. Which server gets which, and which request
/// is first, changes from trial to trial.
async fn race(shop: &Shop, browser: &UserAgent, script: &Script, trial: usize) -> [Incoming; 2] {
    let meeting = Meeting::of(2);
    let start = |path| browser.start(Method::POST, path);
    let [first, second] = script.requests.map(start);
    let apps = [&shop.apps[trial % 2], &shop.apps[(trial + 1) % 2]];
    if script.timing == Timing::After {
        return [first.send(apps[0]).await, second.send(apps[1]).await];
    }
    let spawn = |request: Outgoing, app: &Router| {
        let (request, app) = (request.with(meeting.clone()), app.clone());
        tokio::spawn(async move { request.send(&app).await })
    };
    let (first, second) = if (trial / 2).is_multiple_of(2) {
        let first = spawn(first, apps[0]);
        (first, spawn(second, apps[1]))
    } else {
        let second = spawn(second, apps[1]);
        (spawn(first, apps[0]), second)
    };
    let first = first.await.expect("no request panics");
    [first, second.await.expect("no request panics")]
}

/// What the browser sees if these responses arrive, in this order, and no other.
async fn look(
    shop: &Shop,
    browser: &UserAgent,
    responses: &[Incoming; 2],
    order: &[usize],
) -> Seen {
    let mut browser = browser.clone();
    for &index in order {
        browser.receive(&responses[index]);
    }
    Seen::of(&browser.visit(&shop.apps[0], Method::GET, "/me").await)
}
