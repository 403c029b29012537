//! Arbitrary bytes as the `Cookie` headers of a request to an app with one session.

use std::cell::RefCell;
use std::str;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use cloakroom::{CookieConfig, CookieKey, Session, SessionError, SessionLayer};
use cloakroom_core::ManualClock;
use cloakroom_core::{MemoryStore, Timestamp, Token};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::faulty_store::{ConstantEntropy, CountingStore};

/// An encrypted cookie of the session from an earlier run: each encryption differs.
const ENCRYPTED: &str = include_str!("../../../fuzz/seeds/cookie_header/encrypted");

/// How many well-formed cookies of the session's name are looked up at most.
const CANDIDATES: usize = 8;

/// How many of the right length are examined at most.
const EXAMINED: usize = 16;

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

/// The headers, one per line, authenticate the one existing session if and only if its cookie is one of
/// the first eight well-formed ones, byte for byte. Malformed cookies cost no command of the store. The
/// same holds for plain, signed and encrypted cookies.
///
/// # Panics
///
/// When one of these does not hold.
pub fn cookie_header(bytes: &[u8]) {
    thread_local! {
        static FIXTURES: RefCell<Option<[Fixture; 3]>> = const { RefCell::new(None) };
    }
    let headers: Result<Vec<_>, _> = bytes
        .split(|&byte| byte == b'\n')
        .map(HeaderValue::from_bytes)
        .collect();
    let Ok(headers) = headers else {
        return;
    };
    FIXTURES.with_borrow_mut(|fixtures| {
        let fixtures = fixtures.get_or_insert_with(|| Sealing::ALL.map(Fixture::new));
        for fixture in fixtures {
            fixture.check(&headers);
        }
    });
}

/// An app with one session, always the same.
pub(super) struct Fixture {
    sealing: Sealing,
    runtime: Runtime,
    app: Router,
    store: CountingStore,
    /// The cookie values that authenticate the session.
    known: Vec<String>,
}

impl Fixture {
    pub(super) fn new(sealing: Sealing) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let store = CountingStore::new(MemoryStore::with_clock(clock.clone()));
        let layer = SessionLayer::builder(store.clone())
            .with_clock(clock)
            .with_rng(ConstantEntropy)
            .with_cookie(config(sealing))
            .build()
            .expect("browsers take it");
        let routes = Router::new().route("/begin", get(begin));
        let mut fixture = Self {
            sealing,
            runtime: runtime.expect("a runtime"),
            app: routes.route("/", get(look)).layer(layer),
            store,
            known: Vec::new(),
        };
        let begun = fixture.send("/begin", &[]);
        let cookie = begun.headers()[SET_COOKIE].to_str().expect("it is ASCII");
        let pair = cookie.split(';').next().expect("a pair");
        fixture.known.push(value_of(pair).to_owned());
        if sealing == Sealing::Encrypted {
            fixture.known.push(value_of(ENCRYPTED).to_owned());
        }
        fixture
    }

    /// The cookie of the session, as a browser sends it.
    pub(super) fn cookie(&self) -> String {
        format!("{}={}", CookieConfig::DEFAULT_NAME, self.known[0])
    }

    /// Whether these headers authenticate the session.
    pub(super) fn opens(&self, headers: &[HeaderValue]) -> bool {
        let response = self.send("/", headers);
        assert!(
            !response.headers().contains_key(SET_COOKIE),
            "a read sets no cookie"
        );
        match response.status() {
            StatusCode::OK => true,
            StatusCode::NOT_FOUND => false,
            other => panic!("{other}"),
        }
    }

    fn check(&self, headers: &[HeaderValue]) {
        let mut candidates = Vec::new();
        let mut examined = 0;
        for header in headers {
            for pair in header.as_bytes().split(|&byte| byte == b';') {
                let name = CookieConfig::DEFAULT_NAME.as_bytes();
                let value = pair.trim_ascii().strip_prefix(name);
                let value = value.and_then(|rest| rest.strip_prefix(b"="));
                let value = value.and_then(|value| str::from_utf8(value).ok());
                let value = value.filter(|value| value.len() == self.known[0].len());
                examined += usize::from(value.is_some());
                let value = value.filter(|_| examined <= EXAMINED);
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

    /// Whether it is well-formed, so that the store is read. A sealed cookie cannot be made without the key.
    fn could_open(&self, value: &str) -> bool {
        match self.sealing {
            Sealing::Plain => Token::parse(value).is_some(),
            Sealing::Signed | Sealing::Encrypted => self.known.iter().any(|known| known == value),
        }
    }

    fn send(&self, path: &str, headers: &[HeaderValue]) -> Response {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        for header in headers {
            request.headers_mut().append(COOKIE, header.clone());
        }
        let response = self.app.clone().oneshot(request);
        self.runtime.block_on(response).expect("infallible")
    }
}

fn config(sealing: Sealing) -> CookieConfig {
    let config = CookieConfig::default();
    let key =
        || CookieKey::derived_from(b"a secret of a fuzz target, long enough and known to all");
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
