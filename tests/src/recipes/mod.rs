//! The code of the recipes in `docs/`, which the documents quote. `tests/oauth` and `tests/browser` run it.

pub mod after;
pub mod authorization_server;
pub mod before;
pub mod csrf;
pub mod guest;
pub mod lines;
pub mod live;
pub mod mobile;
pub mod oauth;
pub mod openid;
pub mod remember_me;
pub mod second_factor;
