//! The parts of the code whose mutants are counted, and the tests that have to notice them.

/// Code whose results are shown together.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
    /// What the paths in `src` begin with.
    files: &'static [&'static str],
    /// The tests that have to notice its mutants: those of a crate, or an end-to-end suite.
    pub(super) suites: &'static [&'static str],
    /// Tests that take longer alone are left out, in milliseconds: a survivor needs all others. With a cluster, a test takes
    /// some seconds.
    pub(super) longest: u64,
}

const CORE: &[&str] = &["cloakroom-core", "cloakroom", "sessions", "store"];
const HANDLING: &[&str] = &[
    "cloakroom",
    "sessions",
    "combined",
    "users",
    "races",
    "everyday",
    "tower_sessions",
];
const REDIS: &[&str] = &["cloakroom-redis", "store", "redis", "near_cache", "users"];

pub(super) const PARTS: [Part; 7] = [
    Part {
        name: "core",
        package: "cloakroom-core",
        files: &[""],
        suites: CORE,
        longest: 1_000,
    },
    Part {
        name: "plan",
        package: "cloakroom",
        files: &["plan.rs"],
        suites: HANDLING,
        longest: 1_000,
    },
    Part {
        name: "commit",
        package: "cloakroom",
        files: &["commit/"],
        suites: HANDLING,
        longest: 1_000,
    },
    Part {
        name: "load",
        package: "cloakroom",
        files: &["load/"],
        suites: HANDLING,
        longest: 1_000,
    },
    Part {
        name: "cookie",
        package: "cloakroom",
        files: &["cookie/"],
        suites: HANDLING,
        longest: 1_000,
    },
    Part {
        name: "command",
        package: "cloakroom-redis",
        files: &["command/"],
        suites: REDIS,
        longest: 10_000,
    },
    Part {
        name: "near",
        package: "cloakroom-redis",
        files: &["near/"],
        suites: REDIS,
        longest: 10_000,
    },
];

impl Part {
    /// Whether it has the mutants of this file, by its path below the root of the project.
    pub(super) fn has(&self, file: &str) -> bool {
        let source = format!("crates/{}/src/", self.package);
        let file = file.strip_prefix(&source);
        file.is_some_and(|file| self.files.iter().any(|start| file.starts_with(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_the_files_of_its_folder() {
        let has = |name: &str, file: &str| {
            let part = PARTS.iter().find(|part| part.name == name).unwrap();
            part.has(file)
        };
        assert!(has("core", "crates/cloakroom-core/src/entries/mod.rs"));
        assert!(has("plan", "crates/cloakroom/src/plan.rs"));
        assert!(has("commit", "crates/cloakroom/src/commit/end.rs"));
        assert!(!has("commit", "crates/cloakroom/src/load/mod.rs"));
        assert!(!has("commit", "crates/cloakroom-redis/src/commit/end.rs"));
    }
}
