//! Descriptions, spans, and what must be in none of them.

use cloakroom::{Session, days};
use cloakroom_core::Token;
use metrics::Unit;
use tests::app::Stage;
use tests::faults::Fault::LoseCommand;
use tests::faults::Verb::Update;
use tests::log::Log;
use tests::meters::Meters;

use super::{DOCUMENT, destroy, nothing};

const VALUE: &str = "a-value-that-nobody-must-see";

#[test]
fn every_metric_is_described_with_its_unit() {
    let meters = Meters::default();
    let _recording = meters.record();
    cloakroom::describe_metrics();
    let rows = DOCUMENT.lines().filter_map(|line| {
        let name = line.strip_prefix("| `cloakroom_")?;
        Some(format!("cloakroom_{}", name.split('`').next()?))
    });
    let mut names: Vec<String> = rows.collect();
    names.sort();
    assert_eq!(names.len(), 12, "{names:?}");
    let described = meters.described();
    assert!(described.keys().eq(&names), "{described:?}");
    for (name, (unit, meaning)) in described {
        let wanted = match name.ends_with("_seconds") {
            true => Unit::Seconds,
            false => Unit::Count,
        };
        assert_eq!(unit, Some(wanted), "{name}");
        assert!(name.ends_with("_seconds") || name.ends_with("_total"));
        assert!(!meaning.is_empty());
    }
}

#[tokio::test]
async fn spans_tell_session_verb_and_outcome_and_nothing_holds_a_secret() {
    let log = Log::keep();
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let put = |session: Session| async move { session.insert("secret", VALUE) };
    browser.act(put).await;
    let token = browser.cookie().unwrap().to_owned();
    browser
        .act(|session| async move { session.insert("more", VALUE) })
        .await;
    stage.clock.advance(days(1) / 2);
    browser.act(nothing).await;
    stage.store.next(Update, LoseCommand);
    browser
        .act(|session| async move { session.insert("third", VALUE) })
        .await;
    browser.act(destroy).await;

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
    let recorded = format!("{text}{:?}", meters.take());
    assert!(recorded.contains(&id.to_string()) && recorded.contains("loads_total"));
    assert!(!recorded.contains(VALUE), "{recorded}");
    assert!(!recorded.contains(&token[..21]), "{recorded}");
    assert!(!recorded.contains(&token[22..]), "{recorded}");
}

#[tokio::test]
async fn no_metric_names_a_session() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let id = Token::parse(browser.cookie().unwrap()).unwrap().id();
    browser.act(destroy).await;
    let recorded = format!("{:?}", meters.take());
    assert!(recorded.contains("sessions_ended_total"));
    assert!(!recorded.contains(&id.to_string()), "{recorded}");
}
