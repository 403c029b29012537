//! The `Forwarded` header (RFC 7239), as far as the addresses in it.

use std::net::{IpAddr, SocketAddr};

/// Returns the address of the `for` parameter in one element of the header's list; `None` if it has none: a name
/// (`unknown`, `_hidden`), or no such parameter.
///
/// The element is split at every semicolon, also at one inside of a quoted string: addresses contain none.
pub(super) fn address(element: &str) -> Option<IpAddr> {
    let mut parameters = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address_of(node.trim().trim_matches('"'))
}

/// Parses a node: an address, with brackets if it is one of IPv6, perhaps with a port.
fn address_of(node: &str) -> Option<IpAddr> {
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
    fn the_address_of_an_element_is_read() {
        for (value, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=192.0.2.1:4711;proto=https", "192.0.2.1"),
            ("by=10.0.0.1; for = \"192.0.2.1\"", "192.0.2.1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=unknown", "-"),
            ("for=_hidden", "-"),
            ("proto=https", "-"),
            ("", "-"),
            ("for", "-"),
            ("for=[::1", "-"),
        ] {
            let found = address(value);
            let shown = found.map_or("-".to_owned(), |address| address.to_string());
            assert_eq!(shown, expected, "{value}");
        }
    }
}
