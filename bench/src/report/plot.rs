//! The plots, as SVG for pages that are light or dark.

use std::fs;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::results::{Axis, Figure, GrowthPoint, Metric, Results};
use crate::BoxError;
use crate::subject::{Route, Subject};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A colour on light and on dark pages.
struct Colour {
    light: RGBColor,
    dark: RGBColor,
}

const CLOAKROOM: Colour = colour(0x0a_6b5e, 0x4c_c9b0);
const NEAR_CACHE: Colour = colour(0x37_a48f, 0x2a_8f7d);
const BASELINE: Colour = colour(0x7d_8790, 0x8b_949e);
const OTHER: Colour = colour(0xb9_c2ca, 0x4a_525b);
const TEXT: Colour = colour(0x1f_2328, 0xe6_edf3);
const MUTED: Colour = colour(0x63_6c76, 0x9a_a4ae);
const GRID: Colour = colour(0xdd_e3e8, 0x2d_333b);
const COLOURS: [Colour; 7] = [CLOAKROOM, NEAR_CACHE, BASELINE, OTHER, TEXT, MUTED, GRID];

/// In pixels. A page that is narrower than this scales the plot down, so it is no wider than necessary.
const WIDTH: u32 = 800;
const TITLE_SIZE: f64 = 17.0;
const TEXT_SIZE: f64 = 15.0;

/// Draws all plots into a folder, of the first results.
pub(crate) fn write_all(results: &[Results], folder: &Path) -> Result<(), BoxError> {
    let results = results.first().ok_or("there are no results")?;
    fs::create_dir_all(folder)?;
    let title = "CPU of the server per request, compared to fred by hand";
    let cpu = bars(results, Metric::CpuMs, title, ratio_label)?;
    fs::write(folder.join("cpu.svg"), cpu)?;
    let title = "Median latency with one connection, in µs";
    let latency = bars(results, Metric::SingleConnectionP50, title, |figure| {
        format!("{:.0}", figure.value.median)
    })?;
    fs::write(folder.join("latency.svg"), latency)?;
    if !results.growth.is_empty() {
        fs::write(folder.join("growth.svg"), growth(&results.growth)?)?;
    }
    Ok(())
}

fn ratio_label(figure: &Figure) -> String {
    match figure.ratio {
        None => String::new(),
        Some(ratio) if ratio.median < 10.0 => format!("{:.2}", ratio.median),
        Some(ratio) => format!("{:.1}", ratio.median),
    }
}

/// The longest bar, as a ratio to the baseline. A longer one is cut off, and only its label says how
/// long it would be.
const LONGEST: f64 = 4.0;

const NAMES_WIDTH: i32 = 248;
const LABEL_WIDTH: i32 = 46;
const HEAD_HEIGHT: i32 = 62;
const ROW_HEIGHT: i32 = 28;

/// Draws a row for each subject and a column for each route. The length of a bar is the ratio to the
/// baseline; a line marks the baseline itself.
fn bars(
    results: &Results,
    metric: Metric,
    title: &str,
    label: fn(&Figure) -> String,
) -> Result<String, BoxError> {
    let (subjects, routes) = (results.subjects(), results.routes());
    let height = HEAD_HEIGHT + ROW_HEIGHT * i32::try_from(subjects.len())?;
    draw(title, u32::try_from(height)?, |root| {
        let (names, columns) = root
            .margin(HEAD_HEIGHT, 0, 0, 0)
            .split_horizontally(NAMES_WIDTH);
        for (subject, y) in subjects.iter().zip(0..) {
            let at = (NAMES_WIDTH - 12, y * ROW_HEIGHT + ROW_HEIGHT / 2);
            let style = text(name_colour(*subject), HPos::Right);
            names.draw(&Text::new(subject.plain_title(), at, style))?;
        }
        for (area, &route) in columns.split_evenly((1, routes.len())).iter().zip(&routes) {
            let bars = subjects.iter().zip(0..).filter_map(|(&subject, row)| {
                let figure = results.figure(subject, route, metric)?;
                Some((row, subject, figure.ratio?.median, label(figure)))
            });
            column(area, subjects.len(), route, &bars.collect::<Vec<_>>())?;
        }
        Ok(())
    })
}

