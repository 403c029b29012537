//! The `Forwarded` header (RFC 7239), as far as the addresses in it.

use std::net::{IpAddr, SocketAddr};

/// Returns the addresses of the `for` parameters in a header's value, the client first; `None` for an element
/// that has no address: a name (`unknown`, `_hidden`), or none at all.
///
/// A value is split at every comma, also at one inside of a quoted string: addresses contain none, and the parts
/// of such a string are not addresses.
pub(super) fn addresses(value: &str) -> impl DoubleEndedIterator<Item = Option<IpAddr>> {
    value.split(',').map(|element| {
        let mut parameters = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, node) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        address(node.trim().trim_matches('"'))
    })
}

/// Parses a node: an address, with brackets if it is one of IPv6, perhaps with a port.
fn address(node: &str) -> Option<IpAddr> {
    if let Ok(address) = node.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = node
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(node).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_every_element_is_read() {
        for (value, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=192.0.2.1:4711;proto=https", "192.0.2.1"),
            ("by=10.0.0.1; for = \"192.0.2.1\"", "192.0.2.1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=192.0.2.1, for=192.0.2.2", "192.0.2.1 192.0.2.2"),
            ("for=unknown, for=_hidden", "- -"),
            ("for=\"192.0.2.1, for=192.0.2.2\"", "192.0.2.1 192.0.2.2"),
            ("proto=https", "-"),
            ("", "-"),
            (",", "- -"),
            ("for", "-"),
            ("for=[::1", "-"),
        ] {
            let shown: Vec<_> = addresses(value)
                .map(|address| address.map_or("-".to_owned(), |address| address.to_string()))
                .collect();
            assert_eq!(shown.join(" "), expected, "{value}");
        }
    }
}
