//! The pages Devices, Security and Admin, and the event stream of the demo over HTTP.

use http::{Request, StatusCode};
use tests::client::{Client, TestResponse};
use tests::demo::Demo;
use tests::device_scenarios::{ADA, MONA, until};
use tests::redis::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

const BELA: (&str, &str) = ("Bela", "bela-password");

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// Forms that need a signed-in user.
const FORMS: [&str; 6] = [
    "/devices/sign-out",
    "/devices/sign-out-others",
    "/devices/sign-out-all",
    "/security",
    "/admin/sign-out",
    "/admin/sign-out-all",
];

#[tokio::test]
async fn devices_are_named_and_users_end_only_their_own_sessions() {
    let demo = Demo::start();
    let mut ada = signed_in(&demo, ADA, FIREFOX).await;
    let mut phone = signed_in(&demo, ADA, "").await;
    let mut bela = signed_in(&demo, BELA, FIREFOX).await;

    let list = phone.get("/devices").await.body;
    assert_eq!(ids(&list).len(), 2, "{list}");
    assert!(list.contains("Firefox on Windows 10") && list.contains("Unknown device"));
    assert!(list.contains("127.0.0.1") && list.contains("signed in <time"));
    assert_eq!(list.matches("Current device").count(), 1);

    for id in ids(&list) {
        bela.post("/devices/sign-out", &[("id", &id)]).await;
        let page = bela.get("/devices").await.body;
        assert!(page.contains("signed out already"), "{page}");
    }
    phone.post("/devices/sign-out", &[("id", "no id")]).await;
    assert_eq!(ids(&phone.get("/devices").await.body).len(), 2);

    phone.post("/devices/sign-out-others", &[]).await;
    let page = phone.get("/devices").await.body;
    assert!(page.contains("One other device is signed out"));
    assert_eq!(ids(&page).len(), 1);
    assert_eq!(ada.get("/devices").await.status, StatusCode::UNAUTHORIZED);
    phone.post("/devices/sign-out-all", &[]).await;
    assert!(phone.get("/").await.body.contains("signed out everywhere"));
    assert_eq!(ids(&bela.get("/devices").await.body).len(), 1);
}

#[tokio::test]
async fn anonymous_requests_are_asked_to_sign_in() {
    let demo = Demo::start();
    let mut client = demo.client();
    for path in ["/devices", "/security", "/admin"] {
        asks_to_sign_in(&client.get(path).await);
    }
    for path in FORMS {
        let form = [("id", "x"), ("user", "Ada"), ("password", ADA.1)];
        asks_to_sign_in(&client.post(path, &form).await);
    }
    for path in ["/", "/sign-in"] {
        assert!(client.get(path).await.body.contains("id=\"sign-in\""));
    }
    let page = client.get("/devices").await.body;
    assert!(page.contains("name=\"next\" value=\"/devices\""), "{page}");
}

fn asks_to_sign_in(response: &TestResponse) {
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(response.header("www-authenticate"), "Session");
    assert!(response.body.contains("Please sign in"));
    assert!(response.body.contains("action=\"/sign-in\""));
}

#[tokio::test]
async fn only_an_admin_sees_all_users() {
    let demo = Demo::start();
    let mut ada = signed_in(&demo, ADA, FIREFOX).await;
    let mut bela = signed_in(&demo, BELA, FIREFOX).await;
    let mut mona = signed_in(&demo, MONA, FIREFOX).await;
    let page = mona.get("/admin").await.body;
    for user in ["Ada", "Bela", "Cleo", "Mona"] {
        assert!(page.contains(&format!("data-user=\"{user}\"")));
    }
    assert_eq!(ids(&page).len(), 3);
    assert_eq!(page.matches("not signed in").count(), 1);

    let adas = ids(&ada.get("/devices").await.body).remove(0);
    let form = [("id", &*adas), ("user", "Ada")];
    assert_eq!(bela.get("/admin").await.status, StatusCode::FORBIDDEN);
    for path in ["/admin/sign-out", "/admin/sign-out-all"] {
        let response = bela.post(path, &form).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN);
        assert!(response.body.contains("Admins only"));
    }
    assert_eq!(ada.get("/devices").await.status, StatusCode::OK);

    mona.post("/admin/sign-out", &form).await;
    assert!(
        mona.get("/admin")
            .await
            .body
            .contains("The session is ended")
    );
    assert_eq!(ada.get("/devices").await.status, StatusCode::UNAUTHORIZED);
    mona.post("/admin/sign-out", &form).await;
    assert!(mona.get("/admin").await.body.contains("had ended already"));
    mona.post("/admin/sign-out-all", &[("user", "Bela")]).await;
    let page = mona.get("/admin").await.body;
    assert!(page.contains("One session of Bela is ended"), "{page}");
    mona.post("/admin/sign-out-all", &[("user", "Nobody")])
        .await;
    assert!(mona.get("/admin").await.body.contains("no such user"));
}

