//! What the parts of a request cost by themselves, without a server: `cargo bench --bench pieces` in this folder.

use std::hint::black_box;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cloakroom::{MemoryStore, Session, SessionLayer};
use cloakroom_core::codec::{self, Stored};
use cloakroom_core::{
    Changes, Clock, Entries, Expiry, Limits, Realm, Record, Revision, SystemClock, SystemRng, Token,
};
use divan::Bencher;
use http::Request;
use http::header::{COOKIE, SET_COOKIE};
use tokio::runtime::Builder;
use tower::ServiceExt;

fn main() {
    divan::main();
}

const COUNTS: [usize; 4] = [1, 10, 100, 1000];

fn entries(count: usize) -> Entries {
    let mut entries = Entries::new();
    for index in 0..count {
        let value = [index, index + 1];
        entries
            .set(&format!("entry {index:04}"), &value)
            .expect("numbers are JSON");
    }
    entries
}

fn token() -> Token {
    Token::issue(SystemClock.now(), &SystemRng).expect("there is randomness")
}

fn record(count: usize) -> Record {
    let now = SystemClock.now();
    Record::new(
        Revision::draw(&SystemRng).expect("there is randomness"),
        now,
        Limits::begin(Expiry::default(), now),
        Realm::new("bench").digest(&token()),
        entries(count),
    )
}

/// Parses a token from a cookie's value.
#[divan::bench]
fn token_parse(bencher: Bencher<'_, '_>) {
    let text = token().encode();
    bencher.bench(|| Token::parse(black_box(&text)));
}

/// Computes the digest of a token, which the store compares.
#[divan::bench]
fn token_digest(bencher: Bencher<'_, '_>) {
    let (realm, token) = (Realm::new("bench"), token());
    bencher.bench(|| realm.digest(black_box(&token)));
}

/// Decodes a record of so many entries.
#[divan::bench(args = COUNTS)]
fn record_decode(bencher: Bencher<'_, '_>, count: usize) {
    let text = codec::encode(&record(count));
    bencher.bench(|| match codec::decode(black_box(text.as_bytes())) {
        Ok(Stored::Record(record)) => record,
        other => panic!("it is a record: {other:?}"),
    });
}

/// Encodes a record of so many entries.
#[divan::bench(args = COUNTS)]
fn record_encode(bencher: Bencher<'_, '_>, count: usize) {
    let record = record(count);
    bencher.bench(|| codec::encode(black_box(&record)));
}

/// Gets one of so many entries.
#[divan::bench(args = COUNTS)]
fn get_among(bencher: Bencher<'_, '_>, count: usize) {
    let (entries, key) = (entries(count), format!("entry {:04}", count / 2));
    bencher.bench(|| entries.get::<[usize; 2]>(black_box(&key)));
}

/// Changes one of so many entries, on a copy of what was loaded.
#[divan::bench(args = COUNTS)]
fn set_among(bencher: Bencher<'_, '_>, count: usize) {
    let (base, key) = (entries(count), format!("entry {:04}", count / 2));
    bencher.bench(|| {
        let (mut mine, mut changes) = (base.clone(), Changes::new());
        changes
            .set(&mut mine, black_box(&key), &[0, 0])
            .expect("it is JSON");
        mine
    });
}

/// Replays one edit on a newer record of so many entries.
#[divan::bench(args = COUNTS)]
fn replay_among(bencher: Bencher<'_, '_>, count: usize) {
    let base = entries(count);
    let (mut mine, mut changes) = (base.clone(), Changes::new());
    let key = format!("entry {:04}", count / 2);
    changes
        .update(&mut mine, &key, |_: Option<[usize; 2]>| [1, 2])
        .expect("it is JSON");
    let mut newer = base.clone();
    newer.set("another", &1).expect("it is JSON");
    bencher.bench(|| changes.replay(black_box(&base), black_box(&newer)));
}

async fn none() -> &'static str {
    "hello"
}

async fn read(session: Session) -> &'static str {
    let number: Result<Option<u64>, _> = session.get("number");
    assert!(number.is_ok());
    "hello"
}

async fn write(session: Session) -> &'static str {
    let next = session.update("number", |number: Option<u64>| number.unwrap_or(0) + 1);
    next.expect("it is a number");
    "hello"
}

/// Runs a whole request through axum and the layer, without a network.
#[divan::bench(args = ["none", "read", "write"])]
fn request_on_memory(bencher: Bencher<'_, '_>, route: &str) {
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let app = Router::new()
        .route("/none", get(none))
        .route("/read", get(read))
        .route("/write", get(write))
        .layer(SessionLayer::new(MemoryStore::new()));
    let send = |route: &str, cookie: &str| {
        let request = Request::get(format!("/{route}")).header(COOKIE, cookie);
        let request = request.body(Body::empty()).expect("a request");
        let response = runtime.block_on(app.clone().oneshot(request));
        response.expect("it cannot fail")
    };
    let created = send("write", "a=b");
    let cookie = created.headers()[SET_COOKIE].to_str().expect("it is text");
    let cookie = cookie.split(';').next().expect("it has a value");
    bencher.bench_local(|| send(black_box(route), cookie));
}
