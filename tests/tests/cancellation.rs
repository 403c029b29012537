//! Requests whose futures are dropped, at every await and at any moment, on a real Redis: what they
//! leave is whole, belongs to its session, and ends.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use cloakroom::core::ManualClock;
use cloakroom::{Session, SessionError, SessionLayer, hours};
use cloakroom_redis::RedisStore;
use tests::redis::RedisServer;
use tokio::task::yield_now;
use tower::ServiceExt;

/// How often each kind of request is dropped at each of its awaits.
const ROUNDS: u64 = 40;

/// A request is polled no more often than this, even if its answers come byte by byte.
const POLLS: usize = 12;

type Said = Result<String, SessionError>;

async fn begin(Path(mark): Path<u64>, session: Session) -> Said {
    session.insert("mark", mark)?;
    write(&session, 0)?;
    Ok(String::new())
}

async fn look(session: Session) -> Said {
    let number = |key| session.get::<u64>(key).map(Option::unwrap_or_default);
    let [mark, one, other, hits] = ["mark", "one", "other", "hits"].map(number);
    Ok(format!("{} {} {} {}", mark?, one?, other?, hits?))
}

async fn pair(session: Session) -> Said {
    write(&session, 1)?;
    session.update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1)?;
    Ok(String::new())
}

async fn save(session: Session) -> Said {
    write(&session, 1)?;
    session.save().await?;
    Ok(String::new())
}

async fn renew(session: Session) -> Said {
    write(&session, 1)?;
    session.renew()?;
    Ok(String::new())
}

async fn leave(session: Session) -> Said {
    session.destroy().await?;
    Ok(String::new())
}

/// Two entries that belong together.
fn write(session: &Session, value: u64) -> Result<(), SessionError> {
    session.insert("one", value)?;
    session.insert("other", value)
}

struct Stage {
    redis: RedisServer,
    /// Two servers with a connection each.
    servers: [Router; 2],
    clock: ManualClock,
}

impl Stage {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let clock = ManualClock::default();
        let server = async || {
            let store = RedisStore::connect(redis.url()).await.expect("it runs");
            Router::new()
                .route("/begin/{mark}", get(begin))
                .route("/look", get(look))
                .route("/pair", get(pair))
                .route("/save", get(save))
                .route("/renew", get(renew))
                .route("/leave", get(leave))
                .layer(SessionLayer::new(store).with_clock(clock.clone()))
        };
        let servers = [server().await, server().await];
        Self {
            redis,
            servers,
            clock,
        }
    }

    async fn begin(&self, mark: u64) -> String {
        let answer = send(&self.servers[0], &format!("/begin/{mark}"), None).await;
        answer.1.expect("a new session has a cookie")
    }

    /// What a server says is in the session: its mark, the two entries, and the hits.
    async fn look(&self, server: usize, cookie: &str) -> [u64; 4] {
        let (status, _, body) = send(&self.servers[server], "/look", Some(cookie)).await;
        assert_eq!(status, StatusCode::OK);
        let numbers: Vec<u64> = body.split(' ').filter_map(|n| n.parse().ok()).collect();
        numbers.try_into().expect("four numbers")
    }

    /// Drops a request on a session of its own, and looks at what it left, on both servers.
    async fn drop_one(&self, path: &str, mark: u64, cut: Cut) -> bool {
        let cookie = self.begin(mark).await;
        if path == "/look" {
            // So late that the use must be written down.
            self.clock.advance(hours(3));
        }
        let request = send(&self.servers[0], path, Some(&cookie));
        let answered = match cut {
            Cut::After(polls) => DropAfter(pin!(request), polls).await.is_some(),
            Cut::Within(time) => cut_within(time, request).await.is_some(),
        };
        for server in [0, 1, 0] {
            let [there, one, other, hits] = self.look(server, &cookie).await;
            assert_eq!(one, other, "{path}: both entries or none");
            if there == 0 {
                assert!(
                    matches!(path, "/renew" | "/leave"),
                    "{path} ended a session"
                );
                assert_eq!((one, hits), (0, 0), "{path}: nothing of what is over");
            } else {
                assert_eq!(there, mark, "{path}: the session of somebody else");
                assert!(hits <= 1, "{path} was carried out twice");
            }
            if answered {
                let over = matches!(path, "/renew" | "/leave");
                assert_eq!(there == 0, over, "{path}: what was answered holds");
                assert_eq!(hits, u64::from(path == "/pair"));
            }
        }
        answered
    }
}

