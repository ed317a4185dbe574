//! Keywords as they are written, and what runners get of them.

use runner_coordinator::run::{ArchiveInfo, Finished};
use serde_json::{Value, json};

use crate::from_yaml::{compiled, driver};
use crate::support::{Driver, entry, settings, value};

#[test]
fn every_kind_of_report_has_its_format_and_name() {
    let table = [
        ("gzip", "junit", "junit.xml"),
        ("gzip", "dotenv", ".env"),
        ("gzip", "metrics", "metrics.txt"),
        ("gzip", "cobertura", "cobertura-coverage.xml"),
        ("gzip", "jacoco", "jacoco-coverage.xml"),
        ("gzip", "cyclonedx", "gl-sbom.cdx.json"),
        ("gzip", "annotations", "gl-annotations.json"),
        ("gzip", "repository_xray", "gl-repository-xray.json"),
        ("zip", "lsif", "lsif.json"),
        ("zip", "scip", "index.scip"),
        ("raw", "accessibility", "gl-accessibility.json"),
        ("raw", "codequality", "gl-code-quality-report.json"),
        ("raw", "sast", "gl-sast-report.json"),
        ("raw", "secret_detection", "gl-secret-detection-report.json"),
        ("raw", "dependency_scanning", "gl-dependency-scanning-report.json"),
        ("raw", "container_scanning", "gl-container-scanning-report.json"),
        ("raw", "dast", "gl-dast-report.json"),
        ("raw", "license_scanning", "gl-license-scanning-report.json"),
        ("raw", "browser_performance", "browser-performance.json"),
        ("raw", "load_performance", "load-performance.json"),
        ("raw", "terraform", "tfplan.json"),
        ("raw", "requirements", "requirements.json"),
        ("raw", "coverage_fuzzing", "gl-coverage-fuzzing.json"),
        ("raw", "api_fuzzing", "gl-api-fuzzing-report.json"),
        ("raw", "sarif", "gl-sarif-report.sarif"),
    ];
    let reports: Vec<String> =
        table.iter().map(|(_, kind, _)| format!("{kind}: [{kind}.one, two]")).collect();
    let text = format!(
        "a: {{script: x, artifacts: {{when: on_failure, expire_in: 2 days, paths: [p], reports: {{{}}}}}}}",
        reports.join(", ")
    );
    let driver = driver(&text);
    let artifacts = driver.payload("a")["artifacts"].as_array().unwrap().clone();
    assert_eq!(
        (&artifacts[0]["artifact_type"], &artifacts[0]["when"]),
        (&json!("archive"), &json!("on_failure"))
    );
    assert_eq!(artifacts.len(), 1 + table.len());
    for ((format, kind, name), entry) in table.iter().zip(&artifacts[1..]) {
        let expected = json!({
            "name": name,
            "paths": [format!("{kind}.one"), "two"],
            "when": "always",
            "expire_in": "2 days",
            "artifact_type": kind,
            "artifact_format": format,
        });
        assert_eq!(entry, &expected);
    }
    // Without a name of their own these have the one that their kind suggests.
    for kind in ["cluster_applications", "cluster_image_scanning", "performance", "requirements_v2"] {
        let driver = self::driver(&format!("a: {{script: x, artifacts: {{reports: {{{kind}: x}}}}}}"));
        let entry = &driver.payload("a")["artifacts"][0];
        assert_eq!((&entry["artifact_type"], &entry["paths"]), (&json!(kind), &json!(["x"])));
        assert!(!entry["name"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_coverage_report_is_one_of_its_format() {
    let driver = driver(
        "a: {script: x, artifacts: {reports: {coverage_report: {coverage_format: jacoco, path: '**/c.xml'}}}}",
    );
    let entry = &driver.payload("a")["artifacts"][0];
    assert_eq!(entry["artifact_type"], "jacoco");
    assert_eq!((&entry["name"], &entry["paths"]), (&json!("jacoco-coverage.xml"), &json!(["**/c.xml"])));
}

#[test]
fn an_archive_with_and_without_each_part() {
    let archive = |keywords: &str| {
        driver(&format!("a: {{script: x, artifacts: {{{keywords}}}}}")).payload("a")["artifacts"].clone()
    };
    let entry = |changes: Value| {
        let mut entry = json!({
            "name": null,
            "untracked": false,
            "paths": [],
            "when": "on_success",
            "expire_in": null,
            "artifact_type": "archive",
            "artifact_format": "zip",
        });
        entry.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!([entry])
    };
    assert_eq!(archive("paths: [p, 'q/*']"), entry(json!({"paths": ["p", "q/*"]})));
    assert_eq!(archive("untracked: true"), entry(json!({"untracked": true})));
    assert_eq!(
        archive(
            "paths: [p], exclude: [q], name: '$CI_JOB_NAME', when: always, expire_in: never, expose_as: x y, public: false"
        ),
        entry(json!({
            "paths": ["p"], "exclude": ["q"], "name": "$CI_JOB_NAME", "when": "always", "expire_in": "never",
        }))
    );
    for nothing in ["name: x", "when: always", "expire_in: 1 day", "untracked: false"] {
        assert_eq!(archive(nothing), Value::Null, "{nothing}");
    }
}

#[test]
fn caches_in_their_order() {
    let driver = driver(
        "a:\n  script: x\n  cache:\n    - {key: $CI_COMMIT_REF_SLUG, paths: [p], policy: $P, when: on_failure, fallback_keys: [f, $G]}\n    - {untracked: true}\n    - {key: {files_commits: [b.lock, a.lock]}, paths: [q], unprotect: true}\n",
    );
    let payload = driver.payload("a")["cache"].clone();
    assert_eq!(
        payload[0],
        json!({
            "key": "$CI_COMMIT_REF_SLUG-protected", "untracked": false, "paths": ["p"], "policy": "$P", "when": "on_failure",
            "fallback_keys": ["f-protected", "$G-protected"],
        })
    );
    assert_eq!(
        payload[1],
        json!({
            "key": "default-protected", "untracked": true, "paths": [], "policy": "pull-push", "when": "on_success",
            "fallback_keys": [],
        })
    );
    assert_eq!(payload[2]["key"], "2_b_a-default-non_protected");
}

#[test]
fn dotenv_reaches_whom_the_artifacts_reach() {
    let mut driver = driver(
        "one: {stage: build, script: x, artifacts: {reports: {dotenv: v}}}\n\
         two: {stage: build, script: x, artifacts: {reports: {dotenv: v}}}\n\
         all: {script: x, variables: {X: yaml}}\n\
         needs_one: {script: x, needs: [one], variables: {X: yaml}}\n\
         needs_both: {script: x, needs: [two, one]}\n\
         needs_without: {script: x, needs: [{job: one, artifacts: false}], variables: {X: yaml}}\n\
         depends_on_two: {script: x, dependencies: [two]}\n\
         depends_on_none: {script: x, dependencies: [], variables: {X: yaml}}\n\
         rules: {script: x, rules: [{if: $X}, {when: never}]}\n\
         last: {stage: deploy, script: x, needs: [needs_one]}\n",
    );
    assert!(driver.run.job("rules").is_none(), "reports are too late for rules");
    for (name, x) in [("one", "of one"), ("two", "of two")] {
        let dotenv = vec![("X".to_owned(), x.to_owned()), (name.to_owned(), "here".to_owned())];
        driver.finish(name, Finished { dotenv, ..Finished::success() });
    }
    for (name, x, one, two) in [
        ("all", Some("of two"), true, true),
        ("needs_one", Some("of one"), true, false),
        ("needs_both", Some("of two"), true, true),
        ("needs_without", Some("yaml"), false, false),
        ("depends_on_two", Some("of two"), false, true),
        ("depends_on_none", Some("yaml"), false, false),
    ] {
        let payload = driver.payload(name);
        assert_eq!(value(payload, "X"), x, "{name}");
        assert_eq!((value(payload, "one").is_some(), value(payload, "two").is_some()), (one, two), "{name}");
    }
    driver.succeed("needs_one");
    assert_eq!(value(driver.payload("last"), "X"), None, "only from the jobs themselves");
}

#[test]
fn archives_follow_needs_and_dependencies() {
    let mut driver = driver(
        "build: {stage: build, script: x, artifacts: {paths: [p]}}\n\
         broken: {stage: build, script: x, allow_failure: true, artifacts: {paths: [p], when: always}}\n\
         nothing: {stage: build, script: x}\n\
         all: {script: x}\n\
         some: {script: x, needs: [nothing, {job: broken, artifacts: true}]}\n\
         none: {script: x, needs: [{job: build, artifacts: false}]}\n",
    );
    let archive = |size| Some(ArchiveInfo { filename: "artifacts.zip".to_owned(), size });
    driver.finish("build", Finished { archive: archive(1), ..Finished::success() });
    driver.finish("broken", Finished { archive: archive(2), ..Finished::script_failed(1) });
    driver.succeed("nothing");
    let (build, broken) = (driver.id("build").0, driver.id("broken").0);
    for (name, expected) in [
        ("all", vec![(build, "build", 1), (broken, "broken", 2)]),
        ("some", vec![(broken, "broken", 2)]),
        ("none", vec![]),
    ] {
        let payload = driver.payload(name);
        let expected: Vec<Value> = expected
            .into_iter()
            .map(|(id, name, size)| {
                json!({
                    "id": id, "name": name, "token": payload["token"],
                    "artifacts_file": {"filename": "artifacts.zip", "size": size},
                })
            })
            .collect();
        assert_eq!(payload["dependencies"], json!(expected), "{name}");
    }
}

#[test]
fn variables_come_in_the_order_of_precedence() {
    let text = "variables: {L: top, T: top}\n\
        workflow: {rules: [{variables: {L: workflow, W: workflow}}]}\n\
        a:\n  script: x\n  environment: {name: prod, url: 'https://e/$L'}\n  variables: {L: job, J: job, GITLAB_USER_NAME: job}\n  parallel: {matrix: [{L: matrix, M: matrix}]}\n  rules: [{variables: {L: rule, R: rule}}]\n  id_tokens: {TOKEN: {aud: x}}\n";
    let mut settings = settings();
    settings.project_variables.push(runner_coordinator::run::JobVariable::hidden("S", "project"));
    settings.pipeline_variables.push(runner_coordinator::run::JobVariable::new("C", "command line"));
    let driver = Driver::of(compiled(text), settings);
    let payload = driver.payload("a: [matrix, matrix]");
    let all = payload["variables"].as_array().unwrap();
    let keys: Vec<&str> = all.iter().map(|variable| variable["key"].as_str().unwrap()).collect();
    let wanted = [
        "CI_PIPELINE_ID",
        "CI_JOB_ID",
        "CI_JOB_TOKEN",
        "CI_REPOSITORY_URL", // of the try
        "TOKEN",
        "CI_JOB_NAME",
        "CI_JOB_STAGE",
        "CI_NODE_INDEX",
        "CI_ENVIRONMENT_NAME",
        "CI_ENVIRONMENT_TIER",
        "CI_SERVER_URL",
        "CI_PROJECT_PATH", // project and server
        "CI_PIPELINE_SOURCE",
        "CI_COMMIT_SHA", // pipeline and commit
        "CI_RUNNER_ID",
        "L",
        "T",
        "W",
        "J",
        "M",
        "R", // the file
        "GITLAB_USER_LOGIN",
        "S",
        "C",
        "CI_ENVIRONMENT_SLUG",
        "CI_ENVIRONMENT_URL",
    ];
    let positions: Vec<usize> = wanted
        .iter()
        .map(|key| keys.iter().position(|other| other == key).unwrap_or_else(|| panic!("{key}")))
        .collect();
    assert!(positions.is_sorted(), "{keys:?}");
    for (key, expected) in
        [("L", "rule"), ("GITLAB_USER_NAME", "Ada"), ("CI_ENVIRONMENT_URL", "https://e/rule")]
    {
        assert_eq!(value(payload, key), Some(expected));
    }
    // What services must not see.
    for variable in all {
        let key = variable["key"].as_str().unwrap();
        let secret =
            ["CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "CI_REPOSITORY_URL", "TOKEN", "S"].contains(&key);
        assert_eq!(variable["public"], !secret, "{key}");
        let masked = ["CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "TOKEN"].contains(&key);
        assert_eq!(variable.get("masked"), masked.then_some(&Value::Bool(true)), "{key}");
        assert!(variable.get("file").is_none() && variable.get("raw").is_none(), "{key}");
    }
    assert_eq!(entry(payload, "S").unwrap()["value"], "project");
}
