//! The server's URL: validated, and in a form without credentials.

use fred::types::config::Config;
use url::Url;

use crate::error::ConnectError;

/// The server's address.
#[derive(Clone)]
pub(crate) struct Address {
    /// fred's configuration: server, database and credentials.
    pub(crate) config: Config,
    /// Whether the URL asks for TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: bool,
    /// The URL without credentials.
    pub(crate) shown: String,
}

/// The kind of server, by the scheme without `redis` or `valkey` and the `s` of TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Single,
    Cluster,
    Sentinel,
    Unix,
}

/// The query parameters that are allowed, and for which topologies.
const PARAMETERS: [(&str, &[Topology]); 5] = [
    ("db", &[Topology::Unix]),
    ("node", &[Topology::Cluster, Topology::Sentinel]),
    ("sentinelServiceName", &[Topology::Sentinel]),
    ("sentinelUsername", &[Topology::Sentinel]),
    ("sentinelPassword", &[Topology::Sentinel]),
];

impl Address {
    /// Parses a URL. No error quotes a part of it: if a password is not percent-encoded, its parts can be
    /// anywhere in the result.
    pub(crate) fn parse(text: &str) -> Result<Self, ConnectError> {
        let url = Url::parse(text).map_err(|_| invalid("it is not a URL"))?;
        let (topology, tls) = scheme(url.scheme()).ok_or_else(|| {
            invalid(
                "its scheme must be redis, rediss, redis-cluster, rediss-cluster, redis-sentinel, \
                 rediss-sentinel or redis+unix",
            )
        })?;
        if tls && !cfg!(feature = "tls") {
            return Err(ConnectError::configuration(
                "a `rediss` URL requires TLS, but cloakroom-redis was built without its feature `tls`",
            ));
        }
        if topology == Topology::Unix && !cfg!(unix) {
            return Err(ConnectError::configuration(
                "this system has no Unix sockets: use a `redis` URL with host and port",
            ));
        }
        if let Some(why) = problem_of(topology, &url) {
            return Err(invalid(&why));
        }
        // With TLS, fred would load the system's certificates here, even if others are to be trusted.
        let plain = if tls {
            without_tls(&url)
        } else {
            url.as_str().to_owned()
        };
        let mut config =
            Config::from_url(&plain).map_err(|_| invalid("its server or nodes are invalid"))?;
        if topology == Topology::Unix {
            config.database = database_of(&url).map_err(invalid)?;
        }
        Ok(Self {
            config,
            #[cfg(feature = "tls")]
            tls,
            shown: redact(&url),
        })
    }
}

fn invalid(why: &str) -> ConnectError {
    ConnectError::configuration(format!(
        "invalid Redis URL: {why} (special characters in a password must be percent-encoded, or pass \
         it to the builder)"
    ))
}

/// Why a URL cannot be used with this topology.
fn problem_of(topology: Topology, url: &Url) -> Option<String> {
    if url.fragment().is_some() {
        return Some("it has a fragment".to_owned());
    }
    if topology != Topology::Unix && url.host_str().unwrap_or_default().is_empty() {
        return Some("it has no host".to_owned());
    }
    if !is_valid_path(topology, url.path()) {
        let why = match topology {
            Topology::Single | Topology::Sentinel => {
                "its path is not a database number from 0 to 255"
            }
            Topology::Cluster => "a cluster has no databases, so it must not have a path",
            Topology::Unix => "it has no path to a socket",
        };
        return Some(why.to_owned());
    }
    unknown_parameter(topology, url)
}

