//! The device of a session, for the user's list of devices: user agent and address of the client.
//!
//! By default nothing is recorded. If device tracking is configured, the truncated `User-Agent` header and
//! the client's address are recorded at sign-in, and again when they change.

mod agent;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use cloakroom_core::{Entries, SessionClient};
use http::header::USER_AGENT;
use http::{Extensions, HeaderMap, HeaderValue};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::{Chain, PeerAddress, ProxyHeader};
use crate::error::{ConfigError, ConfigErrorKind};

/// The longest user agent that is recorded, in bytes.
const MAX_AGENT_LEN: usize = SessionClient::MAX_USER_AGENT_LEN;

/// The key of the device among the entries.
const KEY: &str = "$device";

/// Configures what is recorded of the devices of sessions. By default, a layer records nothing.
///
/// The client's address is the peer address of the connection. Behind proxies, that is the address of the
/// proxy: if the app trusts it, the address in its header is used instead, and so on through the chain, from
/// the right, for 16 addresses at most. So clients cannot forge an address.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::ConnectInfo;
/// use cloakroom::{DeviceTracking, MemoryStore, ProxyHeader, SessionLayer};
///
/// let devices = DeviceTracking::new()
///     .with_peer_address(|extensions| {
///         extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
///     })
///     .trusting_proxies(["10.0.0.0/8".parse()?], ProxyHeader::XForwardedFor);
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_device_tracking(devices)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct DeviceTracking {
    peer: Option<PeerAddress>,
    trusted: Vec<IpNet>,
    header: ProxyHeader,
    records_addresses: bool,
}

impl DeviceTracking {
    /// Records the `User-Agent` header, and the address once
    /// [`with_peer_address`](Self::with_peer_address) is set.
    pub fn new() -> Self {
        Self {
            peer: None,
            trusted: Vec::new(),
            header: ProxyHeader::XForwardedFor,
            records_addresses: true,
        }
    }

    /// Sets how to find the peer address of the connection in the extensions of a request.
    pub fn with_peer_address(
        mut self,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.peer = Some(Arc::new(peer));
        self
    }

    /// Sets the addresses of trusted proxies, and the header in which all of them report the client's
    /// address. Other headers are ignored: a client could have sent them.
    pub fn trusting_proxies(
        mut self,
        trusted: impl IntoIterator<Item = IpNet>,
        header: ProxyHeader,
    ) -> Self {
        self.trusted = trusted.into_iter().collect();
        self.header = header;
        self
    }

    /// Records no addresses.
    pub fn without_addresses(mut self) -> Self {
        self.records_addresses = false;
        self
    }

    /// Checks that trusted proxies can be recognized.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if !self.trusted.is_empty() && self.peer.is_none() {
            return Err(ConfigError::new(
                ConfigErrorKind::DeviceTracking,
                "a proxy is recognized by the address of the connection: say where that is, with \
                 `with_peer_address`",
            ));
        }
        Ok(())
    }

    /// Returns what a request shows of its client. Its headers are parsed only when it is compared or recorded,
    /// which few requests do.
    pub(crate) fn client_info(
        tracking: &Arc<Self>,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> ClientInfo {
        ClientInfo {
            agent: headers.get(USER_AGENT).cloned(),
            chain: tracking.chain(headers, extensions),
            tracking: Arc::clone(tracking),
        }
    }

    fn chain(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Chain> {
        if !self.records_addresses {
            return None;
        }
        let peer = self.peer.as_ref()?(extensions)?;
        Some(Chain::of(peer, headers, self.header, &self.trusted))
    }
}

impl Default for DeviceTracking {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeviceTracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices")
            .field("trusted", &self.trusted)
            .field("header", &self.header)
            .field("records_addresses", &self.records_addresses)
            .finish_non_exhaustive()
    }
}

/// The client of a request, not parsed yet.
#[derive(Clone, Debug)]
pub(crate) struct ClientInfo {
    agent: Option<HeaderValue>,
    chain: Option<Chain>,
    tracking: Arc<DeviceTracking>,
}

impl ClientInfo {
    fn observation(&self) -> Observation {
        let agent = self.agent.as_ref().map(|agent| {
            // A part of it is enough, and most of it may be invalid: each such byte becomes three.
            let bytes = agent.as_bytes();
            let agent = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_AGENT_LEN + 4)]);
            truncate(&agent, MAX_AGENT_LEN).to_owned()
        });
        let trusted = &self.tracking.trusted;
        Observation {
            agent,
            address: self.chain.as_ref().map(|chain| chain.client(trusted)),
        }
    }

    /// Records the device of a sign-in.
    pub(crate) fn put_into(&self, entries: &mut Entries) {
        write(entries, &Device::new(self.observation()));
    }

    /// Whether the recorded device of the session is another.
    pub(crate) fn differs_from(&self, entries: &Entries) -> bool {
        Device::of(entries).is_some_and(|device| *device.latest() != self.observation())
    }

    /// Records that the session is used by this client, if it has a recorded device.
    pub(crate) fn refresh(&self, entries: &mut Entries) {
        if let Some(mut device) = Device::of(entries)
            && *device.latest() != self.observation()
        {
            let seen = self.observation();
            device.seen = (seen != device.signed_in).then_some(seen);
            write(entries, &device);
        }
    }
}

