//! The cookies of a browser, by the rules of RFC 6265 (and of 6265bis for `SameSite` and the prefixes of
//! names). `Expires` and a `Max-Age` above zero are ignored: no cookie expires by itself.

use http::Method;

/// The cookies of one browser.
#[derive(Clone, Debug, Default)]
pub struct CookieJar {
    cookies: Vec<StoredCookie>,
    stored: u64,
}

/// A cookie, as a browser stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host that set it, or the value of `Domain`.
    pub domain: String,
    /// Whether it goes to that host alone.
    pub host_only: bool,
    /// The value of `Path`, or the folder of the page that set it.
    pub path: String,
    /// Whether it goes over TLS alone.
    pub secure: bool,
    same_site: SameSite,
    created: u64,
}

/// When a cookie goes to another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    Strict,
    Lax,
    None,
}

/// A request, as far as cookies depend on it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host.
    pub host: String,
    /// The path, without the query.
    pub path: String,
    /// The method.
    pub method: Method,
    /// Whether it goes over TLS.
    pub https: bool,
    /// Whether a page of another site causes it.
    pub cross_site: bool,
    /// Whether it loads a page into a tab: a link, a form, the address bar.
    pub navigation: bool,
}

impl CookieJar {
    /// The value of the `Cookie` header: longer paths first, then older cookies first.
    #[must_use]
    pub fn header(&self, target: &Target) -> Option<String> {
        let mut sent: Vec<_> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.goes_to(target))
            .collect();
        sent.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.created));
        let pairs = sent
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let pairs: Vec<_> = pairs.collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Processes a `Set-Cookie` header of the response to a request; `false` if the browser ignores it.
    pub fn set(&mut self, target: &Target, header: &str) -> bool {
        let Some((mut cookie, removes)) = StoredCookie::parse(target, header) else {
            return false;
        };
        let same = |other: &StoredCookie| {
            (&other.name, &other.domain, other.host_only, &other.path)
                == (&cookie.name, &cookie.domain, cookie.host_only, &cookie.path)
        };
        let replaced = self.cookies.iter().position(same);
        let replaced = replaced.map(|index| self.cookies.remove(index));
        if removes {
            return true;
        }
        self.stored += 1;
        // A cookie that is replaced keeps its place.
        cookie.created = replaced.map_or(self.stored, |replaced| replaced.created);
        self.cookies.push(cookie);
        true
    }

    /// The cookies, in the order in which they were first set.
    #[must_use]
    pub fn cookies(&self) -> &[StoredCookie] {
        &self.cookies
    }

    /// Removes the cookies that do not match.
    pub fn retain(&mut self, keep: impl FnMut(&StoredCookie) -> bool) {
        self.cookies.retain(keep);
    }
}

impl StoredCookie {
    fn parse(target: &Target, header: &str) -> Option<(Self, bool)> {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: target.host.clone(),
            host_only: true,
            path: folder(&target.path).to_owned(),
            secure: false,
            same_site: SameSite::Lax,
            created: 0,
        };
        let mut removes = false;
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match &*name.to_ascii_lowercase() {
                "domain" if !value.is_empty() => {
                    cookie.domain = value.trim_start_matches('.').to_ascii_lowercase();
                    cookie.host_only = false;
                }
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                "secure" => cookie.secure = true,
                "max-age" => removes = value.parse::<i64>().is_ok_and(|age| age <= 0),
                "samesite" => cookie.same_site = SameSite::parse(value),
                _ => {}
            }
        }
        cookie.is_accepted(target).then_some((cookie, removes))
    }

    fn is_accepted(&self, target: &Target) -> bool {
        let name = self.name.to_ascii_lowercase();
        let domain = self.host_only || is_within(&target.host, &self.domain);
        let secure = !self.secure || target.https;
        let prefix = match &*name {
            name if name.starts_with("__host-") => {
                self.secure && self.host_only && self.path == "/"
            }
            name if name.starts_with("__secure-") => self.secure,
            _ => true,
        };
        let none = self.same_site != SameSite::None || self.secure;
        let third_party = target.cross_site && !target.navigation;
        let site = !third_party || self.same_site == SameSite::None;
        domain && secure && prefix && none && site
    }

    fn goes_to(&self, target: &Target) -> bool {
        let host = if self.host_only {
            self.domain == target.host
        } else {
            is_within(&target.host, &self.domain)
        };
        let safe = target.method.is_safe() && target.navigation;
        let site = match self.same_site {
            _ if !target.cross_site => true,
            SameSite::Strict => false,
            SameSite::Lax => safe,
            SameSite::None => true,
        };
        host && covers(&self.path, &target.path) && (target.https || !self.secure) && site
    }
}

impl SameSite {
    fn parse(text: &str) -> Self {
        match &*text.to_ascii_lowercase() {
            "strict" => Self::Strict,
            "none" => Self::None,
            _ => Self::Lax,
        }
    }
}

/// The default path of a cookie (RFC 6265, 5.1.4).
fn folder(path: &str) -> &str {
    match path.rfind('/') {
        Some(end) if end > 0 => &path[..end],
        _ => "/",
    }
}

/// Whether a cookie's path matches that of a request (RFC 6265, 5.1.4).
fn covers(path: &str, requested: &str) -> bool {
    requested
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        Target {
            host: "www.shop.example".to_owned(),
            path: path.to_owned(),
            method: Method::GET,
            https: true,
            cross_site: false,
            navigation: true,
        }
    }

    #[test]
    fn cookies_of_one_name_and_several_scopes_are_all_sent() {
        let mut jar = CookieJar::default();
        let page = target("/app/page");
        for set in [
            "id=1; Path=/",
            "id=2; Path=/app",
            "id=3; Domain=shop.example; Path=/",
            "id=4; Path=/application",
        ] {
            assert!(jar.set(&page, set));
        }
        assert_eq!(jar.header(&page).unwrap(), "id=2; id=1; id=3");
        assert_eq!(jar.header(&target("/")).unwrap(), "id=1; id=3");
        assert!(jar.set(&page, "id=; Path=/app; Max-Age=0"));
        assert!(jar.set(&page, "id=5; Path=/"));
        assert_eq!(jar.header(&page).unwrap(), "id=5; id=3");
        assert!(!jar.set(&page, "id=6; Domain=other.example"));
    }

    #[test]
    fn cross_site_requests_carry_lax_cookies_on_safe_navigations_alone() {
        let mut jar = CookieJar::default();
        jar.set(&target("/"), "strict=1; SameSite=Strict");
        jar.set(&target("/"), "lax=1; SameSite=Lax");
        jar.set(&target("/"), "none=1; SameSite=None; Secure");
        let cross = |method, navigation| Target {
            cross_site: true,
            method,
            navigation,
            ..target("/")
        };
        let header = |target| jar.header(&target).unwrap();
        assert_eq!(header(cross(Method::GET, true)), "lax=1; none=1");
        assert_eq!(header(cross(Method::POST, true)), "none=1");
        assert_eq!(header(cross(Method::GET, false)), "none=1");
        assert_eq!(header(target("/")), "strict=1; lax=1; none=1");
    }

    #[test]
    fn prefixes_of_names_are_enforced() {
        let mut jar = CookieJar::default();
        let page = target("/");
        assert!(!jar.set(&page, "__Host-id=1; Path=/"));
        assert!(!jar.set(&page, "__Host-id=1; Path=/app; Secure"));
        assert!(!jar.set(
            &page,
            "__Host-id=1; Path=/; Secure; Domain=www.shop.example"
        ));
        assert!(jar.set(&page, "__Host-id=1; Path=/; Secure"));
    }
}
