//! `artifacts`: the archive, and one entry for each kind of report.

use serde_json::{Value, json};

use crate::pipeline::{Artifacts, Report};

/// The entries, or null when there is nothing to upload.
pub(super) fn artifacts(artifacts: &Artifacts) -> Value {
    let mut entries = Vec::new();
    if !artifacts.paths.is_empty() || artifacts.untracked {
        entries.push(archive(artifacts));
    }
    entries.extend(artifacts.reports.iter().map(|kind| report(artifacts, kind)));
    if entries.is_empty() { Value::Null } else { entries.into() }
}

fn archive(artifacts: &Artifacts) -> Value {
    let mut entry = json!({
        "name": artifacts.name,
        "untracked": artifacts.untracked,
        "paths": artifacts.paths,
        "when": artifacts.when,
        "expire_in": artifacts.expire_in,
        "artifact_type": "archive",
        "artifact_format": "zip",
    });
    if !artifacts.exclude.is_empty() {
        entry["exclude"] = json!(artifacts.exclude);
    }
    entry
}

/// Reports are uploaded whatever the job did.
fn report(artifacts: &Artifacts, report: &Report) -> Value {
    let (format, name) = format_and_name(&report.kind);
    json!({
        "name": name,
        "paths": report.paths,
        "when": "always",
        "expire_in": artifacts.expire_in,
        "artifact_type": report.kind,
        "artifact_format": format,
    })
}

/// Format and default file name of a kind of report; an unknown kind is sent as it is, under its own name.
///
/// <https://docs.gitlab.com/ci/yaml/artifacts_reports/>
fn format_and_name(kind: &str) -> (&str, &str) {
    match kind {
        "junit" => ("gzip", "junit.xml"),
        "dotenv" => ("gzip", ".env"),
        "metrics" => ("gzip", "metrics.txt"),
        "cobertura" => ("gzip", "cobertura-coverage.xml"),
        "jacoco" => ("gzip", "jacoco-coverage.xml"),
        "cyclonedx" => ("gzip", "gl-sbom.cdx.json"),
        "annotations" => ("gzip", "gl-annotations.json"),
        "repository_xray" => ("gzip", "gl-repository-xray.json"),
        "cluster_applications" => ("gzip", "gl-cluster-applications.json"),
        "lsif" => ("zip", "lsif.json"),
        "scip" => ("zip", "index.scip"),
        "accessibility" => ("raw", "gl-accessibility.json"),
        "codequality" => ("raw", "gl-code-quality-report.json"),
        "sast" => ("raw", "gl-sast-report.json"),
        "secret_detection" => ("raw", "gl-secret-detection-report.json"),
        "dependency_scanning" => ("raw", "gl-dependency-scanning-report.json"),
        "container_scanning" => ("raw", "gl-container-scanning-report.json"),
        "cluster_image_scanning" => ("raw", "gl-cluster-image-scanning-report.json"),
        "dast" => ("raw", "gl-dast-report.json"),
        "license_scanning" => ("raw", "gl-license-scanning-report.json"),
        "performance" => ("raw", "performance.json"),
        "browser_performance" => ("raw", "browser-performance.json"),
        "load_performance" => ("raw", "load-performance.json"),
        "terraform" => ("raw", "tfplan.json"),
        "requirements" => ("raw", "requirements.json"),
        "requirements_v2" => ("raw", "requirements_v2.json"),
        "coverage_fuzzing" => ("raw", "gl-coverage-fuzzing.json"),
        "api_fuzzing" => ("raw", "gl-api-fuzzing-report.json"),
        "sarif" => ("raw", "gl-sarif-report.sarif"),
        unknown => ("raw", unknown),
    }
}
