//! The part of a page that is written by this program.

use std::fs;
use std::path::Path;

use crate::Problem;

const BEGIN: &str = "<!-- begin: written by scripts/bench --docs -->";
const END: &str = "<!-- end: written by scripts/bench --docs -->";

/// Replaces what stands between the two comments of a page.
pub(crate) fn rewrite(page: &Path, part: &str) -> Result<(), Problem> {
    let text = fs::read_to_string(page)?;
    let text = replaced(&text, part).ok_or("the page has no place for the figures")?;
    Ok(fs::write(page, text)?)
}

fn replaced(text: &str, part: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{part}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_comments_is_replaced() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = replaced(&page, "new\n").expect("there is a place");
        assert_eq!(new, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(replaced(&new, "new\n").expect("there is a place"), new);
        assert!(replaced("a page without a place", "new").is_none());
    }
}
