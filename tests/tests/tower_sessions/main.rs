//! Interoperability with tower-sessions: their layer on our store, and our layer below code that uses
//! their `Session`, on a real Redis.

mod browser;
mod ecosystem;
mod example;
mod migration;
mod mixed;
mod servers;
#[allow(clippy::duplicate_mod, reason = "one suite for both versions")]
mod suite_014;
#[allow(clippy::duplicate_mod, reason = "one suite for both versions")]
mod suite_015;

/// Apps without tower-sessions must not have to build it.
#[test]
fn cloakroom_does_not_depend_on_tower_sessions() {
    for package in ["cloakroom", "cloakroom-core", "cloakroom-redis"] {
        let tree = std::process::Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--all-features",
                "--edges",
                "normal,build",
            ])
            .args(["--package", package])
            .output()
            .unwrap();
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.starts_with(package), "{tree}");
        assert!(!tree.contains("tower-sessions"), "{tree}");
    }
}
