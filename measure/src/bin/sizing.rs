//! Prints how many servers a load needs, and rewrites the section of `docs/performance.md`. See `scripts/sizing`.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;

use tests::sizing::{Figures, replace_in};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let mut figures = Figures::read()?;
    if let [command, files @ ..] = &*args {
        for file in files {
            let results = serde_json::from_slice(&fs::read(file)?)?;
            figures.update(&results, command)?;
        }
        figures.write()?;
    }
    let tables = figures.tables();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let text = replace_in(&fs::read_to_string(&page)?, &tables);
    fs::write(page, text.ok_or("the page has no place for the tables")?)?;
    stdout().write_all(tables.as_bytes())?;
    Ok(())
}
