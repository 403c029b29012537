//! Requests whose browser may hold a session cookie that it did not send, or does not accept one.
//!
//! For such a request, "there is no cookie" does not mean that the browser has none: a `Set-Cookie` could
//! replace the cookie of a signed-in user. A browser that accepts no cookie would get a new session each time.

use std::borrow::Cow;

use cookie::SameSite;
use http::{HeaderMap, Method, Request};

use super::config::CookieConfig;
use super::refused::{SEC_FETCH_SITE, is_refused};

/// In the extensions of a response: the edits of this request were discarded, since the browser may hold a
/// session cookie that it did not send with the request, and a new session's cookie would replace it; or since
/// the browser does not accept the cookie.
///
/// Only [`Session::sign_in`](crate::Session::sign_in) creates a session in such a request. The response is
/// the handler's. [`Session::save`](crate::Session::save) returns
/// [`Saved::Discarded`](crate::Saved::Discarded), and what needs a stored session is a
/// [`NotCreated`](crate::SessionErrorKind::NotCreated) error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditsDiscarded {
    /// A page of another site has caused the request (`Sec-Fetch-Site: cross-site`), and browsers withhold
    /// the cookie from such requests by its `SameSite` attribute: with `Lax` unless the request is the
    /// navigation of a tab by `GET`, with `Strict` always, with `None` never.
    CrossSite,
    /// The path of the request is not within the cookie's `Path`.
    OutsideCookiePath,
    /// The browser does not accept the cookie from this page: its `Domain` does not include the host, or it is
    /// `Secure` and the page came over plain HTTP from another machine. The header `origin` of a
    /// request to the same origin, such as a form, shows it; a warning is logged once.
    CookieRefused,
}

impl EditsDiscarded {
    /// The label in logs and metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::CrossSite => "cross_site",
            Self::OutsideCookiePath => "outside_cookie_path",
            Self::CookieRefused => "cookie_refused",
        }
    }
}

/// Returns why the browser may not have sent its cookie with a request, or does not accept it. `prefix` is the
/// path prefix that a reverse proxy has removed.
///
/// It is computed for every request, since the headers are the handler's from then on: two look-ups.
pub(crate) fn withheld<B>(
    config: &CookieConfig,
    request: &Request<B>,
    prefix: Option<&str>,
) -> Option<EditsDiscarded> {
    if is_withheld_cross_site(config.same_site, request.method(), request.headers()) {
        return Some(EditsDiscarded::CrossSite);
    }
    if config.path != "/" && !covers(&config.path, &path_of(request, prefix)) {
        return Some(EditsDiscarded::OutsideCookiePath);
    }
    is_refused(config, request.headers()).then_some(EditsDiscarded::CookieRefused)
}

/// Whether a page of another site has caused a request, and its browser does not send a cookie with this
/// attribute (RFC 6265bis, section 5.6.7). Requests without `Sec-Fetch-Site` come from clients that are
/// not browsers, from old browsers, or over plain HTTP.
fn is_withheld_cross_site(same_site: SameSite, method: &Method, headers: &HeaderMap) -> bool {
    let site = headers.get(&SEC_FETCH_SITE);
    let is_cross_site = site.is_some_and(|site| site == "cross-site");
    match same_site {
        SameSite::Strict => is_cross_site,
        SameSite::Lax => is_cross_site && !is_link(method, headers),
        SameSite::None => false,
    }
}

/// Whether a request navigates a tab by a safe method: a link, or a form that is sent by `GET`. What is
/// embedded in a page has another destination.
fn is_link(method: &Method, headers: &HeaderMap) -> bool {
    let destination = headers.get("sec-fetch-dest");
    method.is_safe() && destination.is_none_or(|destination| destination == "document")
}

