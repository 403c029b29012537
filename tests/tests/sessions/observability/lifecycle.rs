//! Metrics of successful requests.

use std::time::Duration;

use cloakroom::{CookieConfig, Expiry, Session, days};
use cloakroom_core::StoreErrorKind::Unreadable;
use cloakroom_core::{Clock, Realm, SystemRng, Token, UserId, UserKey};
use tests::app::{Fixture, app};
use tests::browser::Browser;
use tests::faulty_store::Fault::Refuse;
use tests::faulty_store::Verb::{Load, Update};
use tests::log::Log;
use tests::recorder::{MetricsRecorder, Series};

use super::{assert_recorded, destroy, edit, nothing};

fn with_cookie(fixture: &Fixture, value: String) -> Browser {
    let mut browser = fixture.browser();
    browser.add_cookie(CookieConfig::DEFAULT_NAME, value);
    browser
}

#[tokio::test]
async fn the_whole_lifecycle_of_a_session_is_counted() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    browser.request(edit).await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"none\"} 1",
            "sessions_created_total 1",
            "store_commands_total{outcome=\"created\",verb=\"create\"} 1",
        ],
    );
    browser
        .request(|session| async move { session.insert("n", 3) })
        .await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"updated\",verb=\"update\"} 1",
        ],
    );
    fixture.clock.advance(days(1) / 2);
    browser.request(nothing).await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"touched\",verb=\"touch\"} 1",
        ],
    );
    browser
        .request(|session| async move { session.renew() })
        .await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"hit\"} 1",
            "sessions_ended_total{reason=\"renewed\"} 1",
            "sessions_renewed_total 1",
            "store_commands_total{outcome=\"created\",verb=\"create\"} 1",
            "store_commands_total{outcome=\"ended\",verb=\"end\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
        ],
    );
    browser.clone().request(destroy).await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"hit\"} 1",
            "sessions_ended_total{reason=\"destroyed\"} 1",
            "store_commands_total{outcome=\"ended\",verb=\"end\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
        ],
    );
    browser.request(nothing).await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"ended\"} 1",
            "store_commands_total{outcome=\"tombstone\",verb=\"load\"} 1",
        ],
    );
}

#[tokio::test]
async fn invalid_cookies_are_counted_by_cause() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let unknown = Token::issue(fixture.clock.now(), &SystemRng).unwrap();
    let mut browser = with_cookie(&fixture, unknown.encode());
    browser.request(nothing).await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"unknown\"} 1",
            "store_commands_total{outcome=\"nothing\",verb=\"load\"} 1",
        ],
    );
    // Older than any session can be: the store is not read.
    fixture.clock.advance(days(500));
    browser.request(nothing).await;
    assert_recorded(&recorder, &["loads_total{result=\"unknown\"} 1"]);
    with_cookie(&fixture, "no token".to_owned())
        .request(nothing)
        .await;
    assert_recorded(&recorder, &["loads_total{result=\"none\"} 1"]);

    let mut browser = fixture.browser_with_session().await;
    drop(recorder.take());
    fixture.store.next(Load, Refuse(Unreadable));
    browser.request(nothing).await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"unreadable\"} 1",
            "store_commands_total{outcome=\"unreadable\",verb=\"load\"} 1",
        ],
    );
    let strict = Expiry::idle(days(1) / 2);
    let strict = fixture.builder().with_expiry(strict).build().unwrap();
    fixture.clock.advance(days(1) - Duration::from_secs(1));
    browser.on(app(strict)).request(nothing).await;
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"expired\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
        ],
    );
}

#[tokio::test]
async fn a_conflict_counts_its_replay_and_the_overwritten_entries() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut slow = fixture.browser_with_session().await;
    let mut quick = slow.clone();
    drop(recorder.take());
    let log = Log::capture();
    let gate = fixture.store.hold(Update);
    let overtake = async {
        gate.reached().await;
        quick
            .request(|session| async move { session.insert("n", 5) })
            .await;
        gate.open();
    };
    tokio::join!(slow.request(edit), overtake);
    assert_recorded(
        &recorder,
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
        quick.request(destroy).await;
        Ok(())
    };
    slow.request(end).await;
    let lines: Vec<_> = recorder.take().iter().map(Series::line).collect();
    let dropped = "edits_dropped_total{reason=\"session_ended\"} 1";
    assert!(lines.iter().any(|line| line == dropped), "{lines:?}");
}

#[tokio::test]
async fn a_sign_in_names_the_user_by_a_key_of_the_store_or_by_choice_by_the_id() {
    let fixture = Fixture::memory();
    let sign_in = |session: Session| async move { session.sign_in("ada@example.org").await };
    let log = Log::capture();
    fixture.browser().request(sign_in).await;
    let realm = Realm::new(CookieConfig::DEFAULT_NAME);
    let key = UserKey::new(&realm, &UserId::from("ada@example.org"));
    assert_eq!(log.count("user signed in"), 1);
    assert_eq!(log.count(&format!("user={key}")), 1);
    assert!(!log.text().contains("ada@"), "{}", log.text());

    let layer = fixture.builder().with_user_ids_in_logs().build();
    let mut browser = fixture.browser_of(layer.expect("a configuration"));
    browser.request(sign_in).await;
    assert_eq!(log.count("user=ada@example.org"), 1);
}
