//! The demo over HTTP: command line, responses, shutdown.

use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use cloakroom::CookieConfig;
use http::{Request, StatusCode};
use tests::demo::Demo;
use tests::program::free_port;
use tests::redis::RedisServer;
use tests::wait::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The one-line error with which the demo exits.
fn refusal(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let text = std::str::from_utf8(&output.stderr).expect("it is text");
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end()
}

#[test]
fn the_help_names_every_option() {
    let output = Demo::run(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--redis",
        "REDIS_URL",
        "--listen",
        "--idle",
        "--absolute",
        "--anonymous-idle",
        "--recent-sign-in",
        "--log-format",
        "--max-sessions",
        "Examples:",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for line in help.lines() {
        assert!(line.len() <= 100, "too long for a terminal: {line}");
    }
}

#[test]
fn an_invalid_configuration_is_reported_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = Demo::run(&["--listen", &address]);
    assert!(refusal(&line).contains(&address) && refusal(&line).contains("in use"));

    let nobody = format!("redis://me:hunter2@127.0.0.1:{}/1", free_port());
    let line = Demo::run(&["--redis", &nobody]);
    assert!(refusal(&line).contains("connection refused"));
    assert!(!refusal(&line).contains("hunter2"));

    let line = Demo::run(&["--idle", "0s"]);
    assert!(refusal(&line).contains("at least 1s"));
    let line = Demo::run(&["--absolute", "500days"]);
    assert!(refusal(&line).contains("at most 400 days"));
    let line = Demo::run(&["--max-sessions", "0"]);
    assert!(refusal(&line).contains("nobody could sign in"));
}

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
    until(async || client.get("/healthz").await.status == StatusCode::OK).await;
    assert!(redis.keys_with_ttl().is_empty());
}

#[tokio::test]
async fn without_redis_it_responds_503_and_recovers_by_itself() {
    let mut redis = RedisServer::start();
    let demo = Demo::start_on(&redis.url());
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
    assert_eq!(client.cookie(), Some(&*cookie));
    redis.thaw();
    until(async || client.get("/").await.status == StatusCode::OK).await;
    assert_eq!(client.cookie(), Some(&*cookie));

    redis.kill();
    let response = client.post("/notes", &[("text", "lost?")]).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.body.contains("refresh"), "a form is not repeated");
    assert_eq!(client.get("/nothing").await.status, StatusCode::NOT_FOUND);
    redis.restart();
    until(async || client.get("/").await.status == StatusCode::OK).await;
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

#[tokio::test]
async fn signing_in_as_another_user_starts_an_empty_session() {
    let demo = Demo::start();
    let mut client = demo.client();
    let ada = [
        ("name", "ada"),
        ("password", "ada-password"),
        ("remember", "true"),
    ];
    let bela = [("name", "Bela"), ("password", "bela-password")];
    client.post("/notes", &[("text", "earlier")]).await;
    client.post("/sign-in", &ada).await;
    let ada_s = client.clone();
    let page = client.get("/").await.body;
    assert!(page.contains("earlier") && page.contains("Hello, Ada"));

    let response = client.post("/sign-in", &bela).await;
    let session = format!("{}=", CookieConfig::DEFAULT_NAME);
    let mut cookies = response.headers.get_all("set-cookie").iter();
    let cookie = cookies.find(|cookie| cookie.as_bytes().starts_with(session.as_bytes()));
    let cookie = cookie.and_then(|cookie| cookie.to_str().ok());
    let cookie = cookie.expect("the session's cookie");
    assert!(!cookie.contains("Max-Age"), "not remembered: {cookie}");
    let page = client.get("/").await.body;
    assert!(page.contains("Hello, Bela") && !page.contains("earlier"));
    assert!(page.contains("until the browser closes"));
    let mut ada_s = ada_s;
    assert!(!ada_s.get("/").await.body.contains("Hello, Ada"));
}

#[tokio::test]
async fn a_stale_cookie_is_invalid_and_can_sign_in_again() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.post("/notes", &[("text", "mine")]).await;
    let stale = client.cookie().unwrap().to_owned();
    client.post("/sign-out", &[]).await;
    assert!(client.get("/").await.body.contains("You are signed out"));

    let mut late = demo.client().with_cookie(stale);
    let page = late.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("It has ended") && !page.body.contains("mine"));
    assert_eq!(page.header("set-cookie"), "");
    let form = [("name", "Ada"), ("password", "ada-password")];
    late.post("/sign-in", &form).await;
    assert!(late.get("/").await.body.contains("Hello, Ada"));
}

#[tokio::test]
async fn sigterm_shuts_down_gracefully_and_the_log_holds_no_secret() {
    let demo = Demo::start();
    let mut client = demo.client();
    let form = [("name", "Ada"), ("password", "ada-password")];
    client.post("/sign-in", &form).await;
    let cookie = client.cookie().unwrap().to_owned();
    demo.terminate();
    let (status, log) = demo.ended();
    assert!(status.success(), "{status}");
    assert!(
        log.contains("session created") && log.contains("shutting down"),
        "{log}"
    );
    let (_, token) = cookie.split_once('=').unwrap();
    assert!(
        !log.contains(token) && !log.contains("ada-password"),
        "{log}"
    );
}