/// Draws the bars of one route: the row, the subject, the length and the label of each.
fn column(
    area: &Area<'_>,
    rows: usize,
    route: Route,
    bars: &[(u32, Subject, f64, String)],
) -> Result<(), BoxError> {
    let rows = rows as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_right(LABEL_WIDTH)
        .build_cartesian_2d(0.0..LONGEST, rows..0.0)?;
    let head = text(&MUTED, HPos::Left);
    chart.draw_series([
        EmptyElement::at((0.0, 0.0)) + Text::new(route.title().to_owned(), (0, -14), head)
    ])?;
    for &(row, subject, length, ref label) in bars {
        let row = f64::from(row);
        let shown = length.min(LONGEST);
        let colour = colour_of(subject);
        let bar = [(0.0, row + 0.2), (shown, row + 0.8)];
        chart.draw_series([Rectangle::new(bar, colour.light.filled())])?;
        let style = text(name_colour(subject), HPos::Left);
        chart.draw_series([
            EmptyElement::at((shown, row + 0.5)) + Text::new(label.clone(), (5, 0), style)
        ])?;
        if length > LONGEST {
            // A gap near the end shows that the bar goes on.
            let gap = [(shown - 0.4, row + 0.1), (shown - 0.25, row + 0.9)];
            chart.draw_series([Rectangle::new(gap, GRID.light.filled())])?;
        }
    }
    chart.draw_series([
        PathElement::new(vec![(0.0, 0.0), (0.0, rows)], GRID.light),
        PathElement::new(vec![(1.0, 0.0), (1.0, rows)], MUTED.light),
    ])?;
    Ok(())
}

const LEGEND_HEIGHT: i32 = 70;
const PANEL_HEIGHT: u32 = 220;

/// Draws a row of panels for each route and a column for each axis, with logarithmic scales.
fn growth(points: &[GrowthPoint]) -> Result<String, BoxError> {
    let axes = [
        (Axis::Entries, "small entries"),
        (Axis::Bytes, "session bytes"),
        (Axis::Connections, "connections"),
    ];
    let mut routes: Vec<_> = points.iter().map(|point| point.route).collect();
    routes.sort_unstable();
    routes.dedup();
    let mut subjects: Vec<_> = points.iter().map(|point| point.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    // The same for all panels, so that they can be compared.
    let (bottom, top) = extremes(points.iter().map(|point| point.cpu_ms.value.median));
    let ys = bottom * 0.8..top * 1.25;
    let title = "CPU of the server in ms per 1000 requests";
    let height = LEGEND_HEIGHT.unsigned_abs() + PANEL_HEIGHT * u32::try_from(routes.len())?;
    draw(title, height, |root| {
        legend(root, &subjects)?;
        let panels = root.margin(LEGEND_HEIGHT, 0, 0, 0);
        let mut panels = panels.split_evenly((routes.len(), axes.len())).into_iter();
        for &route in &routes {
            for (axis, name) in axes {
                let own = |point: &&GrowthPoint| (point.axis, point.route) == (axis, route);
                let own: Vec<_> = points.iter().filter(own).collect();
                let area = panels.next().ok_or("too few panels")?;
                panel(
                    &area,
                    &format!("{}, by {name}", route.title()),
                    &own,
                    ys.clone(),
                )?;
            }
        }
        Ok(())
    })
}

fn legend(root: &Area<'_>, subjects: &[Subject]) -> Result<(), BoxError> {
    for (&subject, column) in subjects.iter().zip(0..) {
        let (x, y) = (4 + column * 250, 48);
        let line = vec![(x, y), (x + 28, y)];
        let style = colour_of(subject).light.stroke_width(3);
        root.draw(&PathElement::new(line, style))?;
        let style = text(&TEXT, HPos::Left);
        root.draw(&Text::new(subject.plain_title(), (x + 36, y), style))?;
    }
    Ok(())
}

fn panel(
    area: &Area<'_>,
    title: &str,
    points: &[&GrowthPoint],
    ys: Range<f64>,
) -> Result<(), BoxError> {
    let (left, right) = extremes(points.iter().map(|point| point.x as f64));
    let mut chart = ChartBuilder::on(area)
        .margin_right(20)
        .margin_top(34)
        .x_label_area_size(30)
        .y_label_area_size(48)
        .build_cartesian_2d((left..right).log_scale(), ys.log_scale())?;
    area.draw(&Text::new(
        title.to_owned(),
        (48, 18),
        text(&TEXT, HPos::Left),
    ))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(4)
        .y_labels(5)
        .x_label_formatter(&|&x| short(x))
        .y_label_formatter(&|&y| short(y))
        .label_style(text(&MUTED, HPos::Left))
        .axis_style(GRID.light)
        .bold_line_style(GRID.light)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for subject in [
        Subject::Baseline,
        Subject::Cloakroom,
        Subject::CloakroomNear,
    ] {
        let own = points.iter().filter(|point| point.subject == subject);
        let own = own.map(|point| (point.x as f64, point.cpu_ms.value.median));
        let style = colour_of(subject).light.stroke_width(3);
        chart.draw_series(LineSeries::new(own, style))?;
    }
    Ok(())
}

fn extremes(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(min, max), value| {
        (min.min(value), max.max(value))
    })
}

