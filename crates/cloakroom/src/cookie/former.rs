//! Former cookies: another name, other attributes or another seal, accepted until a date.
//!
//! Servers of the previous version of an app know only the former cookie. As long as some are running, every
//! server sets that one, so that all of them find the session. When the deploy is complete, the servers
//! switch to the new cookie. In between, because of their clocks, some set the one and some the other; but
//! all of them accept both, and a response that sets one removes the other.

use std::iter::once;
use std::ptr;
use std::time::SystemTime;

use cloakroom_core::{Clock, Timestamp};

use super::config::{CookieConfig, FormerCookie};
use super::seal::Seal;
use crate::error::{ConfigError, ConfigErrorKind};

/// How many former cookies there may be: every request is searched for each.
const MAX_FORMER: usize = 4;

impl CookieConfig {
    /// Adds the cookie that was configured so far, so that a new name, path or domain, or a new seal, signs
    /// nobody out.
    ///
    /// | time | cookie that responses set | cookies that requests may present |
    /// |---|---|---|
    /// | until `set_until` | the former one | both |
    /// | then, until `accepted_until` | this one, and the former one is removed | both |
    /// | afterwards | this one | this one |
    ///
    /// Servers of the previous version of the app know only the former cookie. **Let `set_until` be after
    /// the end of the deploy, and after a rollback is likely**: until then a browser may be served by either
    /// version and stays signed in, and after it no server of the previous version may run. To return to the
    /// previous version later, deploy this one with a later `set_until` first: browsers get the former
    /// cookie again. A browser that does not come back before `accepted_until` is signed out.
    ///
    /// A live session of the cookie that responses set has priority over another one of the other cookie;
    /// signing in and signing out end both.
    ///
    /// Cookies of one name and seal that differ in path or domain look the same in a request: such a former
    /// cookie is accepted for as long as its session lives, and is removed when the new one is set for
    /// another reason, by a sign-in for instance.
    ///
    /// If the former cookie has another name, give the layer its realm so far with
    /// [`with_realm`](crate::SessionLayerBuilder::with_realm), which was the former name by default, and
    /// keep it forever: sessions are valid in one realm only. While a plain cookie is accepted beside a
    /// signed or encrypted one, forged tokens cost a store command again.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use cloakroom::{CookieConfig, MemoryStore, SessionLayer, days};
    ///
    /// // `date +%s -d "2026-03-02 12:00"`
    /// let deployed = UNIX_EPOCH + Duration::from_secs(1_772_452_800);
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_cookie(CookieConfig::default().with_former(
    ///         CookieConfig::new("sid"),
    ///         deployed,
    ///         deployed + days(30),
    ///     ))
    ///     .with_realm("sid")
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    ///
    /// Up to four can be added. [`SessionLayerBuilder::build`](crate::SessionLayerBuilder::build) refuses a
    /// former cookie that browsers would refuse, that does not differ from this one, that has former cookies
    /// itself, or whose `accepted_until` is not after its `set_until`; and another name without a realm. A
    /// date in the past is not an error.
    pub fn with_former(
        mut self,
        former: Self,
        set_until: impl Into<SystemTime>,
        accepted_until: impl Into<SystemTime>,
    ) -> Self {
        self.former.push(FormerCookie {
            cookie: former,
            set_until: set_until.into().into(),
            accepted_until: accepted_until.into().into(),
        });
        self
    }

    /// Returns the cookie that responses set at this time: of the cookies that are not replaced yet, the one
    /// that is replaced first.
    pub(crate) fn written(&self, now: Timestamp) -> &Self {
        let not_replaced = self.former.iter().filter(|former| now < former.set_until);
        let first = not_replaced.min_by_key(|former| former.set_until);
        first.map_or(self, |former| &former.cookie)
    }

    /// The same now. The clock is only read if there are former cookies.
    pub(crate) fn written_now(&self, clock: &dyn Clock) -> &Self {
        if self.former.is_empty() {
            return self;
        }
        self.written(clock.now())
    }

    /// Returns the cookies that requests may present at this time, first the one that responses set.
    pub(crate) fn accepted(&self, now: Timestamp) -> impl Iterator<Item = &Self> {
        let written = self.written(now);
        let former = self.former.iter();
        let former = former.filter(move |former| now < former.accepted_until);
        let all = once(self).chain(former.map(|former| &former.cookie));
        once(written).chain(all.filter(move |cookie| !ptr::eq(*cookie, written)))
    }

    /// Whether a text has the form of a token of this cookie or a former one.
    pub(crate) fn may_be_token(&self, text: &[u8]) -> bool {
        let former = self.former.iter().map(|former| &former.cookie);
        once(self)
            .chain(former)
            .any(|cookie| cookie.seal.has_form(text))
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

#[cfg(test)]
mod tests {
    use cookie::SameSite;

    use super::*;

    fn kind(config: &CookieConfig) -> Option<ConfigErrorKind> {
        config.validate().err().map(|error| error.kind())
    }

    #[test]
    fn a_former_cookie_has_to_differ_and_to_be_accepted_after_it_was_set() {
        let at = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let former = |former| CookieConfig::new("id").with_former(former, at(1), at(2));
        let named = CookieConfig::new;
        let two = named("id")
            .with_path("/a")
            .with_former(named("x"), at(1), at(2));
        let refused = [
            former(named("id")),
            former(named("id").with_same_site(SameSite::Strict)),
            former(two),
            named("id").with_former(named("sid"), at(2), at(2)),
            named("id").with_former(named("sid"), at(3), at(2)),
            ["a", "b", "c", "d", "e"]
                .into_iter()
                .fold(named("id"), |config, name| {
                    config.with_former(named(name), at(1), at(2))
                }),
        ];
        for config in refused {
            assert_eq!(
                kind(&config),
                Some(ConfigErrorKind::FormerCookie),
                "{config:?}"
            );
        }
        let four = ["a", "b", "c", "d"];
        let four = four.into_iter().fold(named("id"), |config, name| {
            config.with_former(named(name), at(1), at(2))
        });
        assert_eq!(kind(&four), None);
        let invalid = former(named("__Host-sid").with_path("/app"));
        assert_eq!(kind(&invalid), Some(ConfigErrorKind::CookieRefused));
        for accepted in [
            named("sid"),
            named("id").with_path("/app"),
            named("id").with_domain("example.com"),
        ] {
            assert_eq!(kind(&former(accepted)), None);
        }
    }
}
