//! Plots as SVG that scale with the page and take its colours, light or dark.
//!
//! The plotting crate wants colours as numbers; those that stand for a colour of the page are replaced in its output.

use std::ops::Range;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::html::escape;
use super::number;
use crate::figure::{Figure, Kind};

/// Width of a plot in its own units; text in it is as large as the page's at this width.
const WIDTH: u32 = 760;

/// Height of a plot of lines.
const HEIGHT: u32 = 320;

/// Height of one bar with its name above it, and of the axis below them.
const BAR: u32 = 40;
const AXIS: u32 = 46;

/// Width for the values of bars.
const VALUES: u32 = 150;

/// A plot over time shows the slowest sample of each of so many slices: that is what somebody waited for, and a page
/// of a few plots stays small.
const SLICES: usize = 240;

/// Stand for colours of the page.
const TEXT: RGBColor = RGBColor(1, 2, 3);
const GRID: RGBColor = RGBColor(4, 5, 6);
const OURS: RGBColor = RGBColor(7, 8, 9);
const GOOD: RGBColor = RGBColor(10, 11, 12);
const BAD: RGBColor = RGBColor(13, 14, 15);
const OTHERS: RGBColor = RGBColor(16, 17, 18);
const LIMITS: RGBColor = RGBColor(19, 20, 21);

const OF_THE_PAGE: [(&str, &str); 7] = [
    ("#010203", "var(--text)"),
    ("#040506", "var(--grid)"),
    ("#070809", "var(--ours)"),
    ("#0A0B0C", "var(--good)"),
    ("#0D0E0F", "var(--bad)"),
    ("#101112", "var(--others)"),
    ("#131415", "var(--limits)"),
];

/// Lines of others: Okabe and Ito's colours, which people who see fewer colours tell apart, but for the blue of ours.
const LINES: [RGBColor; 6] = [
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(140, 140, 140),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line: its name, how it is drawn, its points.
type Line<'a> = (String, ShapeStyle, &'a [[f64; 2]]);

/// How far each target is: the ratio over what is asked for. Bars that end before the line at 1 meet it.
pub(crate) fn targets(figures: &[&Figure]) -> anyhow::Result<Option<String>> {
    let bars = figures.iter().filter_map(|figure| {
        let part = figure.target_part()?;
        let row = figure.row.as_deref().unwrap_or_default();
        let against = figure.against.as_deref().unwrap_or_default();
        let name = format!("{row}  {}: {} / {against}", figure.measure, figure.work);
        let color = if figure.met == Some(true) { GOOD } else { BAD };
        let text = format!("{} of what is asked", number(part));
        (part.is_finite() && part > 0.0).then_some(Bar { name, value: part, color, text })
    });
    self::bars(&bars.collect::<Vec<_>>(), Some(1.0), "ratio over target: left of the line meets it")
}

/// What each subject needed for the same work.
pub(crate) fn subjects(figures: &[&Figure]) -> anyhow::Result<Option<String>> {
    let bars = figures.iter().filter_map(|figure| {
        let value = figure.value.filter(|value| *value > 0.0)?;
        let color = match figure.kind {
            Kind::Ours => OURS,
            Kind::Peer | Kind::Baseline => OTHERS,
            Kind::Limit => LIMITS,
        };
        let name = format!("{}, {}", figure.subject, figure.settings);
        Some(Bar { name, value, color, text: format!("{} {}", number(value), figure.unit) })
    });
    let first = figures.first();
    let better = if first.is_some_and(|figure| figure.smaller_is_better) { "shorter" } else { "longer" };
    let (measure, unit) = first.map_or(("", ""), |figure| (&figure.measure, &figure.unit));
    let bars: Vec<Bar> = bars.collect();
    if bars.len() < 2 {
        return Ok(None);
    }
    self::bars(&bars, None, &format!("{measure}, {unit} (logarithmic; {better} is better)"))
}

