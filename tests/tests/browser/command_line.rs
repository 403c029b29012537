//! The demo as a program: command line, log, shutdown.

use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use tests::demo::Demo;
use tests::program::free_port;
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
        "--store-timeout",
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

/// Before the store or the layer would, which know neither the option nor how they get their parts of it.
#[test]
fn a_store_timeout_out_of_bounds_is_refused_by_the_name_of_the_option() {
    // What needs no valid store timeout, and ends the demo.
    let other = ["--max-sessions", "0", "--store-timeout"];
    for timeout in ["0s", "999us", "2m 1ms", "1h", "soon"] {
        let output = Demo::run(&[&other[..], &[timeout]].concat());
        let text = String::from_utf8(output.stderr).expect("it is text");
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("--store-timeout"), "{text}");
        assert!(!text.contains("with_"), "{text}");
        assert!(
            text.contains("from 1ms to 2m") || timeout == "soon",
            "{text}"
        );
    }
    for timeout in ["1ms", "2m"] {
        let line = Demo::run(&[&other[..], &[timeout]].concat());
        assert!(refusal(&line).contains("nobody could sign in"));
    }
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
    let limit = Duration::from_secs(30);
    within("the demo stops listening", limit, async || {
        TcpStream::connect(&address).await.is_err()
    })
    .await;
    connection.write_all(b"text=a").await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 303"), "{response}");
    assert!(response.contains("set-cookie: "), "it is stored");
    let (status, _) = demo.ended();
    assert!(status.success(), "{status}");
}
