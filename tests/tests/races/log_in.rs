//! Anything beside a log-in.

use axum::http::StatusCode;

use super::{Servers, TRIALS};

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_the_old_cookie_beside_a_log_in_do_not_log_out() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let old = servers.begin().await;
        let paths = ["/get/began", "/login/ann", "/set/a/1", "/hit"];
        let turned = (0..paths.len()).map(|index| paths[(index + trial as usize) % paths.len()]);
        let mut answers = servers
            .race(turned.map(|path| (path.to_owned(), old.clone())).collect())
            .await;
        // Two more, that start when the log-in is done, as from a page that was open already.
        answers.push((9, servers.send(0, "/get/began", Some(&old)).await));
        answers.push((9, servers.send(1, "/set/late/1", Some(&old)).await));
        let mut jar = old.clone();
        for (_, answer) in answers {
            assert_eq!(answer.status, StatusCode::OK);
            jar = answer.cookie.unwrap_or(jar);
        }
        assert_ne!(jar, old, "the log-in's cookie is new");
        assert_eq!(servers.read("user", &jar).await, "ann");
        assert_eq!(
            servers.read("began", &jar).await,
            "1",
            "the data carries over"
        );
        assert_eq!(
            servers.read("began", &old).await,
            "",
            "the old cookie is dead"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_answered_during_the_log_in_is_in_the_new_session() {
    let servers = Servers::start().await;
    let (mut merged, mut dropped) = (0, 0);
    for _ in 0..TRIALS {
        let old = servers.begin().await;
        let answers = servers
            .race(vec![
                ("/set/kept/1".to_owned(), old.clone()),
                ("/login/ann".to_owned(), old.clone()),
                ("/set/seen/1".to_owned(), old.clone()),
            ])
            .await;
        let new = answers.iter().find_map(|(_, answer)| answer.cookie.clone());
        let new = new.expect("the log-in sets a cookie");
        assert_eq!(servers.read("user", &new).await, "ann");
        for (index, key) in [(0, "kept"), (2, "seen")] {
            let (_, write) = answers
                .iter()
                .find(|(sent, _)| *sent == index)
                .expect("it was sent");
            // Only a write that came after the log-in is dropped, and that is told.
            let expected = if write.ended_meanwhile { "" } else { "1" };
            assert_eq!(servers.read(key, &new).await, expected);
            *(if write.ended_meanwhile {
                &mut dropped
            } else {
                &mut merged
            }) += 1;
        }
    }
    assert!(merged > 0, "{merged} merged, {dropped} came too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_log_ins_at_once_both_succeed_and_the_old_session_is_dead() {
    let servers = Servers::start().await;
    for _ in 0..TRIALS {
        let old = servers.begin().await;
        let requests = ["/login/ann", "/login/bob"].map(|path| (path.to_owned(), old.clone()));
        for (index, answer) in servers.race(requests.to_vec()).await {
            let new = answer.cookie.expect("a log-in sets a cookie");
            assert_ne!(new, old);
            assert_eq!(servers.read("user", &new).await, ["ann", "bob"][index]);
        }
        assert_eq!(servers.read("began", &old).await, "");
    }
}