/// Formats a number with at most three digits: 64, 1 k, 1 M.
fn short(number: f64) -> String {
    match number {
        ..1e3 => format!("{number}"),
        1e3..1e6 => format!("{} k", number / 1e3),
        _ => format!("{} M", number / 1e6),
    }
}

/// Draws a plot with its title.
fn draw(
    title: &str,
    height: u32,
    content: impl FnOnce(&Area<'_>) -> Result<(), BoxError>,
) -> Result<String, BoxError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let style = font(TITLE_SIZE)
            .style(FontStyle::Bold)
            .color(&TEXT.light)
            .pos(Pos::new(HPos::Left, VPos::Top));
        root.draw(&Text::new(title.to_owned(), (2, 4), style))?;
        content(&root)?;
        root.present()?;
    }
    Ok(with_dark_colours(&svg))
}

/// Adds a style sheet, which takes precedence over the attributes that plotters writes.
fn with_dark_colours(svg: &str) -> String {
    let mut rules = String::new();
    for Colour { light, dark } in COLOURS {
        let (light, dark) = (hex(light), hex(dark));
        rules.push_str(&format!("[fill=\"{light}\"]{{fill:{dark}}}"));
        rules.push_str(&format!("[stroke=\"{light}\"]{{stroke:{dark}}}"));
    }
    let style = format!(
        "<style>text{{font-family:system-ui,-apple-system,'Segoe UI',sans-serif}}\
         @media(prefers-color-scheme:dark){{{rules}}}</style>\n"
    );
    let head = svg.find('>').map_or(0, |end| end + 1);
    let (head, body) = svg.split_at(head);
    format!("{head}\n{style}{}", body.trim_start())
}

fn text(colour: &Colour, alignment: HPos) -> TextStyle<'static> {
    font(TEXT_SIZE)
        .color(&colour.light)
        .pos(Pos::new(alignment, VPos::Center))
}

/// Returns a font of a size in pixels. The SVG backend divides sizes by 1.24.
fn font(pixels: f64) -> FontDesc<'static> {
    FontDesc::from(("sans-serif", pixels * 1.24))
}

fn colour_of(subject: Subject) -> &'static Colour {
    match subject {
        Subject::Baseline | Subject::BaselineNodelay | Subject::BaselineLayered => &BASELINE,
        Subject::Cloakroom | Subject::CloakroomTouching => &CLOAKROOM,
        Subject::CloakroomNear => &NEAR_CACHE,
        _ => &OTHER,
    }
}

fn name_colour(subject: Subject) -> &'static Colour {
    match subject {
        Subject::Cloakroom | Subject::CloakroomTouching | Subject::CloakroomNear => &TEXT,
        _ => &MUTED,
    }
}

const fn colour(light: u32, dark: u32) -> Colour {
    Colour {
        light: rgb(light),
        dark: rgb(dark),
    }
}

const fn rgb(hex: u32) -> RGBColor {
    let [_, red, green, blue] = hex.to_be_bytes();
    RGBColor(red, green, blue)
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}
