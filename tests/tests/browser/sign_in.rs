//! Signing in and out in the demo, over HTTP.

use cloakroom::CookieConfig;
use http::StatusCode;
use tests::demo::Demo;

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
    assert!(page.body.contains("has ended. Sign in") && !page.body.contains("mine"));
    assert_eq!(page.header("set-cookie"), "");
    let form = [("name", "Ada"), ("password", "ada-password")];
    late.post("/sign-in", &form).await;
    assert!(late.get("/").await.body.contains("Hello, Ada"));
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
        ("remember", "true"),
    ];
    let response = client.post("/sign-in", &form).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    for part in [
        "The name or the password is wrong",
        "value=\"Ada &lt;3\"",
        "aria-invalid=\"true\"",
        "name=\"next\" value=\"/devices\"",
        "value=\"true\" checked",
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
async fn the_button_of_an_account_sends_the_other_fields_of_the_form() {
    let demo = Demo::start();
    let mut client = demo.client();
    let form = [
        ("name", ""),
        ("password", ""),
        ("next", "/devices"),
        ("remember", "true"),
        ("account", "Mona"),
    ];
    let response = client.post("/sign-in", &form).await;
    assert_eq!(response.header("location"), "/devices");
    let mut cookies = response.headers.get_all("set-cookie").iter();
    let is_remembered = cookies.any(|cookie| {
        let cookie = cookie.to_str().unwrap();
        cookie.starts_with(CookieConfig::DEFAULT_NAME) && cookie.contains("Max-Age=2592000")
    });
    assert!(is_remembered, "{:?}", response.headers);
    let page = client.get("/devices").await.body;
    assert!(page.contains("You are signed in as Mona"), "{page}");

    let form = [("name", ""), ("password", ""), ("account", "Nobody")];
    let response = client.post("/sign-in", &form).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
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
    let wait = response.header("retry-after");
    let text = format!("Try again in {wait} seconds.");
    assert!(response.body.contains(&text), "{text}: {}", response.body);

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
