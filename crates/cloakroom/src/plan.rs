//! What must happen to the store and to the cookie when the handler is done: a pure function.

/// What the request's cookie led to, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Nothing,
    Tombstoned,
    Live,
}

/// All that the plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) standing: Standing,
    /// There is something to store: entries differ from what is stored, or there are some where
    /// nothing is.
    pub(crate) changed: bool,
    pub(crate) renewing: bool,
    pub(crate) expiry_chosen: bool,
    /// What the library itself has to do.
    pub(crate) due: Due,
    /// What the steps carried out before mean for the browser.
    pub(crate) owed: CookiePlan,
}

/// What the library itself has to do to a live session, most pressing last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Due {
    #[default]
    Nothing,
    /// The use is to be written down.
    Touch,
    /// And where it comes from.
    Sighting,
    /// A new secret was presented, and becomes the session's.
    Confirmation,
    /// The secret that was presented has a successor, or gets one, which is to be handed out.
    Succession,
    /// The session was found by the cookie of the system that it came from, and its own is to be
    /// handed out.
    Arrival,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) step: Step,
    /// What the answer tells the browser, once the step is done.
    pub(crate) cookie: CookiePlan,
}

/// What must happen to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Touch,
    /// An update of what is the library's own. Whether it succeeds does not matter to the request.
    Upkeep,
    /// Another look: a cookie is handed out only if the session still lives.
    Look,
    Create,
    Update,
    Renew,
}

/// What must happen to the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CookiePlan {
    #[default]
    Leave,
    HandOut,
    TakeBack,
}

/// Decides.
pub(crate) fn plan(situation: &Situation) -> Plan {
    let step = match situation.standing {
        Standing::Nothing if situation.changed => Step::Create,
        // A stale request creates nothing, unless the app explicitly begins anew.
        Standing::Tombstoned if situation.changed && situation.renewing => Step::Create,
        Standing::Live if situation.renewing => Step::Renew,
        Standing::Live if situation.changed || situation.expiry_chosen => Step::Update,
        Standing::Live => match situation.due {
            Due::Nothing => Step::Nothing,
            Due::Touch => Step::Touch,
            Due::Sighting | Due::Confirmation | Due::Succession => Step::Upkeep,
            Due::Arrival => Step::Look,
        },
        Standing::Nothing | Standing::Tombstoned => Step::Nothing,
    };
    let cookie = match step {
        Step::Create | Step::Renew | Step::Look => CookiePlan::HandOut,
        Step::Update if situation.expiry_chosen => CookiePlan::HandOut,
        Step::Update if situation.due == Due::Arrival => CookiePlan::HandOut,
        Step::Update | Step::Upkeep if situation.due == Due::Succession => CookiePlan::HandOut,
        Step::Update | Step::Upkeep | Step::Touch | Step::Nothing => situation.owed,
    };
    Plan { step, cookie }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDINGS: [Standing; 3] = [Standing::Nothing, Standing::Tombstoned, Standing::Live];
    const COOKIES: [CookiePlan; 3] = [CookiePlan::Leave, CookiePlan::HandOut, CookiePlan::TakeBack];
    const DUES: [Due; 6] = [
        Due::Nothing,
        Due::Touch,
        Due::Sighting,
        Due::Confirmation,
        Due::Succession,
        Due::Arrival,
    ];
    const NO_YES: [bool; 2] = [false, true];

    /// Every situation there is, with its plan.
    fn all() -> Vec<(Situation, Plan)> {
        let mut all = Vec::new();
        for standing in STANDINGS {
            for owed in COOKIES {
                for bits in 0..8_u8 {
                    let [changed, renewing, expiry_chosen] = [1, 2, 4].map(|bit| bits & bit != 0);
                    for due in DUES {
                        let situation = Situation {
                            standing,
                            changed,
                            renewing,
                            expiry_chosen,
                            due,
                            owed,
                        };
                        let plan = plan(&situation);
                        all.push((situation, plan));
                    }
                }
            }
        }
        assert_eq!(all.len(), 3 * 3 * 8 * 6);
        all
    }

    #[test]
    fn each_step_has_its_one_reason() {
        for (now, plan) in all() {
            let begins = match now.standing {
                Standing::Nothing => now.changed,
                Standing::Tombstoned => now.changed && now.renewing,
                Standing::Live => false,
            };
            let live = now.standing == Standing::Live;
            let renews = live && now.renewing;
            let updates = live && !renews && (now.changed || now.expiry_chosen);
            let idle = live && !renews && !updates;
            let touches = idle && now.due == Due::Touch;
            let looks = idle && now.due == Due::Arrival;
            let keeps_up = idle && !looks && !matches!(now.due, Due::Nothing | Due::Touch);
            assert_eq!(plan.step == Step::Create, begins, "{now:?}");
            assert_eq!(plan.step == Step::Renew, renews, "{now:?}");
            assert_eq!(plan.step == Step::Update, updates, "{now:?}");
            assert_eq!(plan.step == Step::Touch, touches, "{now:?}");
            assert_eq!(plan.step == Step::Upkeep, keeps_up, "{now:?}");
            assert_eq!(plan.step == Step::Look, looks, "{now:?}");
        }
    }

    #[test]
    fn only_a_live_session_is_written_to_and_only_a_missing_one_is_begun() {
        for (now, plan) in all() {
            let live = now.standing == Standing::Live;
            match plan.step {
                Step::Create => assert!(!live, "{now:?}"),
                Step::Renew | Step::Update | Step::Upkeep | Step::Look | Step::Touch => {
                    assert!(live, "{now:?}");
                }
                Step::Nothing => {}
            }
        }
    }

    #[test]
    fn a_stale_request_begins_nothing_without_renewing() {
        for (now, plan) in all() {
            if now.standing == Standing::Tombstoned && !now.renewing {
                assert_eq!(plan.step, Step::Nothing, "{now:?}");
                assert_eq!(plan.cookie, now.owed, "{now:?}");
            }
        }
    }

    #[test]
    fn a_ticket_is_handed_out_for_a_reason_and_taken_back_only_if_that_is_owed() {
        for (now, plan) in all() {
            let reason = match plan.step {
                Step::Create | Step::Renew | Step::Look => true,
                Step::Update => {
                    now.expiry_chosen || matches!(now.due, Due::Succession | Due::Arrival)
                }
                Step::Upkeep => now.due == Due::Succession,
                Step::Touch | Step::Nothing => false,
            };
            let expected = if reason {
                CookiePlan::HandOut
            } else {
                now.owed
            };
            assert_eq!(plan.cookie, expected, "{now:?}");
        }
    }

    #[test]
    fn where_nothing_happened_nothing_is_planned() {
        for standing in STANDINGS {
            for renewing in NO_YES {
                let situation = Situation {
                    standing,
                    changed: false,
                    renewing: renewing && standing != Standing::Live,
                    expiry_chosen: renewing && standing != Standing::Live,
                    due: Due::Nothing,
                    owed: CookiePlan::Leave,
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
