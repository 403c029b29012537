//! The client of a session, as events carry it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The client of a session: its `User-Agent` header, and its address. The header is what the client sends, and can be
/// forged.
///
/// ```
/// use cloakroom_core::SessionClient;
///
/// let client = SessionClient::new(Some("curl/8.5.0"), Some([192, 0, 2, 7].into()));
/// assert_eq!(client.user_agent(), Some("curl/8.5.0"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Wire<'static>", from = "Wire<'_>")]
pub struct SessionClient {
    user_agent: Option<Arc<str>>,
    address: Option<IpAddr>,
}

impl SessionClient {
    /// The most bytes of a user agent: what is longer is truncated.
    pub const MAX_USER_AGENT_LEN: usize = 256;

    /// Returns a client, with at most [`MAX_USER_AGENT_LEN`](Self::MAX_USER_AGENT_LEN) bytes of its user agent.
    #[must_use]
    pub fn new(user_agent: Option<&str>, address: Option<IpAddr>) -> Self {
        let truncated = |text: &str| {
            let mut end = Self::MAX_USER_AGENT_LEN.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text[..end].into()
        };
        Self {
            user_agent: user_agent.map(truncated),
            address,
        }
    }

    /// Returns the `User-Agent` header.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// Returns the address.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

/// The JSON form. An address that cannot be parsed counts as absent: it does not make an event unreadable.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    agent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    address: Option<Cow<'a, str>>,
}

impl From<SessionClient> for Wire<'static> {
    fn from(client: SessionClient) -> Self {
        Self {
            agent: client.user_agent.map(|agent| agent.to_string().into()),
            address: client.address.map(|address| address.to_string().into()),
        }
    }
}

impl From<Wire<'_>> for SessionClient {
    fn from(wire: Wire<'_>) -> Self {
        let address = wire.address.and_then(|address| address.parse().ok());
        Self::new(wire.agent.as_deref(), address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_truncated_between_characters_also_when_it_is_received() {
        let long = "ü".repeat(1000);
        let client = SessionClient::new(Some(&format!("x{long}")), None);
        assert_eq!(client.user_agent().map(str::len), Some(255));
        let json = serde_json::json!({ "agent": long, "address": "::1" }).to_string();
        let client: SessionClient = serde_json::from_str(&json).unwrap();
        assert_eq!(client.user_agent().map(str::len), Some(256));
        assert_eq!(client.address(), Some("::1".parse().unwrap()));
    }

    #[test]
    fn an_address_that_cannot_be_parsed_counts_as_absent() {
        let client: SessionClient =
            serde_json::from_str(r#"{"agent":"a","address":"here","more":1}"#).unwrap();
        assert_eq!(client, SessionClient::new(Some("a"), None));
    }
}
