//! Why a session has ended, in words.

use cloakroom::EndReason;

/// Returns what to tell the user.
pub(super) const fn text(reason: EndReason) -> &'static str {
    match reason {
        EndReason::SignedOut => "You signed out, in another tab or window of this browser.",
        EndReason::Renewed => {
            "You signed in again in another tab or window of this browser. This page still shows the old session."
        }
        EndReason::RevokedByUser => "You ended this session from another device.",
        EndReason::RevokedByAdmin => "An administrator ended this session.",
        EndReason::PasswordChanged => "Your password was changed on another device.",
        EndReason::ImpersonationRevoked => {
            "You acted as a user whose sessions were all ended, and so was this one."
        }
        EndReason::LimitExceeded => {
            "You signed in on more devices than allowed, and this was the oldest session."
        }
        EndReason::Expired => {
            "The session expired, because it was not used for a while or reached its maximum age."
        }
        EndReason::TokenReused => {
            "The cookie was also used by somebody else. Sign in again and check your devices."
        }
        EndReason::EndedInLegacyStore => "You signed out in the previous version of this app.",
        EndReason::Destroyed => "The app ended this session.",
        EndReason::Abandoned => "The sign-in was not completed.",
        _ => "This session has ended.",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_text_of_its_own() {
        let names = [
            "destroyed",
            "signed_out",
            "revoked_by_user",
            "revoked_by_admin",
            "password_changed",
            "impersonation_revoked",
            "limit_exceeded",
            "expired",
            "token_reused",
            "renewed",
            "abandoned",
            "ended_in_legacy_store",
            "other",
        ];
        let texts = names.map(|name| text(name.parse().expect("it is a reason")));
        assert_eq!(HashSet::from(texts).len(), names.len());
    }
}
