//! The API of small made-up crates.

use std::path::PathBuf;

use super::{diff, public_api};
use crate::source::{Features, Source};

fn api(files: &[(&str, &str)]) -> String {
    let files = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    public_api(&Source::parse(&files.collect(), Features::All), "a")
}

/// The API of a crate of one file, without the line of the crate itself.
fn api_of(text: &str) -> Vec<String> {
    let api = api(&[("lib.rs", text)]);
    api.lines().skip(1).map(str::to_owned).collect()
}

const STORE: &str = "
    /// Keeps things.
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct Store<T> { inner: T, pub size: usize }
    pub enum Kind { One, Two(u8), Three { at: u8 } }
    impl<T: Clone> Store<T> {
        #[must_use]
        pub fn get(&self, mut key: &str) -> Option<T> { None }
        pub fn set(&mut self, key: &str, value: T) {}
        fn inner(&self) {}
    }
    impl Kind { pub const ALL: [Kind; 2] = [Kind::One, Kind::Two(1)]; }
    impl std::fmt::Display for Kind { fn fmt(&self) {} }
    impl From<Kind> for String { fn from(kind: Kind) -> Self { todo!() } }
    pub trait Verb: Send { type Out: Sized; fn run(self) -> Self::Out; fn name(&self) -> &str { \"\" } }
    impl Verb for u8 { type Out = u8; fn run(self) -> u8 { self } }
    pub const fn minutes(minutes: u64) -> u64 { minutes }
";

#[test]
fn every_kind_of_item_has_its_line() {
    let expected = "\
impl From<Kind> for String
pub enum a::Kind
impl Display for a::Kind
pub const a::Kind::ALL: [Kind; 2]
pub a::Kind::One
pub a::Kind::Three { at: u8 }
pub a::Kind::Two(u8)
#[derive(Clone)] a::Store<T>
#[derive(Debug)] a::Store<T>
#[non_exhaustive] pub struct a::Store<T> { .. }
pub a::Store.size: usize
impl<T: Clone> #[must_use] pub fn a::Store<T>::get(&self, key: &str) -> Option<T>
impl<T: Clone> pub fn a::Store<T>::set(&mut self, key: &str, value: T)
impl Verb for u8 { type Out = u8 }
pub trait a::Verb: Send
type a::Verb::Out: Sized
fn a::Verb::name(&self) -> &str { .. }
fn a::Verb::run(self) -> Self::Out;
pub const fn a::minutes(minutes: u64) -> u64
";
    let mut lines: Vec<_> = expected.lines().collect();
    let mut found = api_of(STORE);
    lines.sort_unstable();
    found.sort();
    assert_eq!(found, lines);
}

#[test]
fn each_change_is_seen() {
    let changes = [
        (
            "get(&self, mut key: &str)",
            "get(&self, mut key: &str, at: u8)",
            2,
        ),
        ("pub fn set(&mut self, key: &str, value: T) {}", "", 1),
        ("Two(u8),", "Two(u8), Four,", 1),
        ("Two(u8),", "Two(u16),", 2),
        ("pub size: usize", "size: usize", 1),
        ("#[non_exhaustive]", "", 2),
        ("#[must_use]", "", 2),
        ("Clone, Debug", "Debug", 1),
        ("T: Clone", "T: Copy", 4),
        ("{ \"\" }", ";", 2),
        ("impl Verb for u8 {", "impl Verb for u16 {", 2),
        ("-> u64 {", "-> u32 {", 2),
    ];
    let before = api(&[("lib.rs", STORE)]);
    for (old, new, lines) in changes {
        let changed = STORE.replacen(old, new, 1);
        assert_ne!(changed, STORE, "{old}");
        let difference = diff::unified(&before, &api(&[("lib.rs", &changed)]));
        let signs = difference
            .lines()
            .filter(|line| line.starts_with(['+', '-']));
        assert_eq!(signs.count(), lines, "{old} -> {new}:\n{difference}");
    }
}

#[test]
fn what_is_not_of_the_api_changes_nothing() {
    let changes = [
        (
            "/// Keeps things.",
            "/// Keeps what it is given.\n#[allow(dead_code)]",
        ),
        ("mut key: &str", "key:&str,"),
        ("fn inner(&self) {}", "pub(crate) fn other(&self) { 1; }"),
        ("{ None }", "{ self.inner.clone().into() }"),
        ("inner: T,", "inner: Box<T>,"),
        (
            "pub enum Kind",
            "#[cfg(test)] mod tests { pub fn f() {} } pub enum Kind",
        ),
        (
            "pub enum Kind",
            "#[cfg(all(test, feature = \"x\"))] pub fn tested() {} pub enum Kind",
        ),
        (
            "pub enum Kind",
            "#[cfg(not(any(test, feature = \"x\")))] pub fn none() {} pub enum Kind",
        ),
        (
            "pub enum Kind",
            "#[cfg(not(feature = \"x\"))] pub fn off() {} pub enum Kind",
        ),
        (
            "pub enum Kind",
            "mod m { pub struct Private; impl Clone for Private {} } pub enum Kind",
        ),
    ];
    let before = api(&[("lib.rs", STORE)]);
    for (old, new) in changes {
        let changed = STORE.replacen(old, new, 1);
        assert_ne!(changed, STORE, "{old}");
        let difference = diff::unified(&before, &api(&[("lib.rs", &changed)]));
        assert_eq!(difference, "", "{old} -> {new}");
    }
}

#[test]
fn items_are_found_through_modules_and_reexports() {
    let api = api(&[
        (
            "lib.rs",
            "mod hidden; pub mod open; pub use self::open::Open; pub use self::hidden::{Deep as Shallow, all};
             #[cfg(feature = \"x\")] pub use self::hidden::With; pub use other::{Thing, more as less}; pub use self::globbed::*;
             mod globbed;",
        ),
        ("hidden/mod.rs", "mod deep; pub use self::deep::Deep; pub struct With; pub fn all() {} pub struct Unseen;"),
        (
            "hidden/deep.rs",
            "pin_project! { /// It.\n pub struct Deep<F> { #[pin] inner: F } } impl<F> Deep<F> { pub fn go(&self) {} }",
        ),
        ("open.rs", "pub struct Open; pub(crate) struct Not; impl Open { pub fn new(_: Not) -> Self { Open } }"),
        ("globbed.rs", "pub fn one() {} pub use crate::hidden::With as Again;"),
    ]);
    let mut found: Vec<&str> = api.lines().collect();
    found.sort_unstable();
    let mut expected = [
        "pub mod a",
        "pub struct a::Shallow<F> { .. }",
        "impl<F> pub fn a::Shallow<F>::go(&self)",
        "pub use a::Again = a::With",
        "pub use a::Open = a::open::Open",
        "pub use a::Thing = other::Thing",
        "pub use a::less = other::more",
        "pub fn a::all()",
        "pub fn a::one()",
        "pub struct a::With",
        "pub mod a::open",
        "pub struct a::open::Open",
        "pub fn a::open::Open::new(_: Not) -> Self",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}
