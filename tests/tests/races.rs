//! Requests of one session at the same time, on two servers and a real Redis: hundreds of
//! interleavings of each race that the README promises about.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use cloakroom::{
    Destroyed, EndedMeanwhile, Expiry, Session, SessionError, SessionLayer, SessionRejection, days,
};
use cloakroom_redis::RedisStore;
use tests::redis::RedisServer;
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tower::ServiceExt;

/// Interleavings of each race.
const TRIALS: u32 = 200;

/// Two servers of one app on one Redis, and what holds their slow handlers back.
struct Servers {
    redis: RedisServer,
    apps: [Router; 2],
    gate: Arc<Gate>,
}

/// Where a slow handler waits: it tells that it has come, and goes on when told.
#[derive(Default)]
struct Gate {
    arrived: Notify,
    open: Notify,
}

impl Servers {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let gate = Arc::<Gate>::default();
        let one = app(&redis, &gate).await;
        let two = app(&redis, &gate).await;
        Self {
            redis,
            apps: [one, two],
            gate,
        }
    }

    /// Sends a request to one of the servers.
    async fn send(&self, server: usize, path: &str, cookie: Option<&str>) -> Answer {
        send(
            self.apps[server % 2].clone(),
            path.to_owned(),
            cookie.map(str::to_owned),
        )
        .await
    }

    /// Sends requests to the servers in turn, all at once; answers in the order of their arrival.
    async fn race(&self, requests: Vec<(String, String)>) -> Vec<(usize, Answer)> {
        let mut tasks = JoinSet::new();
        for (index, (path, cookie)) in requests.into_iter().enumerate() {
            let app = self.apps[index % 2].clone();
            tasks.spawn(async move { (index, send(app, path, Some(cookie)).await) });
        }
        let mut answers = Vec::new();
        while let Some(answer) = tasks.join_next().await {
            answers.push(answer.expect("no request panics"));
        }
        answers
    }

    /// Begins a session, and gives its cookie.
    async fn begin(&self) -> String {
        let answer = self.send(0, "/set/began/1", None).await;
        answer.cookie.expect("a new session has a cookie")
    }

    /// The key of the one session there is, what it holds, and how long it lives on.
    fn only_key(&self) -> (String, String, Duration) {
        let mut keys = self.redis.keys_with_ttl();
        assert_eq!(keys.len(), 1, "{keys:?}");
        let (key, ttl) = keys.remove(0);
        let stored = self.redis.command(&["GET", &key]).text();
        (key, stored, ttl.expect("every key has a TTL"))
    }

    async fn read(&self, key: &str, cookie: &str) -> String {
        self.send(1, &format!("/get/{key}"), Some(cookie))
            .await
            .body
    }
}

async fn app(redis: &RedisServer, gate: &Arc<Gate>) -> Router {
    let store = RedisStore::connect(&redis.url())
        .await
        .expect("redis-server was just started");
    // Hundreds of writers of one session at once queue for longer than a browser's six would.
    let layer = SessionLayer::new(store)
        .with_budget(Duration::from_secs(30))
        .expect("a budget above zero");
    Router::new()
        .route("/get/{key}", get(read))
        .route("/set/{key}/{value}", get(set))
        .route("/slow/{key}/{value}", get(set_slowly))
        .route("/hit", get(hit))
        .route("/once/{key}", get(once))
        .route("/login/{user}", get(login))
        .route("/logout", get(logout))
        .layer(layer)
        .with_state(Arc::clone(gate))
}

async fn read(Path(key): Path<String>, session: Session) -> Result<String, SessionError> {
    Ok(session.get::<String>(&key)?.unwrap_or_default())
}

async fn set(
    Path((key, value)): Path<(String, String)>,
    session: Session,
) -> Result<(), SessionError> {
    yield_now().await;
    session.insert(&key, value)
}

async fn set_slowly(
    State(gate): State<Arc<Gate>>,
    Path((key, value)): Path<(String, String)>,
    session: Session,
) -> Result<(), SessionError> {
    gate.arrived.notify_one();
    gate.open.notified().await;
    session.insert(&key, value)
}

async fn hit(session: Session) -> Result<(), SessionError> {
    session.update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1)?;
    Ok(())
}

async fn once(Path(key): Path<String>, session: Session) -> Result<String, SessionError> {
    let value = session.take_once::<String>(&key).await?;
    Ok(value.unwrap_or_default())
}

async fn login(Path(user): Path<String>, session: Session) -> Result<(), SessionError> {
    session.renew()?;
    session.insert("user", user)
}

async fn logout(session: Result<Session, SessionRejection>) -> Result<String, SessionError> {
    Ok(match session?.destroy().await? {
        Destroyed::Ended => "ended".to_owned(),
        Destroyed::AlreadyOver | Destroyed::NoSession => "was over".to_owned(),
    })
}

