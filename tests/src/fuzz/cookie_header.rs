//! Bytes as they could stand in a request's `Cookie` headers, sent to an app with one session.

use std::cell::RefCell;
use std::str;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use cloakroom::{CookieConfig, SealKey, Session, SessionError, SessionLayer};
use cloakroom_core::ManualClock;
use cloakroom_core::{MemoryStore, Timestamp, Token};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::faults::{CountingStore, Stuck};

/// The encrypted cookie of the session, as it was once given out: each time it looks different.
const ENCRYPTED: &str = include_str!("../../../fuzz/seeds/cookie_header/encrypted");

/// How many cookies of the session's name are tried at most.
const CANDIDATES: usize = 2;

/// How the cookie is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealing {
    Plain,
    Signed,
    Encrypted,
}

impl Sealing {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Signed, Self::Encrypted];
}

/// The headers, one a line, open the one session that there is if its cookie is one of the first two
/// that could open something, byte for byte, and never otherwise; and what could open nothing costs no
/// command of the store. With plain cookies as with signed and encrypted ones.
///
/// # Panics
///
/// When that does not hold.
pub fn cookie_header(bytes: &[u8]) {
    thread_local! {
        static STAGES: RefCell<Option<[Stage; 3]>> = const { RefCell::new(None) };
    }
    let headers: Result<Vec<_>, _> = bytes
        .split(|&byte| byte == b'\n')
        .map(HeaderValue::from_bytes)
        .collect();
    let Ok(headers) = headers else {
        return;
    };
    STAGES.with_borrow_mut(|stages| {
        let stages = stages.get_or_insert_with(|| Sealing::ALL.map(Stage::new));
        for stage in stages {
            stage.check(&headers);
        }
    });
}

/// An app with one session, always the same.
pub(super) struct Stage {
    sealing: Sealing,
    runtime: Runtime,
    app: Router,
    store: CountingStore,
    /// The values of cookies that open the session.
    known: Vec<String>,
}

impl Stage {
    pub(super) fn new(sealing: Sealing) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let store = CountingStore::new(MemoryStore::with_clock(clock.clone()));
        let layer = SessionLayer::builder(store.clone())
            .with_clock(clock)
            .with_rng(Stuck)
            .with_cookie(config(sealing))
            .build()
            .expect("browsers take it");
        let routes = Router::new().route("/begin", get(begin));
        let mut stage = Self {
            sealing,
            runtime: runtime.expect("a runtime"),
            app: routes.route("/", get(look)).layer(layer),
            store,
            known: Vec::new(),
        };
        let begun = stage.ask("/begin", &[]);
        let cookie = begun.headers()[SET_COOKIE].to_str().expect("it is ASCII");
        let pair = cookie.split(';').next().expect("a pair");
        stage.known.push(value_of(pair).to_owned());
        if sealing == Sealing::Encrypted {
            stage.known.push(value_of(ENCRYPTED).to_owned());
        }
        stage
    }

    /// The cookie that was given out, as a browser sends it.
    pub(super) fn cookie(&self) -> String {
        format!("{}={}", CookieConfig::DEFAULT_NAME, self.known[0])
    }

    /// Whether these headers open the session.
    pub(super) fn opens(&self, headers: &[HeaderValue]) -> bool {
        let answer = self.ask("/", headers);
        assert!(
            !answer.headers().contains_key(SET_COOKIE),
            "who looks gets no cookie"
        );
        match answer.status() {
            StatusCode::OK => true,
            StatusCode::NOT_FOUND => false,
            other => panic!("{other}"),
        }
    }

    fn check(&self, headers: &[HeaderValue]) {
        let mut candidates = Vec::new();
        for header in headers {
            for pair in header.as_bytes().split(|&byte| byte == b';') {
                let name = CookieConfig::DEFAULT_NAME.as_bytes();
                let value = pair.trim_ascii().strip_prefix(name);
                let value = value.and_then(|rest| rest.strip_prefix(b"="));
                let value = value.and_then(|value| str::from_utf8(value).ok());
                let new = |value: &&str| self.could_open(value) && !candidates.contains(value);
                let new = value.filter(new);
                candidates.extend(new);
            }
        }
        candidates.truncate(CANDIDATES);

        drop(self.store.take_verbs());
        let opened = self.opens(headers);
        let verbs = self.store.take_verbs();
        let mut known = self.known.iter();
        let holds = known.any(|known| candidates.contains(&&**known));
        assert_eq!(opened, holds, "{:?}: {candidates:?}", self.sealing);
        assert!(
            verbs.len() <= candidates.len(),
            "{:?}: {verbs:?} for {candidates:?}",
            self.sealing
        );
    }

    /// Whether the store must be asked for it. Nobody without the key can make a sealed one.
    fn could_open(&self, value: &str) -> bool {
        match self.sealing {
            Sealing::Plain => Token::parse(value).is_some(),
            Sealing::Signed | Sealing::Encrypted => self.known.iter().any(|known| known == value),
        }
    }

    fn ask(&self, path: &str, headers: &[HeaderValue]) -> Response {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        for header in headers {
            request.headers_mut().append(COOKIE, header.clone());
        }
        let answer = self.app.clone().oneshot(request);
        self.runtime.block_on(answer).expect("infallible")
    }
}

fn config(sealing: Sealing) -> CookieConfig {
    let config = CookieConfig::default();
    let key = || SealKey::derived_from(b"a secret of a fuzz target, long enough and known to all");
    let key = || key().expect("it is long enough");
    match sealing {
        Sealing::Plain => config,
        Sealing::Signed => config.signed([key()]),
        Sealing::Encrypted => config.encrypted([key()]),
    }
}

fn value_of(pair: &str) -> &str {
    let (_, value) = pair.split_once('=').unwrap_or_default();
    value
}

async fn begin(session: Session) -> Result<(), SessionError> {
    session.insert("there", true)
}

async fn look(session: Session) -> Result<StatusCode, SessionError> {
    Ok(match session.get::<bool>("there")? {
        Some(true) => StatusCode::OK,
        _ => StatusCode::NOT_FOUND,
    })
}
