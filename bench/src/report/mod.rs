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

pub(crate) fn write_json(results: &[Results], file: &Path) -> Result<(), BoxError> {
    let mut text = serde_json::to_string_pretty(results)?;
    text.push('\n');
    Ok(fs::write(file, text)?)
}

pub(crate) fn read_json(file: &Path) -> Result<Vec<Results>, BoxError> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

/// Replaces the text between the two comments of a page that name the option.
pub(crate) fn rewrite_page(page: &Path, option: &str, text: &str) -> Result<(), BoxError> {
    let old = fs::read_to_string(page)?;
    let new = replace(&old, option, text).ok_or("the page has no place for the figures")?;
    Ok(fs::write(page, new)?)
}

fn replace(page: &str, option: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- begin: written by scripts/bench {option} -->");
    let end = format!("<!-- end: written by scripts/bench {option} -->");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_comments_is_replaced() {
        let begin = "<!-- begin: written by scripts/bench --docs -->";
        let end = "<!-- end: written by scripts/bench --docs -->";
        let replaced = |page: &str| replace(page, "--docs", "new\n");
        let new = replaced(&format!("before\n{begin}\nold\n{end}\nafter\n"));
        let expected = format!("before\n{begin}\n\nnew\n\n{end}\nafter\n");
        assert_eq!(new.as_ref(), Some(&expected));
        assert_eq!(replaced(&expected), Some(expected.clone()));
        assert!(replaced("a page without a place").is_none());
        assert!(replace(&expected, "--races", "new").is_none());
    }
}