/// What a browser sees of an answer, and what the server's log would.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    /// `name=value`; an empty value removes the cookie.
    cookie: Option<String>,
    body: String,
    ended_meanwhile: bool,
}

async fn send(app: Router, path: String, cookie: Option<String>) -> Answer {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    let request = request.body(Body::empty()).expect("a valid request");
    let response: Response<Body> = app.oneshot(request).await.expect("infallible");
    let set_cookie = response.headers().get(SET_COOKIE);
    let pair = set_cookie.and_then(|value| value.to_str().ok()?.split(';').next());
    Answer {
        status: response.status(),
        cookie: pair.map(str::to_owned),
        ended_meanwhile: response.extensions().get::<EndedMeanwhile>().is_some(),
        body: {
            let bytes = to_bytes(response.into_body(), 1 << 16).await;
            String::from_utf8(bytes.expect("a short body").to_vec()).expect("text")
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edits_of_different_entries_both_land() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let cookie = servers.begin().await;
        let answers = servers
            .race(vec![
                (format!("/set/left/{trial}"), cookie.clone()),
                (format!("/set/right/{trial}"), cookie.clone()),
            ])
            .await;
        for (_, answer) in answers {
            assert_eq!((answer.status, answer.cookie), (StatusCode::OK, None));
        }
        for key in ["left", "right"] {
            assert_eq!(servers.read(key, &cookie).await, trial.to_string());
        }
        assert_eq!(servers.read("began", &cookie).await, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_increments_end_at_a_thousand() {
    let servers = Servers::start().await;
    let cookie = servers.begin().await;
    let answers = servers
        .race(vec![("/hit".to_owned(), cookie.clone()); 1000])
        .await;
    for (_, answer) in &answers {
        assert_eq!(answer.status, StatusCode::OK);
    }
    let (_, stored, _) = servers.only_key();
    assert!(stored.contains("\"hits\":1000"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_keep_coming_starve_nobody() {
    let servers = Servers::start().await;
    let cookie = servers.begin().await;
    let mut clients = JoinSet::new();
    for index in 0..100 {
        let (app, cookie) = (servers.apps[index % 2].clone(), cookie.clone());
        clients.spawn(async move {
            for _ in 0..20 {
                let answer = send(app.clone(), "/hit".to_owned(), Some(cookie.clone())).await;
                assert_eq!(answer.status, StatusCode::OK);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("every write is answered in time");
    }
    let (_, stored, _) = servers.only_key();
    assert!(stored.contains("\"hits\":2000"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_edit_that_ends_after_the_log_out_leaves_no_record() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let cookie = servers.begin().await;
        let slow = {
            let app = servers.apps[0].clone();
            tokio::spawn(send(app, "/slow/late/1".to_owned(), Some(cookie.clone())))
        };
        servers.gate.arrived.notified().await;
        let bye = servers.send(1, "/logout", Some(&cookie)).await;
        assert_eq!(bye.body, "ended");
        servers.gate.open.notify_one();
        let late = slow.await.expect("the slow request does not fail");
        assert_eq!(
            (late.status, late.cookie),
            (StatusCode::OK, None),
            "trial {trial}"
        );
        assert!(late.ended_meanwhile);
        assert_eq!(servers.read("began", &cookie).await, "");
        let (key, stored, ttl) = servers.only_key();
        assert!(
            stored.starts_with("t1 ") && stored.ends_with(" destroyed"),
            "{stored}"
        );
        assert!(ttl <= Duration::from_secs(60));
        servers.redis.command(&["DEL", &key]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_beside_a_log_out_brings_the_session_back() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let cookie = servers.begin().await;
        let paths = [
            "/set/a/1",
            "/logout",
            "/hit",
            "/login/ann",
            "/get/began",
            "/set/b/2",
        ];
        let turned = (0..paths.len()).map(|index| paths[(index + trial as usize) % paths.len()]);
        let answers = servers
            .race(
                turned
                    .clone()
                    .map(|path| (path.to_owned(), cookie.clone()))
                    .collect(),
            )
            .await;
        let paths: Vec<_> = turned.collect();
        let ended = answers.iter().any(|(_, answer)| answer.body == "ended");
        assert_eq!(
            servers.read("began", &cookie).await,
            "",
            "the old cookie is dead"
        );
        for (index, answer) in answers {
            assert_eq!(answer.status, StatusCode::OK, "{}", paths[index]);
            if let (true, Some(new)) = (ended, answer.cookie.filter(|pair| !pair.ends_with('='))) {
                assert_eq!(paths[index], "/login/ann");
                assert_eq!(servers.read("began", &new).await, "", "only its own edits");
                assert_eq!(servers.read("user", &new).await, "ann");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_the_old_cookie_beside_a_log_in_do_not_log_out() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let old = servers.begin().await;
        let paths = ["/get/began", "/login/ann", "/set/a/1", "/hit"];
        let turned = (0..paths.len()).map(|index| paths[(index + trial as usize) % paths.len()]);
        let mut answers = servers
            .race(turned.map(|path| (path.to_owned(), old.clone())).collect())
            .await;
        // Two more, that start when the log-in is done, as from a page that was open already.
        answers.push((9, servers.send(0, "/get/began", Some(&old)).await));
        answers.push((9, servers.send(1, "/set/late/1", Some(&old)).await));
        let mut jar = old.clone();
        for (_, answer) in answers {
            assert_eq!(answer.status, StatusCode::OK);
            jar = answer.cookie.unwrap_or(jar);
        }
        assert_ne!(jar, old, "the log-in's cookie is new");
        assert_eq!(servers.read("user", &jar).await, "ann");
        assert_eq!(
            servers.read("began", &jar).await,
            "1",
            "the data carries over"
        );
        assert_eq!(
            servers.read("began", &old).await,
            "",
            "the old cookie is dead"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_answered_during_the_log_in_is_in_the_new_session() {
    let servers = Servers::start().await;
    let (mut merged, mut dropped) = (0, 0);
    for _ in 0..TRIALS {
        let old = servers.begin().await;
        let answers = servers
            .race(vec![
                ("/set/kept/1".to_owned(), old.clone()),
                ("/login/ann".to_owned(), old.clone()),
                ("/set/seen/1".to_owned(), old.clone()),
            ])
            .await;
        let new = answers.iter().find_map(|(_, answer)| answer.cookie.clone());
        let new = new.expect("the log-in sets a cookie");
        assert_eq!(servers.read("user", &new).await, "ann");
        for (index, key) in [(0, "kept"), (2, "seen")] {
            let (_, write) = answers
                .iter()
                .find(|(sent, _)| *sent == index)
                .expect("it was sent");
            // Only a write that came after the log-in is dropped, and that is told.
            let expected = if write.ended_meanwhile { "" } else { "1" };
            assert_eq!(servers.read(key, &new).await, expected);
            *(if write.ended_meanwhile {
                &mut dropped
            } else {
                &mut merged
            }) += 1;
        }
    }
    assert!(merged > 0, "{merged} merged, {dropped} came too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_log_ins_at_once_both_succeed_and_the_old_session_is_dead() {
    let servers = Servers::start().await;
    for _ in 0..TRIALS {
        let old = servers.begin().await;
        let requests = ["/login/ann", "/login/bob"].map(|path| (path.to_owned(), old.clone()));
        for (index, answer) in servers.race(requests.to_vec()).await {
            let new = answer.cookie.expect("a log-in sets a cookie");
            assert_ne!(new, old);
            assert_eq!(servers.read("user", &new).await, ["ann", "bob"][index]);
        }
        assert_eq!(servers.read("began", &old).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_taken_once_is_given_to_one_request() {
    let servers = Servers::start().await;
    for _ in 0..TRIALS / 4 {
        let cookie = servers.begin().await;
        let mut requests = vec![("/once/began".to_owned(), cookie.clone()); 8];
        // Writers beside it make the takers try again.
        requests.push(("/hit".to_owned(), cookie.clone()));
        requests.push(("/hit".to_owned(), cookie.clone()));
        let answers = servers.race(requests).await;
        let given = answers
            .iter()
            .filter(|(_, answer)| answer.body == "1")
            .count();
        assert_eq!(given, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn remembering_beside_edits_keeps_both() {
    let servers = Servers::start().await;
    let expiry = Expiry::idle(days(7)).absolute(days(30));
    let remember = move |session: Session| async move { session.set_expiry(expiry) };
    let store = RedisStore::connect(&servers.redis.url())
        .await
        .expect("it runs");
    let app = Router::new()
        .route("/remember", get(remember))
        .layer(SessionLayer::new(store));
    for _ in 0..TRIALS / 4 {
        let cookie = servers.begin().await;
        let remember = send(app.clone(), "/remember".to_owned(), Some(cookie.clone()));
        let edit = servers.send(0, "/set/a/1", Some(&cookie));
        let (remembered, edited) = tokio::join!(remember, edit);
        assert_eq!(
            remembered.cookie.as_ref(),
            Some(&cookie),
            "the same token again"
        );
        assert_eq!(edited.cookie, None);
        assert_eq!(servers.read("a", &cookie).await, "1");
        let (key, _, ttl) = servers.only_key();
        assert!(ttl > days(6), "an edit keeps the chosen expiry: {ttl:?}");
        servers.redis.command(&["DEL", &key]);
    }
}
