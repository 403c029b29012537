//! Device cookies: which browsers have signed in to an account before (OWASP: slow down online guessing attacks
//! with device cookies).
//!
//! The value is a random id of the browser, and for each account an entry: the day, and a MAC of account, id and
//! day. It identifies nobody, and lets nobody in: it only gives the browser a counter of its own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom_core::{Rng as _, SystemRng, Timestamp};
use cookie::{Cookie, SameSite};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq as _;

use crate::error::ConfigError;
use crate::hash::mac;

/// The minimum length of a secret, in bytes.
const MIN_SECRET_LEN: usize = 32;

/// How many accounts one browser remembers; the oldest make room.
const MAX_ACCOUNTS: usize = 5;

/// How many cookies of the name are looked at.
const MAX_COOKIES: usize = 3;

/// The length of id and MAC in base64url.
const ENCODED_LEN: usize = 22;

/// The length of an entry: four digits of the day, and the MAC.
const ENTRY_LEN: usize = 4 + ENCODED_LEN;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A key that signs device cookies.
#[derive(Clone)]
pub struct DeviceKey(Vec<u8>);

impl DeviceKey {
    /// Creates a key from a secret of at least 32 bytes. It is only used to derive MACs for device cookies, so
    /// the secret may be one that the deployment uses for other keys.
    ///
    /// # Errors
    ///
    /// If there are fewer bytes.
    pub fn derived_from(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        if secret.len() < MIN_SECRET_LEN {
            return Err(ConfigError::new(
                "DeviceKey::derived_from",
                format!("the secret must have at least {MIN_SECRET_LEN} bytes"),
            ));
        }
        Ok(Self(
            mac(secret, &[b"cloakroom-limit/device-key/1"]).to_vec(),
        ))
    }

    /// Generates a random key. It is lost when the process ends, and all browsers become unknown: for tests and
    /// single runs.
    ///
    /// # Errors
    ///
    /// If the system's random number generator fails.
    pub fn generate() -> Result<Self, ConfigError> {
        let mut bytes = vec![0; MIN_SECRET_LEN];
        let filled = SystemRng.fill(&mut bytes);
        filled.map_err(|error| ConfigError::new("DeviceKey::generate", error.to_string()))?;
        Ok(Self(bytes))
    }

    fn mac(&self, account: &str, id: &str, day: &str) -> String {
        let parts = [account, id, day].map(str::as_bytes);
        URL_SAFE_NO_PAD.encode(mac(&self.0, &parts))
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

/// The configuration of device cookies.
#[derive(Clone, Debug)]
pub(super) struct DeviceCookies {
    pub(super) keys: Vec<DeviceKey>,
    pub(super) name: String,
    pub(super) is_secure: bool,
    pub(super) lifetime_days: u16,
}

/// A device cookie that a browser has presented.
struct Presented<'a> {
    id: &'a str,
    entries: Vec<&'a str>,
}

impl DeviceCookies {
    /// Returns the id of the browser, if it has signed in to the account before.
    pub(super) fn known(
        &self,
        headers: &HeaderMap,
        account: &str,
        now: Timestamp,
    ) -> Option<String> {
        let values = self.values(headers);
        let known = values.iter().find(|cookie| {
            let mut entries = cookie.entries.iter();
            entries.any(|entry| self.is_valid(entry, cookie.id, account, now))
        })?;
        Some(known.id.to_owned())
    }

    /// Returns the cookie that makes the browser known to the account: the presented one with one more entry,
    /// or a new one.
    pub(super) fn remember(
        &self,
        headers: &HeaderMap,
        account: &str,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let values = self.values(headers);
        let old = values.iter().find(|cookie| {
            cookie
                .entries
                .iter()
                .any(|entry| self.is_recent(entry, now))
        });
        let id = match old {
            Some(cookie) => cookie.id.to_owned(),
            None => new_id()?,
        };
        let day = format!("{:04x}", day(now));
        let mut value = format!("{id}.{day}{}", self.keys[0].mac(account, &id, &day));
        let others = old
            .iter()
            .flat_map(|cookie| &cookie.entries)
            .filter(|entry| self.is_recent(entry, now) && !self.is_valid(entry, &id, account, now));
        for entry in others.take(MAX_ACCOUNTS - 1) {
            value.push('.');
            value.push_str(entry);
        }
        let lifetime = cookie::time::Duration::days(i64::from(self.lifetime_days));
        let cookie = Cookie::build((self.name.as_str(), value))
            .path("/")
            .secure(self.is_secure)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(lifetime);
        let mut header = HeaderValue::try_from(cookie.to_string()).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// The well-formed cookies of the name.
    fn values<'a>(&self, headers: &'a HeaderMap) -> Vec<Presented<'a>> {
        let lists = headers.get_all(COOKIE).into_iter();
        let pairs = lists.filter_map(|list| list.to_str().ok());
        let pairs = pairs.flat_map(|list| list.split(';'));
        let values = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.name).then_some(value)
        });
        values.take(MAX_COOKIES).filter_map(parse).collect()
    }

    fn is_valid(&self, entry: &str, id: &str, account: &str, now: Timestamp) -> bool {
        let (day, mac) = entry.split_at(4);
        self.is_recent(entry, now)
            && self.keys.iter().any(|key| {
                let expected = key.mac(account, id, day);
                expected.as_bytes().ct_eq(mac.as_bytes()).into()
            })
    }

    fn is_recent(&self, entry: &str, now: Timestamp) -> bool {
        let issued = u64::from_str_radix(&entry[..4], 16).unwrap_or_default();
        // One day ahead, for servers whose clocks differ.
        let age = (day(now) + 1).checked_sub(issued);
        age.is_some_and(|age| age <= u64::from(self.lifetime_days) + 1)
    }
}

