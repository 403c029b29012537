//! The public API of each library crate, compared with `crates/<crate>/public-api.txt`, so that no change of it goes
//! unnoticed.
//!
//! The API is read from the sources, with all features on: tools that read rustdoc's JSON need a nightly compiler. So types
//! are printed as the source writes them, and what the compiler works out for itself is not seen: the auto traits (`Send`,
//! `Sync`, `Unpin`) of a type, and the type behind a private alias.

mod diff;
mod impls;
mod items;
mod reach;
mod sample;
mod text;

use std::fs;

use self::reach::Reach;
use crate::source::{Features, Source};
use crate::tree::{LIBRARIES, root};

/// If this environment variable is set, the test writes the files instead of comparing them.
const ACCEPT: &str = "ACCEPT_PUBLIC_API";

/// Returns the public API of a crate, one item in each line.
fn public_api(source: &Source, crate_name: &str) -> String {
    let reach = Reach::of(source, crate_name);
    let mut text = impls::lines(source, &reach).join("\n");
    text.push('\n');
    text
}

#[test]
fn the_public_api_is_the_one_on_file() {
    let mut differences = String::new();
    for name in LIBRARIES {
        let folder = root().join("crates").join(name);
        let source = Source::read(&folder.join("src"), Features::All);
        let current = public_api(&source, &name.replace('-', "_"));
        let file = folder.join("public-api.txt");
        if std::env::var_os(ACCEPT).is_some() {
            fs::write(&file, &current).expect("the file can be written");
        }
        let on_file = fs::read_to_string(&file).unwrap_or_default();
        let difference = diff::unified(&on_file, &current);
        if !difference.is_empty() {
            let path = format!("crates/{name}/public-api.txt");
            differences.push_str(&format!("--- {path}\n+++ the sources\n{difference}"));
        }
    }
    assert!(
        differences.is_empty(),
        "the public API has changed:\n{differences}\nIf this is intended, accept it, and name it in CHANGELOG.md:\n    \
         {ACCEPT}=1 cargo test -p tests --test project public_api"
    );
}
