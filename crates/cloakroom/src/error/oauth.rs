//! Why the callback of an OAuth provider is refused.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "oauth"), allow(dead_code))]
pub(crate) enum OAuthRefusal {
    /// The browser has no transaction with this state.
    UnknownState,
    Expired,
    /// The transaction was begun with another provider.
    OtherIssuer,
    /// The transaction was completed before.
    Used,
}

impl OAuthRefusal {
    /// The label in the log.
    #[cfg(feature = "oauth")]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::UnknownState => "unknown_state",
            Self::Expired => "expired",
            Self::OtherIssuer => "other_issuer",
            Self::Used => "used",
        }
    }
}

impl fmt::Display for OAuthRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownState => {
                "this browser has begun no sign-in with this state, or has completed it: begin again"
            }
            Self::Expired => "the sign-in took too long: begin again",
            Self::OtherIssuer => "the sign-in was begun with another provider: begin again",
            Self::Used => "the sign-in was completed before",
        })
    }
}
