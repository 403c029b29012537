//! Which redirect targets stay on this site.

/// Whether a text is the path of a page of this site, with or without a query, and no browser reads it as the
/// address of another one (CWE-601).
///
/// Browsers take `//host` and `/\host` for another host, and remove tabs and line breaks before they read an
/// address (WHATWG URL, sections 4.4 and 4.5). So everything else than visible ASCII is refused, and so is a
/// backslash: the addresses of a site have them encoded.
pub(crate) fn is_local_path(text: &str) -> bool {
    let is_visible = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'\\';
    text.starts_with('/') && !text.starts_with("//") && text.bytes().all(is_visible)
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
            }
        }
    }

    #[test]
    fn paths_of_this_site_are_local() {
        for path in ["/", "/cart", "/a/b?c=d&e=%2F%2Fx#f", "/?next=//x", "/a//b"] {
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
