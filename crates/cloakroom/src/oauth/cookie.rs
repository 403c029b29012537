//! The cookie of a transaction. Its name ends in the id of the transaction, so that two tabs have two cookies.

use std::time::Duration;

use cloakroom_core::{Realm, SessionId, Timestamp, Token};
use http::HeaderValue;

use super::config::OAuthConfig;
use super::transaction::{Contents, MAX_VALUE_LEN, OAuthTransaction};
use crate::cookie::CookieConfig;
use crate::cookie::headers::{Credentials, open_text, remove_cookie, set_text};

/// How many bytes all cookies of transactions may have together. Servers commonly refuse headers of more than 8 KiB.
const MAX_LEN: usize = 4096;

/// How many cookies one response removes at most.
const MAX_REMOVED: usize = 32;

/// How many values of one cookie's name are decrypted at most.
const MAX_VALUES: usize = 4;

impl OAuthConfig {
    /// The cookie of a transaction.
    fn cookie_of(&self, id: SessionId) -> CookieConfig {
        let name = format!("{}-{id}", self.cookie.name());
        self.cookie.clone().with_name(name)
    }

    /// Returns the `Set-Cookie` of a new transaction.
    pub(crate) fn set_cookie(&self, id: SessionId, transaction: &OAuthTransaction) -> HeaderValue {
        let text = serde_json::to_string(transaction.contents());
        let text = text.expect("a transaction consists of texts");
        set_text(&self.cookie_of(id), text, self.lifetime)
    }

    /// Returns the `Set-Cookie` that removes a transaction.
    pub(crate) fn remove_cookie(&self, id: SessionId) -> HeaderValue {
        remove_cookie(&self.cookie_of(id))
    }

    /// Returns the transaction with this state, if its cookie is among those of the request.
    pub(crate) fn find(
        &self,
        credentials: &Credentials,
        state: &Token,
        realm: &Realm,
    ) -> Option<OAuthTransaction> {
        let cookie = self.cookie_of(state.id());
        let values = credentials.values_of(cookie.name());
        let values = values.filter(|value| value.len() <= MAX_VALUE_LEN);
        let mut opened = values
            .take(MAX_VALUES)
            .filter_map(|value| open_text(&cookie, value));
        opened.find_map(|text| {
            let contents: Contents = serde_json::from_str(&text).ok()?;
            contents.matching(state, realm)
        })
    }

    /// Returns the oldest transactions of the request that have to make room for a new one, whose cookie has `len`
    /// bytes.
    pub(crate) fn superseded(&self, credentials: &Credentials, len: usize) -> Vec<SessionId> {
        let prefix = format!("{}-", self.cookie.name());
        let cookies = credentials.with_prefix(&prefix);
        let mut cookies: Vec<(SessionId, usize)> = cookies
            .filter_map(|(id, value)| {
                let id = std::str::from_utf8(id).ok()?.parse().ok()?;
                Some((id, prefix.len() + SessionId::TEXT_LEN + value.len()))
            })
            .collect();
        // An id begins with the time of its creation: the newest come first.
        cookies.sort_unstable_by(|one, other| other.cmp(one));
        let mut total = len;
        let mut kept = 1;
        let superseded = cookies.into_iter().filter(|(_, len)| {
            total = total.saturating_add(*len);
            kept += 1;
            kept > self.max_transactions || total > MAX_LEN
        });
        superseded.map(|(id, _)| id).take(MAX_REMOVED).collect()
    }

