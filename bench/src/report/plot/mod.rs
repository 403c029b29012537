//! The plots, drawn for pages that are light or dark.

mod bars;
mod lines;
mod svg;

use std::fs;
use std::path::Path;

use super::book::{Book, Metric};
use crate::Problem;

/// Draws all plots into a folder.
pub(crate) fn write(book: &Book, folder: &Path) -> Result<(), Problem> {
    fs::create_dir_all(folder)?;
    let cpu = bars::draw(
        book,
        Metric::CpuMs,
        "CPU of the server for each request, compared to fred by hand",
        |figure| {
            figure
                .ratio
                .map(|ratio| (ratio.median, format!("{:.2}", ratio.median)))
        },
    );
    fs::write(folder.join("cpu.svg"), cpu)?;
    let latency = bars::draw(
        book,
        Metric::AloneP50,
        "Median latency with one connection, in µs",
        |figure| {
            let ratio = figure.ratio?.median;
            Some((ratio, format!("{:.0}", figure.value.median)))
        },
    );
    fs::write(folder.join("latency.svg"), latency)?;
    if !book.growth.is_empty() {
        fs::write(folder.join("growth.svg"), lines::draw(&book.growth))?;
    }
    Ok(())
}
