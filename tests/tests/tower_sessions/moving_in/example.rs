//! The example of a move in a real Chromium: what browsers do with the cookies of both versions is
//! theirs to say.

use std::process::Command;

use tests::chromium::Chromium;
use tests::program::{self, Running};
use tests::redis::RedisServer;

use super::apps::{NEW, OLD, old_keys};

/// Both versions, on one Redis.
struct Both {
    redis: RedisServer,
    old: String,
    new: String,
}

impl Both {
    fn new() -> Self {
        let address = || format!("127.0.0.1:{}", program::free_port());
        Self {
            redis: RedisServer::start(),
            old: address(),
            new: address(),
        }
    }

    fn command(&self, phase: &str) -> Command {
        let mut command = program::command("moving-in-example");
        command
            .args(["--redis", &self.redis.url(), "--phase", phase])
            .args(["--old", &self.old, "--new", &self.new]);
        command
    }

    async fn beside(&self) -> Running {
        Running::start(&mut self.command("beside"), &[&self.old, &self.new]).await
    }

    async fn after(&self) -> Running {
        Running::start(&mut self.command("after"), &[&self.new]).await
    }

    /// A browser that is logged in at the old version, with something on its hook.
    async fn guest(&self) -> Chromium {
        let browser = Chromium::start().await;
        browser.open(&format!("http://{}/", self.old)).await;
        assert_eq!(browser.text("#library").await, "tower-sessions");
        browser.fill("#name", "Ada").await;
        browser.follow("#log-in button").await;
        hang(&browser, "hat").await;
        assert_eq!(names(&browser).await, [OLD]);
        browser
    }
}

async fn hang(browser: &Chromium, piece: &str) {
    browser.fill("#piece", piece).await;
    browser.follow("#hang button").await;
}

/// Who is logged in, and what is on the hook.
async fn shown(browser: &Chromium) -> (String, String) {
    (browser.text("#guest").await, browser.text("#pieces").await)
}

async fn names(browser: &Chromium) -> Vec<String> {
    let cookies = browser.cookies().await.into_iter();
    let mut names: Vec<String> = cookies.map(|cookie| cookie.name).collect();
    names.sort();
    names
}

fn ada_with(pieces: &str) -> (String, String) {
    ("Ada".into(), pieces.into())
}

#[tokio::test]
async fn a_browser_goes_back_and_forth_and_moves_for_good() {
    let both = Both::new();
    let running = both.beside().await;
    let browser = both.guest().await;

    browser.follow("#other").await;
    assert_eq!(browser.text("#library").await, "Cloakroom");
    assert_eq!(shown(&browser).await, ada_with("hat"));
    assert_eq!(names(&browser).await, [NEW, OLD]);
    hang(&browser, "scarf").await;
    assert_eq!(shown(&browser).await, ada_with("hat\nscarf"));

    // What is edited here is not seen there, and the way back is open.
    browser.follow("#other").await;
    assert_eq!(shown(&browser).await, ada_with("hat"));

    drop(running);
    let _running = both.after().await;
    browser.open(&format!("http://{}/", both.new)).await;
    assert_eq!(shown(&browser).await, ada_with("hat\nscarf"));
    assert_eq!(browser.count("#other").await, 0);
    assert_eq!(names(&browser).await, [NEW]);
    assert!(old_keys(&both.redis).is_empty());
}

#[tokio::test]
async fn a_log_out_at_either_version_is_one_at_both() {
    let both = Both::new();
    let _running = both.beside().await;
    for from_new in [true, false] {
        let browser = both.guest().await;
        browser.follow("#other").await;
        assert_eq!(shown(&browser).await, ada_with("hat"));
        if !from_new {
            browser.follow("#other").await;
        }
        browser.follow("#log-out button").await;
        assert_eq!(browser.count("#guest").await, 0);
        browser.follow("#other").await;
        assert_eq!(browser.count("#guest").await, 0, "from new: {from_new}");
        assert!(old_keys(&both.redis).is_empty());
    }
}

#[test]
fn what_the_command_line_cannot_be_is_told() {
    let both = Both::new();
    for (wrong, told) in [
        (["--phase", "between"], "possible values: beside, after"),
        (["--migration-key", "short"], "at least 32 bytes"),
        (["--migration-began", "1"], "less than 400 days ago"),
        (["--redis", "127.0.0.1"], "the URL of Redis cannot be used"),
        (["--new", &both.old], "cannot listen on"),
    ] {
        let mut command = program::command("moving-in-example");
        command.env("REDIS_URL", both.redis.url());
        let output = command.args(["--old", &both.old]).args(wrong).output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{wrong:?}");
        assert!(text.contains(told), "{wrong:?}: {text}");
    }
}
