//! Where a job's variables come from and which one wins.

mod script_support;

use runner_core::variables::{JobStatus, TlsFiles, Variable, Variables, flags};
use script_support::{Fixture, JOB_TOKEN, variable};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

fn with(variables: &serde_json::Value) -> Fixture {
    Fixture::new(&json!({ "variables": variables }))
}

fn get(fixture: &Fixture, key: &str) -> Option<String> {
    fixture.variables().get(key)
}

#[test]
fn script_scenario_01_values_are_expanded_once() {
    let fixture = with(&json!([variable("A", "$B"), variable("B", "$C"), variable("C", "1")]));
    assert_eq!(get(&fixture, "A").as_deref(), Some("$C"));
    assert_eq!(get(&fixture, "B").as_deref(), Some("1"));
}

#[test]
fn script_scenario_03_odd_references() {
    let fixture = with(&json!([
        variable("A", "x$$y"),
        variable("B", "${NOPE}z"),
        variable("C", "$"),
        variable("D", "${A"),
        variable("E", "${X:-d}"),
        {"key": "R", "value": "$A", "public": true, "raw": true},
    ]));
    let values = ["A", "B", "C", "D", "E", "R"].map(|key| get(&fixture, key).unwrap());
    assert_eq!(values, ["x$y", "z", "$", "A", "", "$A"]);
}

#[test]
fn script_scenario_05_references_to_files_become_paths() {
    let fixture = with(&json!([
        {"key": "F", "value": "line1\nline2", "file": true},
        variable("G", "path=$F"),
    ]));
    let variables = fixture.variables();
    assert_eq!(variables.get("F").as_deref(), Some("/builds/group/project.tmp/F"));
    assert_eq!(variables.value("F"), Some("line1\nline2"));
    assert_eq!(variables.get("G").as_deref(), Some("path=/builds/group/project.tmp/F"));
    assert_eq!(variables.expand("at $F"), "at /builds/group/project.tmp/F");
}

#[test]
fn script_scenario_07_the_runners_environment_is_a_default() {
    let mut fixture = with(&json!([variable("K", "job"), variable("CI_PROJECT_ID", "1")]));
    let pairs = [("K", "cfg"), ("L", "$CI_PROJECT_ID"), ("M", "only")];
    fixture.settings.environment = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    assert_eq!(["K", "L", "M"].map(|key| get(&fixture, key).unwrap()), ["job", "1", "only"]);
    let variables = fixture.variables();
    let setting = variables.iter().find(|variable| variable.key == "M").unwrap();
    assert!(setting.internal && !setting.public && !setting.raw);
}

#[test]
fn script_scenario_09_a_job_overrides_the_first_block_and_not_the_last() {
    let fixture = with(&json!([
        variable("CI_SERVER", "no"),
        variable("CI_PROJECT_DIR", "/elsewhere"),
        variable("CI_RUNNER_VERSION", "x"),
        variable("RUNNER_TEMP_PROJECT_DIR", "/elsewhere.tmp"),
    ]));
    assert_eq!(get(&fixture, "CI_SERVER").as_deref(), Some("no"));
    assert_eq!(get(&fixture, "CI_PROJECT_DIR").as_deref(), Some("/elsewhere"));
    assert_eq!(fixture.dirs().project_dir, "/builds/group/project");
    assert_eq!(get(&fixture, "CI_RUNNER_VERSION").as_deref(), Some("0.1.0"));
    assert_eq!(get(&fixture, "RUNNER_TEMP_PROJECT_DIR").as_deref(), Some("/builds/group/project.tmp"));
}

