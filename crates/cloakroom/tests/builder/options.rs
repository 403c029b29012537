//! What every option can be set to.

use std::time::Duration;

use cloakroom::{
    ConfigErrorKind, ConflictPolicy, CookieConfig, CookieKey, DeviceTracking, ErrorPolicy, Expiry,
    LegacyEnded, LegacyId, LegacySession, LegacyStore, ManualClock, Migration, MigrationKey,
    OAuthConfig, ProxyHeader, Rotation, SameSite, SessionLayerBuilder, SessionLimit, StoreError,
    Timestamp, TokenHeader, days, hours, minutes,
};

pub(super) type Setter = fn(SessionLayerBuilder) -> SessionLayerBuilder;

/// When the migration began, by the clock that the layer is given, in seconds.
const BEGAN: u64 = 1_795_478_400;

/// A legacy store without sessions.
#[derive(Debug)]
struct Legacy(CookieConfig);

impl LegacyStore for Legacy {
    fn cookie(&self) -> &CookieConfig {
        &self.0
    }

    fn open(&self, value: &str) -> Option<LegacyId> {
        Some(LegacyId::new(value))
    }

    async fn read(&self, _: &LegacyId) -> Result<Option<LegacySession>, StoreError> {
        Ok(None)
    }

    async fn end(&self, _: &LegacyId) -> Result<LegacyEnded, StoreError> {
        Ok(LegacyEnded::Missing)
    }
}

pub(super) fn migration(cookie: &str) -> Migration {
    let key = MigrationKey::new([7; 32], BEGAN).expect("it is long enough");
    Migration::side_by_side(Legacy(CookieConfig::new(cookie)), key)
}

pub(super) fn oauth() -> OAuthConfig {
    let key = CookieKey::derived_from(b"a secret of at least thirty-two bytes");
    OAuthConfig::new([key.expect("it is long enough")])
}

pub(super) fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(BEGAN * 1000))
}

/// Every option, set to what is valid together with the others.
pub(super) const VALID: [(&str, Setter); 19] = [
    ("with_expiry", |it| {
        it.with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
    }),
    ("with_anonymous_expiry", |it| {
        it.with_anonymous_expiry(Expiry::idle(minutes(5)).absolute(hours(1)))
    }),
    ("with_max_expiry", |it| it.with_max_expiry(days(1))),
    ("with_session_limit", |it| {
        it.with_session_limit(SessionLimit::evict_oldest(5))
    }),
    ("with_rotation", |it| {
        it.with_rotation(Rotation::every(minutes(15)))
    }),
    ("with_device_tracking", |it| {
        it.with_device_tracking(DeviceTracking::new())
    }),
    ("with_token_header", |it| {
        it.with_token_header(TokenHeader::bearer())
    }),
    ("with_oauth", |it| it.with_oauth(oauth())),
    ("with_migration", |it| it.with_migration(migration("id"))),
    ("without_events", SessionLayerBuilder::without_events),
    ("with_cookie", |it| {
        it.with_cookie(CookieConfig::new("__Host-shop"))
    }),
    ("with_path_prefix", |it| it.with_path_prefix("/shop")),
    ("with_realm", |it| it.with_realm("shop")),
    ("with_store_timeout", |it| {
        it.with_store_timeout(Duration::from_millis(300))
    }),
    ("with_max_session_size", |it| it.with_max_session_size(4096)),
    ("with_error_policy", |it| {
        it.with_error_policy(ErrorPolicy::Commit)
    }),
    ("with_conflict_policy", |it| {
        it.with_conflict_policy(ConflictPolicy::Reject)
    }),
    ("with_clock", |it| it.with_clock(clock())),
    ("with_rng", |it| it.with_rng(cloakroom_core::SystemRng)),
];

