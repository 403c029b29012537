//! What browsers keep of the pages of signed-in users.

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use cloakroom::{
    CachePolicy, ClearSiteData, CookieConfig, MemoryStore, Session, SessionError, SessionLayer,
    Store, TokenHeader, minutes,
};
use cloakroom_core::store::{Loaded, Updated};
use cloakroom_core::{Authentication, Record, Revision, Token};
use http::header::CACHE_CONTROL;
use tests::app::Fixture;
use tests::browser::Browser;
use tests::chromium::Chromium;
use tokio::net::TcpListener;

use super::sign_in;

fn browser(fixture: &Fixture, policy: CachePolicy) -> Browser {
    let data = ClearSiteData::cache().and(ClearSiteData::storage());
    let builder = fixture.builder().with_cache_policy(policy);
    let layer = builder.with_clear_site_data(data).build();
    fixture.browser_of(layer.expect("it is valid"))
}

#[tokio::test]
async fn pages_of_signed_in_users_are_marked_unless_the_handler_has_done_so() {
    let fixture = Fixture::memory();
    for (policy, expected) in [
        (CachePolicy::Unchanged, ""),
        (CachePolicy::NoStore, "no-store"),
        (CachePolicy::Private, "private, no-cache"),
    ] {
        let mut browser = browser(&fixture, policy);
        let page = |session: Session| async move {
            drop(session.user());
            Ok(())
        };
        assert_eq!(browser.request(page).await.cache_control(), "");
        let mut browser = fixture.with_session(browser).await;
        assert_eq!(browser.request(page).await.cache_control(), "", "a guest");
        sign_in(&mut browser, "ada").await;
        assert_eq!(browser.request(page).await.cache_control(), expected);
        let unused = browser.lazy(|_| async { Ok(()) }).await;
        assert_eq!(unused.cache_control(), "", "the session is not used");
        let own = |_: Session| async { Ok([(CACHE_CONTROL, "max-age=60")]) };
        assert_eq!(browser.request(own).await.cache_control(), "max-age=60");
        let renewed = browser.request(|session| async move { session.renew() });
        assert_eq!(renewed.await.cache_control(), "no-store", "with a cookie");
    }
}

/// The handler sees nobody, but the entries are those of a user: a page may show them.
#[tokio::test]
async fn a_page_is_marked_although_it_cannot_be_read_who_has_signed_in() {
    let fixture = Fixture::memory();
    let mut browser = browser(&fixture, CachePolicy::NoStore);
    sign_in(&mut browser, "ada").await;
    let name = |session: Session| async move { session.insert("name", "Ada") };
    assert_eq!(browser.request(name).await.status, 200);
    damage_user(&fixture, browser.cookie().expect("it has one")).await;
    let page = |session: Session| async move {
        let name: Option<String> = session.get("name")?;
        Ok(format!("{:?} {name:?}", session.user()))
    };
    let response = browser.request(page).await;
    assert_eq!(response.text(), "None Some(\"Ada\")");
    assert_eq!(response.cache_control(), "no-store");
    assert_eq!(response.vary(), "cookie");
}

/// Replaces the user of a session by what no release can read.
async fn damage_user(fixture: &Fixture, cookie: &str) {
    let id = Token::parse(cookie).expect("it is a token").id();
    let store = fixture.store.inner();
    let Ok(Loaded::Record(record)) = store.load(id).await else {
        panic!("it is stored");
    };
    let mut entries = record.entries().clone();
    let set = entries.set(Authentication::KEY, &"damaged");
    set.expect("text is JSON");
    let damaged = Record::new(
        Revision::from_bits(7),
        record.last_seen(),
        record.limits(),
        *record.digest(),
        entries,
    );
    let updated = store
        .update(id, record.revision(), &damaged, minutes(60))
        .await;
    assert_eq!(updated.expect("memory does not fail"), Updated::Updated);
}

/// How the session of a page ends while its handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noticed {
    ByTheCommit,
    ByAReload,
    WithAnErrorResponse,
}

#[tokio::test]
async fn a_page_is_marked_although_the_session_of_its_user_has_ended_meanwhile() {
    let fixture = Fixture::memory();
    for noticed in [
        Noticed::ByTheCommit,
        Noticed::ByAReload,
        Noticed::WithAnErrorResponse,
    ] {
        for (user, expected) in [(Some("ada"), "private, no-cache"), (None, "")] {
            let browser = browser(&fixture, CachePolicy::Private);
            let mut page = fixture.with_session(browser).await;
            if let Some(user) = user {
                sign_in(&mut page, user).await;
            }
            let mut tab = page.clone();
            let response = page.request(move |session| async move {
                session.insert("n", 2)?;
                let sign_out = |session: Session| async move { session.sign_out().await.map(drop) };
                tab.request(sign_out).await;
                if noticed != Noticed::ByTheCommit {
                    session.reload().await?;
                }
                Ok(match noticed {
                    Noticed::WithAnErrorResponse => http::StatusCode::INTERNAL_SERVER_ERROR,
                    _ => http::StatusCode::OK,
                })
            });
            let response = response.await;
            assert_eq!(
                response.cache_control(),
                expected,
                "{user:?}, {noticed:?}, {}",
                response.status
            );
        }
    }
}

