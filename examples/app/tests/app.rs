//! The app over HTTP: two servers on one Redis and one database.

use std::net::SocketAddr;
use std::time::Duration;

use app_example::database::Database;
use app_example::{App, Storage, router};
use test_support::http::Client;
use test_support::redis::RedisServer;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Starts a server of the app, and returns its address.
async fn start(database: &Database, storage: &Storage) -> String {
    let app = App::new(database.clone(), storage).expect("the options are valid");
    let service = router(app, storage).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

async fn database() -> Database {
    let database = Database::open(None).await.expect("it is in memory");
    let added = database.add_user("Ada", "ada-password").await;
    added.expect("it is a new database");
    database
}

async fn sign_in(browser: &mut Client, password: &str) -> u16 {
    let form = [("name", "Ada"), ("password", password)];
    browser.post("/sign-in", &form).await.status.as_u16()
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

    let form = [("name", "<Grace>")];
    assert_eq!(other.post("/name", &form).await.status.as_u16(), 303);
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
    assert_eq!(
        browser
            .post("/name", &[("name", "x")])
            .await
            .status
            .as_u16(),
        401
    );
    assert!(browser.get("/").await.body.contains("Sign in"));
}

#[tokio::test]
async fn a_user_who_signs_out_is_not_shown_any_more() {
    let storage = Storage::memory();
    let address = start(&database().await, &storage).await;
    let mut browser = Client::new(&address);
    assert_eq!(sign_in(&mut browser, "ada-password").await, 303);
    assert_eq!(
        browser
            .post("/name", &[("name", " ")])
            .await
            .status
            .as_u16(),
        422
    );
    assert!(browser.get("/").await.body.contains("Hello, Ada."));
    assert_eq!(browser.post("/sign-out", &[]).await.status.as_u16(), 303);
    assert!(browser.get("/").await.body.contains("Sign in"));
}
