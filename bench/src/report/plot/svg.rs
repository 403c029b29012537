//! A sheet to draw on.

use std::fmt::Display;

/// What a shape or a text stands for; each has its colour on light and on dark paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Cloakroom.
    Own,
    /// Cloakroom with its near cache.
    Near,
    /// The floor.
    Floor,
    /// All others.
    Other,
    /// What is read.
    Text,
    /// What is read second.
    Muted,
    /// What should hardly be seen.
    Grid,
}

/// Where a text stands at its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing that grows.
#[derive(Debug)]
pub(super) struct Sheet {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif}\
.title{font-size:15px;font-weight:600}\
.f-own{fill:#0a6b5e}.f-near{fill:#37a48f}.f-floor{fill:#7d8790}.f-other{fill:#b9c2ca}\
.f-text{fill:#1f2328}.f-muted{fill:#636c76}.f-grid{fill:#dde3e8}\
.s-own{stroke:#0a6b5e}.s-near{stroke:#37a48f}.s-floor{stroke:#7d8790}.s-other{stroke:#b9c2ca}\
.s-text{stroke:#1f2328}.s-muted{stroke:#636c76}.s-grid{stroke:#dde3e8}\
@media(prefers-color-scheme:dark){\
.f-own{fill:#4cc9b0}.f-near{fill:#2a8f7d}.f-floor{fill:#8b949e}.f-other{fill:#4a525b}\
.f-text{fill:#e6edf3}.f-muted{fill:#9aa4ae}.f-grid{fill:#2d333b}\
.s-own{stroke:#4cc9b0}.s-near{stroke:#2a8f7d}.s-floor{stroke:#8b949e}.s-other{stroke:#4a525b}\
.s-text{stroke:#e6edf3}.s-muted{stroke:#9aa4ae}.s-grid{stroke:#2d333b}}";

impl Ink {
    fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Near => "near",
            Self::Floor => "floor",
            Self::Other => "other",
            Self::Text => "text",
            Self::Muted => "muted",
            Self::Grid => "grid",
        }
    }
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Sheet {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut sheet = Self {
            width,
            height,
            title: escaped(title),
            body: String::new(),
        };
        let title = format!(
            "<text class=\"title f-text\" x=\"0\" y=\"16\">{}</text>",
            sheet.title
        );
        sheet.add(title);
        sheet
    }

    pub(super) fn bar(&mut self, ink: Ink, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let ink = ink.name();
        self.add(format_args!(
            "<rect class=\"f-{ink}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"/>"
        ));
    }

    pub(super) fn text(&mut self, ink: Ink, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        let (ink, anchor, text) = (ink.name(), anchor.name(), escaped(text));
        self.add(format_args!(
            "<text class=\"f-{ink}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
        ));
    }

    /// A line through points, dashed if the pattern says so (`"6 4"`), whole if it is empty.
    pub(super) fn line(&mut self, ink: Ink, width: f64, dashes: &str, points: &[(f64, f64)]) {
        let ink = ink.name();
        let points = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}"));
        let points = points.collect::<Vec<_>>().join(" ");
        self.add(format_args!(
            "<polyline class=\"s-{ink}\" fill=\"none\" stroke-width=\"{width}\" \
             stroke-dasharray=\"{dashes}\" stroke-linejoin=\"round\" points=\"{points}\"/>"
        ));
    }

    pub(super) fn finish(self) -> String {
        let Self {
            width,
            height,
            title,
            body,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n{body}</svg>\n"
        )
    }

    fn add(&mut self, element: impl Display) {
        self.body.push_str(&format!("{element}\n"));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_break_out_of_its_element() {
        let mut sheet = Sheet::new(10.0, 10.0, "a \"b\" <c>");
        sheet.text(Ink::Text, Anchor::Start, (0.0, 0.0), "x < y & z");
        let svg = sheet.finish();
        assert!(svg.contains("x &lt; y &amp; z"));
        assert!(svg.contains("aria-label=\"a &quot;b&quot; &lt;c>\""));
    }
}
