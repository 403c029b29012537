//! The results, and how they are reported.

mod conditions;
mod plot;
mod results;
mod table;

use std::fs;
use std::path::Path;

pub(crate) use self::conditions::Conditions;
pub(crate) use self::plot::write_all as write_plots;
pub(crate) use self::results::{Axis, Metric, Results, Samples};
pub(crate) use self::table::tables;
use crate::BoxError;

const BEGIN: &str = "<!-- begin: written by scripts/bench --docs -->";
const END: &str = "<!-- end: written by scripts/bench --docs -->";

pub(crate) fn write_json(results: &[Results], file: &Path) -> Result<(), BoxError> {
    let mut text = serde_json::to_string_pretty(results)?;
    text.push('\n');
    Ok(fs::write(file, text)?)
}

pub(crate) fn read_json(file: &Path) -> Result<Vec<Results>, BoxError> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

/// Replaces the text between the two comments of a page.
pub(crate) fn rewrite_page(page: &Path, text: &str) -> Result<(), BoxError> {
    let old = fs::read_to_string(page)?;
    let new = replace(&old, text).ok_or("the page has no place for the figures")?;
    Ok(fs::write(page, new)?)
}

fn replace(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_comments_is_replaced() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = replace(&page, "new\n").expect("there is a place");
        assert_eq!(new, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(replace(&new, "new\n").expect("there is a place"), new);
        assert!(replace("a page without a place", "new").is_none());
    }
}