/// Returns the path as the browser sees it: without what a router or a reverse proxy has removed.
fn path_of<'a, B>(request: &'a Request<B>, prefix: Option<&str>) -> Cow<'a, str> {
    #[cfg(feature = "axum")]
    let original = request.extensions().get::<axum::extract::OriginalUri>();
    #[cfg(feature = "axum")]
    let path = original
        .map_or(request.uri(), |original| &original.0)
        .path();
    #[cfg(not(feature = "axum"))]
    let path = request.uri().path();
    match prefix {
        Some(prefix) => Cow::Owned(format!("{}{path}", prefix.trim_end_matches('/'))),
        None => Cow::Borrowed(path),
    }
}

/// Whether a browser sends a cookie of this `Path` to a page (RFC 6265bis, section 5.1.4).
fn covers(cookie_path: &str, path: &str) -> bool {
    let rest = path.strip_prefix(cookie_path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    fn request(method: Method, uri: &str, headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().expect("a URI");
        for &(name, value) in headers {
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        request
    }

    fn is_withheld(
        same_site: SameSite,
        method: Method,
        site: &'static str,
        dest: &'static str,
    ) -> bool {
        let config = CookieConfig::new("id").with_same_site(same_site);
        let headers = [("sec-fetch-site", site), ("sec-fetch-dest", dest)];
        withheld(&config, &request(method, "/", &headers), None).is_some()
    }

    #[test]
    fn cookies_are_withheld_as_by_browsers() {
        use SameSite::{Lax, None, Strict};
        let (get, head, post) = (Method::GET, Method::HEAD, Method::POST);
        for (same_site, method, dest, expected) in [
            (Lax, &get, "document", false),
            (Lax, &head, "document", false),
            (Lax, &post, "document", true),
            (Lax, &get, "image", true),
            (Lax, &get, "iframe", true),
            (Lax, &get, "empty", true),
            (Strict, &get, "document", true),
            (Strict, &post, "document", true),
            (None, &get, "image", false),
            (None, &post, "document", false),
        ] {
            let found = is_withheld(same_site, method.clone(), "cross-site", dest);
            assert_eq!(found, expected, "{same_site} {method} {dest}");
            for site in ["same-origin", "same-site", "none", "Cross-Site", ""] {
                assert!(
                    !is_withheld(same_site, method.clone(), site, dest),
                    "{site}"
                );
            }
        }
    }

    #[test]
    fn a_browser_that_names_no_destination_follows_a_link() {
        let config = CookieConfig::new("id");
        let headers = [("sec-fetch-site", "cross-site")];
        assert_eq!(
            withheld(&config, &request(Method::GET, "/", &headers), None),
            None
        );
        let post = request(Method::POST, "/", &headers);
        assert_eq!(
            withheld(&config, &post, None),
            Some(EditsDiscarded::CrossSite)
        );
    }

    #[test]
    fn a_path_covers_itself_and_what_is_below() {
        for (cookie_path, path, expected) in [
            ("/", "/", true),
            ("/", "/app", true),
            ("/app", "/app", true),
            ("/app", "/app/", true),
            ("/app", "/app/cart", true),
            ("/app/", "/app/cart", true),
            ("/app/", "/app", false),
            ("/app", "/application", false),
            ("/app", "/", false),
            ("/app", "/App", false),
            ("/app", "/other/app", false),
        ] {
            let config = CookieConfig::new("id").with_path(cookie_path);
            let found = withheld(&config, &request(Method::GET, path, &[]), None);
            assert_eq!(found.is_none(), expected, "{cookie_path} {path}");
        }
    }

    #[test]
    fn a_removed_prefix_counts() {
        let config = CookieConfig::new("id").with_path("/app");
        let page = request(Method::GET, "/cart?a=b", &[]);
        assert_eq!(withheld(&config, &page, Some("/app")), None);
        assert_eq!(withheld(&config, &page, Some("/app/")), None);
        let other = withheld(&config, &page, Some("/other"));
        assert_eq!(other, Some(EditsDiscarded::OutsideCookiePath));
    }
}
