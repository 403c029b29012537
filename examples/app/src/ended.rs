//! Why the user was signed out, in words.

use cloakroom::EndReason;

/// Returns what to tell the user; nothing after a sign-out, which the user knows of.
pub(crate) const fn text(reason: EndReason) -> Option<&'static str> {
    Some(match reason {
        EndReason::SignedOut => return None,
        EndReason::RevokedByUser => "You have signed this device out from another one.",
        EndReason::RevokedByAdmin => "An administrator has signed you out.",
        EndReason::PasswordChanged => "Your password was changed. Please sign in with the new one.",
        EndReason::ImpersonationRevoked => "The user you acted as was signed out everywhere.",
        EndReason::LimitExceeded => "You have signed in on too many other devices.",
        EndReason::TokenReused => {
            "Your cookie was used by somebody else, so we have signed you out. Please change your password."
        }
        EndReason::Expired => "You were signed out because you were away for a while.",
        EndReason::Renewed => "You have signed in again in another tab.",
        _ => "You were signed out.",
    })
}
