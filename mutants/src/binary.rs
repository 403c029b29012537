//! A copy of a test binary whose scripts can be replaced.
//!
//! The crates contain their scripts as text (`include_str!`), and so does every program that is linked with them. A mutant
//! needs no build: its text is written over the original one in a copy of the program. It has to have the same length,
//! which the comment that every script begins with makes up for. Digests of scripts are computed when the program runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use memchr::memmem;

/// A program, as a copy that is changed and restored.
#[derive(Debug)]
pub(crate) struct Binary {
    /// The test target, such as `scripts`.
    pub(crate) target: String,
    pub(crate) path: PathBuf,
    original: Vec<u8>,
}

impl Binary {
    /// Copies the program of a test target into a folder.
    pub(crate) fn copy(target: &str, program: &Path, folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(target);
        fs::copy(program, &path)?;
        Ok(Self {
            target: target.to_owned(),
            original: fs::read(&path)?,
            path,
        })
    }

    /// Writes `replacement` over each place of `text`, calls `run`, and restores the text.
    ///
    /// # Errors
    ///
    /// If the program does not contain the text, or cannot be written to.
    pub(crate) fn with_replaced<T>(
        &self,
        text: &str,
        replacement: &str,
        run: impl FnOnce() -> T,
    ) -> Result<T, String> {
        let replacement = fit(replacement, text.len())?;
        let places: Vec<usize> = memmem::find_iter(&self.original, text).collect();
        if places.is_empty() {
            return Err(format!(
                "the program of {} does not contain the script",
                self.target
            ));
        }
        let mut changed = self.original.clone();
        for place in places {
            changed[place..place + replacement.len()].copy_from_slice(replacement.as_bytes());
        }
        self.write(&changed)?;
        let result = run();
        self.write(&self.original)?;
        Ok(result)
    }

    /// Puts another file in place of the program: one that was just killed may not be written to yet.
    fn write(&self, bytes: &[u8]) -> Result<(), String> {
        let new = self.path.with_extension("new");
        let write = || {
            fs::copy(&self.path, &new)?; // with the permissions
            fs::write(&new, bytes)?;
            fs::rename(&new, &self.path)
        };
        write().map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// Gives a script a length by changing that of its first line, which is a comment.
fn fit(script: &str, length: usize) -> Result<String, String> {
    let line = script.find('\n').unwrap_or_default();
    if !script.starts_with("--") {
        return Err("a script begins with a comment".to_owned());
    }
    let (comment, rest) = script.split_at(line);
    let wanted = (comment.len() + length)
        .checked_sub(script.len())
        .filter(|&wanted| wanted >= 2)
        .ok_or("the first comment of the script is too short")?;
    let kept = wanted.min(comment.len());
    let comment = comment.get(..kept).ok_or("the first comment is ASCII")?;
    Ok(format!("{comment:<wanted$}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_fitted_by_its_first_comment() {
        assert_eq!(fit("-- abc\nreturn 1\n", 14).unwrap(), "-- a\nreturn 1\n");
        assert_eq!(
            fit("-- abc\nreturn 1\n", 18).unwrap(),
            "-- abc  \nreturn 1\n"
        );
        assert!(fit("-- abc\nreturn 1\n", 11).is_err());
        assert!(fit("return 1\n", 20).is_err());
    }

    #[test]
    fn the_text_is_replaced_everywhere_and_restored() {
        let folder = std::env::temp_dir().join(format!("mutants-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        fs::write(
            &program,
            "1-- a comment\nreturn 1\n2-- a comment\nreturn 1\n3",
        )
        .unwrap();
        let binary = Binary::copy("copy", &program, &folder).unwrap();
        let text = "-- a comment\nreturn 1\n";
        let read = || fs::read_to_string(&binary.path).unwrap();
        let changed = binary.with_replaced(text, "-- a comment\nreturn 20\n", read);
        assert_eq!(
            changed.unwrap(),
            "1-- a commen\nreturn 20\n2-- a commen\nreturn 20\n3"
        );
        assert_eq!(read(), fs::read_to_string(&program).unwrap());
        assert!(
            binary
                .with_replaced("-- another\n", "-- another\n", || ())
                .is_err()
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
