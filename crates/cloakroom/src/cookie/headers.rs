//! Reads the token from the headers of a request, and writes it into those of a response.

use std::fmt::Write as _;
use std::time::Duration;

use cloakroom_core::Token;
use cookie::Cookie;
use http::header::{COOKIE, HeaderMap, HeaderValue};

use super::config::{CookieConfig, CookieLifetime};
use super::token_header::{InHeader, TokenHeader};

/// The headers of a request that may carry its token, not parsed yet. HTTP/2 may split `Cookie` into
/// several headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    cookies: Option<HeaderValue>,
    more_cookies: Vec<HeaderValue>,
    /// The token header, for clients that are not browsers. If it is present, cookies are ignored.
    header: Option<InHeader>,
}

impl Credentials {
    pub(crate) fn of(
        headers: &HeaderMap,
        cookie: &CookieConfig,
        header: Option<&TokenHeader>,
    ) -> Self {
        let is_token = |text: &[u8]| cookie.may_be_token(text);
        let header = header.map(|header| header.in_request(headers, is_token));
        if matches!(header, Some(InHeader::Present(_))) {
            return Self {
                header,
                ..Self::default()
            };
        }
        let mut values = headers.get_all(COOKIE).iter().cloned();
        Self {
            cookies: values.next(),
            more_cookies: values.collect(),
            header: None,
        }
    }

    /// Whether the client sends its token in the token header, and expects no cookie.
    pub(crate) const fn are_in_header(&self) -> bool {
        matches!(self.header, Some(InHeader::Present(_)))
    }

    /// Returns the values of the cookies of this name; none if the client uses the token header.
    pub(crate) fn values_of(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.pairs().filter_map(move |pair| value_of(pair, name))
    }

    /// Returns the values that may hold a token: that of the token header if the client uses it, or those of
    /// the cookies of this name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let in_header = match &self.header {
            Some(InHeader::Present(value)) => value.as_ref().map(HeaderValue::as_bytes),
            Some(InHeader::Absent) | None => None,
        };
        in_header.into_iter().chain(self.values_of(name))
    }

    /// Whether the request has a cookie of this name, with any value.
    pub(crate) fn has_cookie(&self, name: &str) -> bool {
        self.values_of(name).next().is_some()
    }

    /// Returns the cookies whose names begin with a prefix: what follows it in the name, and the value.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs().filter_map(move |pair| {
            let rest = trim(pair).strip_prefix(prefix.as_bytes())?;
            let end = rest.iter().position(|&byte| byte == b'=')?;
            Some((&rest[..end], &rest[end + 1..]))
        })
    }

    fn pairs(&self) -> impl Iterator<Item = &[u8]> {
        self.cookies
            .iter()
            .chain(&self.more_cookies)
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b';'))
    }
}

/// Returns the value of a `name=value` pair with exactly this name: compared byte by byte, without
/// decoding, and with only HTTP's white space trimmed (CVE-2023-23934).
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let pair = trim(pair);
    let rest = pair.strip_prefix(name.as_bytes())?;
    rest.strip_prefix(b"=")
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Returns the `Set-Cookie` that sets the session cookie. `chosen` says that the session has an expiry of
/// its own, `left` how long the session can still live.
pub(crate) fn set_cookie(
    config: &CookieConfig,
    token: &Token,
    left: Duration,
    chosen: bool,
) -> HeaderValue {
    let mut cookie = build(config, config.seal.close(&config.name, token));
    if chosen || config.lifetime == CookieLifetime::Persistent {
        // Rounded up: a cookie that expires before its session would sign the user out.
        let seconds = left.as_millis().div_ceil(1000);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        cookie.set_max_age(cookie::time::Duration::seconds(seconds));
    }
    header(&cookie)
}

/// Returns the `Set-Cookie` that sets a cookie with another text than a token, sealed as configured.
#[cfg(feature = "oauth")]
pub(crate) fn set_text(config: &CookieConfig, text: String, lifetime: Duration) -> HeaderValue {
    let mut cookie = build(config, config.seal.close_text(&config.name, text));
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    cookie.set_max_age(cookie::time::Duration::seconds(seconds));
    header(&cookie)
}

/// Returns the text in a cookie's value, if its seal is valid.
#[cfg(feature = "oauth")]
pub(crate) fn open_text<'a>(
    config: &CookieConfig,
    value: &'a [u8],
) -> Option<std::borrow::Cow<'a, str>> {
    let text = std::str::from_utf8(value).ok()?;
    config.seal.open_text(&config.name, text)
}

/// Returns the value of the token header, for a client that is not a browser.
pub(crate) fn token_header(config: &CookieConfig, token: &Token) -> HeaderValue {
    let mut value = HeaderValue::try_from(config.seal.close(&config.name, token))
        .expect("a sealed token is ASCII");
    value.set_sensitive(true);
    value
}

/// Returns the `Set-Cookie` that removes a cookie: the same name and attributes, so that the browser
/// matches the same cookie, and an expiry in the past.
pub(crate) fn remove_cookie(config: &CookieConfig) -> HeaderValue {
    let mut cookie = build(config, String::new());
    cookie.set_max_age(cookie::time::Duration::ZERO);
    cookie.set_expires(cookie::time::OffsetDateTime::UNIX_EPOCH);
    header(&cookie)
}

fn build(config: &CookieConfig, value: String) -> Cookie<'_> {
    let mut cookie = Cookie::new(config.name.as_str(), value);
    cookie.set_path(config.path.as_str());
    if let Some(domain) = &config.domain {
        cookie.set_domain(domain.as_str());
    }
    cookie.set_same_site(config.same_site);
    cookie.set_http_only(config.http_only);
    cookie.set_partitioned(config.partitioned);
    // Last: some of the attributes above imply it.
    cookie.set_secure(config.secure);
    cookie
}

/// The initial capacity of the header, enough for most apps.
const CAPACITY: usize = 192;

fn header(cookie: &Cookie<'_>) -> HeaderValue {
    let mut text = String::with_capacity(CAPACITY);
    write!(text, "{cookie}").expect("writing to a String does not fail");
    let mut value = HeaderValue::try_from(text)
        .expect("name and attributes were validated, and the value is base64");
    // Kept out of `Debug` and of HTTP/2's compression tables.
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Clock, SystemClock, SystemRng};

    use super::*;

    fn token() -> Token {
        Token::issue(SystemClock.now(), &SystemRng).unwrap()
    }

    #[test]
    fn a_cookie_has_the_configured_attributes_and_so_has_its_removal() {
        let config = CookieConfig::new("__Secure-id")
            .with_domain("example.com")
            .with_path("/app")
            .with_same_site(cookie::SameSite::None)
            .with_partitioned(true);
        let token = token();
        let attributes =
            "; HttpOnly; SameSite=None; Partitioned; Secure; Path=/app; Domain=example.com";
        let set = set_cookie(&config, &token, Duration::from_millis(1500), false);
        assert_eq!(set, format!("__Secure-id={}{attributes}", token.encode()));
        let set = set_cookie(&config, &token, Duration::from_millis(1500), true);
        let text = format!("__Secure-id={}{attributes}; Max-Age=2", token.encode());
        assert_eq!(set, text);
        assert_eq!(
            remove_cookie(&config),
            format!("__Secure-id={attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
        );
    }
}
