//! What the documents say is there.

use std::path::{Path, PathBuf};

use crate::tree::{files, read, root};

/// All Rust sources below a folder, in one text for each.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    files(folder, &["rs"])
}

/// The words of a document between backticks that look like `package::file::test`.
fn proofs(document: &str) -> Vec<[&str; 3]> {
    let words = document.split('`').skip(1).step_by(2);
    words
        .filter_map(|word| {
            let parts: Vec<&str> = word.split("::").collect();
            let lower = |part: &&str| {
                part.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"_-0123456789".contains(&byte))
            };
            let parts: [&str; 3] = parts.try_into().ok()?;
            parts.iter().all(lower).then_some(parts)
        })
        .collect()
}

#[test]
fn every_proof_that_security_names_is_a_test() {
    let document = read("SECURITY.md");
    let proofs = proofs(&document);
    assert!(proofs.len() > 40, "{}", proofs.len());
    for [package, file, test] in proofs {
        let folder = match package {
            "tests" => root().join("tests/tests"),
            library => root().join("crates").join(library),
        };
        let found = sources(&folder);
        let function = format!("fn {test}(");
        let is_there = found.iter().any(|(path, text)| {
            let names = path.iter().filter_map(|part| part.to_str());
            let in_file = names
                .map(|part| part.trim_end_matches(".rs"))
                .any(|part| part == file);
            in_file && text.contains(&function)
        });
        assert!(is_there, "SECURITY.md names {package}::{file}::{test}");
    }
}

#[test]
fn the_readme_shows_the_quickstart_as_it_is() {
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once("<!-- examples/quickstart/src/main.rs -->\n```rust\n")
        .expect("the README has the quickstart");
    let (shown, _) = rest.split_once("```\n").expect("the block ends");
    assert_eq!(shown, read("examples/quickstart/src/main.rs"));
}

/// The excerpts of sources in a document, each with its path: code after `<!-- path -->`.
fn excerpts(document: &str) -> Vec<(&str, &str)> {
    let comments = document.split("<!-- ").skip(1);
    let excerpts = comments.filter_map(|text| {
        let (path, code) = text.split_once(" -->\n```rust\n")?;
        let (code, _) = code.split_once("```\n").expect("the block ends");
        Some((path, code))
    });
    excerpts.collect()
}

/// Whether a source contains these lines, at any depth of indentation.
fn contains(source: &str, lines: &str) -> bool {
    (0..5).any(|depth| {
        let indentation = "    ".repeat(depth);
        let mut indented = String::new();
        for line in lines.lines() {
            if !line.is_empty() {
                indented.push_str(&indentation);
            }
            indented.push_str(line);
            indented.push('\n');
        }
        source.contains(&indented)
    })
}

#[test]
fn the_guide_to_stores_shows_the_example_as_it_is() {
    let guide = read("docs/implementing-a-store.md");
    let excerpts = excerpts(&guide);
    assert_eq!(excerpts.len(), guide.matches("```rust").count());
    for (path, code) in excerpts {
        assert!(contains(&read(path), code), "not in {path}:\n{code}");
    }
}

#[test]
fn the_recipes_show_the_code_that_is_tested() {
    for page in ["oauth", "csrf", "recipes"] {
        let text = read(&format!("docs/{page}.md"));
        let excerpts = excerpts(&text);
        assert!(excerpts.len() > 1, "{page}");
        assert_eq!(excerpts.len(), text.matches("```rust").count(), "{page}");
        for (path, code) in excerpts {
            assert!(contains(&read(path), code), "not in {path}:\n{code}");
        }
    }
}

