//! Where a user goes after the sign-in: the parameter `next` of the sign-in page.

use std::fmt;

use http::Uri;
use serde::{Deserialize, Deserializer};

use super::local_path::LocalPath;

/// The name of the parameter.
const NAME: &str = "next";

/// Where a user goes after the sign-in: the parameter `next` of the sign-in page's query, if it is a [`LocalPath`].
///
/// Anything else counts as absent, and is no error: a link to another site leads to the app's own page instead. It
/// is an extractor, and a field of a form or a query that `serde` reads. A form without an `action` is sent
/// to the address of its page, so that the query is there again.
///
/// ```
/// use axum::response::Redirect;
/// use cloakroom::{Next, Session, SessionError};
///
/// async fn sign_in(session: Session, next: Next) -> Result<Redirect, SessionError> {
///     // … after the password was checked:
///     session.sign_in("ada").await?;
///     Ok(Redirect::to(next.or("/account")))
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next(Option<LocalPath>);

impl Next {
    /// Reads the parameter of a query. Of several, the first one counts.
    #[must_use]
    pub fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let next = parameters.find(|(name, _)| name == NAME);
        Self(next.and_then(|(_, value)| value.parse().ok()))
    }

    /// Returns the path; `None` if there is none, or it was refused.
    #[must_use]
    pub const fn path(&self) -> Option<&LocalPath> {
        self.0.as_ref()
    }

    /// Returns the path, or `page` if there is none.
    #[must_use]
    pub fn or<'a>(&'a self, page: &'a str) -> &'a str {
        self.0.as_ref().map_or(page, LocalPath::as_str)
    }
}

impl From<LocalPath> for Next {
    fn from(path: LocalPath) -> Self {
        Self(Some(path))
    }
}

impl fmt::Display for Next {
    /// Writes the path, or nothing: for a hidden field of the form. Templates have to escape it as any text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.or(""))
    }
}

impl<'de> Deserialize<'de> for Next {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(text.parse().ok()))
    }
}

/// Returns the address of a page with `next` in its query.
pub(super) fn with_next(page: &LocalPath, next: &LocalPath) -> String {
    let (page, fragment) = match page.as_str().split_once('#') {
        Some((page, fragment)) => (page, Some(fragment)),
        None => (page.as_str(), None),
    };
    let separator = if page.contains('?') { '&' } else { '?' };
    let value: String = form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect();
    let mut address = format!("{page}{separator}{NAME}={value}");
    if let Some(fragment) = fragment {
        address.push('#');
        address.push_str(fragment);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_in(query: &str) -> Option<String> {
        let uri: Uri = format!("/sign-in?{query}").parse().unwrap();
        Next::of(&uri).path().map(ToString::to_string)
    }

    #[test]
    fn only_a_path_on_this_site_is_accepted() {
        assert_eq!(
            next_in("next=%2Forders%3Fpage%3D2"),
            Some("/orders?page=2".to_owned())
        );
        assert_eq!(next_in("a=b&next=/orders"), Some("/orders".to_owned()));
        for query in [
            "",
            "a=b",
            "next=",
            "next=https://evil.example",
            "next=%2F%2Fevil.example",
            "next=/%5Cevil.example",
            "next=/%09/evil.example",
            "next=%0a//evil.example",
            "next=//evil.example&next=/orders",
        ] {
            assert_eq!(next_in(query), None, "{query}");
        }
    }

    #[test]
    fn the_path_survives_the_query_of_the_sign_in_page() {
        for next in ["/", "/a?b=c&d=%20e+f", "/a?next=/b", "/a;b=c"] {
            let next: LocalPath = next.parse().unwrap();
            for page in ["/sign-in", "/sign-in?again", "/sign-in?a=b#form"] {
                let address = with_next(&page.parse().unwrap(), &next);
                assert!(address.parse::<LocalPath>().is_ok(), "{address}");
                let found = Next::of(&address.split('#').next().unwrap().parse().unwrap());
                assert_eq!(found.path(), Some(&next));
            }
        }
    }
}
