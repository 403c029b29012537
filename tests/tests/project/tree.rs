//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates that are published, which lie in `crates`.
pub(crate) const LIBRARIES: [&str; 6] = [
    "cloakroom",
    "cloakroom-cache",
    "cloakroom-core",
    "cloakroom-limit",
    "cloakroom-redis",
    "cloakroom-tower-sessions",
];

/// Returns the project's root folder.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the package is in the workspace").to_owned()
}

/// Returns the text of a file, whose path is relative to the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the files below a folder that have one of the extensions, each with its text, sorted by path. Hidden
/// folders, build output and packages of npm are left out. Paths begin with `folder`.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(folder, extensions, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<(PathBuf, String)>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            let is_ours = name != "target" && name != "node_modules";
            if is_ours && !name.starts_with('.') {
                collect(&path, extensions, found);
            }
        } else if extensions.iter().any(|wanted| has_extension(&path, wanted)) {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            found.push((path, text));
        }
    }
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension == wanted)
}
