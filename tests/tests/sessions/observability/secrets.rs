//! Metric descriptions, spans, and secrets that must be in neither.

use cloakroom::{Session, days};
use cloakroom_core::Token;
use metrics::Unit;
use tests::app::Fixture;
use tests::faulty_store::Fault::LoseCommand;
use tests::faulty_store::Verb::Update;
use tests::log::Log;
use tests::recorder::MetricsRecorder;

use super::{DOCUMENT, destroy, nothing};

const VALUE: &str = "a-value-that-nobody-must-see";

#[test]
fn every_metric_is_described_with_its_unit() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    cloakroom::describe_metrics();
    let rows = DOCUMENT.lines().filter_map(|line| {
        let name = line.strip_prefix("| `cloakroom_")?;
        Some(format!("cloakroom_{}", name.split('`').next()?))
    });
    let mut names: Vec<String> = rows.collect();
    names.sort();
    assert_eq!(names.len(), 12, "{names:?}");
    let described = recorder.described();
    assert!(described.keys().eq(&names), "{described:?}");
    for (name, (unit, meaning)) in described {
        let wanted = if name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        };
        assert_eq!(unit, Some(wanted), "{name}");
        assert!(name.ends_with("_seconds") || name.ends_with("_total"));
        assert!(!meaning.is_empty());
    }
}

#[tokio::test]
async fn spans_name_session_verb_and_outcome_and_hold_no_secret() {
    let log = Log::capture();
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let put = |session: Session| async move { session.insert("secret", VALUE) };
    browser.request(put).await;
    let token = browser.cookie().unwrap().to_owned();
    browser
        .request(|session| async move { session.insert("more", VALUE) })
        .await;
    fixture.clock.advance(days(1) / 2);
    browser.request(nothing).await;
    fixture.store.next(Update, LoseCommand);
    browser
        .request(|session| async move { session.insert("third", VALUE) })
        .await;
    browser.request(destroy).await;

    let text = log.text();
    let id = Token::parse(&token).unwrap().id();
    for (verb, outcome) in [
        ("create", "created"),
        ("load", "record"),
        ("update", "updated"),
        ("update", "outcome_unknown"),
        ("touch", "touched"),
        ("end", "ended"),
    ] {
        let span = format!("DEBUG store{{verb=\"{verb}\" session={id} outcome=\"{outcome}\"}}");
        assert!(text.contains(&span), "{span}\n{text}");
    }
    let recorded = format!("{text}{:?}", recorder.take());
    assert!(recorded.contains(&id.to_string()) && recorded.contains("loads_total"));
    assert!(!recorded.contains(VALUE), "{recorded}");
    assert!(!recorded.contains(&token[..21]), "{recorded}");
    assert!(!recorded.contains(&token[22..]), "{recorded}");
}

#[tokio::test]
async fn metrics_have_no_session_ids() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let id = Token::parse(browser.cookie().unwrap()).unwrap().id();
    browser.request(destroy).await;
    let recorded = format!("{:?}", recorder.take());
    assert!(recorded.contains("sessions_ended_total"));
    assert!(!recorded.contains(&id.to_string()), "{recorded}");
}
