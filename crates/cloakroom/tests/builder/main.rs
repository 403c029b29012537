//! The configuration of a layer: the same in any order, and every mistake refused by its name.

mod options;

use std::time::Duration;

use cloakroom::{
    ConfigErrorKind, CookieConfig, Expiry, MemoryStore, OAuthConfig, SameSite, SessionLayer,
    SessionLayerBuilder, TokenHeader, days,
};
use options::{INVALID, Setter, VALID, clock, migration, oauth};
use proptest::prelude::*;

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
