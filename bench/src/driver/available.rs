//! What a subject needs that is not built with this program.

use std::process::{Command, Stdio};

use super::process::folder;
use crate::subject::Subject;

/// What is missing here, if anything.
pub(super) fn missing(subject: Subject) -> Option<&'static str> {
    if subject != Subject::ExpressSession {
        return None;
    }
    let mut node = Command::new("node");
    let node = node.arg("--version").stdout(Stdio::null());
    if !node.status().is_ok_and(|status| status.success()) {
        return Some("there is no node");
    }
    let modules = folder().join("express/node_modules");
    (!modules.exists()).then_some("its packages are not installed: npm ci, in bench/express")
}
