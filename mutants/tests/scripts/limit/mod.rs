//! The scripts of `cloakroom-limit`.