#[tokio::test]
async fn the_log_can_be_json() {
    let demo = Demo::start_with(&["--log-format", "json"]);
    demo.client().get("/").await;
    demo.terminate();
    let (_, log) = demo.ended();
    let mut messages = Vec::new();
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        messages.push(event["message"].to_string());
    }
    assert!(
        messages.iter().any(|text| text.contains("session created")),
        "{messages:?}"
    );
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
async fn a_wrong_password_is_reported_beside_the_form_and_is_not_a_visit() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.get("/").await;
    let cookie = client.cookie().unwrap().to_owned();
    let form = [
        ("name", "Ada <3"),
        ("password", "wrong"),
        ("next", "/devices"),
    ];
    let response = client.post("/sign-in", &form).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    for part in [
        "The name or the password is wrong",
        "value=\"Ada &lt;3\"",
        "aria-invalid=\"true\"",
        "name=\"next\" value=\"/devices\"",
    ] {
        assert!(response.body.contains(part), "{part}: {}", response.body);
    }
    assert_eq!(client.cookie(), Some(&*cookie));
    let page = client.get("/").await.body;
    assert!(page.contains("data-count=\"2\""), "{page}");
}

#[tokio::test]
async fn signing_in_returns_only_to_paths_of_the_site() {
    let demo = Demo::start();
    let mut client = demo.client();
    let page = client.get("/sign-in?next=/security").await.body;
    assert!(page.contains("name=\"next\" value=\"/security\""));
    for (next, location) in [
        ("/devices", "/devices"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
    ] {
        let form = [
            ("name", "Ada"),
            ("password", "ada-password"),
            ("next", next),
        ];
        let response = client.post("/sign-in", &form).await;
        assert_eq!(response.header("location"), location, "{next}");
    }
}

#[tokio::test]
async fn a_request_in_progress_is_finished_before_shutdown() {
    let demo = Demo::start();
    let address = demo.url().strip_prefix("http://").unwrap().to_owned();
    let mut connection = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /notes HTTP/1.1\r\nHost: {address}\r\nContent-Length: 6\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // The handler reads the body: the request is in progress.
    let mut response = [0; 64];
    let length = connection.read(&mut response).await.unwrap();
    assert!(response[..length].starts_with(b"HTTP/1.1 100 Continue"));

    demo.terminate();
    until(async || TcpStream::connect(&address).await.is_err()).await;
    connection.write_all(b"text=a").await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 303"), "{response}");
    assert!(response.contains("set-cookie: "), "it is stored");
    let (status, _) = demo.ended();
    assert!(status.success(), "{status}");
}

/// Waits for a condition, at most ten seconds.
async fn until(condition: impl AsyncFnMut() -> bool) {
    within("the condition holds", Duration::from_secs(10), condition).await;
}

#[tokio::test]
async fn guesses_are_stopped_and_the_user_learns_of_them_in_the_browser_they_know() {
    let demo = Demo::start();
    let guess = [("name", "Ada"), ("password", "wrong"), ("next", "/")];
    let right = [("name", "Ada"), ("password", "ada-password"), ("next", "/")];

    let mut owner = demo.client();
    let response = owner.post("/sign-in", &right).await;
    let cookies = response.headers.get_all("set-cookie").iter();
    let cookies: Vec<_> = cookies.filter_map(|cookie| cookie.to_str().ok()).collect();
    let pair = |cookie: &&str| cookie.split(';').next().map(str::to_owned);
    let cookies: Vec<_> = cookies.iter().filter_map(pair).collect();
    assert_eq!(cookies.len(), 2, "session and device: {cookies:?}");

    let mut stranger = demo.client();
    for _ in 0..10 {
        let response = stranger.post("/sign-in", &guess).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    }
    // Not even with the right password.
    let response = stranger.post("/sign-in", &right).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(response.body.contains("Try again in"), "{}", response.body);

    let mut owner = demo.client().with_cookie(cookies.join("; "));
    let response = owner.post("/sign-in", &right).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    let page = owner.get("/").await;
    assert!(page.body.contains("10 failed attempts"), "{}", page.body);
    assert_eq!(page.header("ratelimit-policy"), "\"requests\";q=600;w=60");
}

#[tokio::test]
async fn the_page_that_asks_for_the_password_again_is_guarded_as_well() {
    let demo = Demo::start_with(&["--recent-sign-in", "1s"]);
    let mut client = demo.client();
    client
        .post("/sign-in", &[("name", "Ada"), ("password", "ada-password")])
        .await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let response = client.post("/security", &[("password", "wrong")]).await;
        statuses.push(response.status);
    }
    let wrong = statuses
        .iter()
        .filter(|&&status| status == StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.count(), 10, "{statuses:?}");
    assert_eq!(statuses[11], StatusCode::TOO_MANY_REQUESTS);
}
