//! Arbitrary text as the page to which a browser is redirected after a sign-in.

use std::str;

use cloakroom::LocalPath;
use url::Url;

/// A text that is accepted leads to this site, by the rules with which browsers read it, and stays what it is.
///
/// # Panics
///
/// When that does not hold.
pub fn local_path(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(path) = text.parse::<LocalPath>() else {
        return;
    };
    assert_eq!(path.as_str(), text);
    for base in [
        "https://www.shop.example/",
        "https://www.shop.example/a/b?c#d",
    ] {
        let base = Url::parse(base).expect("it is a URL");
        let target = base.join(text).expect("it is one, too");
        assert_eq!(target.origin(), base.origin(), "{target}");
        assert!(target.username().is_empty() && target.password().is_none());
        // What it leads to is not another site either when its own path is read as an address.
        assert!(!target.path().starts_with("//"), "{target}");
    }
}