#[tokio::test]
async fn a_sign_out_clears_what_is_configured_and_nothing_else_does() {
    let fixture = Fixture::memory();
    let cleared = async |browser: &mut Browser, then: &'static str| {
        let response = browser.request(move |session| async move {
            session.sign_out().await?;
            match then {
                "sign in" => session.sign_in("bob").await,
                "edit" => session.insert("farewell", 1),
                _ => Ok(()),
            }
        });
        let response = response.await;
        let value = response.headers.get("clear-site-data");
        value.map(|value| value.to_str().expect("ASCII").to_owned())
    };
    let both = Some("\"cache\", \"storage\"".to_owned());
    let mut browser = browser(&fixture, CachePolicy::Unchanged);
    assert_eq!(
        cleared(&mut browser, "").await,
        None,
        "nobody was signed in"
    );
    for (then, expected) in [("", &both), ("edit", &both), ("sign in", &None)] {
        sign_in(&mut browser, "ada").await;
        assert_eq!(cleared(&mut browser, then).await, *expected, "{then}");
    }
    sign_in(&mut browser, "ada").await;
    let other = browser
        .request(|session| async move { session.renew() })
        .await;
    assert!(!other.headers.contains_key("clear-site-data"));

    let cache = fixture
        .builder()
        .with_clear_site_data(ClearSiteData::cache());
    let mut browser = fixture.browser_of(cache.build().expect("it is valid"));
    sign_in(&mut browser, "ada").await;
    assert_eq!(
        cleared(&mut browser, "").await.as_deref(),
        Some("\"cache\"")
    );
    let storage = fixture
        .builder()
        .with_clear_site_data(ClearSiteData::storage());
    let header = TokenHeader::bearer().header_only();
    let layer = storage.with_token_header(header).build();
    let mut app = fixture.browser_of(layer.expect("it is valid"));
    assert_eq!(cleared(&mut app, "").await, None);
}

async fn account(session: Session) -> Html<String> {
    let user = session.user().map(|user| user.to_string());
    let user = user.unwrap_or_else(|| "nobody".to_owned());
    Html(format!(
        "<!doctype html><title>{user}</title><p>{user}</p>
        <form method=post action=/sign-in><button id=in>in</button></form>
        <form method=post action=/sign-out><button id=out>out</button></form>"
    ))
}

async fn enter(session: Session) -> Result<axum::response::Redirect, SessionError> {
    session.sign_in("ada").await?;
    Ok(axum::response::Redirect::to("/account"))
}

async fn leave(session: Session) -> Result<axum::response::Redirect, SessionError> {
    session.sign_out().await?;
    Ok(axum::response::Redirect::to("/bye"))
}

async fn bye() -> Html<&'static str> {
    Html("<!doctype html><title>bye</title><p>bye</p>")
}

/// Loads a page again that the browser shows as it was.
const SCRIPT: &str =
    "<script>addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); })</script>";

/// Serves an app with pages for ada, and returns its address.
async fn serve(policy: CachePolicy, script: &'static str) -> String {
    let layer = SessionLayer::builder(MemoryStore::new())
        .with_cookie(CookieConfig::new("sid"))
        .with_cache_policy(policy)
        .with_clear_site_data(ClearSiteData::cache().and(ClearSiteData::storage()));
    let account = move |session| async move { Html(account(session).await.0 + script) };
    let app = Router::new()
        .route("/account", get(account))
        .route("/sign-in", post(enter))
        .route("/sign-out", post(leave))
        .route("/bye", get(bye))
        .layer(layer.build().expect("it is valid"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://localhost:{}", address.port())
}

/// Signs in, out, and goes back. What scripts have stored is gone after the sign-out.
async fn go_back(browser: &Chromium, policy: CachePolicy, script: &'static str) {
    let shop = serve(policy, script).await;
    browser.open(&format!("{shop}/account")).await;
    browser.follow("#in").await;
    assert_eq!(browser.text("p").await, "ada");
    browser.run("localStorage.setItem('draft', 'of ada')").await;
    browser.follow("#out").await;
    assert_eq!(browser.text("p").await, "bye");
    let draft = browser.run("return localStorage.getItem('draft')").await;
    assert!(draft.is_null(), "{draft}");
    browser.back().await;
}

/// Chromium keeps pages as they were for the Back button, those that are `no-store` as well, so a script has to load them again.
#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_the_back_button_shows_no_page_of_a_signed_out_user() {
    let browser = Chromium::start().await;
    go_back(&browser, CachePolicy::NoStore, SCRIPT).await;
    let began = std::time::Instant::now();
    // The page before it is loaded again has the other title.
    while browser.title().await != "nobody" {
        assert!(began.elapsed().as_secs() < 20, "the page of ada is shown");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(browser);
    let browser = Chromium::start_without_back_forward_cache().await;
    go_back(&browser, CachePolicy::NoStore, "").await;
    assert_eq!(browser.title().await, "nobody");
}
