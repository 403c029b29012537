//! Decides what has to happen to the store and to the cookie when the handler has finished: a pure
//! function of the [`Situation`].

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
    /// Whether a session may be created: a user signs in, or the browser has no cookie that it could lose.
    pub(crate) may_create: bool,
    pub(crate) expiry_chosen: bool,
    /// The maintenance that is due.
    pub(crate) due: Due,
    /// What the response has to do to the cookie because of earlier steps of this request.
    pub(crate) pending: CookiePlan,
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
        Lookup::Absent if situation.changed && situation.may_create => Step::Create,
        // A stale request creates no session, unless the app asks for a new one by renewing.
        Lookup::Ended if situation.changed && situation.renewing => Step::Create,
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
                for bits in 0..16_u8 {
                    let [changed, renewing, may_create, expiry_chosen] =
                        [1, 2, 4, 8].map(|bit| bits & bit != 0);
                    for due in DUES {
                        let situation = Situation {
                            lookup,
                            changed,
                            renewing,
                            may_create,
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
        assert_eq!(all.len(), 3 * 3 * 16 * 6);
        all
    }

    #[test]
    fn each_step_has_exactly_one_reason() {
        for (now, plan) in all() {
            let creates = match now.lookup {
                Lookup::Absent => now.changed && now.may_create,
                Lookup::Ended => now.changed && now.renewing,
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
    fn a_stale_request_creates_nothing_without_renewing() {
        for (now, plan) in all() {
            if now.lookup == Lookup::Ended && !now.renewing {
                assert_eq!(plan.step, Step::Nothing, "{now:?}");
                assert_eq!(plan.cookie, now.pending, "{now:?}");
            }
        }
    }

    #[test]
    fn a_request_that_may_not_create_a_session_sets_no_cookie_without_one() {
        for (now, plan) in all() {
            if now.lookup == Lookup::Absent && !now.may_create {
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
    fn without_changes_nothing_is_planned() {
        for lookup in LOOKUPS {
            for renewing in NO_YES {
                let situation = Situation {
                    lookup,
                    changed: false,
                    renewing: renewing && lookup != Lookup::Live(()),
                    may_create: true,
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
