//! The scripts of `cloakroom-limit`.

mod attempt;
mod limits;
mod refund;
mod settle;
