//! The configuration of the session cookie.

use cloakroom_core::Timestamp;
use cookie::SameSite;

#[cfg(feature = "sealed-cookies")]
use super::seal::CookieKey;
use super::seal::Seal;
use crate::error::{ConfigError, ConfigErrorKind};

/// The cookie that carries the token: its name, its attributes, and whether it is signed or encrypted.
///
/// The default is named `__Host-Http-id` and is `Secure`, `HttpOnly`, `SameSite=Lax`, `Path=/`,
/// without `Domain`, and deleted when the browser closes (ASVS 5.0, 3.3.1 to 3.3.4). Scripts
/// cannot set a cookie of that name in browsers that know the `__Host-Http-` prefix; the others
/// still apply the rules of `__Host-` (RFC 6265bis, section 4.1.3).
///
/// A browser sends several cookies of one name if they were set for several paths or domains. Up to
/// eight well-formed ones are looked up, and the session of the only live one is used. If there are
/// two or more live sessions, none is used, since one may have been planted: a warning is logged, edits
/// are discarded ([`EndedConcurrently`](crate::EndedConcurrently)), and the next sign-in or sign-out ends
/// all of them.
///
/// What browsers would refuse is an error in
/// [`SessionLayerBuilder::build`](crate::SessionLayerBuilder::build). A choice that gives up a
/// protection has `insecure` in its name.
///
/// ```
/// use cloakroom::{CookieConfig, MemoryStore, SameSite, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_cookie(CookieConfig::new("__Host-Http-shop").with_same_site(SameSite::Strict))
///     .build()?;
///
/// let refused = SessionLayer::builder(MemoryStore::new())
///     .with_cookie(CookieConfig::new("__Host-shop").with_domain("example.com"))
///     .build();
/// assert!(refused.unwrap_err().to_string().contains("Domain"));
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CookieConfig {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) domain: Option<String>,
    pub(super) same_site: SameSite,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) partitioned: bool,
    pub(super) lifetime: CookieLifetime,
    pub(super) seal: Seal,
    pub(super) former: Vec<FormerCookie>,
}

/// A former cookie.
#[derive(Clone, Debug)]
pub(super) struct FormerCookie {
    pub(super) cookie: CookieConfig,
    /// Until then, responses set it.
    pub(super) set_until: Timestamp,
    /// Until then, requests may present it.
    pub(super) accepted_until: Timestamp,
}

/// How long the browser keeps the cookie. The expiry of the session does not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieLifetime {
    /// Until the browser closes; the default. Browsers that restore their tabs may keep it longer.
    #[default]
    BrowserSession,
    /// Until the session's absolute deadline, by `Max-Age`. So a session in use needs no new cookie.
    Persistent,
}

/// The longest cookie that browsers accept, name and value together, in bytes (RFC 6265bis, section 5.6).
pub(crate) const MAX_PAIR_LEN: usize = 4096;
/// The longest attribute value that browsers accept, in bytes.
const MAX_ATTRIBUTE_LEN: usize = 1024;

impl CookieConfig {
    /// The name of the default cookie.
    pub const DEFAULT_NAME: &'static str = "__Host-Http-id";