/// What is refused, beside the valid settings of all other options: which option is set, which one the
/// error names, and its kind.
pub(super) const INVALID: [(&str, &str, ConfigErrorKind, Setter); 31] = [
    (
        "with_expiry",
        "with_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_expiry(Expiry::idle(Duration::ZERO)),
    ),
    (
        "with_expiry",
        "with_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_expiry(Expiry::idle(days(1)).absolute(days(401))),
    ),
    (
        "with_expiry",
        "with_max_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_expiry(Expiry::idle(hours(1)).absolute(days(2))),
    ),
    (
        "with_anonymous_expiry",
        "with_anonymous_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_anonymous_expiry(Expiry::idle(Duration::from_millis(999))),
    ),
    (
        "with_anonymous_expiry",
        "with_max_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_anonymous_expiry(Expiry::idle(minutes(5))),
    ),
    (
        "with_max_expiry",
        "with_max_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_max_expiry(days(401)),
    ),
    (
        "with_oauth",
        "with_oauth",
        ConfigErrorKind::CookieKey,
        |it| it.with_oauth(OAuthConfig::new([])),
    ),
    ("with_oauth", "with_oauth", ConfigErrorKind::Limit, |it| {
        it.with_oauth(oauth().with_lifetime(minutes(61)))
    }),
    ("with_oauth", "with_oauth", ConfigErrorKind::Limit, |it| {
        it.with_oauth(oauth().with_max_transactions(0))
    }),
    (
        "with_oauth",
        "with_oauth",
        ConfigErrorKind::CookieRefused,
        |it| it.with_oauth(oauth().with_same_site(SameSite::Strict)),
    ),
    (
        "with_oauth",
        "with_oauth",
        ConfigErrorKind::CookieTooLong,
        |it| it.with_oauth(oauth().with_cookie_name("n".repeat(300))),
    ),
    (
        "with_session_limit",
        "with_session_limit",
        ConfigErrorKind::Limit,
        |it| it.with_session_limit(SessionLimit::reject_above(0)),
    ),
    (
        "with_rotation",
        "with_rotation",
        ConfigErrorKind::Limit,
        |it| it.with_rotation(Rotation::every(minutes(1)).grace(minutes(1))),
    ),
    (
        "with_rotation",
        "with_rotation",
        ConfigErrorKind::Limit,
        |it| it.with_rotation(Rotation::every(minutes(1)).grace(Duration::ZERO)),
    ),
    (
        "with_device_tracking",
        "with_device_tracking",
        ConfigErrorKind::DeviceTracking,
        |it| {
            let proxies = ["10.0.0.0/8".parse().expect("it is a network")];
            it.with_device_tracking(
                DeviceTracking::new().trusting_proxies(proxies, ProxyHeader::Forwarded),
            )
        },
    ),
    (
        "with_token_header",
        "with_token_header",
        ConfigErrorKind::TokenHeader,
        |it| it.with_token_header(TokenHeader::named("not a name")),
    ),
    (
        "with_token_header",
        "with_migration",
        ConfigErrorKind::Migration,
        |it| it.with_token_header(TokenHeader::bearer().header_only()),
    ),
    (
        "with_migration",
        "with_migration",
        ConfigErrorKind::Migration,
        |it| it.with_migration(migration("__Host-shop")),
    ),
    (
        "with_cookie",
        "with_cookie",
        ConfigErrorKind::CookieRefused,
        |it| it.with_cookie(CookieConfig::new("__Host-shop").with_domain("example.com")),
    ),
    ("with_realm", "with_realm", ConfigErrorKind::Realm, |it| {
        it.with_realm("")
    }),
    (
        "with_store_timeout",
        "with_store_timeout",
        ConfigErrorKind::Limit,
        |it| it.with_store_timeout(Duration::ZERO),
    ),
    (
        "with_max_session_size",
        "with_max_session_size",
        ConfigErrorKind::Limit,
        |it| it.with_max_session_size(1023),
    ),
    (
        "with_expiry",
        "with_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_expiry(Expiry::idle(days(90))),
    ),
    (
        "with_expiry",
        "with_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_expiry(Expiry::idle(hours(2)).absolute(hours(1))),
    ),
    (
        "with_anonymous_expiry",
        "with_anonymous_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_anonymous_expiry(Expiry::idle(hours(2)).absolute(hours(1))),
    ),
    (
        "with_max_expiry",
        "with_max_expiry",
        ConfigErrorKind::Expiry,
        |it| it.with_max_expiry(Duration::MAX),
    ),
    (
        "with_rotation",
        "with_rotation",
        ConfigErrorKind::Limit,
        |it| it.with_rotation(Rotation::every(days(1))),
    ),
    (
        "with_rotation",
        "with_rotation",
        ConfigErrorKind::Limit,
        |it| it.with_rotation(Rotation::every(minutes(9)).grace(Duration::from_secs(4))),
    ),
    (
        "with_path_prefix",
        "with_path_prefix",
        ConfigErrorKind::CookieText,
        |it| it.with_path_prefix("shop"),
    ),
    (
        "with_store_timeout",
        "with_store_timeout",
        ConfigErrorKind::Limit,
        |it| it.with_store_timeout(Duration::MAX),
    ),
    (
        "with_max_session_size",
        "with_max_session_size",
        ConfigErrorKind::Limit,
        |it| it.with_max_session_size(usize::MAX),
    ),
];
