//! The app over HTTP. `tests/tests/app` drives it in Chromium.

mod provider;
mod staff;

use std::net::SocketAddr;
use std::time::Duration;

use app_example::database::Database;
use app_example::{App, Config, Storage, router, sessions};
use test_support::http::Client;
use test_support::redis::RedisServer;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Starts a server of the app, and returns its address.
async fn start(database: &Database, storage: &Storage) -> String {
    start_with(database, storage, "http://127.0.0.1:1").await
}

/// Starts a server of the app with this identity provider, and returns its address.
async fn start_with(database: &Database, storage: &Storage, provider: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let config = Config {
        url: format!("http://{address}"),
        provider: provider.to_owned(),
        secret: "a secret of at least thirty-two bytes".to_owned(),
        recent_sign_in: Duration::from_secs(60),
        prints_mail: false,
    };
    let layer = sessions(storage, &config).expect("the options are valid");
    let app = App::new(config, database.clone(), storage).expect("the options are valid");
    for (name, password, is_staff) in [
        ("Ada", "ada-password", false),
        ("Mona", "mona-password", true),
    ] {
        // Another server may have added them.
        let added = app.add_user(name, password, is_staff).await;
        added.expect("the database responds");
    }
    let service = router(app, &layer).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

async fn database() -> Database {
    Database::open(None).await.expect("it is in memory")
}

async fn post(browser: &mut Client, path: &str, form: &[(&str, &str)]) -> u16 {
    browser.post(path, form).await.status.as_u16()
}

async fn sign_in(browser: &mut Client, password: &str) -> u16 {
    sign_in_as(browser, "Ada", password).await
}

async fn sign_in_as(browser: &mut Client, name: &str, password: &str) -> u16 {
    let form = [("name", name), ("password", password)];
    post(browser, "/sign-in", &form).await
}

/// The CSRF token of a page.
async fn token(browser: &mut Client, path: &str) -> String {
    let page = browser.get(path).await.body;
    let (_, token) = page.split_once("name=\"csrf\" value=\"").expect("a token");
    token.split('"').next().expect("it ends").to_owned()
}

#[tokio::test]
async fn two_hundred_pages_on_two_servers_are_one_query() {
    let redis = RedisServer::start();
    let database = database().await;
    let url = redis.url();
    let storages = (Storage::redis(&url).await, Storage::redis(&url).await);
    let storages = [storages.0.expect("it runs"), storages.1.expect("it runs")];
    let addresses = [
        start(&database, &storages[0]).await,
        start(&database, &storages[1]).await,
    ];
    let mut browser = Client::new(&addresses[0]);
    assert_eq!(sign_in(&mut browser, "ada-password").await, 303);
    // The browser on the other server, as behind a load balancer.
    let cookie = browser.cookie().expect("it is signed in").to_owned();
    let mut other = Client::new(&addresses[1]).with_cookie(cookie);
    for _ in 0..100 {
        for browser in [&mut browser, &mut other] {
            let page = browser.get("/").await.body;
            assert!(page.contains("Hello, Ada."), "{page}");
        }
    }
    assert_eq!(database.queries(), 1);

    let csrf = token(&mut other, "/account").await;
    let form = [("name", "<Grace>"), ("csrf", &csrf)];
    assert_eq!(post(&mut other, "/account/name", &form).await, 303);
    let page = other.get("/").await.body;
    assert!(page.contains("Hello, &lt;Grace&gt;."), "{page}");
    // The staleness bound, with slack for a busy machine.
    for _ in 0..1000 {
        if browser.get("/").await.body.contains("Grace") {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    let page = browser.get("/").await.body;
    assert!(page.contains("Grace"), "{page}");
    assert_eq!(database.queries(), 2);
    let numbers = browser.get("/numbers").await.body;
    assert!(numbers.contains("queries: 2"), "{numbers}");
}

#[tokio::test]
async fn guesses_are_refused_and_a_wrong_password_signs_nobody_in() {
    let storage = Storage::memory();
    let address = start(&database().await, &storage).await;
    let mut browser = Client::new(&address);
    let mut statuses = Vec::new();
    for _ in 0..15 {
        statuses.push(sign_in(&mut browser, "wrong").await);
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[14], 429);
    assert!(browser.get("/").await.body.contains("Sign in"));
}

#[tokio::test]
async fn registrations_of_an_address_are_limited() {
    let address = start(&database().await, &Storage::memory()).await;
    let mut browser = Client::new(&address);
    let taken = [("name", "ada"), ("password", "another-password")];
    assert_eq!(post(&mut browser, "/register", &taken).await, 409);
    let short = [("name", "Zoe"), ("password", "short")];
    for _ in 1..20 {
        assert_eq!(post(&mut browser, "/register", &short).await, 422);
    }
    let right = [("name", "Zoe"), ("password", "zoe-password")];
    let refused = browser.post("/register", &right).await;
    assert_eq!(refused.status, 429);
    assert_ne!(refused.header("retry-after"), "");
    assert!(refused.body.contains("Too many registrations"));
    assert_eq!(browser.get("/register").await.status, 200);
    assert_eq!(sign_in_as(&mut browser, "Zoe", "zoe-password").await, 401);
}

#[tokio::test]
async fn codes_by_mail_are_limited_by_user_and_by_address() {
    let address = start(&database().await, &Storage::memory()).await;
    let (mut ada, mut mona) = (Client::new(&address), Client::new(&address));
    assert_eq!(sign_in(&mut ada, "ada-password").await, 303);
    assert_eq!(sign_in_as(&mut mona, "Mona", "mona-password").await, 303);
    let path = "/account/email";
    let csrf = token(&mut ada, path).await;
    let (zoe, other) = ("zoe@example.com", "other@example.com");
    let form = [("csrf", &*csrf), ("email", "zoe@example.com,eve")];
    assert_eq!(post(&mut ada, path, &form).await, 422);
    for email in [zoe, "Zoe@Example.com", other, other, zoe] {
        let form = [("csrf", &*csrf), ("email", email)];
        assert_eq!(post(&mut ada, path, &form).await, 303);
    }
    let form = [("csrf", &*csrf), ("email", "third@example.com")];
    let refused = ada.post(path, &form).await;
    assert_eq!(refused.status, 429, "of the user");
    assert_ne!(refused.header("retry-after"), "");

    let csrf = token(&mut mona, path).await;
    for (email, status) in [(zoe, 303), (zoe, 303), (zoe, 429), (other, 303)] {
        let form = [("csrf", &*csrf), ("email", email)];
        assert_eq!(post(&mut mona, path, &form).await, status, "{email}");
    }
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_changes_nothing() {
    let storage = Storage::memory();
    let address = start(&database().await, &storage).await;
    let mut browser = Client::new(&address);
    assert_eq!(sign_in(&mut browser, "ada-password").await, 303);
    let mut other = Client::new(&address);
    assert_eq!(sign_in(&mut other, "ada-password").await, 303);
    let foreign = token(&mut other, "/account").await;
    for form in [
        vec![("name", "Eve")],
        vec![("name", "Eve"), ("csrf", "guess")],
        vec![("name", "Eve"), ("csrf", &foreign)],
    ] {
        assert_eq!(post(&mut browser, "/account/name", &form).await, 403);
    }
    for path in ["/sign-out", "/devices/sign-out-others", "/account/email"] {
        let form = [("email", "eve@example.com")];
        assert_eq!(post(&mut browser, path, &form).await, 403, "{path}");
    }
    assert!(browser.get("/").await.body.contains("Hello, Ada."));
    let csrf = token(&mut browser, "/account").await;
    let form = [("name", " "), ("csrf", &csrf)];
    assert_eq!(post(&mut browser, "/account/name", &form).await, 422);
    let form = [("csrf", &*csrf)];
    assert_eq!(post(&mut browser, "/sign-out", &form).await, 303);
    assert!(browser.get("/").await.body.contains("Sign in"));
}
