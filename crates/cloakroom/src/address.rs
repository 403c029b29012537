//! The client's address behind trusted proxies.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::FORWARDED;
use http::{Extensions, HeaderMap};
use ipnet::IpNet;
use rfc7239::{NodeIdentifier, NodeName};

/// Finds the peer address of the connection in the extensions of a request.
pub(crate) type PeerAddress = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;

/// Finds the client's address of a request.
///
/// It is the peer address of the connection. Behind proxies, that is the address of the proxy: if the app
/// trusts it, the address in its header is used instead, and so on through the chain, from the right. So
/// clients cannot forge an address.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::ConnectInfo;
/// use cloakroom::{ClientAddress, ProxyHeader};
///
/// let address = ClientAddress::new(|extensions| {
///     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
/// })
/// .trusting_proxies(["10.0.0.0/8".parse()?], ProxyHeader::XForwardedFor);
/// # let request = http::Request::new(());
/// assert_eq!(address.of(request.headers(), request.extensions()), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientAddress {
    peer: PeerAddress,
    trusted: Arc<[IpNet]>,
    header: ProxyHeader,
}

impl ClientAddress {
    /// Finds the peer address of the connection in the extensions of a request, and trusts no proxy.
    pub fn new(peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self {
            peer: Arc::new(peer),
            trusted: Arc::default(),
            header: ProxyHeader::XForwardedFor,
        }
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

    /// Returns the client's address; `None` if the extensions do not contain the peer's.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let peer = (self.peer)(extensions)?;
        Some(client(peer, headers, self.header, &self.trusted))
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddress")
            .field("trusted", &self.trusted)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// The header in which proxies report the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For: client, proxy`
    XForwardedFor,
    /// `Forwarded: for=client, for=proxy` (RFC 7239)
    Forwarded,
}

/// Returns the address of the client: from the right of the chain, the first that is not a trusted proxy.
/// Everything to the left of it may be forged. If an element of the chain is not an address, the result is
/// the last address before it that a trusted proxy has reported.
pub(crate) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    header: ProxyHeader,
    trusted: &[IpNet],
) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut address = peer.to_canonical();
    if !is_trusted(&address) {
        return address;
    }
    for hop in hops(headers, header).into_iter().rev() {
        let Some(hop) = hop else {
            return address;
        };
        address = hop.to_canonical();
        if !is_trusted(&address) {
            return address;
        }
    }
    address
}

/// Returns the chain, the client first; `None` for an element that is not an address. Several headers of one
/// name form one list (RFC 9110, section 5.3).
fn hops(headers: &HeaderMap, header: ProxyHeader) -> Vec<Option<IpAddr>> {
    let mut hops = Vec::new();
    match header {
        ProxyHeader::XForwardedFor => {
            for value in headers.get_all("x-forwarded-for") {
                let list = value.to_str().unwrap_or_default();
                hops.extend(list.split(',').map(|hop| parse(hop.trim())));
            }
        }
        ProxyHeader::Forwarded => {
            for value in headers.get_all(FORWARDED) {
                let list = value.to_str().unwrap_or_default();
                hops.extend(
                    rfc7239::parse(list).map(|hop| match hop.ok()?.forwarded_for? {
                        NodeIdentifier {
                            name: NodeName::Ip(address),
                            ..
                        } => Some(address),
                        NodeIdentifier { .. } => None,
                    }),
                );
            }
        }
    }
    hops
}

/// Parses an address, to which some proxies add a port.
fn parse(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse::<IpAddr>() {
        return Some(address);
    }
    Some(hop.parse::<SocketAddr>().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "x-forwarded-for";

    fn found(peer: &str, header: ProxyHeader, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted = [
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ];
        client(peer.parse().unwrap(), &headers, header, &trusted).to_string()
    }

    #[test]
    fn the_header_of_an_untrusted_peer_is_ignored() {
        let header = ProxyHeader::XForwardedFor;
        assert_eq!(
            found("192.0.2.9", header, &[(X, "198.51.100.1")]),
            "192.0.2.9"
        );
        assert_eq!(
            found("::ffff:192.0.2.9", header, &[(X, "198.51.100.1")]),
            "192.0.2.9"
        );
    }

    #[test]
    fn the_rightmost_untrusted_address_of_the_chain_is_the_client() {
        let header = ProxyHeader::XForwardedFor;
        for (lines, client) in [
            (&[(X, "192.0.2.1")][..], "192.0.2.1"),
            (&[(X, "192.0.2.1, 10.0.0.7")], "192.0.2.1"),
            (&[(X, "6.6.6.6, 192.0.2.1, 10.0.0.7")], "192.0.2.1"),
            (&[(X, "6.6.6.6"), (X, "192.0.2.1")], "192.0.2.1"),
            (&[(X, "::ffff:192.0.2.1")], "192.0.2.1"),
            (&[(X, "192.0.2.1:4711")], "192.0.2.1"),
            (&[(X, "[2001:db9::1]:4711")], "2001:db9::1"),
            (&[(X, "2001:db9::1, 2001:db8::5")], "2001:db9::1"),
            (&[(X, "10.1.1.1")], "10.1.1.1"),
            // If an element is not an address, the proxy that has reported it counts.
            (&[(X, "192.0.2.1, nonsense")], "10.0.0.1"),
            (&[(X, "192.0.2.1, nonsense, 10.0.0.7")], "10.0.0.7"),
            (&[(X, "")], "10.0.0.1"),
            (&[], "10.0.0.1"),
            // Other headers may have been sent by the client.
            (
                &[("forwarded", "for=6.6.6.6"), ("x-real-ip", "6.6.6.6")],
                "10.0.0.1",
            ),
        ] {
            assert_eq!(found("10.0.0.1", header, lines), client, "{lines:?}");
        }
    }

    #[test]
    fn the_forwarded_header_is_read_if_configured() {
        let header = ProxyHeader::Forwarded;
        for (line, client) in [
            ("for=192.0.2.1;proto=https", "192.0.2.1"),
            (
                "for=6.6.6.6, for=192.0.2.1, for=10.0.0.7;by=10.0.0.1",
                "192.0.2.1",
            ),
            ("for=\"[2001:db9::1]:4711\"", "2001:db9::1"),
            ("for=unknown", "10.0.0.1"),
            ("for=_hidden, for=10.0.0.7", "10.0.0.7"),
            ("nonsense", "10.0.0.1"),
        ] {
            let lines = [("forwarded", line), (X, "6.6.6.6")];
            assert_eq!(found("10.0.0.1", header, &lines), client, "{line}");
        }
    }
}
