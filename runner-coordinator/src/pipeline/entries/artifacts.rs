//! `artifacts`. <https://docs.gitlab.com/ci/yaml/#artifacts>

use std::time::Duration;

use super::super::check::{Check, strings};
use super::super::duration;
use super::super::error::CompileError;
use super::super::job::{Artifacts, KeepWhen, Report};
use super::super::yaml::{Map, Node};

const KEYS: [&str; 10] = [
    "name",
    "untracked",
    "paths",
    "reports",
    "when",
    "expire_in",
    "expose_as",
    "exclude",
    "public",
    "access",
];

/// Kinds of reports.
const REPORTS: [&str; 30] = [
    "junit",
    "dotenv",
    "metrics",
    "cobertura",
    "jacoco",
    "cyclonedx",
    "annotations",
    "repository_xray",
    "cluster_applications",
    "lsif",
    "scip",
    "accessibility",
    "codequality",
    "sast",
    "secret_detection",
    "dependency_scanning",
    "container_scanning",
    "cluster_image_scanning",
    "dast",
    "license_scanning",
    "performance",
    "browser_performance",
    "load_performance",
    "terraform",
    "requirements",
    "requirements_v2",
    "coverage_fuzzing",
    "api_fuzzing",
    "sarif",
    "coverage_report",
];

/// Reads `artifacts`.
pub(crate) fn artifacts(check: &mut Check, node: &Node, location: &str) -> Option<Artifacts> {
    if node.as_map().is_none() {
        let paths =
            node.as_list().and_then(|items| items.first()).unwrap_or(node).as_text().unwrap_or("folder/");
        let error = CompileError::new(&node.span, format!("{location} config should be a hash"));
        check.push(error.help(format!("write {{paths: [{paths}]}}")));
        return None;
    }
    let map = check.hash(node, location, &KEYS)?;
    expose_as(check, map, location);
    if map.get("public").is_some() && map.get("access").is_some() {
        check.error(
            &node.span,
            format!("{location} config these keys cannot be used together: access, public"),
        );
    }
    check.flag(map, "public", location);
    check.one_of(map, "access", location, &["none", "developer", "maintainer", "all"]);
    Some(Artifacts {
        name: check.text(map, "name", location),
        paths: check.texts(map, "paths", location).unwrap_or_default(),
        exclude: check.texts(map, "exclude", location).unwrap_or_default(),
        untracked: check.flag(map, "untracked", location).unwrap_or_default(),
        when: keep_when(check, map, location),
        expire_in: expire_in(check, map, location),
        reports: map
            .get("reports")
            .map(|node| reports(check, node, &format!("{location}:reports")))
            .unwrap_or_default(),
    })
}

/// `when` of artifacts and caches.
pub(crate) fn keep_when(check: &mut Check, map: &Map, location: &str) -> KeepWhen {
    match check.one_of(map, "when", location, &["on_success", "on_failure", "always"]).as_deref() {
        Some("on_failure") => KeepWhen::OnFailure,
        Some("always") => KeepWhen::Always,
        _ => KeepWhen::OnSuccess,
    }
}

fn expire_in(check: &mut Check, map: &Map, location: &str) -> Option<String> {
    let text = map.get("expire_in").and_then(Node::as_text);
    if let Some(text) = text.filter(|text| *text == "never" || duration::parse(text).is_some()) {
        return Some(text.to_owned());
    }
    check.duration(map, "expire_in", location, Duration::MAX);
    None
}

fn expose_as(check: &mut Check, map: &Map, location: &str) {
    let Some(node) = map.get("expose_as") else { return };
    let Some(name) = check.text(map, "expose_as", location) else { return };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    if name.len() > 100 {
        check.error(&node.span, format!("{location} expose as is too long (maximum is 100 characters)"));
    } else if !name.chars().all(plain) {
        check.error(
            &node.span,
            format!("{location} expose as can contain only letters, digits, '-', '_' and spaces"),
        );
    }
    match map.get("paths") {
        None => check.error(&node.span, format!("{location} paths can't be blank")),
        Some(paths) if strings(paths).is_some_and(|paths| paths.iter().any(|path| path.contains('*'))) => {
            let message = format!("{location} paths can't contain '*' when used with 'expose_as'");
            check.error(&paths.span, message);
        }
        Some(_) => {}
    }
}

fn reports(check: &mut Check, node: &Node, location: &str) -> Vec<Report> {
    if node.as_map().is_none() {
        let error = CompileError::new(&node.span, format!("{location} config should be a hash"));
        check.push(error.help("name the kind of the report: {junit: report.xml}"));
        return Vec::new();
    }
    let Some(map) = check.hash(node, location, &REPORTS) else { return Vec::new() };
    let mut reports = Vec::new();
    for (kind, entry) in
        map.iter().filter(|(kind, entry)| REPORTS.contains(&&***kind) && !entry.value.is_null())
    {
        if &**kind == "coverage_report" {
            reports.extend(coverage_report(check, &entry.value, &format!("{location}:coverage_report")));
        } else if let Some(paths) = check.text_or_texts(map, kind, location) {
            reports.push(Report { kind: kind.to_string(), paths });
        }
    }
    reports
}

/// `coverage_report` becomes a report of the kind of its format.
fn coverage_report(check: &mut Check, node: &Node, location: &str) -> Option<Report> {
    if node.as_map().is_none() {
        let path = node.as_text().unwrap_or("coverage.xml");
        let error = CompileError::new(&node.span, format!("{location} config should be a hash"));
        check.push(error.help(format!("write {{coverage_format: cobertura, path: {path}}}, or jacoco")));
        return None;
    }
    let map = check.hash(node, location, &["coverage_format", "path"])?;
    let kind = check.one_of(map, "coverage_format", location, &["cobertura", "jacoco"]);
    let path = check.text(map, "path", location);
    for key in ["coverage_format", "path"] {
        if map.get(key).is_none() {
            check.error(&node.span, format!("{location} {} can't be blank", key.replace('_', " ")));
        }
    }
    Some(Report { kind: kind?, paths: vec![path?] })
}
