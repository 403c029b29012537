//! The migration example in a real Chromium, to see how a browser treats the cookies of both versions.

use std::process::Command;

use tests::chromium::Chromium;
use tests::program::{self, Running};
use tests::redis::RedisServer;

use super::apps::{LEGACY, NEW, legacy_keys};

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
        let mut command = program::command("migration-example");
        command
            .args(["--redis", &self.redis.url(), "--phase", phase])
            .args(["--old", &self.old, "--new", &self.new]);
        command
    }

    async fn side_by_side(&self) -> Running {
        Running::start(&mut self.command("side-by-side"), &[&self.old, &self.new]).await
    }

    async fn cutover(&self) -> Running {
        Running::start(&mut self.command("cutover"), &[&self.new]).await
    }

    /// A browser that is signed in to the legacy app, with one item in its session.
    async fn signed_in_browser(&self) -> Chromium {
        let browser = Chromium::start().await;
        browser.open(&format!("http://{}/", self.old)).await;
        assert_eq!(browser.text("#library").await, "tower-sessions");
        browser.fill("#name", "Ada").await;
        browser.follow("#sign-in button").await;
        add_item(&browser, "hat").await;
        assert_eq!(names(&browser).await, [LEGACY]);
        browser
    }
}

async fn add_item(browser: &Chromium, item: &str) {
    browser.fill("#item", item).await;
    browser.follow("#add button").await;
}

/// The signed-in user and the items, as shown on the page.
async fn shown(browser: &Chromium) -> (String, String) {
    (browser.text("#visitor").await, browser.text("#items").await)
}

async fn names(browser: &Chromium) -> Vec<String> {
    let cookies = browser.cookies().await.into_iter();
    let mut names: Vec<String> = cookies.map(|cookie| cookie.name).collect();
    names.sort();
    names
}

fn ada_with(items: &str) -> (String, String) {
    ("Ada".into(), items.into())
}

#[tokio::test]
async fn a_browser_switches_between_versions_and_migrates() {
    let both = Both::new();
    let running = both.side_by_side().await;
    let browser = both.signed_in_browser().await;

    browser.follow("#other").await;
    assert_eq!(browser.text("#library").await, "Cloakroom");
    assert_eq!(shown(&browser).await, ada_with("hat"));
    assert_eq!(names(&browser).await, [NEW, LEGACY]);
    add_item(&browser, "scarf").await;
    assert_eq!(shown(&browser).await, ada_with("hat\nscarf"));

    // Edits in the new app are not visible in the legacy app, which can still be used.
    browser.follow("#other").await;
    assert_eq!(shown(&browser).await, ada_with("hat"));

    drop(running);
    let _running = both.cutover().await;
    browser.open(&format!("http://{}/", both.new)).await;
    assert_eq!(shown(&browser).await, ada_with("hat\nscarf"));
    assert_eq!(browser.count("#other").await, 0);
    assert_eq!(names(&browser).await, [NEW]);
    assert!(legacy_keys(&both.redis).is_empty());
}

#[tokio::test]
async fn a_sign_out_in_either_version_signs_out_of_both() {
    let both = Both::new();
    let _running = both.side_by_side().await;
    for from_new in [true, false] {
        let browser = both.signed_in_browser().await;
        browser.follow("#other").await;
        assert_eq!(shown(&browser).await, ada_with("hat"));
        if !from_new {
            browser.follow("#other").await;
        }
        browser.follow("#sign-out button").await;
        assert_eq!(browser.count("#visitor").await, 0);
        browser.follow("#other").await;
        assert_eq!(browser.count("#visitor").await, 0, "from new: {from_new}");
        assert!(legacy_keys(&both.redis).is_empty());
    }
}

#[test]
fn invalid_command_lines_are_reported() {
    let both = Both::new();
    for (wrong, message) in [
        (
            ["--phase", "between"],
            "possible values: side-by-side, cutover",
        ),
        (["--migration-key", "short"], "at least 32 bytes"),
        (["--migration-began", "1"], "less than 400 days ago"),
        (["--redis", "127.0.0.1"], "invalid Redis URL"),
        (["--new", &both.old], "cannot listen on"),
    ] {
        let mut command = program::command("migration-example");
        command.env("REDIS_URL", both.redis.url());
        let output = command.args(["--old", &both.old]).args(wrong).output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{wrong:?}");
        assert!(text.contains(message), "{wrong:?}: {text}");
    }
}
