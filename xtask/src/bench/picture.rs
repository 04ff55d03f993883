//! A run as a picture: bars for the cases that a reader asks about first. SVG, readable on light and on dark pages.
//!
//! Units: pixels; in each case the longest bar is the best figure. Source: SVG 1.1; Media Queries 5, `prefers-color-scheme`.

use std::fmt::Write as _;

use super::figures::number;
use super::product::Product;
use super::result::{Outcome, Run};

/// What is shown, where it was measured.
const SHOWN: &[&str] = &[
    "push-put",
    "push-four",
    "pull",
    "pull-tls",
    "blob-get",
    "manifest-get-tag",
    "image-16",
    "tag-put-16",
    "tags-2000",
];
const WIDTH: u32 = 760;
const LABEL_WIDTH: u32 = 140;
const BAR_WIDTH_MAX: f64 = 500.0;
const BAR_STEP: u32 = 18;
const HEADING_STEP: u32 = 34;
const MARGIN: u32 = 12;

const STYLE: &str = "\
    text { font: 12px system-ui, sans-serif; fill: #1f2328 } .heading { font-weight: 600; font-size: 13px }\n\
    .bar { fill: #afb8c1 } .landfall { fill: #1a7f37 } .limit { fill: none; stroke: #8c959f }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #e6edf3 } .bar { fill: #57606a } .landfall { fill: #3fb950 } .limit { stroke: #8b949e }\n\
    }";

/// The document.
pub(crate) fn of(run: &Run) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    let shown = SHOWN
        .iter()
        .filter_map(|name| run.outcomes.iter().find(|outcome| outcome.name == *name));
    for outcome in shown {
        y = group(&mut body, outcome, y);
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"Landfall and other registries\">\n<style>\n{STYLE}\n</style>\n{body}</svg>\n"
    )
}

/// One case from `y` on; where the next may begin.
fn group(body: &mut String, outcome: &Outcome, top: u32) -> u32 {
    let mut y = top + HEADING_STEP / 2;
    let _ = writeln!(
        body,
        "<text class=\"heading\" x=\"{MARGIN}\" y=\"{y}\">{}, {}</text>",
        outcome.heading,
        outcome.unit.name()
    );
    y += 8;
    let longest = outcome
        .figures
        .iter()
        .map(|(_, figure)| figure.value)
        .fold(f64::MIN_POSITIVE, f64::max);
    for (product, figure) in &outcome.figures {
        let class = match product {
            Product::Landfall => "landfall",
            Product::Distribution2 | Product::Distribution3 => "bar",
            Product::Nginx | Product::Bare => "limit",
        };
        let width = figure.value / longest * BAR_WIDTH_MAX;
        let x = MARGIN + LABEL_WIDTH;
        let text_y = y + 12;
        let _ = writeln!(
            body,
            "<text x=\"{MARGIN}\" y=\"{text_y}\">{}</text><rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"{width:.1}\" \
             height=\"12\" rx=\"2\"/><text x=\"{:.1}\" y=\"{text_y}\">{}</text>",
            product.name(),
            y + 2,
            f64::from(x) + width + 6.0,
            number(figure.value)
        );
        y += BAR_STEP;
    }
    y + HEADING_STEP / 4
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::run;

    #[test]
    fn the_best_figure_has_the_longest_bar() {
        let picture = super::of(&run());
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert!(
            picture.contains("class=\"limit\" x=\"152\" y=\"121\" width=\"500.0\"")
                || picture.contains("width=\"500.0\"")
        );
        assert!(picture.contains("class=\"landfall\""));
        assert!(picture.contains("width=\"400.0\""));
        assert!(picture.contains("prefers-color-scheme: dark"));
    }
}