    /// Creates a cookie of this name, with the default attributes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            domain: None,
            same_site: SameSite::Lax,
            secure: true,
            http_only: true,
            partitioned: false,
            lifetime: CookieLifetime::BrowserSession,
            seal: Seal::Plain,
            former: Vec::new(),
        }
    }

    /// Sends the cookie only to this path and below it. Default: `/`. It does not protect against other
    /// paths of the same origin.
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sends the cookie to this domain and its subdomains. Default: none, only the host, which is safer. The
    /// name must not begin with `__Host-` then. Browsers refuse the cookie on hosts outside of the domain: a
    /// warning is logged once, and changes are discarded where the request proves it
    /// ([`EditsDiscarded::CookieRefused`](crate::EditsDiscarded::CookieRefused)).
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets whether requests from other sites carry the cookie. Default: `Lax`.
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets whether each site that embeds this one has a cookie of its own (CHIPS). Default: no.
    pub fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Sets how long the browser keeps the cookie. Default: until it closes.
    ///
    /// A session whose expiry was chosen with [`Session::set_expiry`](crate::Session::set_expiry)
    /// always has a persistent cookie.
    pub fn with_lifetime(mut self, lifetime: CookieLifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sends the cookie over plain HTTP as well, where it can be intercepted. For local development with
    /// Safari; other browsers accept `Secure` cookies from `localhost`. The name must not have a prefix
    /// then, such as `__Host-`.
    pub fn insecure_over_http(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Leaves out `HttpOnly`, so that scripts in the page can read the cookie, and an injected one can
    /// steal it.
    pub fn insecure_without_http_only(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Signs the cookie (HMAC-SHA256): the first key signs, all verify, so keys can be rotated. A cookie
    /// without a valid signature is ignored, and costs no store command.
    #[cfg(feature = "sealed-cookies")]
    pub fn signed(mut self, keys: impl IntoIterator<Item = CookieKey>) -> Self {
        self.seal = Seal::Signed(keys.into_iter().collect());
        self
    }

    /// Encrypts the cookie (AES-256-GCM): the first key encrypts, all decrypt. The session id
    /// cannot be read from it then.
    #[cfg(feature = "sealed-cookies")]
    pub fn encrypted(mut self, keys: impl IntoIterator<Item = CookieKey>) -> Self {
        self.seal = Seal::Encrypted(keys.into_iter().collect());
        self
    }

    /// Returns the name of the cookie.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the same cookie under another name.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// Checks that browsers accept the cookie.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.validate_texts()?;
        self.validate_prefix()?;
        self.validate_attributes()?;
        self.seal.validate()?;
        self.validate_former()?;
        let pair = self.name.len() + self.seal.sealed_len();
        if pair > MAX_PAIR_LEN {
            return Err(ConfigError::new(
                ConfigErrorKind::CookieTooLong,
                format!(
                    "the cookie would have {pair} bytes, and browsers accept at most {MAX_PAIR_LEN}: choose a shorter name"
                ),
            ));
        }
        Ok(())
    }

    /// No character in a name or an attribute may terminate it early (CVE-2024-47764).
    fn validate_texts(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            return Err(text_error(
                "name",
                &self.name,
                "it must be one or more of the characters of an HTTP token (RFC 9110, section 5.6.2)",
            ));
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(is_attribute_byte) {
            return Err(text_error(
                "path",
                &self.path,
                "it must begin with `/` and contain no `;` and no control characters",
            ));
        }
        if let Some(domain) = &self.domain {
            let is_host_byte =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            if domain.is_empty() || domain.starts_with('.') || !domain.bytes().all(is_host_byte) {
                return Err(text_error(
                    "domain",
                    domain,
                    "it must be a host name in ASCII, without a leading dot",
                ));
            }
        }
        let longest = self
            .path
            .len()
            .max(self.domain.as_deref().map_or(0, str::len));
        if longest > MAX_ATTRIBUTE_LEN {
            return Err(ConfigError::new(
                ConfigErrorKind::CookieTooLong,
                format!(
                    "an attribute of the cookie has {longest} bytes, and browsers accept at most {MAX_ATTRIBUTE_LEN}"
                ),
            ));
        }
        Ok(())
    }

    /// Browsers compare prefixes case-insensitively (RFC 6265bis, section 5.7).
    fn validate_prefix(&self) -> Result<(), ConfigError> {
        let name = self.name.to_ascii_lowercase();
        let host = name.starts_with("__host-");
        let http = name.starts_with("__http-") || name.starts_with("__host-http-");
        let secure = host || http || name.starts_with("__secure-");
        let broken = if secure && !self.secure {
            "the cookie to be Secure: choose a name without a prefix for plain HTTP"
        } else if http && !self.http_only {
            "the cookie to be HttpOnly"
        } else if host && self.domain.is_some() {
            "the cookie to have no Domain: choose the prefix `__Secure-` to share it with subdomains"
        } else if host && self.path != "/" {
            "the cookie's Path to be `/`"
        } else {
            return Ok(());
        };
        Err(ConfigError::new(
            ConfigErrorKind::CookieRefused,
            format!(
                "the prefix of the cookie's name `{}` requires {broken}",
                self.name
            ),
        ))
    }

    fn validate_attributes(&self) -> Result<(), ConfigError> {
        let broken = if self.same_site == SameSite::None && !self.secure {
            "SameSite=None"
        } else if self.partitioned && !self.secure {
            "Partitioned"
        } else {
            return Ok(());
        };
        Err(ConfigError::new(
            ConfigErrorKind::CookieRefused,
            format!("browsers refuse a cookie with {broken} that is not Secure"),
        ))
    }
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new(Self::DEFAULT_NAME)
    }
}

