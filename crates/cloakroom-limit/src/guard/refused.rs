//! Why an attempt to sign in was not allowed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::account::Denial;
use crate::response::problem;

/// An attempt to sign in is not allowed now. Do not check the password.
///
/// With the feature `axum` it is a response: a 429 with `Retry-After` (a 503 if the store is unavailable), whose body is
/// a problem in JSON. It is the same whether or not the account exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginRefused {
    reason: RefusalReason,
    retry_after: Option<Duration>,
}

/// Why an attempt is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// After several failures of unknown browsers, the account's delay has not passed.
    Delayed,
    /// This browser has failed too often.
    Device,
    /// There were too many failures from this address.
    Address,
    /// There were too many failures in a row. Offer the user another way to prove who they are, and call
    /// [`lift`](crate::LoginGuard::lift).
    Stopped,
    /// The store is unavailable, and the guard is configured to refuse attempts then.
    Unavailable,
}

impl RefusalReason {
    /// The name of the reason, in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delayed => "delayed",
            Self::Device => "device",
            Self::Address => "address",
            Self::Stopped => "stopped",
            Self::Unavailable => "unavailable",
        }
    }
}

impl LoginRefused {
    const fn new(reason: RefusalReason, retry_after: Option<Duration>) -> Self {
        Self {
            reason,
            retry_after,
        }
    }

    pub(super) const fn denied(denial: Denial) -> Self {
        match denial {
            Denial::Delayed(wait) => {
                Self::new(RefusalReason::Delayed, Some(Duration::from_millis(wait)))
            }
            Denial::Device(wait) => {
                Self::new(RefusalReason::Device, Some(Duration::from_millis(wait)))
            }
            Denial::Stopped => Self::new(RefusalReason::Stopped, None),
        }
    }

    pub(super) const fn address(wait: Duration) -> Self {
        Self::new(RefusalReason::Address, Some(wait))
    }

    pub(super) const fn unavailable() -> Self {
        Self::new(RefusalReason::Unavailable, Some(Duration::from_secs(1)))
    }

    /// Returns the reason.
    #[must_use]
    pub const fn reason(&self) -> RefusalReason {
        self.reason
    }

    /// Returns how long the user has to wait. `None` if waiting does not help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the status of a response: 429, or 503 if the store is unavailable.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.reason {
            RefusalReason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Returns a response: a problem in JSON (RFC 9457), with `Retry-After`.
    #[must_use]
    pub fn to_response(&self) -> Response<Bytes> {
        let kind = match self.reason {
            RefusalReason::Unavailable => "temporary-reduced-capacity",
            _ => "quota-exceeded",
        };
        problem(
            self.status(),
            kind,
            &self.to_string(),
            &["sign-in"],
            self.retry_after,
        )
    }
}

impl fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            RefusalReason::Delayed | RefusalReason::Device | RefusalReason::Address => {
                "too many failed sign-ins; try again later"
            }
            RefusalReason::Stopped => "too many failed sign-ins; sign in another way",
            RefusalReason::Unavailable => "signing in is not possible right now; try again later",
        })
    }
}

impl Error for LoginRefused {}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for LoginRefused {
    fn into_response(self) -> axum_core::response::Response {
        self.to_response().map(axum_core::body::Body::from)
    }
}
