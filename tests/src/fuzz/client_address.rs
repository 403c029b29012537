//! Arbitrary bytes as what a client sends in the headers with which proxies report its address.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::header::{FORWARDED, HeaderName};
use axum::http::{Extensions, HeaderMap, HeaderValue};
use cloakroom::{ClientAddress, ProxyHeader};

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// The address of the client, as the proxy appends it in each form.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const FORMS: [(ProxyHeader, &[&str]); 2] = [
    (
        ProxyHeader::XForwardedFor,
        &["203.0.113.7", "203.0.113.7:4711", "::ffff:203.0.113.7"],
    ),
    (
        ProxyHeader::Forwarded,
        &[
            "for=203.0.113.7",
            "for=\"203.0.113.7:4711\";proto=https",
            "by=10.0.0.1;For=\"[::ffff:203.0.113.7]\"",
        ],
    ),
];

/// Whatever a client sends in the header, one per line: when a trusted proxy has appended the address of the client, to the
/// last header or as one more, that is the one that counts. Without a proxy, the headers are not read.
///
/// # Panics
///
/// When that does not hold.
pub fn client_address(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    for (header, forms) in FORMS {
        let name = match header {
            ProxyHeader::Forwarded => FORWARDED,
            _ => HeaderName::from_static("x-forwarded-for"),
        };
        let find = |peer: IpAddr, headers: &HeaderMap| {
            let trusted = ["10.0.0.0/8".parse().expect("a network")];
            let address = ClientAddress::new(move |_| Some(peer));
            let address = address.trusting_proxies(trusted, header);
            address.of(headers, &Extensions::new())
        };
        let Some(forged) = headers(&name, &lines) else {
            return;
        };
        assert_eq!(find(CLIENT, &forged), Some(CLIENT), "no proxy has sent it");
        // It is some address, whatever it is.
        assert!(find(PROXY, &forged).is_some());
        for appended in forms {
            let mut own_line = forged.clone();
            own_line.append(&name, HeaderValue::from_static(appended));
            assert_eq!(find(PROXY, &own_line), Some(CLIENT), "in a header");
            let mut lines = lines.clone();
            let last = lines.pop().unwrap_or_default();
            let last = [last, b", ", appended.as_bytes()].concat();
            lines.push(&last);
            let same_line = headers(&name, &lines).expect("they are headers");
            assert_eq!(find(PROXY, &same_line), Some(CLIENT), "in the last header");
        }
    }
}

fn headers(name: &HeaderName, lines: &[&[u8]]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line).ok()?);
    }
    Some(headers)
}
