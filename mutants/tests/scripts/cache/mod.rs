//! The scripts of `cloakroom-cache`.
