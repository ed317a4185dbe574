//! Where a job's files lie.

mod script_support;

use runner_core::plan::{DirsError, JobDirs};
use script_support::{Fixture, variable};
use serde_json::{Value, json};

fn dirs(changes: &Value, change: impl FnOnce(&mut Fixture)) -> Result<JobDirs, DirsError> {
    let mut fixture = Fixture::new(changes);
    change(&mut fixture);
    JobDirs::new(&fixture.inputs(), &fixture.place)
}

fn with(key: &str, value: &str) -> Value {
    json!({"variables": [variable(key, value)]})
}

#[test]
fn a_place_of_the_job_alone() {
    let dirs = dirs(&json!({}), |_| {}).unwrap();
    assert_eq!(
        dirs,
        JobDirs {
            builds_dir: "/builds".to_owned(),
            project_dir: "/builds/group/project".to_owned(),
            temp_dir: "/builds/group/project.tmp".to_owned(),
            cache_dir: "/cache/group/project".to_owned(),
            shared: false,
        }
    );
}

#[test]
fn script_scenario_133_a_shared_place() {
    let dirs = dirs(&json!({}), |fixture| {
        fixture.place.shared = true;
        fixture.place.builds_dir = "/wd/builds/".to_owned();
        fixture.slots.project = 2;
    })
    .unwrap();
    assert_eq!(dirs.project_dir, "/wd/builds/abcdefghi/2/group/project");
    assert_eq!(dirs.temp_dir, "/wd/builds/abcdefghi/2/group/project.tmp");
    assert_eq!(dirs.cache_dir, "/cache/group/project");
    assert_eq!(dirs.builds_dir, "/wd/builds");
}

#[test]
fn strategy_empty_has_folders_of_its_own() {
    let dirs = dirs(&with("GIT_STRATEGY", "empty"), |_| {}).unwrap();
    assert_eq!(dirs.project_dir, "/builds/group/project-empty");
    assert_eq!(dirs.temp_dir, "/builds/group/project-empty.tmp");
    assert_eq!(dirs.cache_dir, "/cache/group/project-empty");
}

#[test]
fn a_repository_without_a_host_is_named_after_the_project() {
    let dirs =
        dirs(&json!({"git_info": {"repo_url": "file:///srv/x.git"}, "job_info": {"project_id": 42}}), |_| {})
            .unwrap();
    assert_eq!(dirs.project_dir, "/builds/project-42");
}

#[test]
fn another_folder_by_the_jobs_wish() {
    let go = with("GIT_CLONE_PATH", "$CI_BUILDS_DIR/$CI_CONCURRENT_ID/go/src");
    let allowed = dirs(&go, |fixture| fixture.settings.custom_build_dir = true).unwrap();
    assert_eq!(allowed.project_dir, "/builds/3/go/src");
    assert_eq!(allowed.temp_dir, "/builds/3/go/src.tmp");
    assert_eq!(allowed.cache_dir, "/cache/group/project");
    let forbidden = dirs(&go, |_| {}).unwrap_err();
    assert_eq!(
        forbidden.to_string(),
        "setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir` feature"
    );
    let outside = dirs(&with("GIT_CLONE_PATH", "/other"), |fixture| fixture.settings.custom_build_dir = true)
        .unwrap_err();
    assert_eq!(outside.to_string(), "the GIT_CLONE_PATH=\"/other\" has to be within \"/builds\"");
}

#[test]
fn roots_must_be_absolute() {
    let error = dirs(&json!({}), |fixture| fixture.place.builds_dir = "builds".to_owned()).unwrap_err();
    assert_eq!(error.to_string(), "the builds folder must be an absolute path, got \"builds\"");
    assert!(dirs(&json!({}), |fixture| fixture.place.cache_dir = String::new()).is_err());
    assert_eq!(
        dirs(&json!({}), |fixture| fixture.place.builds_dir = "/".to_owned()).unwrap().project_dir,
        "/group/project"
    );
}
