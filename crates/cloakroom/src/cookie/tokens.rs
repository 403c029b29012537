//! The tokens that a request presents.

use std::iter::Chain;
use std::{option, vec};

use cloakroom_core::{Timestamp, Token};

use super::config::CookieConfig;
use super::headers::Credentials;

/// How many different well-formed tokens of a request are looked up. A browser sends several cookies of one
/// name if the cookie was set for several paths or domains, or if an attacker has planted some. What is
/// malformed does not count, so up to seven cookies of ended or unknown sessions do not hide a live one.
pub(crate) const MAX_TOKENS: usize = 8;

/// How many values of one name are examined that have the length of a token. If cookies are signed or encrypted,
/// each costs cryptography, for each of the keys.
pub(crate) const MAX_VALUES: usize = 16;

/// A token of a request.
#[derive(Debug)]
pub(crate) struct PresentedToken {
    pub(crate) token: Token,
    /// Whether it comes from the cookie that responses set, and not from a former or a future one.
    pub(crate) is_written: bool,
}

/// The well-formed tokens of a request, without repetitions: first those of the cookie that responses set.
/// Most requests have one or none.
#[derive(Debug, Default)]
pub(crate) struct PresentedTokens {
    pub(crate) first: Option<PresentedToken>,
    pub(crate) others: Vec<PresentedToken>,
}

impl PresentedTokens {
    pub(crate) fn of(credentials: &Credentials, config: &CookieConfig, now: Timestamp) -> Self {
        let mut tokens = Self::default();
        let mut seen: [&[u8]; MAX_TOKENS] = [&[]; MAX_TOKENS];
        for (number, cookie) in config.accepted(now).enumerate() {
            let values = credentials.values(&cookie.name);
            let values = values.filter(|value| value.len() == cookie.seal.sealed_len());
            for value in values.take(MAX_VALUES) {
                let count = tokens.len();
                if count == MAX_TOKENS {
                    return tokens;
                }
                if !seen[..count].contains(&value)
                    && let Some(token) = parse(value, cookie)
                {
                    seen[count] = value;
                    tokens.push(PresentedToken {
                        token,
                        is_written: number == 0,
                    });
                }
            }
        }
        tokens
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn push(&mut self, token: PresentedToken) {
        if self.first.is_none() {
            self.first = Some(token);
        } else {
            self.others.push(token);
        }
    }
}

impl IntoIterator for PresentedTokens {
    type Item = PresentedToken;
    type IntoIter = Chain<option::IntoIter<PresentedToken>, vec::IntoIter<PresentedToken>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

fn parse(value: &[u8], config: &CookieConfig) -> Option<Token> {
    let text = std::str::from_utf8(value).ok()?;
    config.seal.open(&config.name, text)
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Clock, SystemClock, SystemRng};

    use http::header::{COOKIE, HeaderMap, HeaderValue};

    use super::*;

    fn token() -> Token {
        Token::issue(SystemClock.now(), &SystemRng).unwrap()
    }

    fn read(config: &CookieConfig, headers: &[&str]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for text in headers {
            map.append(COOKIE, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        }
        let tokens = PresentedTokens::of(
            &Credentials::of(&map, config, None),
            config,
            SystemClock.now(),
        );
        let tokens = tokens.first.iter().chain(&tokens.others);
        tokens.map(|presented| presented.token.encode()).collect()
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
    fn eight_tokens_are_read_at_most() {
        let config = CookieConfig::new("id");
        let texts = [(); 9].map(|()| token().encode());
        let header = texts.each_ref().map(|text| format!("id={text}")).join("; ");
        assert_eq!(read(&config, &[&header]), texts[..8]);
        // What is malformed does not count.
        let broken = "id=broken; ".repeat(100);
        assert_eq!(read(&config, &[&broken, &header]), texts[..8]);
    }

    /// A header of 64 KiB with values of the right length does not cost a verification for each of them.
    #[cfg(feature = "sealed-cookies")]
    #[test]
    fn sixteen_sealed_values_are_examined_at_most() {
        use super::super::CookieKey;
        let key = CookieKey::generate().unwrap();
        let named = CookieConfig::new("id");
        for config in [named.clone().signed([key.clone()]), named.encrypted([key])] {
            let token = token();
            let sealed = config.seal.close("id", &token);
            let forged = format!("id={}; ", "A".repeat(sealed.len()));
            let header = |count: usize| format!("{}id={sealed}", forged.repeat(count));
            assert_eq!(read(&config, &[&header(MAX_VALUES - 1)]), [token.encode()]);
            assert!(read(&config, &[&header(MAX_VALUES)]).is_empty());
            // What has another length costs nothing, and does not count.
            let others = "id=forged; ".repeat(1000);
            assert_eq!(read(&config, &[&others, &header(0)]), [token.encode()]);
        }
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
