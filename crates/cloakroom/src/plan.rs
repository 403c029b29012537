//! Decides what has to happen to the store and to the cookie when the handler has finished: a pure
//! function of the [`Situation`].
//!
//! # The rule for the browser's cookie
//!
//! A request sets or removes the cookie only if the cookie that the browser would lose is known to be invalid, or
//! was given up explicitly.
//!
//! | what the request has presented | what may change the cookie |
//! |---|---|
//! | nothing | the first edit, or a sign-in, creates a session |
//! | a token that is malformed, unknown or expired, so invalid | the same |
//! | nothing live, but the browser may hold a cookie that it did not send (a request from another site, a page outside of the cookie's path) | only a sign-in |
//! | the tokens of several live sessions | only a sign-in or a renewal: they end all of them |
//! | the token of a session that was renewed: the browser has the cookie of its successor, or is about to receive it | only a sign-in: it joins a successor that a sign-in of the same user has created, or creates a session |
//! | the token of a session that has ended in another way | only a sign-in: it creates a session, with the edits of this request alone |
//! | the token of a live session | a renewal, a sign-in, a chosen expiry, a rotation, or a migration sets the cookie; what ends the session removes it |
//!
//! A request that ends a session ends its successor too, so a cookie that is removed is invalid then. A session
//! that another request renews or ends before the step of this one has run counts as ended: the step sets no
//! cookie then, except for a sign-in ([`commit::renew`](crate::commit::renew)).

/// The result of looking up the session of a request. `T` is what is known of a live session; the plan
/// needs nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lookup<T> {
    /// There is no session: the request has no valid token, or none that belongs to a session.
    #[default]
    Absent,
    /// The session ended a short while ago. Edits stay in memory, so that a stale request neither revives
    /// the session nor replaces the cookie of its successor.
    Ended,
    /// The session is live.
    Live(T),
}

/// Everything that the plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) lookup: Lookup<()>,
    /// Whether there is something to store: the entries differ from the stored ones, or there are entries
    /// and no stored session.
    pub(crate) changed: bool,
    pub(crate) renewing: bool,
    /// The app has signed a user in, which renews as well.
    pub(crate) signing_in: bool,
    /// No token was presented, but the browser may hold a cookie that it did not send.
    pub(crate) withheld: bool,
    pub(crate) expiry_chosen: bool,
    /// The maintenance that is due.
    pub(crate) due: Due,
    /// What the response has to do to the cookie because of earlier steps of this request.
    pub(crate) pending: CookiePlan,
}

impl Situation {
    /// Whether a request without a session may create one: a user signs in, or the browser has no cookie that
    /// it could lose.
    const fn may_create(&self) -> bool {
        self.signing_in || !self.withheld
    }
}

/// The maintenance of a live session, the most urgent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Due {
    #[default]
    Nothing,
    /// Last-seen has to be updated.
    Touch,
    /// So has the device.
    RecordDevice,
    /// The request has presented the offered token, which now becomes the current one.
    PromoteSecret,
    /// The presented token is due for rotation, or has a successor: the cookie is set to the successor.
    OfferSecret,
    /// The session was found by its legacy cookie: its own cookie has to be set.
    SetCookie,
}

/// What has to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) step: Step,
    /// What the response does to the cookie once the step has succeeded.
    pub(crate) cookie: CookiePlan,
}

/// What has to happen to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Touch,
    /// Update of the library's own entries. The request does not depend on its success.
    Maintain,
    /// Read the session again: the cookie is set only if the session is still live.
    Verify,
    Create,
    Update,
    Renew,
}

impl Step {
    /// Whether the step stores edits of the app.
    pub(crate) const fn stores_edits(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Renew)
    }
}

/// What has to happen to the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CookiePlan {
    #[default]
    Leave,
    Set,
    Remove,
}

