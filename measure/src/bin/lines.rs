//! Prints how many lines everyday tasks take by hand and with Cloakroom: the table of `docs/recipes.md`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    write!(io::stdout(), "{}", tests::recipes::lines::table())
}
