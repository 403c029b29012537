//! What must hold for any bytes that come from outside. `scripts/fuzz` lets a fuzzer look for bytes for
//! which it does not; `tests/fuzz.rs` tries some of its own.

use std::cell::RefCell;
use std::str;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use cloakroom::{CookieConfig, Session, SessionError, SessionLayer};
use cloakroom_core::codec::{self, Stored};
use cloakroom_core::{MemoryStore, Token};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::faults::CountingStore;

/// A token is read if it is the text of one, byte for byte, and nothing else is.
///
/// # Panics
///
/// When that does not hold.
pub fn token(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Some(token) = Token::parse(text) {
        assert_eq!(token.encode(), text, "one token, one text");
    }
}

/// What is stored is read or refused; what was read is written as something that reads the same.
///
/// # Panics
///
/// When that does not hold.
pub fn record(bytes: &[u8]) {
    match codec::decode(bytes) {
        Ok(Stored::Record(record)) => {
            let again = codec::decode(codec::encode(&record).as_bytes());
            assert_eq!(again, Ok(Stored::Record(record)));
        }
        Ok(Stored::Tombstone(tombstone)) => {
            let again = codec::decode(codec::encode_tombstone(&tombstone).as_bytes());
            assert_eq!(again, Ok(Stored::Tombstone(tombstone)));
        }
        Err(error) => drop(error.to_string()),
    }
}

/// The header opens the one session that there is only if its cookie stands in it, byte for byte; and
/// one that holds no token of any session costs the store nothing but a look.
///
/// # Panics
///
/// When that does not hold.
pub fn cookie_header(bytes: &[u8]) {
    thread_local! {
        static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
    }
    STAGE.with_borrow_mut(|stage| {
        let stage = stage.get_or_insert_with(Stage::new);
        let bytes = &stage.with_its_token(bytes);
        let Ok(header) = HeaderValue::from_bytes(bytes) else {
            return;
        };
        drop(stage.store.take_verbs());
        let (status, body, sets_cookie) = stage.look(Some(header));
        assert_eq!(status, StatusCode::OK);
        assert!(!sets_cookie, "who looks gets no cookie");
        let verbs = stage.store.take_verbs().len();
        assert!(verbs <= 2, "two candidates at most are tried: {verbs}");
        let holds = |needle: &str| {
            bytes
                .windows(needle.len())
                .any(|part| part == needle.as_bytes())
        };
        if body == "opened" {
            assert!(holds(&stage.cookie), "opened without its cookie");
        }
        // A token has 43 signs; without so many bytes, nothing can be one.
        if bytes.len() < stage.cookie.len() {
            assert_eq!(verbs, 0, "what cannot be a token costs no command");
        }
    });
}

/// An app with one session, and its cookie.
struct Stage {
    runtime: Runtime,
    app: Router,
    store: CountingStore,
    cookie: String,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let store = CountingStore::new(MemoryStore::new());
        let layer = SessionLayer::new(store.clone())
            .with_cookie(CookieConfig::named("__Host-Http-id"))
            .expect("browsers take it");
        let app = Router::new()
            .route("/begin", get(begin))
            .route("/", get(look))
            .layer(layer);
        let mut stage = Self {
            runtime: runtime.expect("a runtime"),
            app,
            store,
            cookie: String::new(),
        };
        let begun = stage.ask("/begin", None);
        let cookie = begun.headers()[SET_COOKIE].to_str().expect("it is ASCII");
        stage.cookie = cookie.split(';').next().expect("a pair").to_owned();
        let own = HeaderValue::from_str(&stage.cookie).expect("it is a header");
        assert_eq!(stage.look(Some(own)).1, "opened");
        stage
    }

    /// The bytes, with the session's own token in place of the first `@`, which no token holds: a
    /// fuzzer could never guess it.
    fn with_its_token(&self, bytes: &[u8]) -> Vec<u8> {
        let (_, token) = self.cookie.split_once('=').expect("it is a pair");
        let mut parts = bytes.splitn(2, |&byte| byte == b'@');
        let mut with = parts.next().unwrap_or_default().to_vec();
        if let Some(rest) = parts.next() {
            with.extend_from_slice(token.as_bytes());
            with.extend_from_slice(rest);
        }
        with
    }

    fn look(&self, header: Option<HeaderValue>) -> (StatusCode, String, bool) {
        let answer = self.ask("/", header);
        let (parts, body) = answer.into_parts();
        let body = self.runtime.block_on(axum::body::to_bytes(body, 1024));
        let body = body.expect("a short body").to_vec();
        (
            parts.status,
            String::from_utf8(body).expect("text"),
            parts.headers.contains_key(SET_COOKIE),
        )
    }

    fn ask(&self, path: &str, header: Option<HeaderValue>) -> axum::response::Response {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        if let Some(header) = header {
            request.headers_mut().insert(COOKIE, header);
        }
        let answer = self.app.clone().oneshot(request);
        self.runtime.block_on(answer).expect("infallible")
    }
}

async fn begin(session: Session) -> Result<(), SessionError> {
    session.insert("there", true)
}

async fn look(session: Session) -> Result<&'static str, SessionError> {
    Ok(match session.get::<bool>("there")? {
        Some(true) => "opened",
        _ => "nothing",
    })
}

/// The cookie of a session that is not there, and records as they are stored: what to begin from.
///
/// # Panics
///
/// When the system has no randomness.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let (id, record) = crate::samples::session(7);
    let token = Token::issue(record.seen(), &cloakroom_core::SystemEntropy);
    let token = token.expect("the system has randomness").encode();
    vec![
        format!("__Host-Http-id={token}").into_bytes(),
        format!("a=b; __Host-Http-id={token}; __Host-Http-id=\"{token}\"").into_bytes(),
        b"__Host-Http-id=@".to_vec(),
        b"a=b; __Host-Http-id=@; c=d".to_vec(),
        b"__Host-Http-id=@; __Host-Http-id=@".to_vec(),
        format!("__Host-Http-id={id}; ;=;,").into_bytes(),
        token.into_bytes(),
        codec::encode(&record).into_bytes(),
        codec::encode_tombstone(&crate::samples::tombstone(&record)).into_bytes(),
    ]
}