/// Returns the client of a session, as recorded.
pub(crate) fn client_of(entries: &Entries) -> Option<SessionClient> {
    let device = Device::of(entries)?;
    Some(SessionClient::new(device.user_agent(), device.address()))
}

fn write(entries: &mut Entries, device: &Device) {
    let written = entries.set(KEY, device);
    written.expect("text is always JSON");
}

/// Truncates a text to at most `longest` bytes, between characters.
fn truncate(text: &str, longest: usize) -> &str {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The recorded device of a session.
///
/// `Display` formats it for users: `Firefox on Windows 10`. The user agent is what the client sends, and can
/// be forged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    #[serde(flatten)]
    signed_in: Observation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Observation>,
}

/// User agent and address at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Observation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

impl Device {
    const fn new(signed_in: Observation) -> Self {
        Self {
            signed_in,
            seen: None,
        }
    }

    pub(crate) fn of(entries: &Entries) -> Option<Self> {
        entries.get(KEY).ok().flatten()
    }

    fn latest(&self) -> &Observation {
        self.seen.as_ref().unwrap_or(&self.signed_in)
    }

    /// Returns the latest recorded `User-Agent` header, truncated to 256 bytes.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.latest().agent.as_deref()
    }

    /// Returns the name of the browser, if the user agent contains a known one: `Firefox`.
    #[must_use]
    pub fn browser(&self) -> Option<&str> {
        agent::browser(self.user_agent()?)
    }

    /// Returns the name of the operating system, if the user agent contains a known one: `Windows 10`.
    #[must_use]
    pub fn system(&self) -> Option<&str> {
        agent::system(self.user_agent()?)
    }

    /// Returns the client's address at sign-in.
    #[must_use]
    pub const fn address_at_sign_in(&self) -> Option<IpAddr> {
        self.signed_in.address
    }

    /// Returns the client's latest recorded address. Changes are recorded at most once in a tenth of the idle
    /// timeout.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.latest().address
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.browser(), self.system()) {
            (Some(browser), Some(system)) => write!(f, "{browser} on {system}"),
            (Some(name), None) | (None, Some(name)) => f.write_str(name),
            (None, None) => f.write_str("Unknown device"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(agent: &str) -> ClientInfo {
        let mut headers = HeaderMap::new();
        headers.insert(
            USER_AGENT,
            HeaderValue::from_bytes(agent.as_bytes()).unwrap(),
        );
        DeviceTracking::client_info(&Arc::default(), &headers, &Extensions::new())
    }

    fn device(agent: &str) -> Device {
        let mut entries = Entries::new();
        from(agent).put_into(&mut entries);
        Device::of(&entries).unwrap()
    }

    #[test]
    fn display_names_browser_and_system() {
        for (agent, read) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
                "Firefox on Windows 10",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            ("curl/8.5.0", "HTTP Library"),
            ("", "Unknown device"),
            ("<script>\u{fc}", "Unknown device"),
        ] {
            assert_eq!(device(agent).to_string(), read, "{agent}");
        }
    }

    #[test]
    fn a_long_agent_is_truncated_between_characters() {
        let long = device(&"ü".repeat(1000));
        assert_eq!(long.user_agent().unwrap().len(), MAX_AGENT_LEN);
        let odd = device(&format!("x{}", "ü".repeat(1000)));
        assert_eq!(odd.user_agent().unwrap().len(), MAX_AGENT_LEN - 1);
    }

    #[test]
    fn the_latest_address_is_kept_in_addition_to_the_one_at_sign_in() {
        let mut entries = Entries::new();
        let tracking = DeviceTracking::new().with_peer_address(|at| at.get().copied());
        let tracking = Arc::new(tracking);
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let at = |last: u8| {
            let mut extensions = Extensions::new();
            extensions.insert(address(last));
            DeviceTracking::client_info(&tracking, &HeaderMap::new(), &extensions)
        };
        at(1).refresh(&mut entries);
        assert!(
            entries.is_empty() && !at(1).differs_from(&entries),
            "no user has signed in"
        );
        at(1).put_into(&mut entries);
        assert!(!at(1).differs_from(&entries) && at(2).differs_from(&entries));
        at(2).refresh(&mut entries);
        let device = Device::of(&entries).unwrap();
        assert_eq!(device.address(), Some(address(2)));
        assert_eq!(device.address_at_sign_in(), Some(address(1)));
        at(1).refresh(&mut entries);
        assert_eq!(Device::of(&entries).unwrap().seen, None);
    }
}
