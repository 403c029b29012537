//! What is counted while all goes well.

use std::time::Duration;

use cloakroom::{CookieConfig, Expiry, Session, days};
use cloakroom_core::StoreErrorKind::Unreadable;
use cloakroom_core::{Clock, SystemEntropy, Token};
use tests::app::{Stage, app};
use tests::browser::Browser;
use tests::faults::Fault::Refuse;
use tests::faults::Verb::{Load, Update};
use tests::log::Log;
use tests::meters::{Meters, Series};

use super::{destroy, edit, expect, nothing};

fn with_cookie(stage: &Stage, value: String) -> Browser {
    let mut browser = stage.browser();
    browser.add_cookie(CookieConfig::DEFAULT_NAME, value);
    browser
}

#[tokio::test]
async fn a_session_is_counted_from_its_beginning_to_its_end() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.browser();
    browser.act(edit).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"none\"} 1",
            "sessions_created_total 1",
            "store_commands_total{outcome=\"created\",verb=\"create\"} 1",
        ],
    );
    browser
        .act(|session| async move { session.insert("n", 3) })
        .await;
    expect(
        &meters,
        &[
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"updated\",verb=\"update\"} 1",
        ],
    );
    stage.clock.advance(days(1) / 2);
    browser.act(nothing).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"touched\",verb=\"touch\"} 1",
        ],
    );
    browser.act(|session| async move { session.renew() }).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"hit\"} 1",
            "sessions_ended_total{reason=\"renewed\"} 1",
            "sessions_renewed_total 1",
            "store_commands_total{outcome=\"created\",verb=\"create\"} 1",
            "store_commands_total{outcome=\"ended\",verb=\"end\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
        ],
    );
    browser.clone().act(destroy).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"hit\"} 1",
            "sessions_ended_total{reason=\"destroyed\"} 1",
            "store_commands_total{outcome=\"ended\",verb=\"end\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
        ],
    );
    browser.act(nothing).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"ended\"} 1",
            "store_commands_total{outcome=\"tombstone\",verb=\"load\"} 1",
        ],
    );
}

#[tokio::test]
async fn cookies_that_open_nothing_are_counted_by_why() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let unknown = Token::issue(stage.clock.now(), &SystemEntropy).unwrap();
    let mut browser = with_cookie(&stage, unknown.encode());
    browser.act(nothing).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"unknown\"} 1",
            "store_commands_total{outcome=\"nothing\",verb=\"load\"} 1",
        ],
    );
    // Too old for any session: the store is not even asked.
    stage.clock.advance(days(500));
    browser.act(nothing).await;
    expect(&meters, &["loads_total{result=\"unknown\"} 1"]);
    with_cookie(&stage, "no token".to_owned())
        .act(nothing)
        .await;
    expect(&meters, &["loads_total{result=\"none\"} 1"]);

    let mut browser = stage.signed_in().await;
    drop(meters.take());
    stage.store.next(Load, Refuse(Unreadable));
    browser.act(nothing).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"unreadable\"} 1",
            "store_commands_total{outcome=\"unreadable\",verb=\"load\"} 1",
        ],
    );
    let strict = Expiry::idle(days(1) / 2);
    let strict = stage.builder().with_expiry(strict).build().unwrap();
    stage.clock.advance(days(1) - Duration::from_secs(1));
    browser.on(app(strict)).act(nothing).await;
    expect(
        &meters,
        &[
            "loads_total{result=\"expired\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
        ],
    );
}

#[tokio::test]
async fn a_conflict_is_counted_with_its_replay_and_what_it_overwrote() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut slow = stage.signed_in().await;
    let mut quick = slow.clone();
    drop(meters.take());
    let log = Log::keep();
    let gate = stage.store.hold(Update);
    let overtake = async {
        gate.reached().await;
        quick
            .act(|session| async move { session.insert("n", 5) })
            .await;
        gate.open();
    };
    tokio::join!(slow.act(edit), overtake);
    expect(
        &meters,
        &[
            "loads_total{result=\"hit\"} 2",
            "overwritten_entries_total 1",
            "replays_total 1",
            "store_commands_total{outcome=\"conflict\",verb=\"update\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 2",
            "store_commands_total{outcome=\"updated\",verb=\"update\"} 2",
        ],
    );
    assert_eq!(log.count("merged concurrent changes"), 1);

    let end = |session: Session| async move {
        session.insert("n", 7)?;
        quick.act(destroy).await;
        Ok(())
    };
    slow.act(end).await;
    let lines: Vec<_> = meters.take().iter().map(Series::line).collect();
    let dropped = "edits_dropped_total{reason=\"session_ended\"} 1";
    assert!(lines.iter().any(|line| line == dropped), "{lines:?}");
}
