//! The chain of proxies that a request names, read from the right.

use std::net::{IpAddr, SocketAddr};

use super::forwarded;
use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

/// How many addresses of a chain of proxies are read at most, from the right.
const MAX_HOPS: usize = 16;

/// How many headers of one name are kept at most, from the last. Proxies append to one header, or add one each.
const MAX_LINES: usize = MAX_HOPS;

/// The longest element of a chain that is parsed, in bytes.
const MAX_HOP_LEN: usize = 256;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header in which proxies report the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For: client, proxy`
    XForwardedFor,
    /// `Forwarded: for=client, for=proxy` (RFC 7239)
    Forwarded,
}

/// What the headers of a request say of the chain of proxies, not parsed yet.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    peer: IpAddr,
    header: ProxyHeader,
    /// The header's values, from the last: the one that the nearest proxy has written.
    lines: Vec<HeaderValue>,
}

impl Chain {
    /// Keeps what is needed of a request. Only a trusted proxy is believed, so for any other peer that is nothing
    /// but its address.
    pub(crate) fn of(
        peer: IpAddr,
        headers: &HeaderMap,
        header: ProxyHeader,
        trusted: &[IpNet],
    ) -> Self {
        let peer = peer.to_canonical();
        let mut lines = Vec::new();
        if is_trusted(peer, trusted) {
            let name = match header {
                ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
                ProxyHeader::Forwarded => FORWARDED,
            };
            // Several headers of one name form one list (RFC 9110, section 5.3).
            let values = headers.get_all(name).iter().rev();
            lines.extend(values.take(MAX_LINES).cloned());
        }
        Self {
            peer,
            header,
            lines,
        }
    }

    /// Returns the address of the client: from the right of the chain, the first that is not a trusted proxy.
    /// Everything to the left of it may be forged, and is not read. If an element of the chain is not an address,
    /// or there are more than [`MAX_HOPS`] proxies, the result is the last address before it that a trusted proxy
    /// has reported.
    pub(crate) fn client(&self, trusted: &[IpNet]) -> IpAddr {
        let mut address = self.peer;
        let elements = self.lines.iter().flat_map(|line| self.elements(line));
        for element in elements.take(MAX_HOPS) {
            let Some(hop) = self.parse(element) else {
                return address;
            };
            address = hop.to_canonical();
            if !is_trusted(address, trusted) {
                return address;
            }
        }
        address
    }

    /// Returns the elements of a list, from the last.
    fn elements<'a>(&self, line: &'a HeaderValue) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // Only `Forwarded` has quoted text, in which a comma may be.
        let has_quotes = self.header == ProxyHeader::Forwarded;
        let mut rest = Some(line.as_bytes());
        std::iter::from_fn(move || {
            let list = rest?;
            let comma = last_comma(list, has_quotes);
            rest = comma.map(|comma| &list[..comma]);
            Some(&list[comma.map_or(0, |comma| comma + 1)..])
        })
    }

    fn parse(&self, element: &[u8]) -> Option<IpAddr> {
        if element.len() > MAX_HOP_LEN {
            return None;
        }
        let element = str::from_utf8(element).ok()?;
        match self.header {
            ProxyHeader::XForwardedFor => parse_address(element.trim()),
            ProxyHeader::Forwarded => forwarded::address(element),
        }
    }
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// Returns the index of the last comma that is not in quotes. Read from the right, what a client has sent cannot
/// change how the part that proxies have appended is read.
fn last_comma(list: &[u8], has_quotes: bool) -> Option<usize> {
    let mut is_quoted = false;
    for (index, byte) in list.iter().enumerate().rev() {
        match byte {
            b'"' if has_quotes && !is_escaped(&list[..index]) => is_quoted = !is_quoted,
            b',' if !is_quoted => return Some(index),
            _ => {}
        }
        // No element is longer, so that this does not search all of a long text in vain.
        if list.len() - index > MAX_HOP_LEN {
            return None;
        }
    }
    None
}

/// Whether the character after this text is escaped: after an odd number of backslashes.
fn is_escaped(text: &[u8]) -> bool {
    let backslashes = text.iter().rev().take(MAX_HOP_LEN);
    backslashes.take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// Parses an address, to which some proxies add a port.
fn parse_address(hop: &str) -> Option<IpAddr> {
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
        let chain = Chain::of(peer.parse().unwrap(), &headers, header, &trusted);
        chain.client(&trusted).to_string()
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
            // Quotes of the client, closed or not, do not hide what a proxy has appended.
            ("for=\"6.6.6.6, for=192.0.2.1", "192.0.2.1"),
            ("for=\"a, b\", for=192.0.2.1, for=10.0.0.7", "192.0.2.1"),
            ("for=\"_a\\\", b\", for=10.0.0.7", "10.0.0.7"),
            ("for=192.0.2.1;by=\"_a, b\"", "192.0.2.1"),
        ] {
            let lines = [("forwarded", line), (X, "6.6.6.6")];
            assert_eq!(found("10.0.0.1", header, &lines), client, "{line}");
        }
    }

    #[test]
    fn a_long_chain_is_read_from_the_right_and_no_further_than_needed() {
        for (header, name, prefix) in [
            (ProxyHeader::XForwardedFor, X, ""),
            (ProxyHeader::Forwarded, "forwarded", "for="),
        ] {
            let list = |elements: &[&str]| {
                let elements: Vec<_> = elements.iter().map(|it| format!("{prefix}{it}")).collect();
                elements.join(", ")
            };
            let proxies = |count: usize| list(&vec!["10.0.0.7"; count]);
            let sixteen = [list(&["192.0.2.1"]), proxies(MAX_HOPS - 1)].join(", ");
            assert_eq!(found("10.0.0.1", header, &[(name, &sixteen)]), "192.0.2.1");
            // One more, and the last of the proxies that were read counts.
            let more = [list(&["192.0.2.1", "10.0.0.9"]), proxies(MAX_HOPS - 1)].join(", ");
            assert_eq!(found("10.0.0.1", header, &[(name, &more)]), "10.0.0.9");
            // Each proxy may add a header of its own.
            let element = list(&["10.0.0.7"]);
            let mut lines = vec![(name, &*element); 1000];
            assert_eq!(found("10.0.0.1", header, &lines), "10.0.0.7");
            let client = list(&["192.0.2.1"]);
            lines.push((name, &client));
            lines.push((name, &element));
            assert_eq!(found("10.0.0.1", header, &lines), "192.0.2.1");
        }
    }

    /// A client may send as much as the server accepts.
    #[test]
    fn a_large_header_costs_about_as_much_as_a_small_one() {
        let forged = ["6.6.6.6, ", "for=6.6.6.6, ", "\"", "\\", "x", ","];
        for (header, name, client) in [
            (ProxyHeader::XForwardedFor, X, ", 192.0.2.1"),
            (ProxyHeader::Forwarded, "forwarded", ", for=192.0.2.1"),
        ] {
            for part in forged {
                let long = [&part.repeat(400_000 / part.len()), client].concat();
                let mut headers = HeaderMap::new();
                headers.insert(name, long.parse().unwrap());
                let trusted = ["10.0.0.0/8".parse().unwrap()];
                let began = std::time::Instant::now();
                for _ in 0..1000 {
                    let chain = Chain::of([10, 0, 0, 1].into(), &headers, header, &trusted);
                    assert_eq!(
                        chain.client(&trusted),
                        IpAddr::from([192, 0, 2, 1]),
                        "{part}"
                    );
                }
                // Reading all of it takes milliseconds each time.
                let taken = began.elapsed();
                assert!(
                    taken < std::time::Duration::from_secs(2),
                    "{part}: {taken:?}"
                );
            }
        }
    }
}
