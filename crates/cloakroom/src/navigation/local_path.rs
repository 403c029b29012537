//! A path on this site, checked before a browser is redirected to it.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use http::HeaderValue;

/// A path on this site, with or without a query: safe to redirect to, also if it comes from the address of a request.
///
/// It begins with one `/`. Refused is everything that a browser could take for another site, and what it could turn
/// into that:
///
/// | refused | why |
/// |---|---|
/// | `https://evil.example`, `javascript:…`, `evil` | not a path |
/// | `//evil.example`, and `//` anywhere in the path | an address without a scheme |
/// | `/\evil.example`, and every other `\` | browsers read it as `/` |
/// | the segments `.` and `..`, also as `%2e` | browsers remove them, so that a `//` could come first |
/// | control characters, spaces, and what is not ASCII | browsers remove some of them; they cannot be in a header |
/// | more than [`MAX_LEN`](Self::MAX_LEN) bytes | |
///
/// ```
/// use cloakroom::LocalPath;
///
/// let path: LocalPath = "/orders?page=2".parse()?;
/// assert_eq!(path.as_str(), "/orders?page=2");
/// assert!("//evil.example".parse::<LocalPath>().is_err());
/// # Ok::<(), cloakroom::LocalPathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalPath(Box<str>);

impl LocalPath {
    /// The longest path with its query, in bytes.
    pub const MAX_LEN: usize = 2048;

    /// Returns the path with its query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path without the query and the fragment.
    pub(crate) fn path(&self) -> &str {
        path_of(&self.0)
    }

    /// Returns the value of a `Location` header.
    pub(crate) fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("it is visible ASCII")
    }
}

fn path_of(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

impl FromStr for LocalPath {
    type Err = LocalPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_LEN {
            return Err(LocalPathError("it is too long"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(LocalPathError(
                "it has a character that a URL cannot contain",
            ));
        }
        if !text.starts_with('/') {
            return Err(LocalPathError("it does not begin with `/`"));
        }
        if text.contains('\\') {
            return Err(LocalPathError("browsers read its `\\` as `/`"));
        }
        let mut segments = path_of(text)[1..].split('/').peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_some() {
                return Err(LocalPathError("it has an empty segment"));
            }
            if matches!(
                &*segment.to_ascii_lowercase().replace("%2e", "."),
                "." | ".."
            ) {
                return Err(LocalPathError("it has a segment of dots"));
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a [`LocalPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPathError(&'static str);

impl fmt::Display for LocalPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a path on this site: {}", self.0)
    }
}

impl Error for LocalPathError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn paths_on_this_site_are_accepted() {
        for text in [
            "/",
            "/orders",
            "/orders/",
            "/orders?page=2&next=//evil.example",
            "/a#b",
            "/.well-known/x",
            "/a..b",
            "/search?q=%2F%2Fevil.example",
        ] {
            assert_eq!(
                text.parse::<LocalPath>().map(|path| path.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn what_may_lead_to_another_site_is_refused() {
        for text in [
            "",
            "evil.example",
            "https://evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\\b",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/ /evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/%2e%2E/x",
            "/./x",
            "/a//b",
            "/\u{0}",
            "/\u{7f}",
            "/ä",
            "/a\r\nSet-Cookie: id=1",
        ] {
            assert!(text.parse::<LocalPath>().is_err(), "{text:?}");
        }
        let longest = format!("/{}", "x".repeat(LocalPath::MAX_LEN - 1));
        assert!(longest.parse::<LocalPath>().is_ok());
        assert!(format!("{longest}x").parse::<LocalPath>().is_err());
    }

    proptest! {
        /// The URL standard's own reading of the path, as browsers have it.
        #[test]
        fn browsers_stay_on_the_site(text in any::<String>(), rest in r"[/\\.%2eE\t\r\na:@?#]{0,12}") {
            let base = url::Url::parse("https://shop.example/sign-in").unwrap();
            for text in [text, format!("/{rest}"), rest] {
                if let Ok(path) = text.parse::<LocalPath>() {
                    let target = base.join(path.as_str()).unwrap();
                    assert_eq!(target.origin(), base.origin(), "{path}");
                    assert!(!target.path().starts_with("//"), "{path}");
                }
            }
        }
    }
}
