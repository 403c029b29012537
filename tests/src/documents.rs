//! Whether guides list what a crate logs and counts.

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

/// Checks that the tables of the guides list every event and every metric in the source of a crate's telemetry, and
/// nothing else. All paths are relative to the workspace.
///
/// # Panics
///
/// When they do not, or when there are not more than `few` events: the source was not understood.
pub fn check_telemetry(source: &str, guides: &[&str], few: usize) {
    let source = read(source);
    let guides: String = guides.iter().map(|guide| read(guide)).collect();
    let events = logged(&source);
    assert!(events.len() > few, "{events:?}");
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