/// The days since 1970. Four hexadecimal digits last until 2149.
const fn day(now: Timestamp) -> u64 {
    now.as_millis() / DAY_MS
}

fn new_id() -> Option<String> {
    let mut id = [0; 16];
    SystemRng.fill(&mut id).ok()?;
    Some(URL_SAFE_NO_PAD.encode(id))
}

fn parse(value: &str) -> Option<Presented<'_>> {
    let longest = ENCODED_LEN + MAX_ACCOUNTS * (1 + ENTRY_LEN);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if value.len() > longest || !value.bytes().all(is_allowed) {
        return None;
    }
    let mut parts = value.split('.');
    let id = parts.next().filter(|id| id.len() == ENCODED_LEN)?;
    let entries: Vec<_> = parts.collect();
    let is_complete = entries.iter().all(|entry| entry.len() == ENTRY_LEN);
    is_complete.then_some(Presented { id, entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(keys: &[&DeviceKey]) -> DeviceCookies {
        DeviceCookies {
            keys: keys.iter().map(|&key| key.clone()).collect(),
            name: "device".to_owned(),
            is_secure: true,
            lifetime_days: 365,
        }
    }

    fn at(day: u64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    /// The headers of a browser that has kept a cookie.
    fn with(set_cookie: &HeaderValue) -> HeaderMap {
        let text = set_cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(COOKIE, format!("a=b; {text}").parse().unwrap())])
    }

    #[test]
    fn a_browser_is_known_to_the_accounts_that_it_has_signed_in_to() {
        let key = DeviceKey::generate().unwrap();
        let cookies = cookies(&[&key]);
        let none = HeaderMap::new();
        assert_eq!(cookies.known(&none, "ada", at(100)), None);
        let first = with(&cookies.remember(&none, "ada", at(100)).unwrap());
        let id = cookies.known(&first, "ada", at(100)).unwrap();
        assert_eq!(cookies.known(&first, "bob", at(100)), None);
        let both = with(&cookies.remember(&first, "bob", at(101)).unwrap());
        assert_eq!(cookies.known(&both, "ada", at(101)), Some(id.clone()));
        assert_eq!(cookies.known(&both, "bob", at(101)), Some(id));
        assert!(cookies.known(&both, "ada", at(465)).is_some());
        assert_eq!(cookies.known(&both, "ada", at(466)), None);
        assert_eq!(cookies.known(&both, "ada", at(90)), None, "from the future");
    }

    #[test]
    fn the_number_of_accounts_is_bounded_and_the_latest_stay() {
        let key = DeviceKey::generate().unwrap();
        let cookies = cookies(&[&key]);
        let mut headers = HeaderMap::new();
        for number in 0..20 {
            let set = cookies.remember(&headers, &number.to_string(), at(100));
            let set = set.unwrap();
            assert!(set.len() < 300 && set.is_sensitive());
            headers = with(&set);
        }
        let known = |number: u32| cookies.known(&headers, &number.to_string(), at(100));
        assert!((15..20).all(|number| known(number).is_some()));
        assert!((0..15).all(|number| known(number).is_none()));
        let again = with(&cookies.remember(&headers, "17", at(100)).unwrap());
        let known = |number: u32| cookies.known(&again, &number.to_string(), at(100));
        assert!((15..20).all(|number| known(number).is_some()));
    }

    #[test]
    fn a_previous_key_is_accepted_while_it_is_listed_and_another_never() {
        let [old, new, other] = [(); 3].map(|()| DeviceKey::generate().unwrap());
        let set = cookies(&[&old]).remember(&HeaderMap::new(), "ada", at(100));
        let headers = with(&set.unwrap());
        let known = |keys: &[&DeviceKey]| cookies(keys).known(&headers, "ada", at(100)).is_some();
        assert!(known(&[&old]) && known(&[&new, &old]));
        assert!(!known(&[&new]) && !known(&[&other]));
    }

    #[test]
    fn malformed_cookies_are_ignored() {
        let key = DeviceKey::generate().unwrap();
        let cookies = cookies(&[&key]);
        let good = cookies.remember(&HeaderMap::new(), "ada", at(100)).unwrap();
        let good = good.to_str().unwrap().split(';').next().unwrap().to_owned();
        let long = format!("{good}{}", ".0064aaaaaaaaaaaaaaaaaaaaaa".repeat(9));
        let cut = good[..good.len() - 1].to_owned();
        let mut flipped = good.clone().into_bytes();
        flipped[8] ^= 1;
        let flipped = String::from_utf8_lossy(&flipped).into_owned();
        for text in [
            "device=",
            "device=.",
            "device=ä",
            &long,
            &cut,
            &flipped,
            &good[1..],
        ] {
            let headers =
                HeaderMap::from_iter([(COOKIE, HeaderValue::from_bytes(text.as_bytes()).unwrap())]);
            assert_eq!(cookies.known(&headers, "ada", at(100)), None, "{text}");
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        let error = DeviceKey::derived_from("hunter2").unwrap_err().to_string();
        assert!(
            error.contains("32") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(!format!("{:?}", DeviceKey::generate().unwrap()).contains(char::is_numeric));
    }
}
