//! The quick start of the README.

use http::StatusCode;
use tests::client::{Client, TestResponse};
use tests::program::{self, Running};
use tests::redis::RedisServer;

#[tokio::test]
async fn the_quickstart_counts_visits_and_signs_users_in_and_out() {
    let redis = RedisServer::start();
    let address = format!("127.0.0.1:{}", program::free_port());
    let mut command = program::command("quickstart");
    command.env("REDIS_URL", redis.url());
    command.env("LISTEN", &address);
    let running = Running::start(&mut command, &[&address]).await;

    let mut browser = Client::new(&address);
    for visit in 1..=3 {
        let response = browser.get("/").await;
        assert_eq!(response.status, StatusCode::OK);
        assert_eq!(response.body, format!("Visit {visit} of a guest"));
    }
    let mut other = Client::new(&address);
    let response = other.get("/").await;
    assert_eq!(response.body, "Visit 1 of a guest");
    for attribute in ["Path=/", "HttpOnly", "Secure", "SameSite=Lax"] {
        assert!(response.header("set-cookie").contains(attribute));
    }
    assert!(!response.header("set-cookie").contains("Max-Age"));

    let forms = browser.get("/sign-in").await;
    assert!(forms.body.contains("name=\"user\""), "{}", forms.body);
    let response = browser.post("/sign-in", &[("user", "ada")]).await;
    assert_signed_in(&response);
    assert!(!response.header("set-cookie").contains("Max-Age"));
    assert_eq!(browser.get("/").await.body, "Visit 4 of ada");
    let response = other
        .post("/sign-in", &[("user", "ada"), ("remember", "on")])
        .await;
    assert_signed_in(&response);
    assert!(response.header("set-cookie").contains("Max-Age=7776000"));

    // Sessions survive a restart of the program: they are in Redis.
    drop(running);
    let _running = Running::start(&mut command, &[&address]).await;
    assert_eq!(browser.get("/").await.body, "Visit 5 of ada");
    browser.post("/sign-out", &[]).await;
    assert_eq!(browser.get("/").await.body, "Visit 1 of a guest");
    assert_eq!(other.get("/").await.body, "Visit 2 of ada");
    assert!(redis.keys_with_ttl().iter().all(|(_, ttl)| ttl.is_some()));
}

fn assert_signed_in(response: &TestResponse) {
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert_eq!(response.header("location"), "/");
}
