//! What the library crates must not do: read the environment, and depend on each other the wrong way.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use serde_json::Value;

use crate::source::{Features, Source};
use crate::tree::{LIBRARIES, root};

/// Returns the lines in which tokens use `std::env`. The macros `env!` and `option_env!` read when the crate is compiled,
/// and are not found.
fn environment_lines(tokens: TokenStream) -> Vec<usize> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut lines = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => lines.extend(environment_lines(group.stream())),
            TokenTree::Ident(word) => {
                let next = tokens.get(index + 1);
                let is_macro = next.is_some_and(|next| is_punct(next, '!'));
                let is_reader = ["var_os", "vars_os"].iter().any(|name| word == name);
                if is_reader || (word == "env" && !is_macro) {
                    lines.push(word.span().start().line);
                }
            }
            _ => {}
        }
    }
    lines
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

#[test]
fn no_library_crate_reads_the_environment() {
    let mut found = BTreeSet::new();
    for name in LIBRARIES {
        let folder = format!("crates/{name}/src");
        let source = Source::read(&root().join(&folder), Features::Any);
        for module in &source.modules {
            for item in &module.items {
                for line in environment_lines(item.to_token_stream()) {
                    found.insert(format!("{folder}/{}:{line}", module.file.display()));
                }
            }
        }
    }
    let places: Vec<_> = found.into_iter().collect();
    assert!(
        places.is_empty(),
        "`std::env` is used in {}",
        places.join(", ")
    );
}

#[test]
fn a_use_of_the_environment_is_found() {
    let lines = |text: &str| environment_lines(text.parse().expect("tokens"));
    for text in [
        "fn f() { std::env::var(\"X\") }",
        "use std::env;",
        "use std::{env as e, fmt};",
        "fn f() { matches!(env::vars().next(), None) }",
        "use std::env::var;",
        "fn f() { e::var_os(\"X\") }",
    ] {
        assert_eq!(lines(text), [1], "{text}");
    }
    for text in [
        "/// `std::env::var`\nfn f() {}",
        "// std::env::var\nfn f() {}",
        "const A: &str = env!(\"CARGO_PKG_NAME\");",
        "const A: Option<&str> = option_env!(\"A\");",
        "const A: &str = \"std::env::var\";",
        "fn environment() { let var = 1; }",
    ] {
        assert_eq!(lines(text), [0; 0], "{text}");
    }
}

/// The dependencies of a library crate, without those of its tests: names, and the features that are asked for.
type Dependencies = BTreeMap<String, Vec<String>>;

/// Returns the dependencies of all library crates, whatever the features and the platform.
fn dependencies() -> BTreeMap<String, Dependencies> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let output = cargo.current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();

    let mut crates = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        let all = list(&package["dependencies"]);
        let shipped = all.iter().filter(|one| one["kind"] != "dev");
        let named = shipped.map(|one| {
            let features = list(&one["features"]);
            (text(&one["name"]), features.iter().map(text).collect())
        });
        if LIBRARIES.contains(&name.as_str()) {
            crates.insert(name, named.collect());
        }
    }
    crates
}

#[test]
fn the_crates_depend_on_each_other_in_one_direction() {
    let crates = dependencies();
    let ours = |name: &str| -> Vec<&str> {
        let names = crates[name].keys().map(String::as_str);
        names.filter(|name| LIBRARIES.contains(name)).collect()
    };
    assert_eq!(ours("cloakroom-core"), [""; 0]);
    assert_eq!(ours("cloakroom"), ["cloakroom-core"]);
    assert_eq!(ours("cloakroom-redis"), ["cloakroom-core"]);
    assert_eq!(
        ours("cloakroom-limit"),
        ["cloakroom", "cloakroom-core", "cloakroom-redis"]
    );
}

#[test]
fn the_core_depends_on_no_runtime_no_http_and_no_redis_client() {
    let core = &dependencies()["cloakroom-core"];
    for name in core.keys() {
        let families = [
            "async-std",
            "axum",
            "cookie",
            "fred",
            "http",
            "hyper",
            "redis",
            "smol",
            "tower",
        ];
        let family = families.iter().find(|family| name.starts_with(*family));
        assert_eq!(family, None, "cloakroom-core depends on {name}");
    }
    // The channels of `tokio::sync` need no runtime.
    if let Some(features) = core.get("tokio") {
        assert_eq!(
            features,
            &["sync"],
            "cloakroom-core uses more of tokio than its channels"
        );
    }
}
