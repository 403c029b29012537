//! The seeds of the fuzz targets: few and small, in `fuzz/seeds`, one folder per target; and in `fuzz/corpus`, what a fuzzer
//! has found from there: for each path through the code that it knows, an input that takes it.

use std::fs;
use std::path::{Path, PathBuf};

use axum::http::HeaderValue;
use cloakroom::CookieConfig;
use cloakroom_core::{Rng, RngError, Timestamp, Token};

use super::cookie_header::{Fixture, Sealing};

/// Records and tombstones as releases write them.
const STORED: &str = "crates/cloakroom-core/tests/fixtures";

/// The names and seeds of a target.
///
/// # Panics
///
/// When there are none.
#[must_use]
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let seeds = files(&folder(target));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

/// The inputs that a fuzzer has found for a target.
///
/// # Panics
///
/// When there are none.
#[must_use]
pub fn corpus_of(target: &str) -> Vec<(String, Vec<u8>)> {
    let corpus = files(&root().join("fuzz/corpus").join(target));
    assert!(!corpus.is_empty(), "{target} has no corpus");
    corpus
}

/// Rewrites the seeds.
///
/// # Panics
///
/// When they cannot be written.
pub fn write() {
    let put = |target: &str, name: &str, seed: &[u8]| {
        let folder = folder(target);
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(folder.join(name), seed).expect("it can be written to");
    };
    let name = CookieConfig::DEFAULT_NAME;
    let [plain, signed, encrypted] = Sealing::ALL.map(|sealing| Fixture::new(sealing).cookie());
    let token = other_token();
    let several = format!("a=b; {name}={token};{plain} ; {name}=\"{token}\"");
    let lines = format!("{name}={token}\n{name}=;=;,\n {signed}\t");
    let headers = [
        ("plain", plain),
        ("signed", signed),
        ("encrypted", encrypted),
        ("several", several),
        ("lines", lines),
    ];
    for (name, header) in headers {
        put("cookie_header", name, header.as_bytes());
    }
    put("token", "token", token.as_bytes());
    put("token", "nearly", format!("{}=", &token[1..]).as_bytes());
    for (name, text) in other_seeds() {
        let (target, name) = name.split_once('/').expect("a target and a name");
        put(target, name, text.as_bytes());
    }
    for (name, stored) in files(&root().join(STORED)) {
        put("record", name.trim_end_matches(".txt"), &stored);
    }
}

/// The seeds of the targets that need no token.
fn other_seeds() -> Vec<(&'static str, String)> {
    let id = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b";
    let other = "01919b2a-9f00-7000-8000-0000000000ff";
    let event = |fields: &str| format!("{{\"event\":{fields}}}");
    vec![
        (
            "client_address/list",
            "198.51.100.1, [2001:db8::1]:80".to_owned(),
        ),
        (
            "client_address/forwarded",
            "for=\"[2001:db8::1]:80\";by=_x, for=unknown".to_owned(),
        ),
        (
            "client_address/lines",
            "10.0.0.2, \"\n198.51.100.1,\\\",".to_owned(),
        ),
        ("local_path/query", "/orders?page=2#top".to_owned()),
        ("local_path/encoded", "/a/%2e%2E/b;c=d@e:80/%5C".to_owned()),
        (
            "event/created",
            event(&format!("\"created\",\"id\":\"{id}\"")),
        ),
        (
            "event/signed_in",
            event(&format!(
                "\"signed_in\",\"id\":\"{id}\",\"from\":\"{other}\",\"user\":\"ada\""
            )),
        ),
        (
            "event/ended",
            event(&format!(
                "\"ended\",\"id\":\"{id}\",\"user\":\"ada\",\"reason\":\"signed_out\""
            )),
        ),
        (
            "event/started",
            event(&format!(
                "\"renewed\",\"id\":\"{id}\",\"from\":\"{other}\",\"user\":\"ada\",\"started\":\"bob\""
            )),
        ),
        ("event/missed", event("\"missed\"")),
    ]
}

/// Which seeds of `cookie_header` authenticate the session, and with which kind of cookie.
#[must_use]
pub fn that_open() -> Vec<String> {
    let mut found = Vec::new();
    for fixture in Sealing::ALL.map(|sealing| (sealing, Fixture::new(sealing))) {
        for (name, seed) in of("cookie_header") {
            let headers = seed
                .split(|&byte| byte == b'\n')
                .map(HeaderValue::from_bytes);
            let headers: Result<Vec<_>, _> = headers.collect();
            if headers.is_ok_and(|headers| fixture.1.opens(&headers)) {
                found.push(format!("{:?}: {name}", fixture.0));
            }
        }
    }
    found
}

/// The token of a session that does not exist.
fn other_token() -> String {
    #[derive(Debug)]
    struct Eight;

    impl Rng for Eight {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
            bytes.fill(8);
            Ok(())
        }
    }

    let begun = Timestamp::from_millis(1_799_999_000_000);
    let token = Token::issue(begun, &Eight).expect("there are bytes");
    token.encode()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn folder(target: &str) -> PathBuf {
    root().join("fuzz/seeds").join(target)
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a plain name");
            (name, fs::read(entry.path()).expect("it can be read"))
        })
        .collect();
    files.sort();
    files
}
