//! What dashboards have to be: Grafana itself is not here to say it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::ops;

/// The schema of Grafana 10.
const SCHEMA: u64 = 39;

/// Shorter than this, a description does not say what a panel shows and what to do.
const SHORTEST_DESCRIPTION: usize = 40;

/// Names of files and what is in them, in the order of their names.
pub(super) fn dashboards() -> Vec<(String, Value)> {
    let mut files: Vec<_> = ops("grafana").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: std::path::PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        (file.file_stem().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// Expressions of all panels of all dashboards, with what Grafana puts in put in; beside each, whose it is.
pub(super) fn panel_queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (file, dashboard) in dashboards() {
        for panel in array(&dashboard["panels"]) {
            for target in array(&panel["targets"]) {
                let query = text(&target["expr"]).replace("$__rate_interval", "5s");
                let query = query.replace("$instance", ".*").replace("$job", "zonecast");
                assert!(!query.contains('$'), "{file}: {query} has a variable that nothing sets");
                queries.push((format!("{file}, {}", panel["title"]), query));
            }
        }
    }
    queries
}

/// What is wrong with dashboards.
fn violations(dashboards: &[(String, Value)]) -> Vec<String> {
    let mut violations = Vec::new();
    let uids: BTreeSet<&str> = dashboards.iter().map(|(_, dashboard)| text(&dashboard["uid"])).collect();
    for (file, dashboard) in dashboards {
        let mut wrong = |what: String| violations.push(format!("{file}: {what}"));
        if dashboard["uid"] != format!("zonecast-{file}") {
            wrong(format!("uid {}", dashboard["uid"]));
        }
        if dashboard["schemaVersion"] != SCHEMA {
            wrong("another schema".into());
        }
        let variables = array(&dashboard["templating"]["list"]).iter().map(|variable| text(&variable["name"]));
        if variables.collect::<Vec<_>>() != ["datasource", "job", "instance"] {
            wrong("other variables".into());
        }
        let linked = array(&dashboard["links"]).iter().filter_map(|link| text(&link["url"]).strip_prefix("/d/"));
        let linked: BTreeSet<&str> = linked.chain([text(&dashboard["uid"])]).collect();
        if linked != uids {
            wrong(format!("with itself it links to {linked:?}"));
        }
        let panels = array(&dashboard["panels"]);
        for key in ["id", "title", "gridPos"] {
            if panels.iter().map(|panel| panel[key].to_string()).collect::<BTreeSet<_>>().len() != panels.len() {
                wrong(format!("panels share a {key}"));
            }
        }
        panels.iter().flat_map(panel_violations).for_each(wrong);
    }
    violations
}

fn panel_violations(panel: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let targets = array(&panel["targets"]);
    let refs: BTreeSet<&str> = targets.iter().map(|target| text(&target["refId"])).collect();
    let place = &panel["gridPos"];
    let right = place["x"].as_u64().zip(place["w"].as_u64()).map(|(x, w)| x + w);
    for (good, what) in [
        (!text(&panel["title"]).is_empty(), "no title"),
        (text(&panel["description"]).len() >= SHORTEST_DESCRIPTION, "nothing about what to do"),
        (panel["fieldConfig"]["defaults"]["unit"].is_string(), "no unit"),
        (panel["datasource"] == source, "a data source of its own"),
        (targets.iter().all(|target| target["datasource"] == source), "a query with a data source of its own"),
        (targets.iter().all(|target| text(&target["expr"]).contains("$job")), "a query that asks other jobs too"),
        (!targets.is_empty() && refs.len() == targets.len(), "no queries, or two of one name"),
        (right.is_some_and(|right| right <= 24), "wider than the page"),
    ] {
        if !good {
            violations.push(format!("{}: {what}", panel["title"]));
        }
    }
    violations
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn dashboards_are_whole_and_link_to_each_other() {
    let dashboards = dashboards();
    let names: Vec<&str> = dashboards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["cluster", "core", "dns", "edge", "overview", "propagation"]);
    let violations = violations(&dashboards);
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn dashboards_that_are_not_whole_are_noticed() {
    for (path, broken) in [
        ("/uid", json!("other")),
        ("/schemaVersion", json!(16)),
        ("/links", json!([])),
        ("/templating/list/1/name", json!("tenant")),
        ("/panels/0/id", json!(2)),
        ("/panels/0/title", json!("")),
        ("/panels/0/description", json!("Zones hosted.")),
        ("/panels/0/fieldConfig/defaults", json!({})),
        ("/panels/0/datasource/uid", json!("mine")),
        ("/panels/0/targets/0/datasource/uid", json!("mine")),
        ("/panels/0/targets/0/expr", json!("up")),
        ("/panels/0/targets", json!([])),
        ("/panels/0/gridPos/w", json!(25)),
    ] {
        let mut dashboards = dashboards();
        *dashboards[0].1.pointer_mut(path).unwrap() = broken;
        assert!(!violations(&dashboards).is_empty(), "{path}");
    }
}
