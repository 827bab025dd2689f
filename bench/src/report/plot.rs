//! Plots as SVG that scale with the page and take its colours, light or dark.
//!
//! The plotting crate wants colours as numbers; those that stand for a colour of the page are replaced in its output.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::number;
use crate::figure::{Figure, Kind};

/// Width of a plot in its own units; text in it is as large as the page's at this width.
const WIDTH: u32 = 760;

/// Height of a plot of lines.
const HEIGHT: u32 = 320;

/// Height of one bar and of the axis below them.
const BAR: u32 = 26;
const AXIS: u32 = 46;

/// Width for the names of bars.
const NAMES: u32 = 290;

/// Width for their values.
const VALUES: u32 = 140;

/// Stand for colours of the page.
const TEXT: RGBColor = RGBColor(1, 2, 3);
const GRID: RGBColor = RGBColor(4, 5, 6);
const OURS: RGBColor = RGBColor(7, 8, 9);
const GOOD: RGBColor = RGBColor(10, 11, 12);
const BAD: RGBColor = RGBColor(13, 14, 15);
const OTHERS: RGBColor = RGBColor(16, 17, 18);
const LIMITS: RGBColor = RGBColor(19, 20, 21);
const BACK: RGBColor = RGBColor(22, 23, 24);

const OF_THE_PAGE: [(&str, &str); 8] = [
    ("#010203", "var(--text)"),
    ("#040506", "var(--grid)"),
    ("#070809", "var(--ours)"),
    ("#0A0B0C", "var(--good)"),
    ("#0D0E0F", "var(--bad)"),
    ("#101112", "var(--others)"),
    ("#131415", "var(--limits)"),
    ("#161718", "var(--back)"),
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

/// A line: its name, whether it is ours, its points.
type Line<'a> = (String, bool, &'a [[f64; 2]]);

/// How far each target is: the ratio over what is asked for. Bars that end before the line at 1 meet it.
pub(crate) fn targets(figures: &[&Figure]) -> anyhow::Result<Option<String>> {
    let bars = figures.iter().filter_map(|figure| {
        let (ratio, target) = figure.ratio.zip(figure.target)?;
        let part = if figure.smaller_is_better { ratio / target } else { target / ratio };
        let name = format!("{} {}", figure.row.as_deref().unwrap_or_default(), figure.measure);
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

/// Distributions of several subjects: what share of the samples takes no longer than that.
pub(crate) fn distribution(figures: &[&Figure]) -> anyhow::Result<Option<String>> {
    let lines: Vec<Line<'_>> =
        named(figures.iter().filter(|figure| figure.distribution.len() > 1), |figure| &figure.distribution);
    let Some((low, high)) = range(lines.iter().flat_map(|(_, _, points)| points.iter().map(|[_, value]| *value)))
    else {
        return Ok(None);
    };
    let unit = figures.first().map_or("", |figure| &figure.unit);
    svg(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area);
        chart.margin(8).margin_right(24).x_label_area_size(44).y_label_area_size(58);
        let mut chart = chart.build_cartesian_2d((low..high).log_scale(), 0.0..100.0)?;
        chart
            .configure_mesh()
            .x_desc(format!("{unit} (logarithmic; further left is better)"))
            .y_desc("% of samples")
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .label_style(text(13))
            .axis_desc_style(text(13))
            .axis_style(GRID)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .x_labels(8)
            .draw()?;
        for (index, (name, ours, points)) in lines.iter().enumerate() {
            let style = style(index, *ours);
            let points = points.iter().map(|[fraction, value]| (value.max(low), fraction * 100.0));
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
        }
        legend(&mut chart)
    })
    .map(Some)
}

/// What each sample was when it was taken.
pub(crate) fn over_time(figures: &[&Figure]) -> anyhow::Result<Option<String>> {
    let lines: Vec<Line<'_>> =
        named(figures.iter().filter(|figure| figure.over_time.len() > 1), |figure| &figure.over_time);
    let values = || lines.iter().flat_map(|(_, _, points)| points.iter());
    let Some((low, high)) = range(values().map(|[_, value]| *value)) else { return Ok(None) };
    let end = values().map(|[time, _]| *time).fold(0.0, f64::max).max(0.001);
    let unit = figures.first().map_or("", |figure| &figure.unit);
    svg(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area);
        chart.margin(8).margin_right(24).x_label_area_size(44).y_label_area_size(66);
        let mut chart = chart.build_cartesian_2d(0.0..end, (low..high).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("seconds since the start")
            .y_desc(format!("{unit} (logarithmic)"))
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .label_style(text(13))
            .axis_desc_style(text(13))
            .axis_style(GRID)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .y_labels(6)
            .draw()?;
        for (index, (name, ours, points)) in lines.iter().enumerate() {
            let style = style(index, *ours).filled();
            let points = points.iter().map(|[time, value]| Circle::new((*time, value.max(low)), 1, style));
            chart.draw_series(points)?.label(name).legend(move |(x, y)| Circle::new((x + 9, y), 4, style));
        }
        legend(&mut chart)
    })
    .map(Some)
}