/// The error for a query parameter that this topology does not have. It names the parameter, unless that may
/// be a part of the password: one that contains a `?` is followed by the `@` before the host.
fn unknown_parameter(topology: Topology, url: &Url) -> Option<String> {
    let known = PARAMETERS
        .iter()
        .filter(|(_, topologies)| topologies.contains(&topology));
    let known: Vec<_> = known.map(|(name, _)| *name).collect();
    let (key, _) = url
        .query_pairs()
        .find(|(key, _)| !known.contains(&&**key))?;
    let allowed = match known.len() {
        0 => "none is allowed with this scheme".to_owned(),
        _ => format!("with this scheme it can have `{}`", known.join("`, `")),
    };
    let may_be_secret = url.query().is_some_and(|query| query.contains('@'));
    let is_word = |key: &str| key.len() <= 32 && key.bytes().all(|b| b.is_ascii_alphanumeric());
    let named = if may_be_secret || key.is_empty() || !is_word(&key) {
        String::new()
    } else {
        format!(" `{key}`")
    };
    Some(format!(
        "it has an unknown query parameter{named}; {allowed}"
    ))
}

/// The database in the query of a socket's URL, whose path is the socket.
fn database_of(url: &Url) -> Result<Option<u8>, &'static str> {
    let mut databases = url.query_pairs().filter(|(key, _)| key == "db");
    let first = databases.next();
    match (first, databases.next()) {
        (None, _) => Ok(None),
        (Some((_, db)), None) if db.bytes().all(|byte| byte.is_ascii_digit()) => db
            .parse()
            .map(Some)
            .map_err(|_| "`db` is not a database number from 0 to 255"),
        (Some(_), None) => Err("`db` is not a database number from 0 to 255"),
        (Some(_), Some(_)) => Err("it has `db` more than once"),
    }
}

fn scheme(scheme: &str) -> Option<(Topology, bool)> {
    let rest = scheme
        .strip_prefix("redis")
        .or_else(|| scheme.strip_prefix("valkey"))?;
    let (rest, tls) = match rest.strip_prefix('s') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    match (rest, tls) {
        ("", _) => Some((Topology::Single, tls)),
        ("-cluster", _) => Some((Topology::Cluster, tls)),
        ("-sentinel", _) => Some((Topology::Sentinel, tls)),
        ("+unix", false) => Some((Topology::Unix, false)),
        _ => None,
    }
}

/// The URL with the scheme without TLS: removes the second `s` of `rediss`.
fn without_tls(url: &Url) -> String {
    let mut text = url.as_str().to_owned();
    let end = url.scheme().find('-').unwrap_or(url.scheme().len());
    text.remove(end - 1);
    text
}

fn is_valid_path(topology: Topology, path: &str) -> bool {
    let name = path.strip_prefix('/').unwrap_or(path);
    match topology {
        Topology::Unix => !name.is_empty(),
        Topology::Cluster => name.is_empty(),
        Topology::Single | Topology::Sentinel => {
            let digits = name.bytes().all(|byte| byte.is_ascii_digit());
            name.is_empty() || (digits && name.parse::<u8>().is_ok())
        }
    }
}

