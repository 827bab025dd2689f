//! Results that were kept as JSON lines.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::figure::{Figure, SCHEMA};

/// Longest file that is read; a run makes a hundredth of it.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// What a run writes into its folder.
pub(crate) const FILE: &str = "results.jsonl";

/// Reads the results of a run: its folder, or the file in it.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Figure>> {
    let path = if path.is_dir() { &path.join(FILE) } else { path };
    let length = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
    ensure!(length <= MAX_FILE, "{} has {length} bytes; results have at most {MAX_FILE}", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} holds no results", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = number + 1;
        let value: serde_json::Value = serde_json::from_str(line).with_context(|| format!("line {number}"))?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(schema) => bail!("line {number}: schema {schema} is not {SCHEMA}, the one that this release knows"),
            None => bail!("line {number}: no schema"),
        }
        figures.push(serde_json::from_value(value).with_context(|| format!("line {number}"))?);
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_another_schema_are_refused_with_their_number() {
        let good = serde_json::to_string(&Figure::new("work", "zonecast", "p50")).unwrap();
        assert_eq!(parse(&format!("{good}\n\n{good}\n")).unwrap().len(), 2);
        let newer = good.replace("\"schema\":1", "\"schema\":2");
        let error = format!("{:#}", parse(&format!("{good}\n{newer}\n")).unwrap_err());
        assert!(error.contains("line 2: schema 2 is not 1"), "{error}");
        let error = format!("{:#}", parse("{}\n").unwrap_err());
        assert!(error.contains("line 1: no schema"), "{error}");
        assert!(format!("{:#}", parse("x").unwrap_err()).contains("line 1"));
    }
}
