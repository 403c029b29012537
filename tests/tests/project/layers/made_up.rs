//! The checker finds what it must in small made-up crates, and nothing else.

use std::path::PathBuf;

use super::check::problems;
use super::list::Layers;
use crate::source::{Features, Source};

fn crate_of(files: &[(&str, &str)]) -> Source {
    let files = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    Source::parse(&files.collect(), Features::Any)
}

fn layers(names: &[&[&str]]) -> Layers {
    let layer = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    names.iter().map(layer).collect()
}

fn found(files: &[(&str, &str)], names: &[&[&str]]) -> Vec<String> {
    problems(&crate_of(files), &layers(names))
}

#[test]
fn a_crate_in_order_has_no_problems() {
    let files = [
        (
            "lib.rs",
            "mod low; mod high; pub use self::high::High; pub use low::Low;",
        ),
        (
            "low.rs",
            "//! `use crate::high::High;`\npub struct Low; // crate::high::High\n",
        ),
        (
            "high/mod.rs",
            "mod part; pub use self::part::High; pub(crate) use self::part::make;",
        ),
        (
            "high/part.rs",
            "use std::fmt; use crate::Low; pub struct High(Low); pub(crate) fn make() { fmt::x(\"crate::high\"); }",
        ),
    ];
    assert_eq!(found(&files, &[&["low"], &["high"]]), [""; 0]);
}

#[test]
fn a_cycle_is_found() {
    let files = [
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "use crate::two::Two; pub struct One(Two);"),
        (
            "two.rs",
            "pub struct Two;\nimpl Two { fn f() -> crate::one::One { todo!() } }",
        ),
    ];
    let found = found(&files, &[&["one", "two"]]);
    assert_eq!(
        found,
        ["one.rs: import cycle: one.rs, two.rs\n    \
          one.rs:1: `crate::two::Two` in two.rs\n    \
          two.rs:2: `crate::one::One` in one.rs"]
    );
}

#[test]
fn a_cycle_of_three_is_found_once() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "use crate::a::A; use crate::d::D; pub struct C;"),
        ("d.rs", "pub struct D;"),
    ];
    let found = found(&files, &[&["a", "b", "c", "d"]]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("a.rs: import cycle: a.rs, b.rs, c.rs\n"));
}

#[test]
fn a_child_that_uses_its_parents_own_item_makes_a_cycle() {
    let own = "mod part; use self::part::Part; pub struct Own(Part);";
    let with = |text: &str| {
        [("lib.rs", "mod m;"), ("m/mod.rs", own), ("m/part.rs", text)]
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
    };
    let check = |text: &str| {
        let files = with(text);
        let files: Vec<_> = files
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        found(&files, &[&["m"]]).len()
    };
    assert_eq!(check("use super::Own; pub struct Part;"), 1);
    assert_eq!(check("pub struct Part; fn f(_: super::Own) {}"), 1);
    assert_eq!(check("pub struct Part;"), 0);
    assert_eq!(
        check("pub struct Part; #[cfg(test)] mod tests { use super::super::Own; }"),
        0
    );
}

#[test]
fn an_import_through_a_reexport_counts_as_its_source() {
    let files = [
        ("lib.rs", "mod m;"),
        (
            "m/mod.rs",
            "mod a; mod b; pub use self::a::A; pub use self::b::b; use self::b::B; struct M(B);",
        ),
        // Through the parent's re-export, so this imports a.rs alone.
        ("m/b.rs", "use super::A; pub struct B(A); pub fn b() {}"),
        ("m/a.rs", "pub struct A;"),
    ];
    assert_eq!(found(&files, &[&["m"]]), [""; 0]);
    let mut turned = files;
    turned[3] = ("m/a.rs", "pub struct A; fn f() { super::b() }");
    let found = found(&turned, &[&["m"]]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("m/a.rs: import cycle: m/a.rs, m/b.rs\n"),
        "{found:?}"
    );
}

