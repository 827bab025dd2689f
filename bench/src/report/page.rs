//! Results as one HTML file that opens without a network: what was asked for and reached, then everything measured.

use std::fmt::Write as _;

use super::html::escape;
use super::rows::{ROWS, Verdict};
use super::works::{Work, ratio, value, works};
use super::{number, plot};
use crate::figure::{Figure, Kind};

const STYLE: &str = include_str!("page.css");

/// What the page is about, for people who know nothing of it yet.
const ABOUT: &str = "zonecast carries DNS zones from a core to many edges. Here it is measured beside other people's \
    software that does the same work, and beside what the machine can do at most, all in one run. Where \
    something ran several times, the value is the median, with the smallest and the largest in brackets.";

/// The page.
pub(crate) fn page(figures: &[Figure]) -> anyhow::Result<String> {
    let mut html = String::new();
    let commit = figures.first().map_or("", |figure| &figure.commit);
    let date = figures.first().map_or("", |figure| &figure.date);
    let host = figures.first().map_or("", |figure| &figure.host);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>zonecast benchmarks</title><style>{STYLE}</style></head><body><main>\
         <h1>zonecast benchmarks</h1><p class=\"facts\">{} · commit {} · {}</p><p>{ABOUT}</p>{}",
        escape(date),
        escape(commit),
        escape(host),
        noise(figures)
    )?;
    html += &targets(figures)?;
    let mut scenario = "";
    for work in works(figures) {
        if work.scenario != scenario {
            scenario = work.scenario;
            write!(html, "<h2 id=\"{0}\">{0}</h2>", escape(scenario))?;
        }
        html += &work_section(&work)?;
    }
    html += &configurations(figures)?;
    html += "</main></body></html>\n";
    Ok(html)
}

fn noise(figures: &[Figure]) -> String {
    let noisy = figures.iter().filter(|figure| figure.noisy).count();
    match noisy {
        0 => "<p class=\"facts\">Nothing else was seen to use the machine.</p>".into(),
        noisy => format!(
            "<p class=\"warning\">Something else used the machine during {noisy} of {} results; they are marked.</p>",
            figures.len()
        ),
    }
}

/// What was asked for and what came of it.
fn targets(figures: &[Figure]) -> anyhow::Result<String> {
    let count = |verdict| ROWS.iter().filter(|row| row.verdict(figures) == verdict).count();
    let mut html = format!(
        "<h2>Targets</h2><p><b class=\"met\">{} met</b>, <b class=\"missed\">{} missed</b>, \
         {} cannot be measured yet, {} not in this run.</p>",
        count(Verdict::Met),
        count(Verdict::Missed),
        count(Verdict::NotYet),
        count(Verdict::Unmeasured)
    );
    html += "<table class=\"targets\"><tbody>";
    for row in ROWS {
        let verdict = row.verdict(figures);
        write!(
            html,
            "<tr class=\"{0}\"><th>{1}</th><td>{2}</td><td class=\"verdict\"><b class=\"{0}\">{3}</b></td><td>\
             <details><summary>{4}</summary><p><small>Asked: {5}.</small></p>",
            verdict.class(),
            row.name,
            escape(row.work),
            verdict.name(),
            escape(&row.headline(figures)),
            escape(row.target)
        )?;
        for figure in row.figures(figures) {
            html += &part(figure);
        }
        html += "</details></td></tr>";
    }
    html += "</tbody></table>";
    let with_target: Vec<&Figure> = ROWS.iter().flat_map(|row| row.figures(figures)).collect();
    if let Some(plot) = plot::targets(&with_target)? {
        html += &figure_of(&plot, "How far each part of a target is: a bar that ends left of the line at 1 meets it.");
    }
    Ok(html)
}

/// One of the figures that decide a row.
fn part(figure: &Figure) -> String {
    let what = match (&figure.not_yet, figure.value) {
        (Some(why), _) => why.clone(),
        (None, Some(_)) => format!("{} {}: {}", figure.measure, value(figure), ratio(figure)),
        (None, None) => String::new(),
    };
    let missed = figure.met == Some(false);
    let more = [Some(&figure.work), figure.note.as_ref()];
    let more = more.into_iter().flatten().map(|text| format!("<br><small>{}</small>", escape(text)));
    let class = if missed { " class=\"missed\"" } else { "" };
    format!("<p{class}>{}{}</p>", escape(&what), more.collect::<String>())
}

