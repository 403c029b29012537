//! What the two requests do.

/// When the second request is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// Both load the session before either goes on.
    Together,
    /// After the first, with the cookie from before: its response was not there yet.
    After,
}

/// Whether one of the two signs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignOut {
    None,
    First,
    Second,
}

/// A browser's life up to the race, and the race.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    /// Requests one after the other, on the servers in turn.
    pub(crate) before: &'static [&'static str],
    pub(crate) requests: [&'static str; 2],
    /// The marks that both have to leave, where nothing may be dropped.
    pub(crate) marks: &'static str,
    pub(crate) timing: Timing,
    pub(crate) sign_out: SignOut,
}

impl Script {
    /// Whether one request renews the session and the other signs in.
    pub(crate) fn signs_in_beside_a_renewal(&self) -> bool {
        let any = |what: &str| self.requests.iter().any(|path| path.starts_with(what));
        any("/renew") && any("/sign-in")
    }

    /// Whether both requests sign somebody in where nobody is, which the bridge can tell from a renewal.
    pub(crate) fn starts_anonymous(&self) -> bool {
        self.signs_in() && self.before.iter().all(|path| !path.starts_with("/sign-in"))
    }

    /// Whether both requests sign in, so that each one's cookie must work alone.
    pub(crate) fn signs_in(&self) -> bool {
        let signs_in = |path: &&str| path.starts_with("/sign-in");
        self.requests.iter().all(signs_in)
    }
}

const SIGNED_IN: &[&str] = &["/cart/hat", "/sign-in/ada/s"];

const fn race(
    name: &'static str,
    before: &'static [&'static str],
    requests: [&'static str; 2],
    timing: Timing,
) -> Script {
    Script {
        name,
        before,
        requests,
        marks: "",
        timing,
        sign_out: SignOut::None,
    }
}

pub(crate) const SCRIPTS: [Script; 9] = [
    race(
        "two_renewals",
        SIGNED_IN,
        ["/renew/a", "/renew/b"],
        Timing::Together,
    ),
    Script {
        marks: "ab",
        ..race(
            "two_sign_ins",
            &["/cart/hat"],
            ["/sign-in/ada/a", "/sign-in/ada/b"],
            Timing::Together,
        )
    },
    Script {
        marks: "abs",
        ..race(
            "two_reauthentications",
            SIGNED_IN,
            ["/sign-in/ada/a", "/sign-in/ada/b"],
            Timing::Together,
        )
    },
    race(
        "an_old_cookie_renews_after_a_renewal",
        SIGNED_IN,
        ["/renew/a", "/renew/b"],
        Timing::After,
    ),
    race(
        "an_old_cookie_signs_in_after_a_renewal",
        SIGNED_IN,
        ["/renew/a", "/sign-in/ada/b"],
        Timing::After,
    ),
    race(
        "an_old_cookie_writes_after_a_renewal",
        SIGNED_IN,
        ["/renew/a", "/mark/b"],
        Timing::After,
    ),
    race(
        "a_renewal_and_a_sign_in",
        SIGNED_IN,
        ["/renew/a", "/sign-in/ada/b"],
        Timing::Together,
    ),
    Script {
        sign_out: SignOut::Second,
        ..race(
            "a_renewal_and_a_sign_out",
            SIGNED_IN,
            ["/renew/a", "/sign-out"],
            Timing::Together,
        )
    },
    Script {
        sign_out: SignOut::First,
        ..race(
            "a_renewal_after_a_sign_out",
            SIGNED_IN,
            ["/sign-out", "/renew/b"],
            Timing::After,
        )
    },
];