fn text_error(what: &str, text: &str, rule: &str) -> ConfigError {
    ConfigError::new(
        ConfigErrorKind::CookieText,
        format!("the cookie's {what} cannot be {text:?}: {rule}"),
    )
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_attribute_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b';'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(config: &CookieConfig) -> Option<ConfigErrorKind> {
        config.validate().err().map(|error| error.kind())
    }

    #[test]
    fn the_default_is_safe_and_valid() {
        let config = CookieConfig::default();
        assert_eq!(kind(&config), None);
        assert!(config.secure && config.http_only && config.domain.is_none());
    }

    #[test]
    fn what_browsers_reject_is_an_error() {
        use ConfigErrorKind::{CookieRefused, CookieTooLong};
        let named = |name: &str| CookieConfig::new(name);
        let refused = [
            named("__Host-id").with_domain("example.com"),
            named("__host-id").with_path("/app"),
            named("__HOST-Http-id").insecure_without_http_only(),
            named("__Http-id").insecure_without_http_only(),
            named("__Http-id").insecure_over_http(),
            named("__Secure-id").insecure_over_http(),
            named("id")
                .insecure_over_http()
                .with_same_site(SameSite::None),
            named("id").insecure_over_http().with_partitioned(true),
        ];
        for config in refused {
            assert_eq!(kind(&config), Some(CookieRefused), "{config:?}");
        }
        let long = [
            named(&"n".repeat(4096 - 42)),
            named("id").with_path(format!("/{}", "p".repeat(1024))),
        ];
        for config in long {
            assert_eq!(kind(&config), Some(CookieTooLong));
        }
        let accepted = [
            named(&"n".repeat(4096 - 43)),
            named("__Secure-id").with_domain("example.com"),
            named("__Http-id").with_path("/app"),
            named("id").insecure_over_http(),
            named("id")
                .with_same_site(SameSite::None)
                .with_partitioned(true),
        ];
        for config in accepted {
            assert_eq!(kind(&config), None, "{config:?}");
        }
    }

    #[test]
    fn no_character_can_terminate_a_text_early() {
        let named = CookieConfig::new;
        for name in ["", " ", "a b", "a=b", "a;b", "a\r\nb", "ä", "a,b", "\"a\""] {
            assert_eq!(kind(&named(name)), Some(ConfigErrorKind::CookieText));
        }
        for path in ["", "app", "/a;b", "/a\r\nSet-Cookie: x=y", "/ä", "/\0"] {
            let config = named("id").with_path(path);
            assert_eq!(kind(&config), Some(ConfigErrorKind::CookieText));
        }
        for domain in ["", ".example.com", "a;b", "a b", "exämple.com", "a\n"] {
            let config = named("id").with_domain(domain);
            assert_eq!(kind(&config), Some(ConfigErrorKind::CookieText));
        }
    }
}