#[tokio::test]
async fn a_sensitive_page_needs_a_recent_password_and_renews_the_session() {
    let demo = Demo::start_with(&["--recent-sign-in", "1s"]);
    let mut ada = demo.client();
    let remembered = [("name", ADA.0), ("password", ADA.1), ("remember", "true")];
    ada.post("/sign-in", &remembered).await;
    ada.post("/notes", &[("text", "stays")]).await;
    let client = Mutex::new(ada);
    until("the sign-in is not recent", async || {
        let page = client.lock().await.get("/security").await;
        page.status == StatusCode::UNAUTHORIZED
    })
    .await;
    let mut ada = client.into_inner();
    let page = ada.get("/security").await;
    assert!(!page.body.contains("7F3K-92QD") && page.body.contains("Devices"));
    assert_eq!(page.header("www-authenticate"), "Session");

    let old = ada.clone();
    let response = ada.post("/security", &[("password", BELA.1)]).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert!(response.body.contains("The password is wrong"));
    assert_eq!(ada.cookie(), old.cookie(), "nothing is new");
    let response = ada.post("/security", &[("password", ADA.1)]).await;
    assert_eq!(response.header("location"), "/security");
    assert!(
        response.header("set-cookie").contains("Max-Age"),
        "remembered"
    );
    assert!(ada.get("/security").await.body.contains("7F3K-92QD"));
    assert!(ada.get("/").await.body.contains("stays"));
    assert_ne!(ada.cookie(), old.cookie());
    let mut old = old;
    assert_eq!(old.get("/security").await.status, StatusCode::UNAUTHORIZED);
}

/// As long as the browser has the cookie, all pages say it: those that need a user, and the others.
#[tokio::test]
async fn every_page_says_why_the_user_was_signed_out() {
    let demo = Demo::start_with(&["--max-sessions", "2"]);
    let says = async |client: &mut Client, text: &str| {
        for path in ["/", "/sign-in", "/devices", "/security"] {
            let page = client.get(path).await.body;
            let expected = format!("You are signed out. {text}");
            assert!(page.contains(&expected), "{path}: {page}");
        }
    };
    let mut ada = signed_in(&demo, ADA, FIREFOX).await;
    let mut other = signed_in(&demo, ADA, FIREFOX).await;
    other.post("/devices/sign-out-others", &[]).await;
    says(&mut ada, "You ended this session from another device.").await;

    signed_in(&demo, ADA, FIREFOX).await;
    signed_in(&demo, ADA, FIREFOX).await;
    says(&mut other, "You signed in on more devices than allowed").await;

    let mut bela = signed_in(&demo, BELA, FIREFOX).await;
    let mut mona = signed_in(&demo, MONA, FIREFOX).await;
    mona.post("/admin/sign-out-all", &[("user", "Bela")]).await;
    says(&mut bela, "An administrator ended this session.").await;

    let mut other_tab = mona.clone();
    mona.post("/sign-out", &[]).await;
    says(&mut other_tab, "You signed out, in another tab").await;

    // Nobody who was never signed in reads this, and neither does the next user of the browser.
    let page = demo.client().get("/").await.body;
    assert!(!page.contains("You are signed out."), "{page}");
    let (name, password) = BELA;
    bela.post("/sign-in", &[("name", name), ("password", password)])
        .await;
    let page = bela.get("/devices").await.body;
    assert!(!page.contains("You are signed out."), "{page}");
}

