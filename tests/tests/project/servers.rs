//! The list of servers, and of the commands that are sent to them.

use std::collections::BTreeSet;

use regex::Regex;

use crate::tree::{files, read, root};

type Names = BTreeSet<String>;

/// The first group of every match, in the form of a right: `client|id`.
fn found(pattern: &str, text: &str) -> Names {
    let pattern = Regex::new(pattern).expect("it is valid");
    let matches = pattern.captures_iter(text);
    matches
        .map(|found| found[1].to_lowercase().replace(' ', "|"))
        .collect()
}

fn names(words: &[&str]) -> Names {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The part of a text between two others.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).expect(start);
    let (part, _) = rest.split_once(end).expect(end);
    part
}

/// What `permissions.lua` checks when a store connects.
fn checked() -> Names {
    let script = read("crates/cloakroom-redis/src/scripts/permissions.lua");
    let list = between(&script, "local commands = {", "\n}");
    found(r"\{ '([a-z]+'(?:, 'id)?)", list)
        .into_iter()
        .map(|name| name.replace("',|'", "|").replace('\'', ""))
        .collect()
}

/// The commands in the first column of a table of the guide, which begins after this text.
fn documented(after: &str) -> Names {
    let guide = read("docs/servers.md");
    let (_, rest) = guide.split_once(after).expect(after);
    let table: Vec<_> = rest
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .filter_map(|row| row.split('|').nth(1))
        .collect();
    assert!(table.len() > 4, "{after}");
    found("`([A-Z ]+)`", &table.join("\n"))
}

const NEEDED: &str = "Without one of these, no session can be kept";
const OPTIONAL: &str = "Without one of these, connecting succeeds";
const FOR_OPTIONS: &str = "These are needed by an option";

#[test]
fn the_guide_has_the_commands_that_are_checked_when_connecting() {
    let optional = read("crates/cloakroom-redis/src/command/permissions.rs");
    let optional = between(&optional, "const OPTIONAL", "];");
    let optional = found(r#"\("([a-z|]+)","#, optional);
    assert_eq!(documented(OPTIONAL), optional);
    let needed: Names = checked().difference(&optional).cloned().collect();
    assert_eq!(documented(NEEDED), needed);
}

#[test]
fn the_guide_has_the_commands_for_which_rights_are_documented() {
    let page = read("crates/cloakroom-redis/src/lib.rs");
    let rights = found(
        r"\+([a-z|]+)",
        between(&page, "//! # Rights", "To change the password"),
    );
    let mut all = checked();
    all.extend(documented(FOR_OPTIONS));
    assert_eq!(rights, all);
    let line = page
        .lines()
        .find(|line| line.starts_with("//! ACL SETUSER"));
    let mut always = checked();
    always.extend(names(&["auth", "select"]));
    assert_eq!(found(r"\+([a-z|]+)", line.expect("the line")), always);
}

/// Also of the scripts of other crates: they need no further rights.
#[test]
fn every_command_of_a_script_is_checked_when_connecting() {
    let checked = checked();
    let mut called = Names::new();
    for (_, script) in files(&root().join("crates"), &["lua"]) {
        called.extend(found(r"redis\.p?call\('([A-Za-z]+)'", &script));
    }
    assert!(called.len() > 15, "{called:?}");
    assert!(called.is_subset(&checked), "{called:?}");
}

#[test]
fn every_command_that_is_sent_by_name_is_documented() {
    let mut documented_ones = documented(NEEDED);
    documented_ones.extend(documented(OPTIONAL));
    documented_ones.extend(documented(FOR_OPTIONS));
    documented_ones.insert("client".to_owned());
    let mut sent = Names::new();
    for (_, source) in files(&root().join("crates/cloakroom-redis/src"), &["rs"]) {
        sent.extend(found(
            r#"CustomCommand::new_static\(\s*"([A-Z]+)""#,
            &source,
        ));
        sent.extend(found(r#"send\(client, "([A-Z]+)""#, &source));
    }
    assert!(sent.contains("wait") && sent.contains("info"), "{sent:?}");
    assert!(sent.is_subset(&documented_ones), "{sent:?}");
}

/// Every server that the script knows has a row without failures, with a cell for every suite that was run or not.
#[test]
fn the_guide_has_the_results_of_every_server() {
    let script = read("scripts/servers");
    let servers = between(&script, "servers=(\n", "\n)");
    let servers = found("(?m)^ *'([a-z-]+) ", servers);
    let suites: Vec<_> = between(&script, "suites=(", ")").split(' ').collect();
    let guide = read("docs/servers.md");
    let table = between(&guide, "<!-- results -->\n", "<!-- end of results -->");
    let mut rows = table.lines();
    let head = format!("| server | name | {} |", suites.join(" | "));
    assert_eq!(rows.next(), Some(head.as_str()));
    let row = Regex::new(r"^\| [A-Z][a-z]+ [\d.]+ \| `([a-z-]+)`((?: \| (?:\d+|not run))+) \|$");
    let row = row.expect("it is valid");
    let mut tested = Names::new();
    for line in rows.skip(1) {
        let parts = row.captures(line);
        let parts = parts.unwrap_or_else(|| panic!("a failure, or no row: {line}"));
        assert_eq!(parts[2].matches('|').count(), suites.len(), "{line}");
        tested.insert(parts[1].to_owned());
    }
    assert_eq!(tested, servers);
}
