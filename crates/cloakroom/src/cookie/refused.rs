//! Cookies that a browser does not accept from the page that it has requested.
//!
//! Each request of such a browser looks like one of a new visitor. So that not each of them stores a session,
//! none is created without a sign-in, where the request proves it: a proxy may replace `Host`, and only it knows
//! of TLS in front of the app, but the header `origin` is the browser's own.

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use super::config::CookieConfig;

pub(super) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the browser that has sent a request does not accept the cookie, by the header `origin` of a request to the
/// same origin.
pub(super) fn is_refused(config: &CookieConfig, headers: &HeaderMap) -> bool {
    if config.domain.is_none() && !config.secure {
        return false;
    }
    let Some((scheme, authority)) = origin_of(headers) else {
        return false;
    };
    let host = host_of(authority);
    let is_outside = !is_within_domain(config, host);
    let is_insecure = config.secure && scheme == "http" && !is_this_machine(host);
    (is_outside || is_insecure) && is_same_origin(authority, headers)
}

/// Whether the `Host` of a request is not within the cookie's `Domain`. Behind a proxy that replaces `Host`, the
/// browser may see another one.
pub(crate) fn is_host_outside_domain(config: &CookieConfig, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| !is_within_domain(config, host_of(host)))
}

/// Whether a host may set the cookie for its `Domain` (RFC 6265bis, section 5.1.3).
fn is_within_domain(config: &CookieConfig, host: &str) -> bool {
    let Some(domain) = &config.domain else {
        return true;
    };
    let (host, domain) = (host.as_bytes(), domain.as_bytes());
    let Some(start) = host.len().checked_sub(domain.len()) else {
        return false;
    };
    let (rest, end) = host.split_at(start);
    end.eq_ignore_ascii_case(domain) && (rest.is_empty() || rest.ends_with(b"."))
}

fn origin_of(headers: &HeaderMap) -> Option<(&str, &str)> {
    let origin = headers.get(ORIGIN)?.to_str().ok()?;
    origin.split_once("://")
}

/// Whether a request goes to the origin of its page: by `Sec-Fetch-Site`, or, over plain HTTP, where browsers do
/// not send that, because `Host` is the same.
fn is_same_origin(authority: &str, headers: &HeaderMap) -> bool {
    match headers.get(&SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => headers
            .get(HOST)
            .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())),
    }
}

/// Returns the host without the port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether browsers may accept a `Secure` cookie from this host over plain HTTP.
fn is_this_machine(host: &str) -> bool {
    let is_local_name = host == "localhost" || host.ends_with(".localhost");
    is_local_name || host.starts_with("127.") || host == "[::1]"
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.map(pair).collect()
    }

    fn same_origin(origin: &'static str) -> HeaderMap {
        headers(&[("origin", origin), ("sec-fetch-site", "same-origin")])
    }

    #[test]
    fn a_domain_includes_itself_and_what_is_below() {
        let config = CookieConfig::new("id").with_domain("example.com");
        for (host, expected) in [
            ("example.com", true),
            ("EXAMPLE.com:8443", true),
            ("www.example.com", true),
            ("badexample.com", false),
            ("example.org", false),
            ("com", false),
            ("127.0.0.1:3000", false),
            ("[::1]:3000", false),
            ("example.com:x", false),
        ] {
            let found = !is_host_outside_domain(&config, &headers(&[("host", host)]));
            assert_eq!(found, expected, "{host}");
        }
        assert!(!is_host_outside_domain(&config, &HeaderMap::new()));
    }

    #[test]
    fn a_domain_without_the_host_is_refused_if_the_browser_names_the_host() {
        let config = CookieConfig::new("id").with_domain("example.com");
        assert!(is_refused(&config, &same_origin("https://shop.test")));
        assert!(!is_refused(
            &config,
            &same_origin("https://www.example.com")
        ));
        // A proxy may have replaced `Host`, and a page of another site says nothing.
        assert!(!is_refused(&config, &headers(&[("host", "shop.test")])));
        let other = [
            ("origin", "https://shop.test"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(!is_refused(&config, &headers(&other)));
    }

    #[test]
    fn a_secure_cookie_is_refused_over_plain_http() {
        let plain = |host: &'static str, origin| headers(&[("host", host), ("origin", origin)]);
        let page = plain("shop.test:3000", "http://shop.test:3000");
        assert!(is_refused(&CookieConfig::default(), &page));
        let insecure = CookieConfig::new("id").insecure_over_http();
        assert!(!is_refused(&insecure, &page));
        for accepted in [
            plain("localhost:3000", "http://localhost:3000"),
            plain("127.0.0.1:3000", "http://127.0.0.1:3000"),
            plain("[::1]:3000", "http://[::1]:3000"),
            plain("shop.test", "https://shop.test"),
            // From a page of another origin, to a server that may be reached over TLS.
            plain("api.shop.test", "http://shop.test"),
            plain("shop.test", "null"),
        ] {
            assert!(
                !is_refused(&CookieConfig::default(), &accepted),
                "{accepted:?}"
            );
        }
    }
}
