//! What the property tests of this crate share.

use proptest::test_runner::{Config, FileFailurePersistence};

/// The configuration of a file's property tests: a case that failed is kept in
/// `proptest-regressions/`, to be committed, and runs first from then on.
///
/// A path of its own, because proptest's default is found from `src/` alone.
pub(crate) fn config(regressions: &'static str) -> Config {
    Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..Config::default()
    }
}

/// Where the failed cases of a file's property tests are kept.
macro_rules! regressions {
    ($name:literal) => {
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/proptest-regressions/",
            $name,
            ".txt"
        )
    };
}

pub(crate) use regressions;
