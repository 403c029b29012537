//! Reads the token from the headers of a request, and writes it into those of a response.

use std::fmt::Write as _;
use std::time::Duration;

use cloakroom_core::Token;
use cookie::Cookie;
use http::header::{COOKIE, HeaderMap, HeaderValue};

use super::config::{CookieConfig, CookieLifetime};
use super::token_header::{InHeader, TokenHeader};

/// How many different cookies of the session's name are tried. A browser sends more than one if the cookie
/// was set for two paths or domains, or if an attacker has planted one.
pub(crate) const MAX_TOKENS: usize = 2;

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
    pub(crate) fn of(headers: &HeaderMap, header: Option<&TokenHeader>) -> Self {
        let header = header.map(|header| header.in_request(headers));
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

    fn pairs(&self) -> impl Iterator<Item = &[u8]> {
        self.cookies
            .iter()
            .chain(&self.more_cookies)
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b';'))
    }
}

/// Returns the tokens of a request: from its cookies of the configured name, those whose signature and
/// format are valid, without repetitions, in the order of the request.
pub(crate) fn tokens_in(
    credentials: &Credentials,
    config: &CookieConfig,
) -> [Option<Token>; MAX_TOKENS] {
    let mut tokens = [const { None }; MAX_TOKENS];
    if let Some(InHeader::Present(value)) = &credentials.header {
        tokens[0] = value
            .as_ref()
            .and_then(|value| parse(value.as_bytes(), config));
        return tokens;
    }
    let mut seen: [&[u8]; MAX_TOKENS] = [&[]; MAX_TOKENS];
    let mut count = 0;
    for value in credentials.values_of(&config.name) {
        if count == MAX_TOKENS {
            break;
        }
        if !seen[..count].contains(&value)
            && let Some(token) = parse(value, config)
        {
            (tokens[count], seen[count]) = (Some(token), value);
            count += 1;
        }
    }
    tokens
}

fn parse(value: &[u8], config: &CookieConfig) -> Option<Token> {
    let text = std::str::from_utf8(value).ok()?;
    config.seal.open(&config.name, text)
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

    fn read(config: &CookieConfig, headers: &[&str]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for text in headers {
            map.append(COOKIE, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        }
        let tokens = tokens_in(&Credentials::of(&map, None), config);
        tokens.iter().flatten().map(Token::encode).collect()
    }

    #[test]
    fn a_token_is_found_among_others_and_in_split_headers() {
        let config = CookieConfig::new("id");
        let text = token().encode();
        for headers in [
            &[&*format!("id={text}")][..],
            &[&format!("a=b; id={text};c=d")],
            &[&format!("a=b;\t id={text} \t; id2=x")],
            &["a=b", &format!("id={text}")],
            &[&format!("id={text}; id={text}")],
            &[&format!("id=broken; id={text}")],
        ] {
            let found = read(&config, headers);
            assert_eq!(found, std::slice::from_ref(&text), "{headers:?}");
        }
    }

    #[test]
    fn other_names_and_other_values_are_not_tokens() {
        let config = CookieConfig::new("id");
        let text = token().encode();
        for headers in [
            format!("ID={text}"),
            format!("xid={text}"),
            format!("idx={text}"),
            format!("%69d={text}"),
            format!("\u{a0}id={text}"),
            format!("\u{2003}id={text}"),
            format!("id ={text}"),
            format!("id= {text}"),
            format!("id=\"{text}\""),
            format!("id={text}="),
            format!("id==id={text}"),
            format!("=id={text}"),
            format!("={text}"),
            text.clone(),
            String::from("id="),
            format!("id={}", text.repeat(100)),
            format!("id,id={text}"),
        ] {
            assert!(read(&config, &[&headers]).is_empty(), "{headers:?}");
        }
    }

    #[test]
    fn two_tokens_are_read_at_most() {
        let config = CookieConfig::new("id");
        let texts = [token().encode(), token().encode(), token().encode()];
        let header = texts.each_ref().map(|text| format!("id={text}")).join("; ");
        assert_eq!(read(&config, &[&header]), texts[..2]);
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

    #[cfg(feature = "sealed-cookies")]
    #[test]
    fn a_value_is_valid_for_the_listed_keys_only() {
        use super::super::CookieKey;
        let [new, old, other] = [(); 3].map(|()| CookieKey::generate().unwrap());
        let both = |keys: &[&CookieKey]| {
            let keys: Vec<_> = keys.iter().map(|&key| key.clone()).collect();
            let named = || CookieConfig::new("id");
            [named().signed(keys.clone()), named().encrypted(keys)]
        };
        let token = token();
        let value = |config: &CookieConfig| config.seal.close("id", &token);
        let opens = |config: &CookieConfig, value: &str| {
            read(config, &[&format!("id={value}")]) == [token.encode()]
        };
        for (now, before) in both(&[&new, &old]).iter().zip(&both(&[&old])) {
            assert!(now.validate().is_ok());
            assert!(opens(now, &value(now)));
            assert!(opens(now, &value(before)), "a listed key is accepted");
            assert!(!opens(before, &value(now)));
            assert!(!opens(now, &token.encode()), "no fallback to plain values");
            assert!(!opens(&CookieConfig::new("id"), &value(now)));
        }
        let [signed, encrypted] = both(&[&new]);
        assert!(!opens(&signed, &value(&encrypted)) && !opens(&encrypted, &value(&signed)));
        for config in both(&[&other]) {
            assert!(!opens(&config, &value(&signed)) && !opens(&config, &value(&encrypted)));
        }
        let mut bent = value(&signed).into_bytes();
        bent[0] ^= 1;
        assert!(!opens(&signed, std::str::from_utf8(&bent).unwrap()));
        for config in both(&[]) {
            assert!(config.validate().is_err());
        }
        assert!(!value(&encrypted).contains(&token.encode()));
        assert_eq!(value(&signed).len(), signed.seal.sealed_len());
        assert_eq!(value(&encrypted).len(), encrypted.seal.sealed_len());
    }
}
