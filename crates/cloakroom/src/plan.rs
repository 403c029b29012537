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
#[allow(
    clippy::struct_excessive_bools,
    reason = "five independent facts, each with its name"
)]
pub(crate) struct Situation {
    pub(crate) standing: Standing,
    /// There is something to store: entries differ from what is stored, or there are some where
    /// nothing is.
    pub(crate) changed: bool,
    pub(crate) renewing: bool,
    pub(crate) expiry_chosen: bool,
    pub(crate) touch_due: bool,
    /// What the steps carried out before mean for the browser.
    pub(crate) owed: CookiePlan,
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
        Standing::Live if situation.touch_due => Step::Touch,
        Standing::Nothing | Standing::Tombstoned | Standing::Live => Step::Nothing,
    };
    let cookie = match step {
        Step::Create | Step::Renew => CookiePlan::HandOut,
        Step::Update if situation.expiry_chosen => CookiePlan::HandOut,
        Step::Update | Step::Touch | Step::Nothing => situation.owed,
    };
    Plan { step, cookie }
}