#[test]
fn an_upward_import_is_found_wherever_it_is() {
    let ways = [
        "use crate::high::High;",
        "use super::high::High;",
        "use crate::{high::{High as H}};",
        "use crate::high; fn f() { high::make() }",
        "use crate::high::*;",
        "fn f() { use crate::high::High; }",
        "fn f(_: &crate::high::High) {}",
        "fn f() { assert!(crate::high::make()); }",
        "use crate::high; fn f() { println!(\"{}\", high::make()); }",
        "impl crate::high::Trait for u8 {}",
        "use crate::High;",
        "mod inner { use crate::high::High; }",
        "#[cfg(not(feature = \"x\"))] use crate::high::High;",
    ];
    for way in ways {
        let files = [
            ("lib.rs", "mod low; mod high; pub use self::high::High;"),
            ("low.rs", way),
            (
                "high.rs",
                "pub struct High; pub trait Trait {} pub fn make() -> bool { true }",
            ),
        ];
        let found = found(&files, &[&["low"], &["high"]]);
        assert_eq!(found.len(), 1, "{way}: {found:?}");
        assert!(found[0].starts_with("low.rs:1: `"), "{found:?}");
        let problem = "upward import: `low` (layer 1) imports `high` (layer 2)";
        assert!(found[0].ends_with(problem), "{found:?}");
    }
}

#[test]
fn an_import_of_the_roots_own_item_is_upward() {
    let files = [
        ("lib.rs", "mod low; pub fn own() {}"),
        ("low.rs", "fn f() { crate::own() }"),
    ];
    let found = found(&files, &[&["low"]]);
    let problem = "low.rs:1: `crate::own`: upward import: `low` (layer 1) imports the crate's root";
    assert_eq!(found, [problem]);
}

#[test]
fn what_is_no_import_is_not_taken_for_one() {
    let ways = [
        "#[cfg(test)] mod tests { use crate::high::High; }",
        "#[cfg(test)] use crate::high::High;",
        "/* use crate::high::High; */",
        "/// [`High`](crate::high::High)\nstruct Low;",
        "const TEXT: &str = \"crate::high::High\";",
        "pub(in crate::high) fn f() {}",
        "use high::High;",
        "use ::high::High;",
        "fn f(high: u8) { high(1); self.high::<u8>() }",
    ];
    for way in ways {
        let files = [
            ("lib.rs", "mod low; mod high;"),
            ("low.rs", way),
            ("high.rs", "pub struct High;"),
        ];
        assert_eq!(found(&files, &[&["low"], &["high"]]), [""; 0], "{way}");
    }
}

#[test]
fn an_unlisted_module_and_a_listed_one_that_is_not_there_are_found() {
    let files = [
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", ""),
        ("two.rs", ""),
    ];
    assert_eq!(
        found(&files, &[&["one"], &["three"]]),
        [
            "lib.rs: module `two` is in no layer of the list",
            "lib.rs: the list names `three`, which is not a module",
        ]
    );
}

#[test]
fn a_shared_file_imports_for_each_of_its_modules() {
    let files = [
        ("lib.rs", "mod m; mod v1; mod v2;"),
        ("m.rs", "pub struct M;"),
        ("v1.rs", "#[path = \"shared/s.rs\"] mod s;"),
        ("v2.rs", "#[path = \"shared/s.rs\"] mod s;"),
        ("shared/s.rs", "use crate::m::M;"),
    ];
    let found = found(&files, &[&["v1"], &["v2"], &["m"]]);
    let upward = |name: &str, layer: u8| {
        format!(
            "shared/s.rs:1: `crate::m::M`: upward import: `{name}` (layer {layer}) imports `m` (layer 3)"
        )
    };
    assert_eq!(found, [upward("v1", 1), upward("v2", 2)]);
}

#[test]
fn modules_may_share_files_and_names() {
    let files = [
        (
            "lib.rs",
            "#[cfg(feature = \"x\")] mod m; #[cfg(not(feature = \"x\"))] #[path = \"m_off.rs\"] mod m; mod v1; mod v2;",
        ),
        ("m.rs", "pub struct M;"),
        ("m_off.rs", "pub struct M;"),
        (
            "v1.rs",
            "use one as ts; #[path = \"shared/s.rs\"] mod s; pub use self::s::S;",
        ),
        (
            "v2.rs",
            "use two as ts; #[path = \"shared/s.rs\"] mod s; pub use self::s::S;",
        ),
        (
            "shared/s.rs",
            "use super::ts::T; use crate::m::M; pub struct S(T, M);",
        ),
    ];
    assert_eq!(found(&files, &[&["m"], &["v1", "v2"]]), [""; 0]);
}
