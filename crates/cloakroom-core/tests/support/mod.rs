//! Configuration of the property tests.

use proptest::test_runner::{Config, FileFailurePersistence};

/// Returns the configuration of a file's property tests. A failed case is written to `proptest-regressions/`,
/// to be committed, and runs first from then on.
///
/// The path is explicit, because proptest finds its default directory only from `src/`.
pub(crate) fn config(regressions: &'static str) -> Config {
    Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..Config::default()
    }
}

/// The path of the failed cases of a file's property tests.
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
