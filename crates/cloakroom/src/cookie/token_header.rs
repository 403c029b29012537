//! The token in a header, for clients that are not browsers.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::error::{ConfigError, ConfigErrorKind};

/// A header that carries the token, for native apps and for APIs.
///
/// If a request has the header, with any value, its cookies are ignored, and the response sets none. (With
/// [`bearer`](Self::bearer), a token that does not have the form of this layer's tokens does not count: the
/// JWT of a proxy, for instance, does not hide the cookie.) A new token is returned in the response header of
/// the same name ([`bearer`](Self::bearer): in `session-token`); an empty value says that the session has
/// ended. To get its first token, a client sends the header with an empty value.
///
/// ```
/// use cloakroom::{MemoryStore, SessionLayer, TokenHeader};
///
/// // Browsers use the cookie, apps the header.
/// let both = SessionLayer::builder(MemoryStore::new())
///     .with_token_header(TokenHeader::named("session-token"))
///     .build()?;
///
/// // An API without cookies.
/// let api = SessionLayer::builder(MemoryStore::new())
///     .with_token_header(TokenHeader::bearer().header_only())
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenHeader {
    request: HeaderName,
    response: HeaderName,
    header_only: bool,
    /// A name that cannot be used, which [`validate`](Self::validate) refuses.
    invalid: Option<String>,
}

/// The response header for a request header that has another meaning in responses.
const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

/// What the token header of a request contains.
#[derive(Clone, Debug)]
pub(crate) enum InHeader {
    /// The request does not have the header: its cookies are used.
    Absent,
    /// The client uses the header. `None` if there is no value, or more than one.
    Present(Option<HeaderValue>),
}

impl TokenHeader {
    /// Uses a header of this name, in requests and in responses.
    ///
    /// [`SessionLayerBuilder::build`](crate::SessionLayerBuilder::build) refuses invalid header names, and
    /// headers with a meaning of their own: `Cookie`, `Set-Cookie`, and `Authorization` (see
    /// [`bearer`](Self::bearer)).
    pub fn named(name: &str) -> Self {
        let taken = ["authorization", "cookie", "set-cookie"];
        let header = match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) if !taken.contains(&header.as_str()) => Some(header),
            _ => None,
        };
        let invalid = header.is_none().then(|| name.to_owned());
        let header = header.unwrap_or(SESSION_TOKEN);
        Self {
            request: header.clone(),
            response: header,
            header_only: false,
            invalid,
        }
    }

    /// Uses `Authorization: Bearer …` in requests (RFC 6750, section 2.1), and `session-token` in
    /// responses. Other schemes of `Authorization` are ignored, and so are tokens that do not have the form of
    /// this layer's tokens: the right length and alphabet, or empty. After a change of the seal, earlier tokens
    /// have another form, so their clients count as clients without a token.
    pub fn bearer() -> Self {
        Self {
            request: AUTHORIZATION,
            response: SESSION_TOKEN,
            header_only: false,
            invalid: None,
        }
    }

    /// Uses the header only: no cookie is read or set.
    pub fn header_only(mut self) -> Self {
        self.header_only = true;
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

    /// Reads the header of a request. `is_token` says whether a text has the form of a token.
    pub(crate) fn in_request(
        &self,
        headers: &HeaderMap,
        is_token: impl Fn(&[u8]) -> bool,
    ) -> InHeader {
        let values = headers.get_all(&self.request).iter();
        let mut tokens = values.filter_map(|value| self.token_in(value, &is_token));
        match (tokens.next(), tokens.next()) {
            (Some(value), None) => InHeader::Present(Some(value)),
            // Two tokens: neither is used.
            (Some(_), Some(_)) => InHeader::Present(None),
            (None, _) if self.header_only => InHeader::Present(None),
            (None, _) => InHeader::Absent,
        }
    }

    /// Returns the token in a header's value: all of it, or what follows `Bearer`. Others use `Bearer` as well,
    /// so there it counts only if it is empty or has the form of a token.
    fn token_in(
        &self,
        value: &HeaderValue,
        is_token: impl Fn(&[u8]) -> bool,
    ) -> Option<HeaderValue> {
        if self.request != AUTHORIZATION {
            return Some(value.clone());
        }
        let (scheme, token) = value.as_bytes().split_at_checked("bearer".len())?;
        let is_bearer =
            scheme.eq_ignore_ascii_case(b"bearer") && matches!(token.first(), None | Some(b' '));
        let token = token.trim_ascii();
        if !is_bearer || !(token.is_empty() || is_token(token)) {
            return None;
        }
        HeaderValue::from_bytes(token).ok()
    }

    /// Whether no cookies are read or set.
    pub(crate) const fn is_header_only(&self) -> bool {
        self.header_only
    }

    /// The header of responses.
    pub(crate) const fn response_header(&self) -> &HeaderName {
        &self.response
    }

    /// The header of requests.
    pub(crate) const fn request_header(&self) -> &HeaderName {
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
        match header.in_request(&headers, |text| text.starts_with(b"abc")) {
            InHeader::Absent => "absent".to_owned(),
            InHeader::Present(None) => "nothing".to_owned(),
            InHeader::Present(Some(value)) => format!("<{}>", value.to_str().unwrap()),
        }
    }

    #[test]
    fn a_header_that_is_present_counts_with_any_value() {
        let header = TokenHeader::named("Session-Token");
        assert_eq!(read(&header, &[]), "absent");
        assert_eq!(read(&header, &[("cookie", "id=x")]), "absent");
        assert_eq!(read(&header, &[("session-token", "")]), "<>");
        assert_eq!(read(&header, &[("session-token", "abc")]), "<abc>");
        let two = [("session-token", "abc"), ("session-token", "def")];
        assert_eq!(read(&header, &two), "nothing");
        assert_eq!(read(&header.header_only(), &[]), "nothing");
    }

    #[test]
    fn of_authorization_only_bearer_counts() {
        let header = TokenHeader::bearer();
        for (value, expected) in [
            ("Bearer abc", "<abc>"),
            ("bearer  abc", "<abc>"),
            ("Bearer", "<>"),
            ("Bearer ", "<>"),
            ("Bearerabc", "absent"),
            ("Basic abc", "absent"),
            ("Bea", "absent"),
            // A token of somebody else.
            ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "absent"),
        ] {
            assert_eq!(
                read(&header, &[("authorization", value)]),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_foreign_bearer_token_beside_ours_does_not_count() {
        let header = TokenHeader::bearer();
        let ours = ("authorization", "Bearer abc");
        for other in ["Bearer eyJ.e30.c2ln", "Basic abc"] {
            let other = ("authorization", other);
            assert_eq!(read(&header, &[ours, other]), "<abc>");
            assert_eq!(read(&header, &[other, ours]), "<abc>");
        }
        assert_eq!(
            read(&header, &[ours, ("authorization", "Bearer abcd")]),
            "nothing"
        );
        assert_eq!(
            read(&header.header_only(), &[("authorization", "Bearer eyJ")]),
            "nothing"
        );
    }

    #[test]
    fn an_unsuitable_header_name_is_refused() {
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