/// Distributions of several subjects: which value so many samples do not exceed, with room for the slow ones.
pub(crate) fn distribution(figures: &[&Figure]) -> anyhow::Result<Option<String>> {
    let enough = figures.iter().filter(|figure| figure.distribution.len() > 1 && figure.samples >= FEWEST);
    let lines: Vec<Line<'_>> = named(enough, |figure| &figure.distribution);
    let Some(values) = range(lines.iter().flat_map(|(_, _, points)| points.iter().map(|[_, value]| *value))) else {
        return Ok(None);
    };
    let unit = figures.first().map_or("", |figure| &figure.unit);
    let y = format!("{unit} (logarithmic; lower is better)");
    let drawn = lines.iter().map(|(_, style, points)| {
        (*style, points.iter().map(|[fraction, value]| (nines(*fraction), *value)).collect())
    });
    let percent = |nines: f64| number(100.0 * (1.0 - 10_f64.powf(-nines)));
    let plot =
        self::lines(&drawn.collect::<Vec<_>>(), MOST_NINES, &values, Axes { x: "% of samples", y: &y }, &percent)?;
    Ok(Some(plot + &legend(&lines)))
}

/// The slowest sample of each slice of time.
pub(crate) fn over_time(figures: &[&Figure]) -> anyhow::Result<Option<String>> {
    let lines: Vec<Line<'_>> =
        named(figures.iter().filter(|figure| figure.over_time.len() > 1), |figure| &figure.over_time);
    let all = || lines.iter().flat_map(|(_, _, points)| points.iter());
    let Some(values) = range(all().map(|[_, value]| *value)) else { return Ok(None) };
    let end = all().map(|[time, _]| *time).fold(0.0, f64::max).max(0.001);
    let unit = figures.first().map_or("", |figure| &figure.unit);
    let y = format!("{unit} (logarithmic; lower is better)");
    let drawn = lines.iter().map(|(_, style, points)| (*style, slowest(points, end)));
    let x = "seconds since the start";
    let plot = self::lines(&drawn.collect::<Vec<_>>(), end, &values, Axes { x, y: &y }, &number)?;
    Ok(Some(plot + &legend(&lines)))
}

/// Fewer samples have no distribution to speak of.
const FEWEST: u64 = 20;

/// The largest fraction that is told from all: 99.9 %.
const MOST_NINES: f64 = 3.0;

/// 0.9 is 1, 0.99 is 2: what makes the slow end of a distribution as wide as the rest of it.
fn nines(fraction: f64) -> f64 {
    -(1.0 - fraction).max(10_f64.powf(-MOST_NINES)).log10()
}

/// The point with the largest value in each of [`SLICES`] slices up to `end`.
fn slowest(points: &[[f64; 2]], end: f64) -> Vec<(f64, f64)> {
    let mut slices: Vec<Option<(f64, f64)>> = vec![None; SLICES];
    for [time, value] in points {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number of slices, and times from 0 to the end"
        )]
        let slice = (time / end * (SLICES - 1) as f64) as usize;
        if let Some(slice) = slices.get_mut(slice)
            && slice.is_none_or(|(_, largest)| largest < *value)
        {
            *slice = Some((*time, *value));
        }
    }
    slices.into_iter().flatten().collect()
}

/// What stands beside the axes.
#[derive(Clone, Copy)]
struct Axes<'a> {
    x: &'a str,
    y: &'a str,
}

/// Lines over an x axis from 0 to `end`.
fn lines(
    lines: &[(ShapeStyle, Vec<(f64, f64)>)],
    end: f64,
    values: &Range<f64>,
    axes: Axes<'_>,
    x_label: &dyn Fn(f64) -> String,
) -> anyhow::Result<String> {
    svg(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area);
        chart.margin(8).margin_right(24).x_label_area_size(44).y_label_area_size(66);
        let mut chart = chart.build_cartesian_2d(0.0..end, values.clone().log_scale())?;
        chart
            .configure_mesh()
            .x_desc(axes.x)
            .y_desc(axes.y)
            .x_label_formatter(&|value| x_label(*value))
            .y_label_formatter(&|value| number(*value))
            .label_style(text(13))
            .axis_desc_style(text(13))
            .axis_style(GRID)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .x_labels(4)
            .y_labels(6)
            .draw()?;
        for (style, points) in lines {
            let points = points.iter().map(|(x, value)| (*x, value.max(values.start)));
            chart.draw_series(LineSeries::new(points, *style))?;
        }
        Ok(())
    })
}

