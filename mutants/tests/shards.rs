//! `scripts/mutants --shard`, with a `cargo` that only records its calls.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::new_folder;

/// Writes the arguments of each call to a file. As cargo-mutants does, it renames the folder of an earlier run.
const CARGO: &str = "#!/usr/bin/env bash
printf '%s\\n' \"$*\" >> \"$CALLS\"
while (($# > 0)); do
    if [[ $1 == --output ]]; then
        rm -rf \"$2/mutants.out.old\"
        if [[ -d $2/mutants.out ]]; then mv \"$2/mutants.out\" \"$2/mutants.out.old\"; fi
        mkdir \"$2/mutants.out\"
    fi
    shift
done
";

/// Runs the script, and returns the folders whose results it has recorded.
fn recorded(folder: &Path, shard: &[&str]) -> Vec<String> {
    let (programs, calls) = (folder.join("programs"), folder.join("calls"));
    fs::create_dir_all(&programs).expect("the folder can be created");
    for name in ["cargo", "cargo-mutants"] {
        let program = programs.join(name);
        fs::write(&program, CARGO).expect("the program can be written");
        let permissions = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&program, permissions).expect("it can be made executable");
    }
    let path = std::env::var("PATH").expect("there is one");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/mutants");
    let status = Command::new("bash")
        .arg(script)
        .args(["cloakroom-core", "expiry", "expiry.rs"])
        .args(shard)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("CALLS", &calls)
        .env("MUTANTS_OUTPUT", folder.join("output"))
        .status();
    assert!(status.expect("bash runs").success());
    let calls = fs::read_to_string(calls).expect("there were calls");
    let record = calls.lines().last().expect("there were calls");
    let (_, folders) = record
        .split_once(" record cloakroom-core: expiry ")
        .expect("it records the results");
    // The number of mutants comes first.
    let folders = folders.split_whitespace().skip(1).map(PathBuf::from);
    let names = folders.map(|folder| {
        assert!(folder.join("mutants.out").is_dir(), "{}", folder.display());
        let name = folder.file_name().expect("it has a name");
        name.to_string_lossy().into_owned()
    });
    names.collect()
}

#[test]
fn the_results_of_all_shards_are_recorded_and_the_latest_last() {
    let folder = new_folder();
    let run = |shard: &[&str]| recorded(&folder, shard);
    assert_eq!(run(&["--shard", "0/2"]), ["shard-0-of-2"]);
    assert_eq!(run(&["--shard", "1/2"]), ["shard-0-of-2", "shard-1-of-2"]);
    assert_eq!(run(&["--shard", "0/2"]), ["shard-1-of-2", "shard-0-of-2"]);
    assert_eq!(run(&[]), ["shard-1-of-2", "shard-0-of-2", "all"]);
    fs::remove_dir_all(folder).expect("it is there");
}
