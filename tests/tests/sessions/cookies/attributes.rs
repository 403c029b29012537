//! The attributes of a cookie when it is set, and when it is removed.

use std::time::Duration;

use cloakroom::{CookieConfig, CookieLifetime, Expiry, SameSite, Session, days, hours, minutes};
use tests::app::Fixture;
use tests::browser::SetCookie;

async fn begin(session: Session) -> Result<(), cloakroom::SessionError> {
    session.insert("n", 1)
}

async fn destroy(session: Session) -> Result<(), cloakroom::SessionError> {
    session.destroy().await.map(|_| ())
}

/// The cookie that a layer sets, and the one that removes it.
async fn set_and_removed(config: CookieConfig) -> [SetCookie; 2] {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_cookie(config)
        .with_path_prefix("/app")
        .build()
        .expect("browsers take it");
    let mut browser = fixture.browser_of(layer);
    let set = browser.request(begin).await.set_cookie();
    [set, browser.request(destroy).await.set_cookie()]
}

fn sorted(cookie: &SetCookie) -> Vec<&str> {
    let mut attributes: Vec<_> = cookie.attributes.iter().map(String::as_str).collect();
    attributes.sort_unstable();
    attributes
}

#[tokio::test]
async fn the_default_cookie_has_every_security_attribute() {
    let [set, removed] = set_and_removed(CookieConfig::default()).await;
    assert_eq!(set.name, "__Host-Http-id");
    assert_eq!(set.value.len(), 43);
    assert_eq!(
        sorted(&set),
        ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]
    );
    assert_eq!((&*removed.name, &*removed.value), ("__Host-Http-id", ""));
}

#[tokio::test]
async fn a_removal_repeats_the_attributes() {
    let named = CookieConfig::new;
    let configs = [
        CookieConfig::default(),
        named("__Secure-id")
            .with_domain("example.com")
            .with_path("/app")
            .with_same_site(SameSite::Strict),
        named("id")
            .with_same_site(SameSite::None)
            .with_partitioned(true),
        named("id")
            .insecure_over_http()
            .insecure_without_http_only(),
        named("id").with_lifetime(CookieLifetime::Persistent),
    ];
    for config in configs {
        let [mut set, mut removed] = set_and_removed(config).await;
        assert_eq!(set.name, removed.name);
        set.attributes
            .retain(|attribute| !attribute.starts_with("Max-Age"));
        for gone in ["Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
            let before = removed.attributes.len();
            removed.attributes.retain(|attribute| attribute != gone);
            assert_eq!(removed.attributes.len(), before - 1, "{gone}");
        }
        assert_eq!(sorted(&set), sorted(&removed));
    }
}

#[tokio::test]
async fn insecure_options_omit_their_attribute() {
    let config = CookieConfig::new("id")
        .insecure_over_http()
        .insecure_without_http_only();
    let [set, _] = set_and_removed(config).await;
    assert_eq!(sorted(&set), ["Path=/", "SameSite=Lax"]);
}

#[tokio::test]
async fn a_persistent_cookie_lasts_until_the_absolute_deadline() {
    let fixture = Fixture::memory();
    let config = CookieConfig::default().with_lifetime(CookieLifetime::Persistent);
    let expiry = Expiry::idle(hours(1)).absolute(days(2));
    let layer = fixture
        .builder()
        .with_cookie(config)
        .with_expiry(expiry)
        .build()
        .unwrap();
    let mut browser = fixture.browser_of(layer);
    let cookie = browser.request(begin).await.set_cookie();
    assert_eq!(cookie.max_age(), Some(days(2).as_secs()));

    // After a renewal half an hour later, the remaining time is rounded up.
    fixture
        .clock
        .advance(minutes(30) + Duration::from_millis(1));
    let cookie = browser
        .request(|session| async move { session.renew() })
        .await
        .set_cookie();
    assert_eq!(cookie.max_age(), Some((days(2) - minutes(30)).as_secs()));
}

#[tokio::test]
async fn a_persistent_cookie_lasts_at_most_400_days() {
    let fixture = Fixture::memory();
    let config = CookieConfig::default().with_lifetime(CookieLifetime::Persistent);
    let layer = |expiry| {
        let builder = fixture.builder().with_cookie(config.clone());
        builder.with_expiry(expiry).build()
    };
    let longer = Expiry::idle(days(1)).absolute(days(401));
    assert!(layer(longer).is_err());
    let longest = Expiry::idle(days(1)).absolute(days(400));
    let mut browser = fixture.browser_of(layer(longest).unwrap());
    let cookie = browser.request(begin).await.set_cookie();
    assert_eq!(cookie.max_age(), Some(days(400).as_secs()));
}

#[tokio::test]
async fn a_session_with_its_own_expiry_has_a_persistent_cookie_after_renewal_too() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let token = browser.cookie().unwrap().to_owned();
    let remembered = Expiry::idle(days(14)).absolute(days(90));
    let cookie = browser
        .request(move |session| async move { session.set_expiry(remembered) })
        .await
        .set_cookie();
    assert_eq!(cookie.value, token);
    assert_eq!(cookie.max_age(), Some(days(90).as_secs()));
    assert_eq!(cookie.attributes.len(), 5);

    let response = browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    assert_eq!(response.set_cookies(), [], "an edit needs no new cookie");

    fixture.clock.advance(days(10));
    let cookie = browser
        .request(|session| async move { session.renew() })
        .await
        .set_cookie();
    assert_ne!(cookie.value, token);
    assert_eq!(cookie.max_age(), Some(days(80).as_secs()));
}

#[tokio::test]
async fn a_session_created_with_its_own_expiry_has_a_persistent_cookie() {
    let fixture = Fixture::memory();
    let cookie = fixture
        .browser()
        .request(|session| async move {
            session.set_expiry(Expiry::idle(days(14)).absolute(days(90)))?;
            session.insert("n", 1)
        })
        .await
        .set_cookie();
    assert_eq!(cookie.max_age(), Some(days(90).as_secs()));
}
