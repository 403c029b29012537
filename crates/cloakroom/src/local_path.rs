//! Which redirect targets stay on this site.

/// Whether a text is the path of a page of this site, with or without a query, and no browser reads it as the
/// address of another one (CWE-601).
///
/// Browsers take `//host` and `/\host` for another host, and remove tabs and line breaks before they read an
/// address (WHATWG URL, sections 4.4 and 4.5). So everything else than visible ASCII is refused, and so is a
/// backslash: the addresses of a site have them encoded. Empty segments and segments of dots are refused as well: they
/// stay on the site, but a browser would make a path of them that begins with `//`, which must not be redirected to again.
pub(crate) fn is_local_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let has_no_empty_segment = path.starts_with('/') && !path.contains("//");
    has_no_empty_segment && text.bytes().all(is_plain) && !path.split('/').any(is_dots)
}

/// Whether a segment is `.` or `..`, encoded or not.
fn is_dots(segment: &str) -> bool {
    let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(&*decoded, "." | "..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    proptest! {
        /// As browsers read it: a local path stays on the site, whatever page redirects to it.
        #[test]
        fn a_local_path_never_leaves_the_site(
            text in r"/[/\\.:@?#%&=\t\n ae2F-]{0,12}|\PC{0,12}",
            base in "https://shop\\.example/[a-z/]{0,8}",
        ) {
            if is_local_path(&text) {
                let base = Url::parse(&base).expect("a URL");
                let target = base.join(&text).expect("a path is always a reference");
                prop_assert_eq!(target.origin(), base.origin());
                prop_assert!(!target.path().starts_with("//"));
            }
        }
    }

    #[test]
    fn paths_of_this_site_are_local() {
        for path in [
            "/",
            "/cart",
            "/a/b/?c=d&e=%2F%2Fx#f",
            "/?next=//x/../y",
            "/.a/..b",
        ] {
            assert!(is_local_path(path), "{path}");
        }
    }

    #[test]
    fn what_may_lead_to_another_site_is_not_local() {
        for text in [
            "",
            "cart",
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/ /evil.example",
            "/a\\b",
            "/a//b",
            "/..//evil.example",
            "/a/%2E./%2e",
            "/.",
            "/\u{0}",
            "/\u{2028}",
            "/ä",
            "javascript:alert(1)",
            "?//evil.example",
        ] {
            assert!(!is_local_path(text), "{text:?}");
        }
    }
}
