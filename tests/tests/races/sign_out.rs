//! Requests that are concurrent with a sign-out.

use std::ops::AddAssign;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::timeout;

use super::servers::{PATIENCE, Servers, TRIALS, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_edit_that_finishes_after_a_sign_out_leaves_no_record() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let cookie = servers.begin().await;
        let slow = {
            let app = servers.apps[0].clone();
            tokio::spawn(send(app, "/slow/late/1".to_owned(), Some(cookie.clone())))
        };
        let arrived = timeout(PATIENCE, servers.gate.arrived.notified()).await;
        assert!(arrived.is_ok(), "the slow request does not arrive");
        let sign_out = servers.send(1, "/logout", Some(&cookie)).await;
        assert_eq!(sign_out.body, "ended");
        servers.gate.open.notify_one();
        let late = slow.await.expect("the slow request does not fail");
        assert_eq!(
            (late.status, late.cookie),
            (StatusCode::OK, None),
            "trial {trial}"
        );
        assert!(late.ended_concurrently);
        assert_eq!(servers.read("began", &cookie).await, "");
        let (key, stored, ttl) = servers.only_key();
        assert!(
            stored.starts_with("t1 ") && stored.ends_with(" destroyed"),
            "{stored}"
        );
        assert!(ttl <= Duration::from_secs(60));
        servers.redis.command(&["DEL", &key]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_concurrent_with_a_sign_out_revives_the_session() {
    let servers = Servers::start().await;
    // Sign-ins.
    let (mut before, mut after) = (0, 0);
    for trial in 0..TRIALS {
        let cookie = servers.begin().await;
        let paths = [
            "/set/a/1",
            "/logout",
            "/hit",
            "/login/ann",
            "/get/began",
            "/set/b/2",
        ];
        let turned = (0..paths.len()).map(|index| paths[(index + trial as usize) % paths.len()]);
        let requests = turned.clone();
        let requests = requests.map(|path| (path.to_owned(), cookie.clone()));
        // Requests that are sent at once share commands, so that the sign-out is always first. With pauses, the
        // sign-in is sometimes.
        let pause = Duration::from_millis(u64::from(trial % 2) * (1 + u64::from(trial) % 3));
        let responses = servers.race_staggered(requests.collect(), pause).await;
        let paths: Vec<_> = turned.collect();
        let ended = responses
            .iter()
            .any(|(_, response)| response.body == "ended");
        assert_eq!(
            servers.read("began", &cookie).await,
            "",
            "the old cookie is invalid"
        );
        for (index, response) in responses {
            assert_eq!(response.status, StatusCode::OK, "{}", paths[index]);
            if let (true, Some(new)) = (ended, response.cookie.filter(|pair| !pair.ends_with('=')))
            {
                assert_eq!(paths[index], "/login/ann");
                assert_eq!(servers.read("began", &new).await, "", "only its own edits");
                // A sign-out that finds the session renewed has ended its successor.
                let user = servers.read("user", &new).await;
                assert!(user == "ann" || user.is_empty(), "{user}");
                (if user.is_empty() {
                    &mut before
                } else {
                    &mut after
                })
                .add_assign(1);
            }
        }
    }
    assert!(
        before > 0 && after > 0,
        "{before} before the sign-out, {after} after it"
    );
}
