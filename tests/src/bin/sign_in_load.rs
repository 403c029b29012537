//! A server on which users sign in and out, renew and revoke sessions as fast as possible, until it is
//! killed: the child process of the test `users::killed`.
//!
//! Usage: `sign_in_load URL SEED`, with the URL of a Redis. It prints `begun` when it has connected.

use std::io::Write;

use cloakroom::{RevokedBy, SessionLayer, SessionLimit};
use tests::app::app;
use tests::browser::Browser;
use tests::generous;

/// The number of concurrent browsers.
const BROWSERS: u64 = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("the URL of a Redis is missing")?;
    let seed: u64 = arguments.next().ok_or("a seed is missing")?.parse()?;
    let store = generous::connect(url, "cloakroom").await?;
    let layer = SessionLayer::builder(store)
        .with_session_limit(SessionLimit::evict_oldest(5))
        .build()?;
    writeln!(std::io::stdout(), "begun")?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..BROWSERS {
        tasks.spawn(live(layer.clone(), seed.wrapping_mul(BROWSERS) + number));
    }
    tasks.join_all().await;
    Ok(())
}

/// Sends random requests forever, and ignores failures.
async fn live(layer: SessionLayer, mut random: u64) {
    let mut browser = Browser::new(app(layer.clone()));
    loop {
        // Knuth's MMIX generator: the numbers must vary, but need not be secret.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let user = format!("user {}", (random >> 33) % 5);
        match (random >> 40) % 8 {
            0..=3 => {
                let sign_in = async |session: cloakroom::Session| session.sign_in(user).await;
                browser.request(sign_in).await;
            }
            4 | 5 => {
                browser.request(async |session| session.renew()).await;
            }
            6 => {
                let sign_out =
                    async |session: cloakroom::Session| session.sign_out().await.map(|_| ());
                browser.request(sign_out).await;
            }
            _ => drop(layer.sessions().revoke_all(user, RevokedBy::User).await),
        }
    }
}