fn work_section(work: &Work<'_>) -> anyhow::Result<String> {
    let mut html = format!(
        "<section><h3>{}</h3><table><thead><tr><th>who</th><th>measure</th><th class=\"number\">value</th>\
         <th>ratio</th><th class=\"number\">samples</th></tr></thead><tbody>",
        escape(work.name)
    );
    for figure in &work.figures {
        let class = match figure.kind {
            Kind::Ours => " class=\"ours\"",
            Kind::Limit => " class=\"limit\"",
            Kind::Peer | Kind::Baseline => "",
        };
        write!(html, "<tr{class}><td>{}<small>, {}</small></td>", escape(&figure.subject), escape(&figure.settings))?;
        if let Some(why) = &figure.not_yet {
            write!(html, "<td colspan=\"4\" class=\"open\">{}</td></tr>", escape(why))?;
            continue;
        }
        let mut remarks = escape(&ratio(figure));
        if let (Some(row), Some(met)) = (&figure.row, figure.met) {
            let (class, word) = if met { ("met", "met") } else { ("missed", "MISSED") };
            remarks += &format!(" <b class=\"{class}\">{row} {word}</b>");
        }
        if figure.noisy {
            remarks += " <b class=\"noisy\">noisy</b>";
        }
        if let Some(note) = &figure.note {
            remarks += &format!("<br><small>{}</small>", escape(note));
        }
        #[allow(clippy::cast_precision_loss, reason = "a count for people")]
        let samples = number(figure.samples as f64);
        write!(
            html,
            "<td>{}</td><td class=\"number\">{}</td><td>{remarks}</td><td class=\"number\">{}</td></tr>",
            escape(&figure.measure),
            escape(&value(figure)),
            samples.trim_end_matches(".00")
        )?;
    }
    html += "</tbody></table>";
    for plot in plots(work)? {
        html += &plot;
    }
    html += "</section>";
    Ok(html)
}

fn plots(work: &Work<'_>) -> anyhow::Result<Vec<String>> {
    let mut plots = Vec::new();
    let mut measures: Vec<&str> = Vec::new();
    for figure in &work.figures {
        if !measures.contains(&figure.measure.as_str()) {
            measures.push(&figure.measure);
        }
    }
    for measure in measures {
        let mut figures: Vec<&Figure> = Vec::new();
        for figure in work.figures.iter().filter(|figure| figure.measure == measure) {
            // One that is compared with two others is one bar.
            if !figures.iter().any(|other| other.key() == figure.key()) {
                figures.push(figure);
            }
        }
        plots.extend(plot::subjects(&figures)?.map(|plot| figure_of(&plot, measure)));
    }
    let caption = "What so many of a hundred samples did not exceed.";
    plots.extend(plot::distribution(&work.figures)?.map(|plot| figure_of(&plot, caption)));
    plots.extend(
        plot::over_time(&work.figures)?
            .map(|plot| figure_of(&plot, "The slowest change of each slice of time, by when it was due.")),
    );
    Ok(plots)
}

/// What peers were told, each once.
fn configurations(figures: &[Figure]) -> anyhow::Result<String> {
    let mut html = String::from("<h2>Configuration of peers</h2>");
    let mut shown: Vec<(&str, &str, &str)> = Vec::new();
    for figure in figures {
        let Some(configuration) = &figure.configuration else { continue };
        let key = (figure.scenario.as_str(), figure.subject.as_str(), figure.settings.as_str());
        if shown.contains(&key) {
            continue;
        }
        shown.push(key);
        let (scenario, subject, settings) = key;
        write!(
            html,
            "<details><summary>{}, {} ({})</summary><pre>{}</pre></details>",
            escape(subject),
            escape(settings),
            escape(scenario),
            escape(configuration)
        )?;
    }
    if shown.is_empty() {
        html += "<p>No peer took part.</p>";
    }
    Ok(html)
}

fn figure_of(plot: &str, caption: &str) -> String {
    format!("<figure><div class=\"scroll\">{plot}</div><figcaption>{}</figcaption></figure>", escape(caption))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Figure> {
        let peer = Figure::new("a change", "BIND to BIND", "p50").kind(Kind::Peer).settings("tuned");
        let peer = peer.values(&[6.0, 7.0], "ms").samples(50).configuration("options { <x> };");
        let peer = Figure { distribution: vec![[0.0, 5.0], [0.5, 6.0], [1.0, 20.0]], ..peer };
        let ours = Figure::new("a change", "zonecast", "p50").values(&[3.0], "ms").samples(50).of_row("T1");
        let ours = ours.against(&peer, Some(0.2)).note("fsync is half of it");
        let ours =
            Figure { distribution: vec![[0.0, 1.0], [1.0, 9.0]], ..ours }.over_time(vec![[0.0, 1.0], [1.0, 2.0]]);
        let mut all = vec![ours, peer, Figure::not_yet("T2", "three voters", "three voters")];
        for figure in &mut all {
            figure.scenario = "propagation".into();
            figure.date = "2026-01-31".into();
        }
        all
    }

    #[test]
    fn the_page_opens_offline_and_says_what_was_missed_and_why() {
        let html = page(&sample()).unwrap();
        let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
        for remote in ["http://", "https://", "<link", "<script src", "@import", "url("] {
            assert!(!without_namespace.contains(remote), "{remote}");
        }
        for part in
            ["MISSED", "fsync is half of it", "needs three voters", "options { &lt;x&gt; };", "T13", "2026-01-31"]
        {
            assert!(html.contains(part), "{part}");
        }
        assert!(html.matches("<svg").count() >= 4, "targets, subjects, distribution, over time");
        assert!(!html.contains("#010203"), "colours of the page are left to it");
    }

    #[test]
    fn an_empty_run_makes_a_page() {
        assert!(page(&[]).unwrap().contains("0 met"));
    }
}
