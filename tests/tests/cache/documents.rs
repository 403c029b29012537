//! The guide lists every event and every metric of the crate.

use tests::documents::check_telemetry;

#[test]
fn the_guide_lists_every_event_and_metric() {
    let source = "crates/cloakroom-cache/src/telemetry.rs";
    check_telemetry(source, &["docs/user-cache.md"], 5);
}
