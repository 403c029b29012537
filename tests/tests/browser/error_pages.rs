//! What the demo responds when something is wrong, and the headers of all responses.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use tests::client::Client;
use tests::demo::Demo;
use tests::redis::RedisServer;
use tests::wait::within;

#[tokio::test]
async fn the_health_endpoint_reports_the_store_and_needs_no_session() {
    let demo = Demo::start();
    let mut client = demo.client();
    assert_eq!(client.get("/healthz").await.status, StatusCode::OK);

    let mut redis = RedisServer::start();
    let demo = Demo::start_on(&redis.url());
    let mut client = demo.client();
    let response = client.get("/healthz").await;
    assert_eq!(response.status, StatusCode::OK);
    let health: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(health["status"], "ok");
    assert!(health["memory"]["used"].as_u64() > Some(0), "{health}");
    let warnings = health["warnings"].as_array().unwrap();
    let warns = |of| {
        warnings
            .iter()
            .any(|line| line.as_str().unwrap().contains(of))
    };
    assert!(warns("appendonly"), "this server keeps nothing: {health}");
    redis.kill();
    let response = client.get("/healthz").await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.body, r#"{"status":"unavailable"}"#);
    assert_eq!(client.cookie(), None);
    redis.restart();
    responds(&mut client, "/healthz").await;
    assert!(redis.keys_with_ttl().is_empty());
}

#[tokio::test]
async fn without_redis_it_responds_503_and_recovers_by_itself() {
    let mut redis = RedisServer::start();
    let demo = Demo::start_with(&["--redis", &redis.url()]);
    let mut client = demo.client();
    client.get("/").await;
    let cookie = client.cookie().unwrap().to_owned();

    let began = Instant::now();
    redis.freeze();
    let response = client.get("/").await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.header("retry-after"), "2");
    assert!(
        response.body.contains("Temporarily unavailable"),
        "{}",
        response.body
    );
    let retry = r#"http-equiv="refresh" content="2; url=/""#;
    assert!(response.body.contains(retry), "{}", response.body);
    let page = client.get("/sign-in?next=/admin").await.body;
    let retry = r#"content="2; url=/sign-in?next=/admin""#;
    assert!(page.contains(retry), "the query is kept: {page}");
    assert_eq!(client.cookie(), Some(&*cookie));
    redis.thaw();
    responds(&mut client, "/").await;
    assert_eq!(client.cookie(), Some(&*cookie));

    redis.kill();
    let response = client.post("/notes", &[("text", "lost?")]).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.body.contains("refresh"), "a form is not repeated");
    assert_eq!(client.get("/nothing").await.status, StatusCode::NOT_FOUND);
    redis.restart();
    responds(&mut client, "/").await;
}

/// Waits until a page is there again.
async fn responds(client: &mut Client, path: &str) {
    let limit = Duration::from_secs(30);
    within("the page is there", limit, async || {
        client.get(path).await.status == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn a_cross_site_form_is_rejected() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.get("/").await;
    let forged = [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ];
    for (name, value) in forged {
        let request = Request::post("/notes")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .body("text=planted".to_owned());
        let response = client.send(request.unwrap()).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN);
        assert!(response.body.contains("another site"));
    }
    assert!(!client.get("/").await.body.contains("planted"));
}

#[tokio::test]
async fn every_response_has_security_headers_and_every_error_a_page() {
    let demo = Demo::start();
    let mut client = demo.client();
    let pages = [
        ("/", StatusCode::OK),
        ("/style.css", StatusCode::OK),
        ("/events.js", StatusCode::OK),
        ("/devices", StatusCode::UNAUTHORIZED),
        ("/nothing", StatusCode::NOT_FOUND),
        ("/notes", StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (path, status) in pages {
        let response = client.get(path).await;
        assert_eq!(response.status, status, "{path}");
        let policy = response.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(response.header("x-content-type-options"), "nosniff");
        assert_eq!(response.header("referrer-policy"), "same-origin");
        assert!(response.body.contains("<html lang=\"en\">") || path.contains('.'));
    }
    let script = [("text", "<script>alert(1)</script>")];
    client.post("/notes", &script).await;
    let page = client.get("/").await.body;
    assert!(page.contains("&lt;script&gt;alert") && !page.contains("<script>alert"));
}

#[tokio::test]
async fn error_pages_keep_the_navigation() {
    let demo = Demo::start();
    let mut client = demo.client();
    let form = [("name", "Ada"), ("password", "ada-password")];
    let anonymous = client.get("/nothing").await;
    assert!(anonymous.body.contains("href=\"/sign-in\""));
    client.post("/sign-in", &form).await;
    for (path, status) in [
        ("/nothing", StatusCode::NOT_FOUND),
        ("/notes", StatusCode::METHOD_NOT_ALLOWED),
        ("/admin", StatusCode::FORBIDDEN),
    ] {
        let page = client.get(path).await;
        assert_eq!(page.status, status);
        assert!(page.body.contains("href=\"/devices\""), "{path}");
        assert!(page.body.contains("id=\"sign-out\""), "{path}");
    }
}

#[tokio::test]
async fn a_full_session_reports_an_error_and_stays_usable() {
    let demo = Demo::start();
    let mut client = demo.client();
    let long = "x".repeat(280);
    let mut notes = 0;
    loop {
        client.post("/notes", &[("text", &long)]).await;
        let page = client.get("/").await;
        assert_eq!(page.status, StatusCode::OK);
        if page.body.contains("The session is full") {
            break;
        }
        notes += 1;
        assert!(notes < 100, "there is a limit");
    }
    // With no room for another note, everything else still works. (Too many requests would meet the rate limit.)
    for length in (1..280).rev().step_by(4) {
        client
            .post("/notes", &[("text", &"y".repeat(length))])
            .await;
    }
    let response = client.post("/notes", &[("text", &"z".repeat(281))]).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert!(client.get("/").await.body.contains("too long"));
    let form = [
        ("name", "Cleo"),
        ("password", "cleo-password"),
        ("remember", "true"),
    ];
    client.post("/sign-in", &form).await;
    let page = client.get("/").await;
    assert!(
        page.body.contains("You are signed in as Cleo"),
        "{}",
        page.body
    );
    assert_eq!(client.get("/").await.status, StatusCode::OK);
    client.post("/notes/remove", &[("number", "0")]).await;
    assert!(client.get("/").await.body.contains("The note is removed"));
}
