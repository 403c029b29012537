//! Former cookies: another name, other attributes or another seal, accepted until a date.
//!
//! Servers of the previous version of an app know only the former cookie. As long as some are running, every
//! server sets that one, so that all of them find the session. When the deploy is complete, the servers
//! switch to the new cookie. In between, because of their clocks, some set the one and some the other; but
//! all of them accept both, and a response that sets one removes the other.

use std::iter::once;
use std::ptr;

use cloakroom_core::Timestamp;

use super::config::CookieConfig;
use super::seal::Seal;
use crate::error::{ConfigError, ConfigErrorKind};

/// How many former cookies there may be: every request is searched for each.
const MAX_FORMER: usize = 4;

impl CookieConfig {
    /// Returns the cookie that responses set at this time: of the cookies that are not replaced yet, the one
    /// that is replaced first.
    pub(crate) fn written(&self, now: Timestamp) -> &Self {
        let not_replaced = self.former.iter().filter(|former| now < former.set_until);
        let first = not_replaced.min_by_key(|former| former.set_until);
        first.map_or(self, |former| &former.cookie)
    }

    /// Returns the cookies that requests may present at this time, first the one that responses set.
    pub(crate) fn accepted(&self, now: Timestamp) -> impl Iterator<Item = &Self> {
        let written = self.written(now);
        let former = self.former.iter();
        let former = former.filter(move |former| now < former.accepted_until);
        let all = once(self).chain(former.map(|former| &former.cookie));
        once(written).chain(all.filter(move |cookie| !ptr::eq(*cookie, written)))
    }

    /// Whether the browser keeps this cookie apart from another: one does not replace the other.
    pub(crate) fn is_apart_from(&self, other: &Self) -> bool {
        (&self.name, &self.path, &self.domain) != (&other.name, &other.path, &other.domain)
    }

    /// The cookie with the scope that browsers give it by default, for all paths: this host alone.
    pub(crate) fn of_host(mut self) -> Self {
        "/".clone_into(&mut self.path);
        self.domain = None;
        self
    }

    /// Whether a former cookie has another name.
    pub(crate) fn was_renamed(&self) -> bool {
        let mut former = self.former.iter();
        former.any(|former| former.cookie.name != self.name)
    }

    /// Whether this cookie or a former one has this name.
    pub(crate) fn has_had_name(&self, name: &str) -> bool {
        let mut former = self.former.iter();
        self.name == name || former.any(|former| former.cookie.name == name)
    }

    /// Checks the former cookies, and that each differs from this one.
    pub(super) fn validate_former(&self) -> Result<(), ConfigError> {
        if self.former.len() > MAX_FORMER {
            return Err(error(format!(
                "there can be at most {MAX_FORMER} former cookies"
            )));
        }
        for former in &self.former {
            let cookie = &former.cookie;
            cookie.validate()?;
            if !cookie.former.is_empty() {
                return Err(error(format!(
                    "the former cookie `{}` has former cookies itself: give all of them to the new one",
                    cookie.name
                )));
            }
            if former.set_until >= former.accepted_until {
                return Err(error(format!(
                    "the former cookie `{}` must be accepted for longer than it is set",
                    cookie.name
                )));
            }
            let is_same_seal = cookie.seal.is_same_kind(&self.seal);
            if !cookie.is_apart_from(self) && is_same_seal {
                return Err(error(format!(
                    "the former cookie `{}` does not differ in name, path, domain or seal",
                    cookie.name
                )));
            }
        }
        Ok(())
    }
}

impl Seal {
    /// Whether both are plain, signed or encrypted. Keys are changed within one seal.
    fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

fn error(message: String) -> ConfigError {
    ConfigError::new(ConfigErrorKind::FormerCookie, message)
}
