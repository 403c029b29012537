//! What browsers keep of the pages of signed-in users.

use http::HeaderValue;

/// Whether browsers may store the pages of signed-in users, for
/// [`with_cache_policy`](crate::SessionLayerBuilder::with_cache_policy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CachePolicy {
    /// The app decides; the default. Without `Cache-Control`, browsers may store a page, and show it again.
    #[default]
    Unchanged,
    /// `Cache-Control: no-store`: the browser does not store them. Chromium still keeps pages in memory as they were, for the
    /// Back button: `docs/signing-out.md` in the repository has the script that loads them again.
    NoStore,
    /// `Cache-Control: private, no-cache`: the browser may store them for its user, has to ask before it uses them, and may show
    /// them with the Back button. Shared caches may not store them.
    Private,
}

impl CachePolicy {
    pub(crate) const fn value(self) -> Option<HeaderValue> {
        match self {
            Self::Unchanged => None,
            Self::NoStore => Some(HeaderValue::from_static("no-store")),
            Self::Private => Some(HeaderValue::from_static("private, no-cache")),
        }
    }
}

/// What a browser removes of this site at a sign-out, for
/// [`with_clear_site_data`](crate::SessionLayerBuilder::with_clear_site_data): the directives of `Clear-Site-Data`.
///
/// Its directive `"cookies"` is not among them: it removes all cookies of the domain, also those of other apps. The layer removes its
/// own.
///
/// ```
/// use cloakroom::{ClearSiteData, MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_clear_site_data(ClearSiteData::cache().and(ClearSiteData::storage()))
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClearSiteData {
    cache: bool,
    storage: bool,
}

impl ClearSiteData {
    /// Stored responses: `"cache"`. It can take a browser with a large cache seconds.
    #[must_use]
    pub const fn cache() -> Self {
        Self {
            cache: true,
            storage: false,
        }
    }

    /// What scripts have stored (`localStorage`, `IndexedDB` and others), and service workers: `"storage"`.
    #[must_use]
    pub const fn storage() -> Self {
        Self {
            cache: false,
            storage: true,
        }
    }

    /// Both of two.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            cache: self.cache || other.cache,
            storage: self.storage || other.storage,
        }
    }

    pub(crate) const fn value(self) -> HeaderValue {
        HeaderValue::from_static(match (self.cache, self.storage) {
            (true, true) => "\"cache\", \"storage\"",
            (false, true) => "\"storage\"",
            (_, false) => "\"cache\"",
        })
    }
}