/// Returns the plan for a situation.
pub(crate) fn plan(situation: &Situation) -> Plan {
    let step = match situation.lookup {
        Lookup::Absent if situation.changed && situation.may_create() => Step::Create,
        // A stale request creates no session, unless the app has just identified the user.
        Lookup::Ended if situation.changed && situation.signing_in => Step::Create,
        Lookup::Live(()) if situation.renewing => Step::Renew,
        Lookup::Live(()) if situation.changed || situation.expiry_chosen => Step::Update,
        Lookup::Live(()) => match situation.due {
            Due::Nothing => Step::Nothing,
            Due::Touch => Step::Touch,
            Due::RecordDevice | Due::PromoteSecret | Due::OfferSecret => Step::Maintain,
            Due::SetCookie => Step::Verify,
        },
        Lookup::Absent | Lookup::Ended => Step::Nothing,
    };
    let cookie = match step {
        Step::Create | Step::Renew | Step::Verify => CookiePlan::Set,
        Step::Update if situation.expiry_chosen => CookiePlan::Set,
        Step::Update if situation.due == Due::SetCookie => CookiePlan::Set,
        Step::Update | Step::Maintain if situation.due == Due::OfferSecret => CookiePlan::Set,
        Step::Update | Step::Maintain | Step::Touch | Step::Nothing => situation.pending,
    };
    Plan { step, cookie }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUPS: [Lookup<()>; 3] = [Lookup::Absent, Lookup::Ended, Lookup::Live(())];
    const COOKIES: [CookiePlan; 3] = [CookiePlan::Leave, CookiePlan::Set, CookiePlan::Remove];
    const DUES: [Due; 6] = [
        Due::Nothing,
        Due::Touch,
        Due::RecordDevice,
        Due::PromoteSecret,
        Due::OfferSecret,
        Due::SetCookie,
    ];
    const NO_YES: [bool; 2] = [false, true];

    /// Returns every situation with its plan.
    fn all() -> Vec<(Situation, Plan)> {
        let mut all = Vec::new();
        for lookup in LOOKUPS {
            for pending in COOKIES {
                for bits in 0..32_u8 {
                    let [changed, renewing, expiry_chosen, signing_in, withheld] =
                        [1, 2, 4, 8, 16].map(|bit| bits & bit != 0);
                    for due in DUES {
                        let situation = Situation {
                            lookup,
                            changed,
                            renewing,
                            signing_in,
                            withheld,
                            expiry_chosen,
                            due,
                            pending,
                        };
                        let plan = plan(&situation);
                        all.push((situation, plan));
                    }
                }
            }
        }
        assert_eq!(all.len(), 3 * 3 * 32 * 6);
        all
    }

    #[test]
    fn each_step_has_exactly_one_reason() {
        for (now, plan) in all() {
            let creates = match now.lookup {
                Lookup::Absent => now.changed && (now.signing_in || !now.withheld),
                Lookup::Ended => now.changed && now.signing_in,
                Lookup::Live(()) => false,
            };
            let live = now.lookup == Lookup::Live(());
            let renews = live && now.renewing;
            let updates = live && !renews && (now.changed || now.expiry_chosen);
            let idle = live && !renews && !updates;
            let touches = idle && now.due == Due::Touch;
            let verifies = idle && now.due == Due::SetCookie;
            let maintains = idle && !verifies && !matches!(now.due, Due::Nothing | Due::Touch);
            assert_eq!(plan.step == Step::Create, creates, "{now:?}");
            assert_eq!(plan.step == Step::Renew, renews, "{now:?}");
            assert_eq!(plan.step == Step::Update, updates, "{now:?}");
            assert_eq!(plan.step == Step::Touch, touches, "{now:?}");
            assert_eq!(plan.step == Step::Maintain, maintains, "{now:?}");
            assert_eq!(plan.step == Step::Verify, verifies, "{now:?}");
        }
    }

    #[test]
    fn only_a_live_session_is_written_and_only_a_missing_one_is_created() {
        for (now, plan) in all() {
            let live = now.lookup == Lookup::Live(());
            match plan.step {
                Step::Create => assert!(!live, "{now:?}"),
                Step::Renew | Step::Update | Step::Maintain | Step::Verify | Step::Touch => {
                    assert!(live, "{now:?}");
                }
                Step::Nothing => {}
            }
        }
    }

    #[test]
    fn a_stale_request_creates_nothing_and_keeps_the_cookie_without_a_sign_in() {
        for (now, plan) in all() {
            if now.lookup == Lookup::Ended && !now.signing_in {
                assert_eq!(plan.step, Step::Nothing, "{now:?}");
                assert_eq!(plan.cookie, now.pending, "{now:?}");
            }
        }
    }

    /// The rule for the browser's cookie, over all situations.
    #[test]
    fn the_cookie_changes_only_if_the_browser_loses_nothing_by_it() {
        for (now, plan) in all() {
            if plan.cookie == now.pending {
                continue;
            }
            assert_eq!(plan.cookie, CookiePlan::Set, "{now:?}");
            let may_change = match now.lookup {
                Lookup::Absent => now.changed,
                Lookup::Ended => now.signing_in,
                Lookup::Live(()) => {
                    let rotates = matches!(now.due, Due::OfferSecret | Due::SetCookie);
                    now.renewing || now.expiry_chosen || rotates
                }
            };
            assert!(may_change, "{now:?}");
        }
    }

    #[test]
    fn a_request_that_may_not_create_a_session_sets_no_cookie_without_one() {
        for (now, plan) in all() {
            if now.lookup == Lookup::Absent && now.withheld && !now.signing_in {
                assert_eq!(plan.step, Step::Nothing, "{now:?}");
                assert_eq!(plan.cookie, now.pending, "{now:?}");
            }
        }
    }

    #[test]
    fn the_cookie_is_set_for_a_reason_and_removed_only_if_that_is_pending() {
        for (now, plan) in all() {
            let reason = match plan.step {
                Step::Create | Step::Renew | Step::Verify => true,
                Step::Update => {
                    now.expiry_chosen || matches!(now.due, Due::OfferSecret | Due::SetCookie)
                }
                Step::Maintain => now.due == Due::OfferSecret,
                Step::Touch | Step::Nothing => false,
            };
            let expected = if reason { CookiePlan::Set } else { now.pending };
            assert_eq!(plan.cookie, expected, "{now:?}");
        }
    }

    #[test]
    fn only_the_steps_that_write_entries_of_the_app_store_edits() {
        for step in [Step::Create, Step::Update, Step::Renew] {
            assert!(step.stores_edits(), "{step:?}");
        }
        for step in [Step::Nothing, Step::Touch, Step::Maintain, Step::Verify] {
            assert!(!step.stores_edits(), "{step:?}");
        }
    }

    #[test]
    fn without_changes_nothing_is_planned() {
        for lookup in LOOKUPS {
            for renewing in NO_YES {
                let situation = Situation {
                    lookup,
                    changed: false,
                    renewing: renewing && lookup != Lookup::Live(()),
                    signing_in: false,
                    withheld: false,
                    expiry_chosen: renewing && lookup != Lookup::Live(()),
                    due: Due::Nothing,
                    pending: CookiePlan::Leave,
                };
                let nothing = Plan {
                    step: Step::Nothing,
                    cookie: CookiePlan::Leave,
                };
                assert_eq!(plan(&situation), nothing, "{situation:?}");
            }
        }
    }
}
