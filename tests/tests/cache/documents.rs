//! The guide lists every event and every metric of the crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let path = root.expect("the package is in the workspace").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Level and message of each event.
fn logged(source: &str) -> BTreeSet<(String, String)> {
    let mut events = BTreeSet::new();
    for level in ["debug", "info", "warn", "error"] {
        for call in source.split(&format!(" {level}!(")).skip(1) {
            let (call, _) = call.split_once("\");").expect("the call ends");
            let message = call.rsplit('"').next().expect("it ends with its message");
            events.insert((level.to_owned(), message.to_owned()));
        }
    }
    events
}

#[test]
fn the_guide_lists_every_event_and_metric() {
    let source = read("crates/cloakroom-cache/src/telemetry.rs");
    let guides = read("docs/user-cache.md");
    let events = logged(&source);
    assert!(events.len() > 5, "{events:?}");
    let rows: Vec<Vec<&str>> = guides
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let levels = ["debug", "info", "warn", "error"];
    let listed = rows.iter().filter(|row| levels.contains(&row[0]));
    let listed: BTreeSet<_> = listed
        .map(|row| (row[0].to_owned(), row[1].to_owned()))
        .collect();
    assert_eq!(listed, events);

    let names = source
        .split('"')
        .filter(|word| word.starts_with("cloakroom_") && word.ends_with("_total"));
    let metrics: BTreeSet<_> = names.map(|name| format!("`{name}`")).collect();
    let listed = rows.iter().filter(|row| row[0].starts_with("`cloakroom_"));
    let listed: BTreeSet<_> = listed.map(|row| row[0].to_owned()).collect();
    assert_eq!(listed, metrics);
}
