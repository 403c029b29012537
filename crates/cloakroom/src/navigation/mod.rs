//! To the sign-in page and back: which requests load a page into a tab, and where they are redirected to.

mod local_path;
mod next;

use http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};

pub use self::local_path::{LocalPath, LocalPathError};
pub use self::next::Next;

use self::next::with_next;
use crate::error::{SessionError, SessionErrorKind};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// A page of the app's configuration; if it is not a path on this site, its text and what is wrong.
pub(crate) type Page = Result<LocalPath, (String, LocalPathError)>;

pub(crate) fn parse_page(text: &str) -> Page {
    text.parse().map_err(|error| (text.to_owned(), error))
}

/// The pages to which requests are redirected that need a signed-in user, or a recent sign-in.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) sign_in: Option<Page>,
    pub(crate) reauthentication: Option<Page>,
}

impl Pages {
    /// Whether there is any.
    pub(crate) const fn are_set(&self) -> bool {
        self.sign_in.is_some() || self.reauthentication.is_some()
    }

    /// Returns the page for an error.
    pub(crate) fn for_error(&self, error: &SessionError) -> Option<&LocalPath> {
        let page = match error.kind() {
            SessionErrorKind::NotSignedIn => self.sign_in.as_ref(),
            SessionErrorKind::ReauthenticationRequired => {
                self.reauthentication.as_ref().or(self.sign_in.as_ref())
            }
            _ => None,
        };
        page?.as_ref().ok()
    }
}

/// In the extensions of a refusal: it stays an error, also where the session layer has a sign-in page.
#[derive(Clone, Copy)]
pub(crate) struct WithoutRedirect;

/// A request that loads a page into a tab, and is not one of a script or of an app.
#[derive(Debug)]
pub(crate) struct Navigation {
    uri: Uri,
    /// Whether the browser may send it again after the sign-in: not a form.
    can_be_repeated: bool,
}

impl Navigation {
    /// Returns `None` for a request that does not load a page.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        if !loads_page(request.headers()) {
            return None;
        }
        Some(Self {
            uri: original_uri(request).clone(),
            can_be_repeated: matches!(*request.method(), Method::GET | Method::HEAD),
        })
    }

    /// Returns where to redirect to: a page, with the address of this request as `next` unless it is a form. `None` if
    /// this is that page. `prefix` is the path prefix that a reverse proxy has removed.
    pub(crate) fn location(&self, page: &LocalPath, prefix: Option<&str>) -> Option<HeaderValue> {
        let prefix = prefix.unwrap_or_default().trim_end_matches('/');
        let (path, query) = (self.uri.path(), self.uri.query());
        if format!("{prefix}{path}") == page.path() {
            return None;
        }
        let next = match query {
            Some(query) => format!("{prefix}{path}?{query}"),
            None => format!("{prefix}{path}"),
        };
        match next.parse() {
            Ok(next) if self.can_be_repeated => {
                let address = with_next(page, &next);
                Some(HeaderValue::try_from(address).expect("it is visible ASCII"))
            }
            _ => Some(page.to_header()),
        }
    }
}

/// Makes a response a redirect. It is a 303, so a form is not sent to the sign-in page.
pub(crate) fn redirect<B>(location: HeaderValue, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a browser is about to show the response. Without `Sec-Fetch-Mode` (old browsers, and plain HTTP), the
/// client has to name HTML among the types that it accepts.
fn loads_page(headers: &HeaderMap) -> bool {
    if let Some(mode) = headers.get(&SEC_FETCH_MODE) {
        return mode == "navigate";
    }
    let accepted = headers.get_all(ACCEPT).iter();
    let mut types = accepted.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    types.any(|one| {
        let name = one.split(|&byte| byte == b';').next().unwrap_or_default();
        let name = name.trim_ascii();
        name.eq_ignore_ascii_case(b"text/html")
            || name.eq_ignore_ascii_case(b"application/xhtml+xml")
    })
}

/// Returns the URI with what a nested router has removed from it.
fn original_uri<B>(request: &Request<B>) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = request.extensions().get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    request.uri()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn only_what_loads_a_page_is_redirected() {
        let html = "text/html,application/xhtml+xml,*/*;q=0.8";
        for (headers, expected) in [
            (&[("sec-fetch-mode", "navigate")][..], true),
            (&[("sec-fetch-mode", "navigate"), ("accept", "*/*")], true),
            (&[("sec-fetch-mode", "cors"), ("accept", html)], false),
            (
                &[("sec-fetch-mode", "no-cors"), ("accept", "image/*")],
                false,
            ),
            (&[("accept", html)], true),
            (&[("accept", "TEXT/HTML;q=0.9")], true),
            (&[("accept", "*/*")], false),
            (&[("accept", "application/json, text/plain")], false),
            (&[("accept", "text/html-like")], false),
            (&[], false),
        ] {
            let found = Navigation::of(&request(Method::GET, "/", headers));
            assert_eq!(found.is_some(), expected, "{headers:?}");
        }
    }

    fn location(method: Method, uri: &str, prefix: Option<&str>) -> Option<String> {
        let navigation = Navigation::of(&request(method, uri, &[("sec-fetch-mode", "navigate")]));
        let page = "/app/sign-in".parse().unwrap();
        let location = navigation.unwrap().location(&page, prefix)?;
        Some(location.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_address_of_a_page_is_kept_and_that_of_a_form_is_not() {
        let get = |uri: &str| location(Method::GET, uri, None).unwrap();
        assert_eq!(
            get("/orders?page=2"),
            "/app/sign-in?next=%2Forders%3Fpage%3D2"
        );
        assert_eq!(
            location(Method::HEAD, "/a", None).unwrap(),
            "/app/sign-in?next=%2Fa"
        );
        assert_eq!(location(Method::POST, "/a", None).unwrap(), "/app/sign-in");
        let behind_proxy = location(Method::GET, "/a", Some("/app/")).unwrap();
        assert_eq!(behind_proxy, "/app/sign-in?next=%2Fapp%2Fa");
        // A client may ask for such a path; it would lead to another site.
        for uri in ["//evil.example/", "/.//evil.example", "/a\\b"] {
            if uri.parse::<Uri>().is_ok() {
                assert_eq!(get(uri), "/app/sign-in", "{uri}");
            }
        }
        let long = format!("/{}", "x".repeat(LocalPath::MAX_LEN));
        assert_eq!(get(&long), "/app/sign-in");
    }

    #[test]
    fn the_sign_in_page_does_not_lead_to_itself() {
        assert_eq!(location(Method::GET, "/app/sign-in?next=%2Fa", None), None);
        assert_eq!(location(Method::GET, "/sign-in", Some("/app")), None);
        assert!(location(Method::GET, "/sign-in", None).is_some());
    }
}
