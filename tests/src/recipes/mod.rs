//! The code of the recipes in `docs/`, which the documents quote. `tests/oauth` and `tests/browser` run it.

pub mod csrf;
pub mod guest;
pub mod live;
pub mod mobile;
pub mod oauth;
pub mod remember_me;
pub mod second_factor;
