//! Guards: routes and handlers for signed-in users, to the sign-in page and back.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get, post};
use cloakroom::{
    ConfigErrorKind, MemoryStore, Next, Permission, Permitted, RecentSignIn, RequireSignIn,
    Session, SessionError, SessionErrorKind, SessionLayer, SignedIn, minutes,
};
use http::Method;
use tests::app::{Fixture, run_handler};
use tests::browser::Browser;

use super::{HTML, open, send, sign_in, target};

/// The role is in the session; an empty one counts as an error of the store.
#[derive(Clone, Default)]
struct Admin;

impl Permission for Admin {
    async fn is_granted(&self, session: &Session) -> Result<bool, SessionError> {
        let role: Option<String> = session.get("role")?;
        Ok(role.as_deref() == Some("admin"))
    }
}

async fn page() -> &'static str {
    "the page"
}

async fn typed(SignedIn { user, .. }: SignedIn<i64>) -> String {
    format!("{}", user + 1)
}

async fn permitted(admin: Permitted<Admin>) -> Result<String, SessionError> {
    Ok(admin.session.require_user()?.to_string())
}

async fn recent(RecentSignIn(_): RecentSignIn<10>) -> &'static str {
    "recent"
}

/// Signs in as `7`, and goes where the user wanted to.
async fn accept(session: Session, next: Next) -> Result<Redirect, SessionError> {
    session.sign_in(7).await?;
    Ok(Redirect::to(next.or("/home")))
}

fn pages() -> Router {
    let account = Router::new()
        .route("/account", any(page))
        .route_layer(RequireSignIn::new());
    let by_closure = RequireSignIn::new()
        .with_permission(|session: Session| async move { Admin.is_granted(&session).await });
    let admin = Router::new()
        .route("/admin", get(page))
        .route_layer(by_closure);
    let payments = Router::new()
        .route("/payments", get(page))
        .route_layer(RequireSignIn::new().within(minutes(10)));
    let api = Router::new()
        .route("/api", get(page))
        .route_layer(RequireSignIn::new().without_redirect());
    let own = RequireSignIn::new().with_sign_in_page("/staff/sign-in");
    let staff = Router::new()
        .route("/staff", get(page))
        .route_layer(own.expect("it is a path"));
    let own = RequireSignIn::new().with_sign_in_page("/staff/sign-in");
    let payroll = Router::new()
        .route("/staff/payroll", get(page))
        .route_layer(own.expect("it is a path").within(minutes(10)));
    Router::new()
        .route("/typed", get(typed))
        .route("/permitted", get(permitted))
        .route("/recent", get(recent))
        .route("/sign-in", post(accept).get(|_: SignedIn| async {}))
        .merge(account)
        .merge(admin)
        .merge(payments)
        .merge(api)
        .merge(staff)
        .merge(payroll)
        .nest("/nested", Router::new().route("/typed", get(typed)))
        .route("/run", any(run_handler))
        .fallback(any(run_handler))
}

fn browser(fixture: &Fixture) -> Browser {
    let layer = fixture
        .builder()
        .with_sign_in_page("/sign-in")
        .with_reauthentication_page("/password?again")
        .build();
    Browser::new(pages().layer(layer.expect("it is valid")))
}

