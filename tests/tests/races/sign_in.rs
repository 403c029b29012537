//! Requests that are concurrent with a sign-in.

use axum::http::StatusCode;

use super::servers::{Servers, TRIALS};

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_the_old_cookie_during_a_sign_in_do_not_sign_out() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let old = servers.begin().await;
        let paths = ["/get/began", "/login/ann", "/set/a/1", "/hit"];
        let turned = (0..paths.len()).map(|index| paths[(index + trial as usize) % paths.len()]);
        let mut responses = servers
            .race(turned.map(|path| (path.to_owned(), old.clone())).collect())
            .await;
        // Two more, sent after the sign-in with the old cookie, as from a page that was open before.
        responses.push((9, servers.send(0, "/get/began", Some(&old)).await));
        responses.push((9, servers.send(1, "/set/late/1", Some(&old)).await));
        let mut jar = old.clone();
        for (_, response) in responses {
            assert_eq!(response.status, StatusCode::OK);
            jar = response.cookie.unwrap_or(jar);
        }
        assert_ne!(jar, old, "the sign-in's cookie is new");
        assert_eq!(servers.read("user", &jar).await, "ann");
        assert_eq!(
            servers.read("began", &jar).await,
            "1",
            "the data carries over"
        );
        assert_eq!(
            servers.read("began", &old).await,
            "",
            "the old cookie is invalid"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_acknowledged_during_a_sign_in_is_in_the_new_session() {
    let servers = Servers::start().await;
    let (mut merged, mut dropped) = (0, 0);
    for _ in 0..TRIALS {
        let old = servers.begin().await;
        let responses = servers
            .race(vec![
                ("/set/kept/1".to_owned(), old.clone()),
                ("/login/ann".to_owned(), old.clone()),
                ("/set/seen/1".to_owned(), old.clone()),
            ])
            .await;
        let new = responses
            .iter()
            .find_map(|(_, response)| response.cookie.clone());
        let new = new.expect("the sign-in sets a cookie");
        assert_eq!(servers.read("user", &new).await, "ann");
        for (index, key) in [(0, "kept"), (2, "seen")] {
            let (_, write) = responses
                .iter()
                .find(|(sent, _)| *sent == index)
                .expect("it was sent");
            // Only a write after the sign-in is dropped, and reported as such.
            let expected = if write.ended_concurrently { "" } else { "1" };
            assert_eq!(servers.read(key, &new).await, expected);
            *(if write.ended_concurrently {
                &mut dropped
            } else {
                &mut merged
            }) += 1;
        }
    }
    assert!(merged > 0, "{merged} merged, {dropped} came too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sign_ins_both_succeed_and_end_the_old_session() {
    let servers = Servers::start().await;
    for _ in 0..TRIALS {
        let old = servers.begin().await;
        let requests = ["/login/ann", "/login/bob"].map(|path| (path.to_owned(), old.clone()));
        for (index, response) in servers.race(requests.to_vec()).await {
            let new = response.cookie.expect("a sign-in sets a cookie");
            assert_ne!(new, old);
            assert_eq!(servers.read("user", &new).await, ["ann", "bob"][index]);
        }
        assert_eq!(servers.read("began", &old).await, "");
    }
}