#[tokio::test]
async fn the_event_stream_reports_what_happens_to_a_session() {
    let demo = Demo::start();
    let mut ada = signed_in(&demo, ADA, FIREFOX).await;
    let session = ids(&ada.get("/devices").await.body).remove(0);
    let live = format!("/live?session={session}");

    // Two open streams: both receive the new device and the end.
    let (one, other) = (
        listen(&demo, &ada, &live).await,
        listen(&demo, &ada, &live).await,
    );
    signed_in(&demo, ADA, "").await;
    signed_in(&demo, BELA, "").await;
    let still = ada.clone();
    ada.post("/sign-out", &[]).await;
    for mut page in [one, other] {
        let mut events = String::new();
        page.read_to_string(&mut events).await.unwrap();
        let end = events.find("event: ended").expect("the event arrives");
        assert!(events[end..].contains("id: signed_out"));
        // That of the first sign-in may arrive late, and be reported as well.
        let changes = events[..end].matches("event: sessions").count();
        assert!((1..=2).contains(&changes), "{events}");
    }

    // A stream opened after the end reports it at once.
    let mut still = still;
    assert!(still.get(&live).await.body.contains("id: other"));
    assert!(ada.get(&live).await.body.contains("id: other"));
    let mut bela = signed_in(&demo, BELA, "").await;
    assert!(bela.get(&live).await.body.contains("id: renewed"));
    assert_eq!(bela.get("/live").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn exceeding_the_session_limit_ends_the_oldest_session() {
    let demo = Demo::start_with(&["--max-sessions", "2"]);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(signed_in(&demo, ADA, FIREFOX).await);
    }
    let mut statuses = Vec::new();
    for client in &mut clients {
        statuses.push(client.get("/devices").await.status.as_u16());
    }
    assert_eq!(statuses, [401, 200, 200]);
}

#[tokio::test]
async fn anonymous_sessions_expire_sooner() {
    let redis = RedisServer::start();
    let demo = Demo::start_with(&[
        "--redis",
        &redis.url(),
        "--store-timeout",
        "20s",
        "--anonymous-idle",
        "1s",
    ]);
    let mut ada = signed_in(&demo, ADA, FIREFOX).await;
    ada.post("/notes", &[("text", "mine")]).await;
    // Besides sessions, there are an index and the counters of limits.
    let is_session = |key: &String| key.rsplit(':').next().is_some_and(|id| id.len() == 36);
    let sessions = || redis.keys().into_iter().filter(is_session).count();
    assert_eq!(sessions(), 1);
    let mut nobody = demo.client();
    nobody.post("/notes", &[("text", "mine")]).await;
    assert!(nobody.cookie().is_some());
    // A request would count as use of the session, so the test reads Redis.
    until("the session of nobody is gone", async || sessions() == 1).await;
    assert!(!nobody.get("/").await.body.contains("mine"));
    assert!(ada.get("/").await.body.contains("mine"));
}

/// Opens an event stream, and reads its response head: by then it is subscribed.
async fn listen(demo: &Demo, client: &Client, path: &str) -> TcpStream {
    let address = demo.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the demo listens");
    let cookie = client.cookie().expect("a user is signed in");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("the demo reads");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let byte = stream.read_u8().await.expect("the demo responds");
        head.push(char::from(byte));
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    stream
}

/// A client with this user agent, signed in.
async fn signed_in(demo: &Demo, (name, password): (&str, &str), agent: &str) -> Client {
    let mut client = demo.client();
    let mut request =
        Request::post("/sign-in").header("content-type", "application/x-www-form-urlencoded");
    if !agent.is_empty() {
        request = request.header("user-agent", agent);
    }
    let form = format!("name={name}&password={password}");
    let response = client
        .send(request.body(form).expect("it is a request"))
        .await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert!(client.cookie().is_some());
    client
}

/// The session ids on a page.
fn ids(page: &str) -> Vec<String> {
    let parts = page.split("data-id=\"").skip(1);
    parts
        .filter_map(|part| Some(part.split_once('"')?.0.to_owned()))
        .collect()
}
