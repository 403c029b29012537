//! The layers of each crate: no import cycle among files, and no import of a higher layer.
//!
//! docs/layers.md lists the layers, `source` parses the crates, `imports` finds what each file imports, and `check`
//! compares the two.

mod check;
mod imports;
mod list;
mod made_up;

use std::collections::BTreeSet;

use crate::source::{Features, Source};
use crate::tree::{LIBRARIES, read, root};

#[test]

fn every_library_crate_keeps_to_its_layers() {
    let document = read("docs/layers.md");
    let lists = list::parse(&document).unwrap_or_else(|error| panic!("docs/layers.md: {error}"));
    let listed: BTreeSet<&str> = lists.keys().map(String::as_str).collect();
    assert_eq!(listed, BTreeSet::from(LIBRARIES), "the crates with layers");

    let mut problems = Vec::new();
    for (name, layers) in &lists {
        let folder = format!("crates/{name}/src");
        let source = Source::read(&root().join(&folder), Features::Any);
        let found = check::problems(&source, layers);
        problems.extend(found.iter().map(|problem| format!("{folder}/{problem}")));
    }
    let count = problems.len();
    assert!(count == 0, "{count} problems:\n{}", problems.join("\n"));
}
