//! The Lua scripts of the crates.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

/// The crates that have scripts, and the short names that results use.
const CRATES: [(&str, &str); 3] = [
    ("cloakroom-redis", "redis"),
    ("cloakroom-limit", "limit"),
    ("cloakroom-cache", "cache"),
];

/// A script.
#[derive(Debug)]
pub(crate) struct Script {
    /// The short name of its crate.
    pub(crate) group: &'static str,
    /// The name of its file, without the extension.
    pub(crate) stem: String,
    pub(crate) text: String,
}

impl Script {
    /// The name of the script in results, such as `redis/end`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.group, self.stem)
    }

    /// The digest by which saved results know the code that they are about: that of the lines without comments.
    pub(crate) fn digest(&self) -> String {
        let lines = self.text.lines();
        let code = lines.filter(|line| !line.trim_start().starts_with("--"));
        let code: String = code.flat_map(|line| [line, "\n"]).collect();
        digest(code.as_bytes())
    }
}

/// The SHA-1 digest of some bytes, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut digest = String::new();
    for byte in Sha1::digest(bytes) {
        write!(digest, "{byte:02x}").expect("writing to a String does not fail");
    }
    digest
}

/// The root folder of the project.
pub(crate) fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder
        .parent()
        .expect("the package is in the workspace")
        .to_owned()
}

/// All scripts, in the order of their names within each crate.
pub(crate) fn all() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (library, group) in CRATES {
        let folder = root().join("crates").join(library).join("src/scripts");
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.expect("an entry can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "lua"))
            .collect();
        paths.sort();
        for path in paths {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(&path);
            scripts.push(Script {
                group,
                stem: stem.into_owned(),
                text: text.unwrap_or_else(|error| panic!("{path:?}: {error}")),
            });
        }
    }
    scripts
}