#[test]
fn the_guide_to_stores_names_checks_of_the_conformance_suite() {
    let guide = read("docs/implementing-a-store.md");
    let (_, pitfalls) = guide.split_once("## Pitfalls").expect("the pitfalls");
    let suite = root().join("crates/cloakroom-core/src/conformance");
    let mut count = 0;
    for row in rows(pitfalls).skip(2) {
        let [_, check] = row[..] else {
            panic!("a row has a mistake and a check: {row:?}");
        };
        let (name, link) = check
            .trim_start_matches("[`")
            .split_once("`](../crates/cloakroom-core/src/conformance/")
            .expect("a link to the check");
        let source = read_source(&suite, link.trim_end_matches(')'));
        assert!(source.contains(&format!("async fn {name}(")), "{name}");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

fn read_source(folder: &Path, file: &str) -> String {
    let text = std::fs::read_to_string(folder.join(file));
    text.unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let readme = read("README.md");
    let words = readme.split(['`', '(', ')', ' ', '\n']);
    let paths = words.filter(|word| {
        word.starts_with("docs/") || word.starts_with("tests/") || word.starts_with("examples/")
    });
    for path in paths {
        assert!(root().join(path).exists(), "README.md names {path}");
    }
}

/// The functions that a cell of a table names: `sign_in(user).with_expiry(..)`, `get::<T>(key)?`,
/// `Session::id`.
fn functions(cell: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in quoted(cell) {
        let mut parts: Vec<&str> = word.split('(').collect();
        if parts.len() > 1 || !word.contains("::") {
            parts.pop();
        }
        for part in parts {
            let (part, _) = part.split_once("::<").unwrap_or((part, ""));
            let name = part.rsplit(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
            let name = name.into_iter().next().unwrap_or_default();
            if name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_function_of_ours_that_migrating_names_is_there() {
    let page = read("MIGRATING.md");
    let crates = sources(&root().join("crates"));
    let ours: Vec<String> = rows(&page)
        .flat_map(|row| functions(row.last().expect("a row has cells")))
        .collect();
    assert!(ours.len() > 100, "{}", ours.len());
    for name in ours {
        let (plain, generic) = (format!("fn {name}("), format!("fn {name}<"));
        let mut texts = crates.iter().map(|(_, text)| text);
        let is_there = texts.any(|text| text.contains(&plain) || text.contains(&generic));
        assert!(is_there, "MIGRATING.md names {name}");
    }
}

/// Level, message and fields of an event.
type Event = (String, String, Vec<String>);

/// What the invocations of `tracing`'s macros in a source log. Each ends with its message.
fn logged(source: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for level in ["debug", "info", "warn", "error"] {
        for call in source.split(&format!(" {level}!(")).skip(1) {
            let (call, _) = call.split_once(");").expect("the call ends");
            let (fields, message) = call.split_once('"').expect("there is a message");
            let message = message.trim_end().trim_end_matches(',');
            let message = message.strip_suffix('"').expect("it comes last");
            let fields = fields.split(',').map(str::trim);
            let fields = fields.filter(|field| !field.is_empty() && !field.starts_with("target:"));
            // `%reason` and `reason = reason` are both called `reason`.
            let name = |field: &str| {
                let (name, _) = field.split_once(" =").unwrap_or((field, ""));
                name.trim_start_matches(['%', '?']).to_owned()
            };
            events.push((
                level.to_owned(),
                message.to_owned(),
                fields.map(name).collect(),
            ));
        }
    }
    events.sort();
    events
}

/// The cells of a document's table rows.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    lines.map(|line| line.split('|').map(str::trim).collect())
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<String> {
    let words = cell.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

/// The files with the events of the target `cloakroom`.
const LAYER_EVENTS: [&str; 2] = [
    "crates/cloakroom/src/telemetry/limited.rs",
    "crates/cloakroom/src/telemetry/log.rs",
];

#[test]
fn the_page_on_observability_lists_every_event_as_it_is() {
    let page = read("docs/observability.md");
    let (_, page) = page.split_once("Target `cloakroom`:").expect("the events");
    let (layer, page) = page
        .split_once("Target `cloakroom_redis`:")
        .expect("the store's");
    let (redis, _) = page.split_once("## Spans").expect("the spans follow");
    for (section, sources) in [
        (layer, &LAYER_EVENTS[..]),
        (redis, &["crates/cloakroom-redis/src/log.rs"]),
    ] {
        let events = rows(section).filter(|row| !row[0].starts_with('-') && row[0] != "level");
        let mut listed: Vec<Event> = events
            .map(|row| (row[0].to_owned(), row[1].to_owned(), quoted(row[2])))
            .collect();
        listed.sort();
        assert!(!listed.is_empty());
        let source: String = sources.iter().map(|file| read(file)).collect();
        assert_eq!(listed, logged(&source), "{sources:?}");
    }
}

#[test]
fn the_page_on_observability_lists_every_span_and_metric() {
    let page = read("docs/observability.md");
    let event = read("crates/cloakroom/src/telemetry/log.rs");
    let (_, span) = event
        .split_once("debug_span!(target: TARGET, ")
        .expect("one");
    let (span, rest) = span.split_once(")").expect("the span ends");
    assert!(!rest.contains("_span!("), "a second span");
    assert_eq!(span, "\"store\", verb, session = %id, outcome");
    assert!(page.contains("| debug | `store` | `verb`, `session`, `outcome` |"));

    let meter = read("crates/cloakroom/src/telemetry/metrics.rs");
    let names = meter
        .split('"')
        .filter(|word| word.starts_with("cloakroom_"));
    let mut counted: Vec<_> = names.map(str::to_owned).collect();
    let first = rows(&page).filter(|row| row[0].starts_with("`cloakroom_"));
    let mut listed: Vec<_> = first.flat_map(|row| quoted(row[0])).collect();
    counted.sort();
    listed.sort();
    assert_eq!(listed, counted);

    // Also those that the alerts are made of.
    let words = page.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    for word in words.filter(|word| word.ends_with("_total") || word.ends_with("_bucket")) {
        let name = word.trim_end_matches("_bucket").to_owned();
        assert!(counted.contains(&name), "{name}");
    }
}

/// The words that the arms of a source's matches give.
fn words(source: &str) -> Vec<String> {
    let arms = source.split("=> \"").skip(1);
    let mut words: Vec<_> = arms
        .filter_map(|arm| Some(arm.split_once('"')?.0.to_owned()))
        .collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn the_page_on_observability_lists_every_outcome_and_kind_of_error() {
    let page = read("docs/observability.md");
    let (_, outcomes) = page.split_once("| outcome | of |").expect("the table");
    let (outcomes, _) = outcomes.split_once("\n\n").expect("the table ends");
    let mut listed: Vec<_> = rows(outcomes).flat_map(|row| quoted(row[0])).collect();
    listed.sort();
    listed.dedup();
    let mut given = words(&read("crates/cloakroom/src/store/outcome.rs"));
    // Reported by a command that is dropped, not by an arm.
    given.push("cancelled".to_owned());
    given.sort();
    given.dedup();
    assert_eq!(listed, given);

    let mut errors = rows(&page).filter(|row| row[0] == "`cloakroom_errors_total`");
    let row = errors.next().expect("the row");
    let (_, kinds) = row[1].split_once("`kind`:").expect("its kinds");
    let mut kinds = quoted(kinds);
    kinds.sort();
    assert_eq!(kinds, words(&read("crates/cloakroom/src/telemetry/log.rs")));
}