#[derive(Clone, Copy)]
enum Cut {
    /// At its so-and-so-many-th await.
    After(usize),
    /// At any moment.
    Within(Duration),
}

/// Polls a future so often, and gives it up when it is not ready then.
struct DropAfter<'a, F>(Pin<&'a mut F>, usize);

impl<F: Future> Future for DropAfter<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        match self.0.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.1 == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Gives a future up after so many microseconds. (Tokio's own timers count in milliseconds.)
async fn cut_within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let began = Instant::now();
    let over = async {
        while began.elapsed() < time {
            yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = over => None,
        output = future => Some(output),
    }
}

/// Sends a request. Gives its status, the cookie that it sets, and the body.
async fn send(
    server: &Router,
    path: &str,
    cookie: Option<&str>,
) -> (StatusCode, Option<String>, String) {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    let request = request.body(Body::empty()).expect("a valid request");
    let answer = server.clone().oneshot(request).await.expect("infallible");
    let set_cookie = answer.headers().get(SET_COOKIE);
    let pair = set_cookie.and_then(|value| value.to_str().ok()?.split(';').next());
    let (pair, status) = (pair.map(str::to_owned), answer.status());
    let body = to_bytes(answer.into_body(), 1 << 16).await;
    let body = String::from_utf8(body.expect("a short body").to_vec());
    (status, pair, body.expect("text"))
}

#[tokio::test]
async fn a_request_dropped_anywhere_leaves_something_whole() {
    let stage = Stage::start().await;
    let mut mark = 0;
    for path in ["/look", "/pair", "/save", "/renew", "/leave"] {
        let (mut answered, mut dropped) = (0, 0);
        let mut count = |was_answered: bool| match was_answered {
            true => answered += 1,
            false => dropped += 1,
        };
        for round in 0..ROUNDS {
            for polls in 0..POLLS {
                mark += 1;
                count(stage.drop_one(path, mark, Cut::After(polls)).await);
            }
            for step in 0..8 {
                mark += 1;
                let time = Duration::from_micros(step * 150 + round * 4);
                count(stage.drop_one(path, mark, Cut::Within(time)).await);
            }
        }
        assert!(
            answered > 50 && dropped > 50,
            "{path}: {answered}, {dropped}"
        );
    }
    for (key, ttl) in stage.redis.keys_with_ttl() {
        assert!(ttl.is_some(), "{key} stays for ever");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_requests_beside_others_of_the_same_session_lose_nothing_of_theirs() {
    let stage = Stage::start().await;
    let mut all_dropped = 0;
    for round in 0..200 {
        let cookie = stage.begin(round + 1).await;
        let (mut acknowledged, mut dropped) = (0, 0);
        for step in 0..4_u64 {
            let time = Duration::from_micros((round * 7 + step * 211) % 1200);
            let cut = cut_within(time, send(&stage.servers[0], "/pair", Some(&cookie)));
            let whole = send(&stage.servers[1], "/pair", Some(&cookie));
            let (cut, whole) = tokio::join!(cut, whole);
            assert_eq!(whole.0, StatusCode::OK);
            acknowledged += 1 + u64::from(cut.is_some());
            dropped += u64::from(cut.is_none());
        }
        let [mark, one, other, hits] = stage.look(0, &cookie).await;
        assert_eq!((mark, one, other), (round + 1, 1, 1));
        let all = acknowledged..=acknowledged + dropped;
        assert!(all.contains(&hits), "{hits} of {all:?}");
        all_dropped += dropped;
    }
    assert!(all_dropped > 100, "only {all_dropped} were dropped");
}
