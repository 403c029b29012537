//! The configuration of a layer: the same in any order, and every mistake refused by its name.

use std::time::Duration;

use cloakroom::{
    ConfigErrorKind, ConflictPolicy, CookieConfig, CookieKey, DeviceTracking, ErrorPolicy, Expiry,
    LegacyEnded, LegacyId, LegacySession, LegacyStore, ManualClock, MemoryStore, Migration,
    MigrationKey, OAuthConfig, ProxyHeader, Rotation, SameSite, SessionLayer, SessionLayerBuilder,
    SessionLimit, StoreError, Timestamp, TokenHeader, days, hours, minutes,
};
use proptest::prelude::*;

type Setter = fn(SessionLayerBuilder) -> SessionLayerBuilder;

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

fn migration(cookie: &str) -> Migration {
    let key = MigrationKey::new([7; 32], BEGAN).expect("it is long enough");
    Migration::side_by_side(Legacy(CookieConfig::new(cookie)), key)
}

fn oauth() -> OAuthConfig {
    let key = CookieKey::derived_from(b"a secret of at least thirty-two bytes");
    OAuthConfig::new([key.expect("it is long enough")])
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(BEGAN * 1000))
}

/// Every option, set to what is valid together with the others.
const VALID: [(&str, Setter); 19] = [
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
const INVALID: [(&str, &str, ConfigErrorKind, Setter); 31] = [
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

/// The valid settings of all options but one.
fn all_but(option: &str) -> Vec<Setter> {
    let others = VALID.iter().filter(|(name, _)| *name != option);
    others.map(|(_, set)| *set).collect()
}

fn set_all(setters: Vec<Setter>) -> SessionLayerBuilder {
    let builder = SessionLayer::builder(MemoryStore::new());
    setters
        .into_iter()
        .fold(builder, |builder, set| set(builder))
}

/// The layer as text: all that is configured.
fn shown(setters: Vec<Setter>) -> String {
    format!("{:?}", set_all(setters).build().expect("it is valid"))
}

#[test]
fn every_option_reaches_the_layer() {
    // A layer, or why there is none: some options are only valid together.
    let built = |option| format!("{:?}", set_all(all_but(option)).build());
    for (option, _) in VALID {
        // The default generator is the one that the test sets.
        if option != "with_rng" {
            assert_ne!(built(option), built(""), "{option}");
        }
    }
}

#[test]
fn the_defaults_are_those_of_new() {
    let new = SessionLayer::new(MemoryStore::new());
    assert_eq!(shown(Vec::new()), format!("{new:?}"));
}

#[test]
fn a_mistake_is_refused_by_the_name_of_its_option() {
    for (set, named, kind, wrong) in INVALID {
        let mut setters = all_but(set);
        setters.push(wrong);
        let error = set_all(setters).build().expect_err(set);
        assert_eq!(
            (error.option(), error.kind()),
            (Some(named), kind),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.starts_with(&format!("`{named}`: ")), "{text}");
    }
}

#[test]
fn equal_timeouts_are_valid_and_an_error_says_how_to_extend_the_absolute_one() {
    let built = |expiry| {
        SessionLayer::builder(MemoryStore::new())
            .with_expiry(expiry)
            .build()
    };
    for expiry in [
        Expiry::idle(days(90)).absolute(days(90)),
        Expiry::idle(days(30)),
        Expiry::aal1(),
        Expiry::aal2(),
        Expiry::aal3(),
    ] {
        assert!(built(expiry).is_ok(), "{expiry:?}");
    }
    let error = built(Expiry::idle(days(90))).expect_err("it would end on day 30");
    assert!(error.to_string().contains("`Expiry::absolute`"), "{error}");
}

/// A cookie that was renamed.
fn renamed(former: &str) -> CookieConfig {
    let at = |seconds| std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    CookieConfig::default().with_former(CookieConfig::new(former), at(1), at(2))
}

#[test]
fn renaming_the_cookie_requires_the_realm_so_far() {
    let builder = || SessionLayer::builder(MemoryStore::new()).with_cookie(renamed("sid"));
    let error = builder().build().expect_err("it would be another realm");
    assert_eq!(
        (error.option(), error.kind()),
        (Some("with_cookie"), ConfigErrorKind::FormerCookie)
    );
    assert!(error.to_string().contains("with_realm"), "{error}");
    assert!(builder().with_realm("sid").build().is_ok());
}

#[test]
fn the_legacy_cookie_is_no_former_one() {
    let builder = SessionLayer::builder(MemoryStore::new())
        .with_clock(clock())
        .with_cookie(renamed("legacy"))
        .with_realm("shop")
        .with_migration(migration("legacy"));
    let error = builder
        .build()
        .expect_err("one cookie would have two owners");
    assert_eq!(error.kind(), ConfigErrorKind::Migration);
}

#[test]
fn transactions_need_cookies() {
    let header = TokenHeader::bearer().header_only();
    let builder = SessionLayer::builder(MemoryStore::new()).with_oauth(oauth());
    let error = builder.with_token_header(header).build();
    let error = error.expect_err("no cookie is read");
    assert_eq!(
        (error.option(), error.kind()),
        (Some("with_oauth"), ConfigErrorKind::CookieRefused)
    );
}

#[test]
fn over_plain_http_the_cookie_of_transactions_has_no_prefix_and_is_lax() {
    let built = |oauth: OAuthConfig| {
        let builder = SessionLayer::builder(MemoryStore::new()).with_oauth(oauth);
        builder.build().map(|_| ()).map_err(|error| error.kind())
    };
    let insecure = || oauth().with_cookie_name("oauth").insecure_over_http();
    assert_eq!(built(insecure()), Ok(()));
    for refused in [
        insecure().with_same_site(SameSite::None),
        oauth().insecure_over_http(),
    ] {
        assert_eq!(built(refused), Err(ConfigErrorKind::CookieRefused));
    }
}

proptest! {
    #[test]
    fn any_order_gives_the_same_layer(setters in Just(all_but("")).prop_shuffle()) {
        prop_assert_eq!(shown(setters), shown(all_but("")));
    }

    #[test]
    fn any_order_gives_the_same_error(
        (index, setters) in (0..INVALID.len()).prop_flat_map(|index| {
            let (set, _, _, wrong) = INVALID[index];
            let mut setters = all_but(set);
            setters.push(wrong);
            (Just(index), Just(setters).prop_shuffle())
        })
    ) {
        let (_, named, kind, _) = INVALID[index];
        let error = set_all(setters).build().expect_err(named);
        prop_assert_eq!((error.option(), error.kind()), (Some(named), kind));
    }

    /// Of several mistakes, the same one is reported.
    #[test]
    fn of_two_mistakes_any_order_reports_the_same(
        (one, other) in (0..INVALID.len(), 0..INVALID.len())
    ) {
        let (one, other) = (INVALID[one], INVALID[other]);
        prop_assume!(one.0 != other.0);
        let error = |wrong: [Setter; 2]| {
            let mut setters = all_but("");
            setters.extend(wrong);
            set_all(setters).build().expect_err(one.0)
        };
        prop_assert_eq!(error([one.3, other.3]), error([other.3, one.3]));
    }
}