#[test]
fn what_the_runner_adds() {
    let fixture =
        Fixture::new(&json!({"image": {"name": "alpine:$TAG"}, "variables": [variable("TAG", "3")]}));
    for (key, expected) in [
        ("CI_JOB_IMAGE", "alpine:3"),
        ("CI_RUNNER_SHORT_TOKEN", "abcdefghi"),
        ("CI_BUILDS_DIR", "/builds"),
        ("CI_PROJECT_DIR", "/builds/group/project"),
        ("CI_CONCURRENT_ID", "3"),
        ("CI_CONCURRENT_PROJECT_ID", "0"),
        ("CI_SERVER", "yes"),
        ("CI_JOB_STATUS", "running"),
        ("CI_JOB_TIMEOUT", "3600"),
        ("CI_DISPOSABLE_ENVIRONMENT", "true"),
        ("CI_RUNNER_REVISION", "0badcafe"),
        ("CI_RUNNER_EXECUTABLE_ARCH", "linux/amd64"),
        ("FF_TIMESTAMPS", "true"),
        ("FF_TEST_FEATURE", "false"),
    ] {
        assert_eq!(get(&fixture, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(get(&fixture, "CI_SHARED_ENVIRONMENT"), None);
    assert_eq!(get(&fixture, "CI_SERVER_TLS_CA_FILE"), None);
    assert!(fixture.variables().iter().filter(|variable| variable.internal).all(|variable| variable.public));
}

#[test]
fn script_scenario_19_a_shared_place_says_so() {
    let mut fixture = Fixture::new(&json!({}));
    fixture.place.shared = true;
    assert_eq!(get(&fixture, "CI_SHARED_ENVIRONMENT").as_deref(), Some("true"));
    assert_eq!(get(&fixture, "CI_DISPOSABLE_ENVIRONMENT"), None);
}

#[test]
fn before_the_place_is_known() {
    let fixture = with(&json!([variable("TAG", "v$CI_CONCURRENT_ID")]));
    let variables = Variables::build(&fixture.inputs(), None);
    assert_eq!(variables.expand("image:$TAG"), "image:v3");
    assert_eq!(variables.get("CI_BUILDS_DIR").as_deref(), Some(""));
    assert_eq!(variables.get("RUNNER_TEMP_PROJECT_DIR"), None);
    assert_eq!(variables.get("CI_DISPOSABLE_ENVIRONMENT"), None);
}

#[test]
fn script_scenario_15_flags_of_the_configuration_hide_those_of_the_job() {
    let mut fixture = with(&json!([
        variable(flags::SCRIPT_SECTIONS, "true"),
        variable(flags::HASH_CACHE_KEYS, "$ON"),
        variable("ON", "true"),
    ]));
    fixture.settings.feature_flags.insert(flags::SCRIPT_SECTIONS.to_owned(), false);
    assert_eq!(get(&fixture, flags::SCRIPT_SECTIONS).as_deref(), Some("false"));
    assert_eq!(get(&fixture, flags::HASH_CACHE_KEYS).as_deref(), Some("true"));
    let plan = fixture.plan();
    assert!(!plan.flags().is_on(flags::SCRIPT_SECTIONS));
    assert_eq!(plan.flags().changed(), [(flags::HASH_CACHE_KEYS, true)]);
}

#[test]
fn external_secrets_beat_the_job() {
    let mut fixture = with(&json!([variable("PASSWORD", "weak"), variable("P", "$PASSWORD")]));
    fixture.secrets = vec![Variable::new("PASSWORD", "str$ong").masked(true).raw(true).file(true)];
    assert_eq!(get(&fixture, "PASSWORD").as_deref(), Some("/builds/group/project.tmp/PASSWORD"));
    assert_eq!(fixture.variables().value("PASSWORD"), Some("str$ong"));
}

#[test]
fn certificates_become_files() {
    let mut fixture = Fixture::new(&json!({}));
    let key = || Some(SecretString::from("KEY".to_owned()));
    fixture.tls = TlsFiles { ca: Some("CA".to_owned()), cert: None, key: key() };
    assert_eq!(fixture.variables().value("CI_SERVER_TLS_CA_FILE"), Some("CA"));
    assert_eq!(fixture.variables().value("CI_SERVER_TLS_KEY_FILE"), None);
    fixture.tls.cert = Some("CERT".to_owned());
    let variables = fixture.variables();
    assert_eq!(
        variables.get("CI_SERVER_TLS_CERT_FILE").as_deref(),
        Some("/builds/group/project.tmp/CI_SERVER_TLS_CERT_FILE")
    );
    let key = variables.find("CI_SERVER_TLS_KEY_FILE").unwrap();
    assert!(key.file && key.internal && !key.public);
}

#[test]
fn the_status_of_the_job_replaces_the_runners_own_word() {
    let variables = Fixture::new(&json!({})).variables().with_job_status(JobStatus::Failed);
    assert_eq!(variables.get("CI_JOB_STATUS").as_deref(), Some("failed"));
    let own =
        with(&json!([variable("CI_JOB_STATUS", "mine")])).variables().with_job_status(JobStatus::Failed);
    assert_eq!(own.get("CI_JOB_STATUS").as_deref(), Some("mine"));
    assert_eq!(own.iter().find(|variable| variable.key == "CI_JOB_STATUS").unwrap().value(), "failed");
}

#[test]
fn resolved_lists_have_each_name_once_in_the_order_of_the_last() {
    let list = [("A", "1"), ("B", "2"), ("A", "3")].map(|(key, value)| Variable::new(key, value));
    let variables = Variables::new(list, "");
    let resolved: Vec<_> =
        variables.resolved().iter().map(|entry| (entry.key.clone(), entry.value().to_owned())).collect();
    assert_eq!(resolved, [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "3".to_owned())]);
    assert_eq!(variables.iter().count(), 3);
}

#[test]
fn secrets_are_all_texts_that_the_log_masks() {
    let fixture = Fixture::new(&json!({
        "variables": [
            {"key": "M", "value": "  base-$X\n", "masked": true},
            {"key": "N", "value": "base-hidden", "masked": true},
            {"key": "O", "value": "earlier!", "masked": true},
            {"key": "O", "value": "later...", "masked": true},
            {"key": "F", "value": "content", "masked": true, "file": true},
            {"key": "E", "value": " ", "masked": true},
            variable("X", "hidden"),
        ],
        "dependencies": [{"id": 7, "token": "dependency-token"}],
        "credentials": [{"type": "registry", "password": "registry-password"}],
        "git_info": {"repo_url": "https://gitlab-ci-token:pass%2Fword@h/g/p.git"},
    }));
    let variables = fixture.variables();
    let secrets = variables.secrets(&fixture.job);
    let secrets: Vec<_> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(
        secrets,
        [
            "base-hidden",
            "earlier!",
            "later...",
            "content",
            JOB_TOKEN,
            "dependency-token",
            "registry-password",
            "pass%2Fword",
            "pass/word"
        ]
    );
    let shown = format!("{variables:?} {:?}", variables.find("M"));
    assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
}