    /// Returns how much longer a transaction can be completed; `None` if it has expired. One that comes from a clock
    /// that was ahead by more than its lifetime counts as expired too: it would last too long.
    pub(crate) fn time_left(&self, id: SessionId, now: Timestamp) -> Option<Duration> {
        let begun = id.created_at();
        let is_ahead = begun.since(now) >= self.lifetime;
        let left = begun.plus(self.lifetime).since(now);
        (!is_ahead && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom_core::{Clock, ManualClock, Realm, SystemRng};
    use http::header::{COOKIE, HeaderMap};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::transaction::NewContents;
    use super::*;
    use crate::cookie::CookieKey;
    use crate::duration::minutes;

    fn config() -> OAuthConfig {
        OAuthConfig::new([CookieKey::generate().unwrap()])
    }

    fn begin(config: &OAuthConfig, clock: &ManualClock) -> (Token, String) {
        let token = Token::issue(clock.now(), &SystemRng).unwrap();
        let contents = NewContents::of("https://a.example".into());
        let transaction = contents
            .begin(&token, &Realm::new("r"), &SystemRng)
            .unwrap();
        let set = config.set_cookie(token.id(), &transaction);
        let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        (token, pair)
    }

    fn sent(cookies: &[&str]) -> Credentials {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookies.join("; ").parse().unwrap());
        Credentials::of(&headers, &CookieConfig::default(), None)
    }

    #[test]
    fn a_transaction_is_found_by_its_state_alone() {
        let (config, clock) = (config(), ManualClock::default());
        let realm = Realm::new("r");
        let [(one, first), (other, second)] = [(); 2].map(|()| begin(&config, &clock));
        let credentials = sent(&[&first, &second]);
        for token in [&one, &other] {
            let found = config.find(&credentials, token, &realm).unwrap();
            assert_eq!(found.state(), token.encode());
        }
        assert!(config.find(&sent(&[&second]), &one, &realm).is_none());
        assert!(config.find(&credentials, &one, &Realm::new("s")).is_none());
        let guess = Token::issue_for(one.id(), &SystemRng).unwrap();
        assert!(config.find(&credentials, &guess, &realm).is_none());
        // The contents of one cookie under the name of the other.
        let (name, _) = first.split_once('=').unwrap();
        let (_, value) = second.split_once('=').unwrap();
        let swapped = format!("{name}={value}");
        assert!(config.find(&sent(&[&swapped]), &one, &realm).is_none());
        assert!(config.find(&sent(&[&swapped]), &other, &realm).is_none());
        let another_key = self::config();
        assert!(another_key.find(&credentials, &one, &realm).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let (config, clock) = (config(), ManualClock::default());
        let mut cookies = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..10 {
            let (token, pair) = begin(&config, &clock);
            ids.push(token.id());
            cookies.push(pair);
            clock.advance(Duration::from_secs(1));
        }
        let texts: Vec<&str> = cookies.iter().map(String::as_str).collect();
        assert!(config.superseded(&sent(&texts[..7]), 400).is_empty());
        assert_eq!(config.superseded(&sent(&texts[..8]), 400), ids[..1]);
        let mut superseded = config.superseded(&sent(&texts), 400);
        superseded.sort();
        assert_eq!(superseded, ids[..3]);
        assert!(
            config
                .superseded(&sent(&["id=1", "__Host-Http-oauth-x=1"]), 400)
                .is_empty()
        );
        // By their length: the new cookie leaves room for one more.
        let room = MAX_LEN - cookies[9].len();
        assert_eq!(config.superseded(&sent(&texts[8..]), room), ids[8..9]);
        // A header with more than a browser would send.
        let many: Vec<String> = (0..100).map(|_| begin(&config, &clock).1).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(config.superseded(&sent(&many), 400).len(), MAX_REMOVED);
    }

    #[test]
    fn a_transaction_lasts_as_long_as_configured_whatever_the_clock() {
        let (config, clock) = (config(), ManualClock::default());
        let (token, _) = begin(&config, &clock);
        let left = |clock: &ManualClock| config.time_left(token.id(), clock.now());
        assert_eq!(left(&clock), Some(minutes(10)));
        clock.advance(minutes(10) - Duration::from_millis(1));
        assert_eq!(left(&clock), Some(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(left(&clock), None);
        let behind = |by: Duration| {
            let now = token.id().created_at().as_millis() - u64::try_from(by.as_millis()).unwrap();
            config.time_left(token.id(), Timestamp::from_millis(now))
        };
        assert_eq!(behind(minutes(5)), Some(minutes(15)));
        assert_eq!(behind(minutes(10)), None);
    }

    proptest! {
        /// Whatever the header contains, nothing but a transaction's own cookie is found.
        #[test]
        fn any_cookies_are_examined(values in vec("[ -~]{0,80}", 0..20), len in any::<usize>()) {
            let (config, clock) = (config(), ManualClock::default());
            let (token, _) = begin(&config, &clock);
            let named = |value: &String| format!("{}-{}={value}", config.cookie.name(), token.id());
            let cookies: Vec<String> = values.iter().map(named).chain(values.clone()).collect();
            let texts: Vec<&str> = cookies.iter().map(String::as_str).collect();
            let credentials = sent(&texts);
            prop_assert!(config.find(&credentials, &token, &Realm::new("r")).is_none());
            prop_assert!(config.superseded(&credentials, len).len() <= MAX_REMOVED);
        }
    }

    #[test]
    fn the_longest_cookie_is_one_that_browsers_accept() {
        let name = format!("{}-{}", OAuthConfig::DEFAULT_COOKIE_NAME, "x".repeat(36));
        assert!(name.len() + MAX_VALUE_LEN <= 4096, "{MAX_VALUE_LEN}");
    }
}