struct Bar {
    name: String,
    value: f64,
    color: RGBColor,
    text: String,
}

fn bars(bars: &[Bar], line: Option<f64>, label: &str) -> anyhow::Result<Option<String>> {
    let Some((low, high)) = range(bars.iter().map(|bar| bar.value).chain(line)) else { return Ok(None) };
    let count = u32::try_from(bars.len())?;
    svg(count * BAR + AXIS + 16, |area| {
        let mut chart = ChartBuilder::on(area);
        chart.margin(8).margin_right(VALUES).x_label_area_size(AXIS).y_label_area_size(NAMES);
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
            let shape = Rectangle::new([(low, top + 0.16), (bar.value, top + 0.84)], bar.color.filled());
            chart.draw_series([shape])?;
            let (_, middle) = chart.backend_coord(&(bar.value, top + 0.5));
            let right = text(13).pos(anchor(plotters::style::text_anchor::HPos::Left));
            area.draw(&Text::new(bar.text.clone(), (i32::try_from(WIDTH - VALUES + 6)?, middle), right))?;
            let left = text(13).pos(anchor(plotters::style::text_anchor::HPos::Right));
            area.draw(&Text::new(bar.name.clone(), (i32::try_from(NAMES)?, middle), left))?;
        }
        if let Some(line) = line {
            chart.draw_series([PathElement::new(vec![(line, 0.0), (line, rows)], TEXT.stroke_width(2))])?;
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
    for (number, variable) in OF_THE_PAGE {
        text = text.replace(number, variable);
    }
    let size = format!("width=\"{WIDTH}\" height=\"{height}\"");
    Ok(text.replacen(&size, "class=\"plot\" role=\"img\"", 1))
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

fn anchor(side: plotters::style::text_anchor::HPos) -> plotters::style::text_anchor::Pos {
    plotters::style::text_anchor::Pos::new(side, plotters::style::text_anchor::VPos::Center)
}

fn style(index: usize, ours: bool) -> ShapeStyle {
    match LINES.get(index % LINES.len()) {
        Some(color) if !ours => color.stroke_width(2),
        _ => OURS.stroke_width(3),
    }
}

fn legend<'a, X, Y>(chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>) -> anyhow::Result<()>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::LowerRight).background_style(BACK.filled()).label_font(text(13)).draw()?;
    Ok(())
}

/// A line for each of these.
fn named<'a>(
    figures: impl Iterator<Item = &'a &'a Figure>,
    points: impl Fn(&'a Figure) -> &'a [[f64; 2]],
) -> Vec<Line<'a>> {
    let line = |figure: &&'a Figure| {
        let name = format!("{}, {}", figure.subject, figure.settings);
        (name, figure.kind == Kind::Ours, points(figure))
    };
    figures.map(line).collect()
}

/// What a logarithmic axis must hold; nothing if there is nothing.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let positive = values.filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = positive.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    (high > 0.0).then_some((low / 1.6, high * 1.6))
}
