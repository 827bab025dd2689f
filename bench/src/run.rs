//! `zonecast-bench run`: scenarios, one after the other, with their results as a table, as JSON lines and as a page.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::bench::{Bench, Size};
use crate::figure::Figure;
use crate::scenario::Scenario;
use crate::{report, results};

/// Runs scenarios, one after the other.
#[derive(Args)]
pub(crate) struct Run {
    /// Which; all of them if none is named.
    scenarios: Vec<Scenario>,
    /// How much is done.
    #[arg(long, value_enum, default_value = "standard")]
    size: Size,
    /// Keep the results here: `results.jsonl` and `report.html`.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print JSON lines instead of a table.
    #[arg(long)]
    json: bool,
}

/// Makes the page from results that were kept.
#[derive(Args)]
pub(crate) struct Report {
    /// `results.jsonl` of one run or several; of results with the same name the last one counts.
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// Where the page goes.
    #[arg(long, default_value = "report.html", value_name = "FILE")]
    out: PathBuf,
}

impl Run {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let folder = tempfile::Builder::new().prefix("zonecast-bench-").tempdir()?;
        if let Some(out) = &self.out {
            std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        }
        let lines = self.out.as_ref().map(|out| out.join(results::FILE));
        let mut bench = Bench::new(self.size, folder.path(), lines.as_deref())?;
        let scenarios = if self.scenarios.is_empty() { &Scenario::ALL[..] } else { &self.scenarios };
        for scenario in scenarios {
            // What one scenario needs and does not find is no reason to lose the others.
            if let Err(error) = scenario.run(&mut bench) {
                bench.failed(&error)?;
            }
        }
        let figures = bench.figures();
        if self.json {
            for figure in figures {
                println!("{}", serde_json::to_string(figure)?);
            }
        } else {
            println!("{}", report::table(figures)?);
        }
        if let Some(out) = &self.out {
            let page = write_page(figures, &out.join("report.html"))?;
            bench.say(&format!("wrote {} and {page}", out.join(results::FILE).display()));
        }
        anyhow::ensure!(bench.failures() == 0, "{} scenarios failed; see above", bench.failures());
        Ok(())
    }
}

impl Report {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut figures: Vec<Figure> = Vec::new();
        for path in &self.results {
            let newer = results::read(path)?;
            figures.retain(|old| !newer.iter().any(|new| new.key() == old.key()));
            figures.extend(newer);
        }
        println!("{}", write_page(&figures, &self.out)?);
        Ok(())
    }
}

fn write_page(figures: &[Figure], path: &Path) -> anyhow::Result<String> {
    let page = report::page(figures)?;
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.display().to_string())
}