#[tokio::test]
async fn pages_lead_to_the_sign_in_page_and_back() {
    let fixture = Fixture::memory();
    let mut browser = browser(&fixture);
    for (uri, expected) in [
        ("/account", "/sign-in?next=%2Faccount"),
        (
            "/account?a=b&c=%20",
            "/sign-in?next=%2Faccount%3Fa%3Db%26c%3D%2520",
        ),
        ("/typed", "/sign-in?next=%2Ftyped"),
        ("/nested/typed", "/sign-in?next=%2Fnested%2Ftyped"),
        ("/permitted", "/sign-in?next=%2Fpermitted"),
        ("/recent", "/sign-in?next=%2Frecent"),
        ("/admin", "/sign-in?next=%2Fadmin"),
        ("/payments", "/sign-in?next=%2Fpayments"),
        ("/staff", "/staff/sign-in?next=%2Fstaff"),
        ("/api", "401"),
        // The page itself needs a user by mistake: no endless redirects.
        ("/sign-in?next=%2Faccount", "401"),
    ] {
        assert_eq!(target(&open(&mut browser, uri).await), expected, "{uri}");
    }
    let refused = open(&mut browser, "/account").await;
    assert_eq!(refused.cache_control(), "no-store");
    assert_eq!(refused.text(), "");

    let form = target(&open(&mut browser, "/account?a=b").await);
    let accepted = send(&mut browser, Method::POST, &form, HTML).await;
    assert_eq!(target(&accepted), "/account?a=b");
    assert_eq!(open(&mut browser, "/account?a=b").await.text(), "the page");
    assert_eq!(open(&mut browser, "/typed").await.text(), "8");
    assert_eq!(open(&mut browser, "/nested/typed").await.text(), "8");
}

#[tokio::test]
async fn only_what_loads_a_page_is_redirected_and_only_a_page_comes_back() {
    let fixture = Fixture::memory();
    let mut browser = browser(&fixture);
    for accept in ["*/*", "application/json"] {
        let response = send(&mut browser, Method::GET, "/account", accept).await;
        assert_eq!(response.status, 401);
        assert_eq!(response.headers["www-authenticate"], "Session");
    }
    let script = Request::get("/account").header("accept", HTML);
    let script = script.header("sec-fetch-mode", "cors").body(().into());
    assert_eq!(browser.send(script.expect("it is valid")).await.status, 401);
    let form = send(&mut browser, Method::POST, "/account", HTML).await;
    assert_eq!(target(&form), "/sign-in");
    let head = send(&mut browser, Method::HEAD, "/account", HTML).await;
    assert_eq!(target(&head), "/sign-in?next=%2Faccount");
}

/// The guard redirects to what a client asks for, and the sign-in page to what is in its address: neither may
/// be another site.
#[tokio::test]
async fn no_address_leads_to_another_site() {
    let fixture = Fixture::memory();
    let mut browser = browser(&fixture);
    for uri in [
        "//evil.example/account",
        "/%5Cevil.example",
        "/.//evil.example",
    ] {
        let handler = tests::app::Handler::session(|session| async move {
            session.require_user()?;
            Ok(())
        });
        let mut request = Request::get(uri).header("accept", HTML);
        request
            .extensions_mut()
            .expect("it is valid")
            .insert(handler);
        let response = browser
            .send(request.body(().into()).expect("it is valid"))
            .await;
        let found = target(&response);
        assert!(found.starts_with("/sign-in"), "{uri}: {found}");
        assert!(!found.contains("next=%2F%2F"), "{uri}: {found}");
    }
    for next in [
        "https://evil.example",
        "//evil.example",
        "%2F%2Fevil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "%20//evil.example",
        "javascript:alert(1)",
        "/%2e%2e//evil.example",
        "/a%0d%0aSet-Cookie:%20a=b",
    ] {
        let uri = format!("/sign-in?next={next}");
        let response = send(&mut browser, Method::POST, &uri, HTML).await;
        assert_eq!(target(&response), "/home", "{next}");
    }
}

#[tokio::test]
async fn permissions_are_the_app_s_and_refused_with_403() {
    let fixture = Fixture::memory();
    let mut browser = browser(&fixture);
    sign_in(&mut browser, 7).await;
    for uri in ["/admin", "/permitted"] {
        let response = open(&mut browser, uri).await;
        assert_eq!(response.status, 403);
        let error: &SessionError = response.extension().expect("it says why");
        assert_eq!(error.kind(), SessionErrorKind::Forbidden);
    }
    browser
        .request(|session| async move { session.insert("role", "admin") })
        .await;
    assert_eq!(open(&mut browser, "/admin").await.text(), "the page");
    assert_eq!(open(&mut browser, "/permitted").await.text(), "7");
}

