//! What a job asks for through its variables.

mod script_support;

use std::time::Duration;

use runner_core::variables::{GitStrategy, JobOptions, SubmoduleStrategy};
use script_support::{Fixture, variable};
use serde_json::json;

fn options(variables: &[(&str, &str)]) -> JobOptions {
    let list: Vec<_> = variables.iter().map(|(key, value)| variable(key, value)).collect();
    Fixture::new(&json!({ "variables": list })).plan().options().clone()
}

#[test]
fn defaults() {
    let options = options(&[]);
    assert_eq!(options.git_strategy, GitStrategy::Fetch);
    assert_eq!(options.submodule_strategy, SubmoduleStrategy::None);
    assert_eq!(options.submodule_depth, 20);
    assert_eq!(options.clean_flags, ["-ffdx"]);
    assert_eq!(options.fetch_extra_flags, ["--prune", "--quiet"]);
    assert!(options.clone_extra_flags.is_empty() && options.submodule_update_flags.is_empty());
    assert!(options.git_checkout && options.after_script_ignore_errors);
    assert!(!options.debug_trace && !options.lfs_skip_smudge && !options.submodule_force_https);
    assert_eq!((options.get_sources_attempts, options.restore_cache_attempts), (1, 1));
    assert_eq!(options.cache_request_timeout, 10);
    assert_eq!(options.script_timeout, None);
    assert_eq!(options.after_script_timeout, Duration::from_secs(300));
    assert_eq!(options.warnings, [""; 0]);
    let clone = Fixture::new(&json!({"allow_git_fetch": false})).plan();
    assert_eq!(clone.options().git_strategy, GitStrategy::Clone);
}

#[test]
fn attempts_are_clamped() {
    let options = options(&[
        ("GET_SOURCES_ATTEMPTS", "3"),
        ("ARTIFACT_DOWNLOAD_ATTEMPTS", "0"),
        ("RESTORE_CACHE_ATTEMPTS", "99"),
        ("EXECUTOR_JOB_SECTION_ATTEMPTS", "-4"),
        ("SECRETS_RETRIEVAL_ATTEMPTS", "two"),
    ]);
    assert_eq!(options.get_sources_attempts, 3);
    assert_eq!(options.artifact_download_attempts, 1);
    assert_eq!(options.restore_cache_attempts, 10);
    assert_eq!(options.executor_job_section_attempts, 1);
    assert_eq!(options.secrets_retrieval_attempts, 1);
    assert_eq!(options.warnings.len(), 4);
    assert_eq!(
        options.warnings[1],
        "RESTORE_CACHE_ATTEMPTS: expected a number in the range [1, 10], got \"99\"; using 10"
    );
}

#[test]
fn texts_that_make_no_sense_give_the_default_and_a_warning() {
    let options = options(&[
        ("GIT_STRATEGY", "steal"),
        ("GIT_CHECKOUT", "yes"),
        ("GIT_SUBMODULE_DEPTH", "deep"),
        ("CI_DEBUG_TRACE", "on"),
        ("CACHE_REQUEST_TIMEOUT", "1.5"),
        ("GIT_SUBMODULE_STRATEGY", "all"),
    ]);
    assert_eq!(options.git_strategy, GitStrategy::Fetch);
    assert!(options.git_checkout && !options.debug_trace);
    assert_eq!((options.submodule_depth, options.cache_request_timeout), (20, 10));
    assert_eq!(options.submodule_strategy, SubmoduleStrategy::Invalid("all".to_owned()));
    let mut named: Vec<_> = options.warnings.iter().filter_map(|line| line.split(':').next()).collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "CACHE_REQUEST_TIMEOUT",
            "CI_DEBUG_TRACE",
            "GIT_CHECKOUT",
            "GIT_STRATEGY",
            "GIT_SUBMODULE_DEPTH",
            "GIT_SUBMODULE_STRATEGY"
        ]
    );
}

#[test]
fn empty_texts_are_as_good_as_none() {
    let keys =
        ["GIT_STRATEGY", "GIT_CHECKOUT", "GIT_CLEAN_FLAGS", "GIT_SUBMODULE_STRATEGY", "GET_SOURCES_ATTEMPTS"];
    let options = options(&keys.map(|key| (key, "")));
    assert_eq!(options.clean_flags, ["-ffdx"]);
    assert_eq!(options.warnings, [""; 0]);
}

#[test]
fn words_and_none() {
    let options = options(&[
        ("GIT_CLEAN_FLAGS", "none"),
        ("GIT_FETCH_EXTRA_FLAGS", " --tags  --prune "),
        ("GIT_SUBMODULE_PATHS", "a b"),
    ]);
    assert!(options.clean_flags.is_empty());
    assert_eq!(options.fetch_extra_flags, ["--tags", "--prune"]);
    assert_eq!(options.submodule_paths, ["a", "b"]);
}

#[test]
fn script_scenario_33_a_runner_may_forbid_debug_output() {
    let mut fixture = Fixture::new(
        &json!({"variables": [variable("CI_DEBUG_TRACE", "true"), variable("CI_DEBUG_SERVICES", "1")]}),
    );
    assert!(fixture.plan().options().debug_trace && fixture.plan().options().debug_services);
    fixture.settings.debug_trace_disabled = true;
    let plan = fixture.plan();
    assert!(!plan.options().debug_trace && !plan.options().debug_services);
    assert_eq!(
        plan.warnings(),
        [
            "CI_DEBUG_TRACE: usage is disabled on this runner",
            "CI_DEBUG_SERVICES: usage is disabled on this runner"
        ]
    );
}

#[test]
fn time_limits() {
    let options =
        |script, after| options(&[("RUNNER_SCRIPT_TIMEOUT", script), ("RUNNER_AFTER_SCRIPT_TIMEOUT", after)]);
    let good = options("1h20m", " 30s ");
    assert_eq!(good.script_timeout, Some(Duration::from_secs(4800)));
    assert_eq!(good.after_script_timeout, Duration::from_secs(30));
    let none = options("0", " ");
    assert_eq!((none.script_timeout, none.after_script_timeout), (None, Duration::from_secs(300)));
    assert_eq!(none.warnings, [""; 0]);
    let bad = options("banana", "-5m");
    assert_eq!((bad.script_timeout, bad.after_script_timeout), (None, Duration::from_secs(300)));
    assert_eq!(
        bad.warnings,
        [
            "RUNNER_SCRIPT_TIMEOUT: ignored \"banana\": not a duration such as 30s, 15m or 1h20m",
            "RUNNER_AFTER_SCRIPT_TIMEOUT: ignored \"-5m\": negative"
        ]
    );
}