/// Which line is whose: below the plot, where it hides nothing.
fn legend(lines: &[Line<'_>]) -> String {
    let items = lines.iter().map(|(name, style, _)| {
        let (r, g, b) = style.color.rgb();
        let color = in_colors_of_the_page(format!("#{r:02X}{g:02X}{b:02X}"));
        format!("<li><i style=\"background:{color}\"></i>{}</li>", escape(name))
    });
    format!("<ul class=\"legend\">{}</ul>", items.collect::<String>())
}

struct Bar {
    name: String,
    value: f64,
    color: RGBColor,
    text: String,
}

fn bars(bars: &[Bar], line: Option<f64>, label: &str) -> anyhow::Result<Option<String>> {
    let Some(Range { start: low, end: high }) = range(bars.iter().map(|bar| bar.value).chain(line)) else {
        return Ok(None);
    };
    let count = u32::try_from(bars.len())?;
    svg(count * BAR + AXIS + 16, |area| {
        let mut chart = ChartBuilder::on(area);
        chart.margin(8).margin_right(VALUES).x_label_area_size(AXIS);
        let rows = f64::from(count);
        let mut chart = chart.build_cartesian_2d((low..high).log_scale(), rows..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc(label)
            .x_label_formatter(&|value| number(*value))
            .label_style(text(13))
            .axis_desc_style(text(13))
            .axis_style(GRID)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .x_labels(6)
            .draw()?;
        for (row, bar) in (0_u32..).zip(bars) {
            let top = f64::from(row);
            let shape = Rectangle::new([(low, top + 0.5), (bar.value, top + 0.92)], bar.color.filled());
            chart.draw_series([shape])?;
            let at = |x: u32, y: f64| {
                let (_, y) = chart.backend_coord(&(low, top + y));
                i32::try_from(x).map(|x| (x, y))
            };
            area.draw(&Text::new(bar.text.clone(), at(WIDTH - VALUES + 6, 0.71)?, beside()))?;
            area.draw(&Text::new(bar.name.clone(), at(8, 0.27)?, beside()))?;
        }
        // Beside the bars, not through their names.
        for (line, row) in line.into_iter().flat_map(|line| (0..count).map(move |row| (line, f64::from(row)))) {
            let piece = vec![(line, row + 0.44), (line, row + 0.98)];
            chart.draw_series([PathElement::new(piece, TEXT.stroke_width(2))])?;
        }
        Ok(())
    })
    .map(Some)
}

/// Draws, and makes of it what a page can hold.
fn svg(height: u32, draw: impl FnOnce(&Area<'_>) -> anyhow::Result<()>) -> anyhow::Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        draw(&area)?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    let text = in_colors_of_the_page(text);
    let size = format!("width=\"{WIDTH}\" height=\"{height}\"");
    Ok(text.replacen(&size, "class=\"plot\" role=\"img\"", 1))
}

fn in_colors_of_the_page(text: String) -> String {
    OF_THE_PAGE.iter().fold(text, |text, (number, variable)| text.replace(number, variable))
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

/// Text that begins at a point, in the middle of its height.
fn beside() -> TextStyle<'static> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    text(13).pos(Pos::new(HPos::Left, VPos::Center))
}

/// A line for each of these.
fn named<'a>(
    figures: impl Iterator<Item = &'a &'a Figure>,
    points: impl Fn(&'a Figure) -> &'a [[f64; 2]],
) -> Vec<Line<'a>> {
    let mut others = LINES.iter().cycle();
    let line = |figure: &&'a Figure| {
        let name = format!("{}, {}", figure.subject, figure.settings);
        let style = match others.next() {
            Some(color) if figure.kind != Kind::Ours => color.stroke_width(2),
            _ => OURS.stroke_width(3),
        };
        (name, style, points(figure))
    };
    figures.map(line).collect()
}

/// What a logarithmic axis must hold; nothing if there is nothing.
fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let positive = values.filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = positive.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    (high > 0.0).then_some(low / 1.6..high * 1.6)
}
