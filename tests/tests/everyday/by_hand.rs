//! The same tasks by hand, on tower-sessions, and with Cloakroom: both versions pass the same checks, so that their lengths
//! can be compared. `docs/recipes.md` has the table.

use axum::Router;
use axum::body::Body;
use cloakroom::MemoryStore;
use cloakroom_tower_sessions::v0_15::TowerSessionsStore;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method};
use tests::app::Fixture;
use tests::recipes::{after, before, lines};
use tests::user_agent::{Incoming, Outgoing, UserAgent};
use tower_sessions_015::SessionManagerLayer;
use tower_sessions_015::cookie::SameSite;
use url::Url;

use super::HTML;

/// An app, and a browser without cookies.
struct Visit {
    app: Router,
    browser: UserAgent,
}

/// An app on tower-sessions.
fn by_hand(routes: Router) -> Visit {
    let store = TowerSessionsStore::new(MemoryStore::new());
    let layer = SessionManagerLayer::new(store).with_same_site(SameSite::Lax);
    Visit {
        app: routes.layer(layer),
        browser: UserAgent::new(),
    }
}

fn with_helpers(routes: Router) -> Visit {
    let fixture = Fixture::memory();
    Visit {
        app: routes.layer(fixture.layer()),
        browser: UserAgent::new(),
    }
}

impl Visit {
    async fn send(&mut self, mut request: Outgoing, form: &str) -> Incoming {
        let headers = request.request.headers_mut();
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static(HTML));
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
        *request.request.body_mut() = Body::from(form.to_owned());
        let response = request.send(&self.app).await;
        self.browser.receive(&response);
        response
    }

    async fn get(&mut self, path: &str) -> String {
        let request = self.browser.start(Method::GET, path);
        shown(&self.send(request, "").await)
    }

    async fn post(&mut self, path: &str, form: &str) -> String {
        let request = self.browser.start(Method::POST, path);
        shown(&self.send(request, form).await)
    }
}

/// The target of a redirect, or the status and the text.
fn shown(response: &Incoming) -> String {
    match response.headers.get(LOCATION) {
        Some(location) => location.to_str().expect("ASCII").to_owned(),
        None if response.status == 200 => response.text().to_owned(),
        None => response.status.as_u16().to_string(),
    }
}

#[tokio::test]
async fn guards_by_hand_and_with_helpers_lead_to_the_same_pages() {
    let layer = after::guards::layer(Fixture::memory().builder()).expect("it is valid");
    let with_helpers = Visit {
        app: after::guards::routes().layer(layer),
        browser: UserAgent::new(),
    };
    for mut visit in [by_hand(before::guards::routes()), with_helpers] {
        assert_eq!(
            visit.get("/account?a=1").await,
            "/sign-in?next=%2Faccount%3Fa%3D1"
        );
        let mut script = visit.browser.start(Method::GET, "/account");
        let json = HeaderValue::from_static("application/json");
        script.request.headers_mut().insert(ACCEPT, json);
        assert_eq!(shown(&visit.send(script, "").await), "401");
        assert_eq!(
            visit.post("/address", "").await,
            "/sign-in",
            "not sent again"
        );
        for next in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/.//evil.example",
        ] {
            let path = format!("/sign-in?next={next}");
            assert_eq!(visit.post(&path, "user=ada").await, "/account", "{next}");
        }
        assert_eq!(
            visit.post("/sign-in?next=/address", "user=ada").await,
            "/address"
        );
        assert_eq!(visit.get("/address").await, "page");
        assert_eq!(visit.get("/account").await, "page");
        assert_eq!(visit.get("/admin").await, "403");
        assert_eq!(visit.post("/sign-in", "user=mona").await, "/account");
        assert_eq!(visit.get("/admin").await, "page");
    }
}

#[tokio::test]
async fn messages_by_hand_and_with_helpers_are_shown_once() {
    for mut visit in [
        by_hand(before::flash::routes()),
        with_helpers(after::flash::routes()),
    ] {
        assert_eq!(visit.post("/order", "").await, "/orders");
        assert_eq!(visit.post("/order", "").await, "/orders");
        let both = "Order 7 is placed. Order 7 is placed. ";
        assert_eq!(visit.get("/orders").await, both);
        assert_eq!(visit.get("/orders").await, "");
    }
}

#[tokio::test]
async fn acting_by_hand_and_with_helpers_is_no_sign_in_and_mixes_no_data() {
    let [by_hand, with_helpers] = [
        by_hand(before::impersonation::routes()),
        with_helpers(after::impersonation::routes()),
    ];
    for mut visit in [by_hand, with_helpers] {
        assert_ne!(
            visit.post("/act-as/bob", "").await,
            "",
            "nobody is signed in"
        );
        assert_eq!(visit.post("/sign-in/mona", "").await, "");
        let herself = r#"Some("mona") None Some("hat") true"#;
        assert_eq!(visit.get("/").await, herself);
        assert_eq!(visit.post("/act-as/bob", "").await, "");
        let acting = r#"Some("bob") Some("mona") None false"#;
        assert_eq!(visit.get("/").await, acting);
        assert_ne!(visit.post("/act-as/cleo", "").await, "", "they do not nest");
        assert_eq!(visit.get("/").await, acting);
        assert_eq!(visit.post("/stop", "").await, "");
        assert_eq!(visit.get("/").await, herself);
    }
}

#[tokio::test]
async fn oauth_by_hand_and_with_helpers_accepts_a_callback_once_in_its_browser() {
    let secret = b"a secret of at least thirty-two bytes";
    let layer = after::oauth::layer(Fixture::memory().builder(), secret).expect("it is valid");
    let with_helpers = Visit {
        app: after::oauth::routes().layer(layer),
        browser: UserAgent::new(),
    };
    for mut visit in [by_hand(before::oauth::routes()), with_helpers] {
        let first = begin(&mut visit, "next=//evil.example").await;
        let second = begin(&mut visit, "next=/orders").await;
        let mut other = Visit {
            app: visit.app.clone(),
            browser: UserAgent::new(),
        };
        assert_eq!(
            callback(&mut other, &second).await,
            "400",
            "another browser"
        );
        let mut copy = Visit {
            app: visit.app.clone(),
            browser: visit.browser.clone(),
        };
        let third = begin(&mut copy, "").await;
        let wrong_issuer = format!("{third}&iss=https://evil.example");
        assert_eq!(
            callback(&mut copy, &wrong_issuer).await,
            "400",
            "another provider"
        );
        assert_eq!(callback(&mut visit, &second).await, "/orders");
        assert_eq!(visit.get("/me").await, "ada");
        assert_eq!(callback(&mut visit, &second).await, "400", "again");
        assert_eq!(callback(&mut visit, &first).await, "/", "the other tab");
    }
}

/// Begins a sign-in, and returns the query of its callback.
async fn begin(visit: &mut Visit, form: &str) -> String {
    let url = Url::parse(&visit.post("/oauth/begin", form).await).expect("a URL");
    let parameters: std::collections::HashMap<_, _> = url.query_pairs().collect();
    format!(
        "state={}&code={}",
        parameters["state"], parameters["code_challenge"]
    )
}

async fn callback(visit: &mut Visit, query: &str) -> String {
    let path = format!("/oauth/callback?{query}");
    let request = visit.browser.start_cross_site(Method::GET, &path);
    shown(&visit.send(request, "").await)
}

#[test]
fn the_document_has_the_numbers_of_lines() {
    let document = include_str!("../../../docs/recipes.md");
    let table = lines::table();
    assert!(
        document.contains(&table),
        "docs/recipes.md needs this table:\n{table}"
    );
}