#[tokio::test]
async fn a_recent_sign_in_is_asked_for_on_the_page_for_it() {
    let fixture = Fixture::memory();
    let mut browser = browser(&fixture);
    sign_in(&mut browser, 7).await;
    for uri in ["/recent", "/payments"] {
        assert_eq!(open(&mut browser, uri).await.status, 200);
    }
    fixture.clock.advance(minutes(11));
    for uri in ["/recent", "/payments"] {
        let expected = format!("/password?again&next=%2F{}", &uri[1..]);
        assert_eq!(target(&open(&mut browser, uri).await), expected);
    }
    assert_eq!(open(&mut browser, "/account").await.status, 200);
    let api = send(&mut browser, Method::GET, "/recent", "application/json").await;
    assert_eq!(api.status, 401);
}

/// The sign-in page of a guard replaces that of the layer, which is also where a recent sign-in is asked for without a page
/// of its own.
#[tokio::test]
async fn a_recent_sign_in_is_asked_for_on_the_sign_in_page_of_the_guard() {
    for (sign_in_page, reauthentication_page, expected) in [
        (None, None, "/staff/sign-in?next=%2Fstaff%2Fpayroll"),
        (
            Some("/sign-in"),
            None,
            "/staff/sign-in?next=%2Fstaff%2Fpayroll",
        ),
        (
            Some("/sign-in"),
            Some("/password"),
            "/password?next=%2Fstaff%2Fpayroll",
        ),
    ] {
        let fixture = Fixture::memory();
        let mut builder = fixture.builder();
        if let Some(page) = sign_in_page {
            builder = builder.with_sign_in_page(page);
        }
        if let Some(page) = reauthentication_page {
            builder = builder.with_reauthentication_page(page);
        }
        let layer = builder.build().expect("it is valid");
        let mut browser = Browser::new(pages().layer(layer));
        let nobody = open(&mut browser, "/staff/payroll").await;
        assert_eq!(target(&nobody), "/staff/sign-in?next=%2Fstaff%2Fpayroll");
        sign_in(&mut browser, 7).await;
        assert_eq!(open(&mut browser, "/staff/payroll").await.status, 200);
        fixture.clock.advance(minutes(11));
        let stale = open(&mut browser, "/staff/payroll").await;
        assert_eq!(target(&stale), expected, "{reauthentication_page:?}");
    }
}

#[tokio::test]
async fn without_a_page_a_guard_refuses_with_the_error_response_of_the_app() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_error_response(|error: &SessionError| (error.status(), "please").into_response());
    let mut browser = Browser::new(pages().layer(layer.build().expect("it is valid")));
    let response = open(&mut browser, "/account").await;
    assert_eq!((response.status.as_u16(), response.text()), (401, "please"));
    assert_eq!(
        target(&open(&mut browser, "/staff").await),
        "/staff/sign-in?next=%2Fstaff"
    );
    let mut outside = Browser::new(pages());
    assert_eq!(open(&mut outside, "/account").await.status, 500);
}

#[test]
fn a_page_must_be_a_path_on_this_site() {
    for page in [
        "sign-in",
        "//evil.example/",
        "https://shop.example/sign-in",
        "",
    ] {
        let builder = SessionLayer::builder(MemoryStore::new());
        let error = builder
            .with_sign_in_page(page)
            .build()
            .expect_err("refused");
        assert_eq!(error.option(), Some("with_sign_in_page"));
        assert_eq!(error.kind(), ConfigErrorKind::Page);
        let builder = SessionLayer::builder(MemoryStore::new());
        let error = builder.with_reauthentication_page(page).build();
        let error = error.expect_err("refused");
        assert_eq!(error.option(), Some("with_reauthentication_page"));
        assert!(RequireSignIn::new().with_sign_in_page(page).is_err());
    }
}
