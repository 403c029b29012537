//! What was measured, and how it is shown.

mod book;
mod conditions;
mod docs;
mod json;
mod plot;
mod table;

pub(crate) use self::book::{Axis, Book, Metric};
pub(crate) use self::conditions::Conditions;
pub(crate) use self::docs::rewrite;
pub(crate) use self::json::write as write_json;
pub(crate) use self::plot::write as write_plots;
pub(crate) use self::table::tables;