/// The URL without user information (the user name may be a misplaced password) and without the
/// credentials of sentinels.
fn redact(url: &Url) -> String {
    let mut shown = format!("{}://", url.scheme());
    if let (Some(host), false) = (url.host_str(), url.scheme().ends_with("+unix")) {
        shown.push_str(host);
    }
    if let Some(port) = url.port() {
        shown.push_str(&format!(":{port}"));
    }
    shown.push_str(url.path());
    let mut separator = '?';
    for (key, value) in url.query_pairs() {
        if matches!(&*key, "db" | "node" | "sentinelServiceName") {
            shown.push_str(&format!("{separator}{key}={value}"));
            separator = '&';
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        redact(&Url::parse(url).unwrap())
    }

    #[test]
    fn an_address_is_shown_without_credentials() {
        for (url, expected) in [
            ("redis://127.0.0.1", "redis://127.0.0.1"),
            ("valkey://[::1]:7000/2", "valkey://[::1]:7000/2"),
            ("redis://hunter2@host:1", "redis://host:1"),
            ("redis://me:hunter2@host/3", "redis://host/3"),
            ("redis://:p@hunter2@host", "redis://host"),
            (
                "redis+unix:///run/redis.sock",
                "redis+unix:///run/redis.sock",
            ),
            (
                "redis+unix://me:hunter2@x/run/redis.sock?db=2",
                "redis+unix:///run/redis.sock?db=2",
            ),
            (
                "redis-cluster://:hunter2@a:1?node=b:2&node=c:3",
                "redis-cluster://a:1?node=b:2&node=c:3",
            ),
            (
                "redis-sentinel://:hunter2@a?sentinelServiceName=m&sentinelPassword=hunter2",
                "redis-sentinel://a?sentinelServiceName=m",
            ),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
    }

    #[test]
    fn invalid_urls_are_rejected_and_not_quoted() {
        for url in [
            "hunter2",
            "http://hunter2",
            "redis://",
            "redis:hunter2",
            "redis://:hun#ter2@hunter2",
            "redis://me:6/hunter2@host",
            "redis://me?hunter2@host",
            "redis://host/hunter2",
            "redis://host/256",
            "redis://host/1/hunter2",
            "redis://host/+1",
            "redis://host#hunter2",
            "redis://host?password=hunter2",
            "redis://host?node=hunter2:1",
            "redis-cluster://host/1",
            "redis-cluster://host?node=hunter2",
            "redis-sentinel://host?node=hunter2:1",
            "rediss+unix:///hunter2",
            "redis+unix://",
        ] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was accepted");
            };
            assert!(!error.to_string().contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_named_unless_it_may_be_a_password() {
        for (url, expected) in [
            (
                "redis://host?db=2",
                "unknown query parameter `db`; none is allowed",
            ),
            (
                "redis://host?sslmode=x",
                "unknown query parameter `sslmode`;",
            ),
            (
                "redis+unix:///s.sock?database=2",
                "parameter `database`; with this scheme it can have `db`",
            ),
            ("redis-cluster://host?db=2", "it can have `node`"),
            (
                "redis://me?hunter2=1@host",
                "unknown query parameter; none is allowed",
            ),
            ("redis://host?=1", "unknown query parameter; none"),
        ] {
            let error = Address::parse(url).err().expect("it is refused");
            assert!(error.to_string().contains(expected), "{url}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_url_of_a_socket_chooses_the_database() {
        let database = |url: &str| Address::parse(url).map(|address| address.config.database);
        assert_eq!(database("redis+unix:///s.sock").unwrap(), None);
        assert_eq!(database("redis+unix:///s.sock?db=0").unwrap(), Some(0));
        assert_eq!(database("valkey+unix:///s.sock?db=2").unwrap(), Some(2));
        for query in ["db=", "db=256", "db=+1", "db=one", "db=1&db=2"] {
            let error = database(&format!("redis+unix:///s.sock?{query}")).unwrap_err();
            assert!(error.to_string().contains("`db`"), "{query}: {error}");
        }
    }

    #[cfg(not(unix))]
    #[test]
    fn a_socket_needs_a_system_that_has_them() {
        let error = Address::parse("redis+unix:///s.sock")
            .err()
            .expect("it is refused");
        assert!(error.to_string().contains("no Unix sockets"), "{error}");
    }

    #[test]
    fn credentials_are_percent_decoded() {
        let address = Address::parse("redis://m%40e:p%40s%23s%2F%3A%C3%A4@host").unwrap();
        assert_eq!(address.config.username.as_deref(), Some("m@e"));
        assert_eq!(address.config.password.as_deref(), Some("p@s#s/:ä"));
    }

    #[test]
    fn the_scheme_is_passed_to_fred_without_tls() {
        for (url, expected) in [
            ("rediss://host", "redis://host"),
            ("VALKEYS://host", "valkey://host"),
            ("rediss-cluster://a-s", "redis-cluster://a-s"),
            ("valkeys-sentinel://a", "valkey-sentinel://a"),
        ] {
            assert_eq!(without_tls(&Url::parse(url).unwrap()), expected);
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_is_recognized_with_the_feature() {
        let tls = |url: &str| Address::parse(url).unwrap().tls;
        assert!(tls("rediss://host") && tls("VALKEYS-cluster://host") && !tls("redis://host"));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_without_its_feature_names_the_feature() {
        for url in ["rediss://host", "valkeys-cluster://host"] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was accepted");
            };
            assert!(error.to_string().contains("feature `tls`"), "{error}");
        }
    }
}
