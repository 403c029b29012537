//! A unified diff of two lists of lines.

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Kept,
    Removed,
    Added,
}

/// Returns the differences from `old` to `new` in unified form, or an empty text if there are none.
pub(super) fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = changes(&old, &new);
    let is_shown = |index: usize| {
        let from = index.saturating_sub(CONTEXT);
        let to = (index + CONTEXT + 1).min(lines.len());
        lines[from..to]
            .iter()
            .any(|(change, _)| *change != Change::Kept)
    };
    let mut text = String::new();
    let mut in_hunk = false;
    let (mut old_line, mut new_line) = (1, 1);
    for (index, (change, line)) in lines.iter().enumerate() {
        let shown = is_shown(index);
        if shown && !in_hunk {
            text.push_str(&format!("@@ -{old_line} +{new_line} @@\n"));
        }
        in_hunk = shown;
        let sign = match change {
            Change::Kept => ' ',
            Change::Removed => '-',
            Change::Added => '+',
        };
        if shown {
            text.push_str(&format!("{sign}{line}\n"));
        }
        old_line += usize::from(*change != Change::Added);
        new_line += usize::from(*change != Change::Removed);
    }
    text
}

/// The lines of both lists in order, by their longest common subsequence.
fn changes<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Change, &'a str)> {
    // How many lines are common to the rests that begin at each pair of lines.
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (at_old, left) in old.iter().enumerate().rev() {
        for (at_new, right) in new.iter().enumerate().rev() {
            common[at_old][at_new] = if left == right {
                common[at_old + 1][at_new + 1] + 1
            } else {
                common[at_old + 1][at_new].max(common[at_old][at_new + 1])
            };
        }
    }
    let mut lines = Vec::new();
    let (mut at_old, mut at_new) = (0, 0);
    while at_old < old.len() || at_new < new.len() {
        match (old.get(at_old), new.get(at_new)) {
            (Some(left), Some(right)) if left == right => {
                lines.push((Change::Kept, *left));
                at_old += 1;
                at_new += 1;
            }
            (Some(left), right)
                if right.is_none() || common[at_old + 1][at_new] >= common[at_old][at_new + 1] =>
            {
                lines.push((Change::Removed, *left));
                at_old += 1;
            }
            (_, right) => {
                lines.push((Change::Added, *right.expect("one of the lists has a line")));
                at_new += 1;
            }
        }
    }
    lines
}

#[test]
fn a_diff_shows_what_changed_and_a_little_around_it() {
    assert_eq!(unified("a\nb\n", "a\nb\n"), "");
    assert_eq!(unified("", "a\n"), "@@ -1 +1 @@\n+a\n");
    assert_eq!(unified("a\n", ""), "@@ -1 +1 @@\n-a\n");
    let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
    let new = "a\nb\nc\nD\ne\nf\ng\nh\ni\nj\n";
    let expected = "@@ -2 +2 @@\n b\n c\n-d\n+D\n e\n f\n@@ -8 +8 @@\n h\n i\n+j\n";
    assert_eq!(unified(old, new), expected);
}
