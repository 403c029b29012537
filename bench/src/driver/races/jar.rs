//! The cookies of one browser.

use std::collections::BTreeMap;

use http::header::SET_COOKIE;
use test_support::http::Response;

use crate::BoxError;

/// Cookies by name. Of several responses, the one that is taken last wins, as in a browser.
#[derive(Clone, Debug, Default)]
pub(super) struct CookieJar(BTreeMap<String, String>);

impl CookieJar {
    /// Takes the cookies that a response sets, and removes those that it removes.
    pub(super) fn take(&mut self, response: &Response) -> Result<(), BoxError> {
        for set in response.headers.get_all(SET_COOKIE) {
            let set = set.to_str()?;
            let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
            let (name, value) = pair.split_once('=').ok_or("a cookie without a name")?;
            let attributes = attributes.to_ascii_lowercase();
            let is_removed = value.is_empty()
                || attributes.contains("max-age=0")
                || attributes.contains("expires=thu, 01 jan 1970");
            if is_removed {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }

    /// The value of the `Cookie` header.
    pub(super) fn header(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn response(set: &'static str) -> Response {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, set.parse().expect("a header"));
        Response {
            status: StatusCode::OK,
            headers,
            body: String::new(),
        }
    }

    #[test]
    fn the_last_cookie_of_a_name_wins_and_removals_count() {
        let mut jar = CookieJar::default();
        for set in ["id=1; Path=/; Max-Age=60", "other=2", "id=3; Path=/"] {
            jar.take(&response(set)).expect("cookies");
        }
        assert_eq!(jar.header(), "id=3; other=2");
        jar.take(&response("id=; Path=/; Max-Age=0"))
            .expect("cookies");
        assert_eq!(jar.header(), "other=2");
    }
}
