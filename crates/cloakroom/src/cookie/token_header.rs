//! The token in a header, for clients that are no browsers.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::error::{ConfigError, ConfigErrorKind};

/// A header that carries the token, for native apps and for APIs.
///
/// A request that has the header is one of such a client, whatever the header holds: its cookie, if
/// it has one, is not looked at, and the answer sets none. A new token comes in the answer's header
/// of the same name ([`bearer`](Self::bearer): in `session-token`); an empty one says that the
/// session has ended. To get a first token, the client sends the header empty.
///
/// ```
/// use cloakroom::{MemoryStore, SessionLayer, TokenHeader};
///
/// // Browsers have the cookie, apps the header.
/// let both = SessionLayer::builder(MemoryStore::new())
///     .with_token_header(TokenHeader::named("session-token"))
///     .build()?;
///
/// // An API without cookies.
/// let api = SessionLayer::builder(MemoryStore::new())
///     .with_token_header(TokenHeader::bearer().instead_of_cookie())
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenHeader {
    request: HeaderName,
    answer: HeaderName,
    alone: bool,
    /// A name that cannot be used, which [`validate`](Self::validate) refuses.
    invalid: Option<String>,
}

/// Where a response carries the token if the request's header has another meaning there.
const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

/// What a request has in the header.
#[derive(Clone, Debug)]
pub(crate) enum InHeader {
    /// The request does not have it: the cookie counts.
    Absent,
    /// The client is one that uses the header. `None` for what is no single value.
    Present(Option<HeaderValue>),
}

impl TokenHeader {
    /// A header of this name, in requests and in responses.
    ///
    /// [`SessionLayerBuilder::build`](crate::SessionLayerBuilder::build) refuses what is not a header's
    /// name, and headers with a meaning of their own: `Cookie`, `Set-Cookie`, and `Authorization`, for
    /// which there is [`bearer`](Self::bearer).
    pub fn named(name: &str) -> Self {
        let taken = ["authorization", "cookie", "set-cookie"];
        let header = HeaderName::from_bytes(name.as_bytes()).ok();
        let header = header.filter(|header| !taken.contains(&header.as_str()));
        let invalid = header.is_none().then(|| name.to_owned());
        let header = header.unwrap_or(SESSION_TOKEN);
        Self {
            request: header.clone(),
            answer: header,
            alone: false,
            invalid,
        }
    }

    /// `Authorization: Bearer …` in requests (RFC 6750, section 2.1), `session-token` in answers.
    /// Other schemes of `Authorization` are left alone.
    pub fn bearer() -> Self {
        Self {
            request: AUTHORIZATION,
            answer: SESSION_TOKEN,
            alone: false,
            invalid: None,
        }
    }

    /// No cookie is read or set at all.
    pub fn instead_of_cookie(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Checks that the header can carry the token.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        match &self.invalid {
            None => Ok(()),
            Some(name) => Err(ConfigError::new(
                ConfigErrorKind::TokenHeader,
                format!("{name:?} cannot be the header that carries the token"),
            )),
        }
    }

    pub(crate) fn in_request(&self, headers: &HeaderMap) -> InHeader {
        let mut values = headers.get_all(&self.request).iter();
        let mine = |value: &HeaderValue| {
            if self.request != AUTHORIZATION {
                return Some(value.clone());
            }
            let (scheme, token) = value.as_bytes().split_at_checked("bearer".len())?;
            let is_bearer = scheme.eq_ignore_ascii_case(b"bearer")
                && matches!(token.first(), None | Some(b' '));
            let token = HeaderValue::from_bytes(token.trim_ascii_start()).ok();
            token.filter(|_| is_bearer)
        };
        match (values.next().and_then(mine), values.next()) {
            (Some(value), None) => InHeader::Present(Some(value)),
            // Two tokens: neither is trusted.
            (Some(_), Some(_)) => InHeader::Present(None),
            (None, _) if self.alone => InHeader::Present(None),
            (None, _) => InHeader::Absent,
        }
    }

    /// Whether no cookies are read at all.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone
    }

    /// Where answers carry it.
    pub(crate) const fn in_answer(&self) -> &HeaderName {
        &self.answer
    }

    /// What answers depend on.
    pub(crate) const fn varies_on(&self) -> &HeaderName {
        &self.request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &TokenHeader, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        match header.in_request(&headers) {
            InHeader::Absent => "absent".to_owned(),
            InHeader::Present(None) => "nothing".to_owned(),
            InHeader::Present(Some(value)) => format!("<{}>", value.to_str().unwrap()),
        }
    }

    #[test]
    fn a_header_that_is_there_counts_whatever_it_holds() {
        let header = TokenHeader::named("Session-Token");
        assert_eq!(read(&header, &[]), "absent");
        assert_eq!(read(&header, &[("cookie", "id=x")]), "absent");
        assert_eq!(read(&header, &[("session-token", "")]), "<>");
        assert_eq!(read(&header, &[("session-token", "abc")]), "<abc>");
        let two = [("session-token", "abc"), ("session-token", "def")];
        assert_eq!(read(&header, &two), "nothing");
        assert_eq!(read(&header.instead_of_cookie(), &[]), "nothing");
    }

    #[test]
    fn of_authorization_bearer_alone_counts() {
        let header = TokenHeader::bearer();
        for (value, expected) in [
            ("Bearer abc", "<abc>"),
            ("bearer  abc", "<abc>"),
            ("Bearer", "<>"),
            ("Bearer ", "<>"),
            ("Bearerabc", "absent"),
            ("Basic abc", "absent"),
            ("Bea", "absent"),
        ] {
            assert_eq!(
                read(&header, &[("authorization", value)]),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn what_cannot_be_the_header_is_refused() {
        for name in [
            "",
            "a b",
            "a:b",
            "Cookie",
            "set-cookie",
            "Authorization",
            "ä",
        ] {
            assert!(TokenHeader::named(name).validate().is_err(), "{name}");
        }
    }
}
