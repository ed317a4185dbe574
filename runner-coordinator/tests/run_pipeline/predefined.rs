//! Predefined variables before there is a pipeline.

use runner_coordinator::pipeline::{Node, Variable};
use runner_coordinator::run::predefined::{self, EnvironmentFacts, JobFacts};
use runner_coordinator::run::{Facts, GitRef, MergeRequest, Remote};

use crate::support::facts;

fn value<'a>(variables: &'a [Variable], key: &str) -> Option<&'a str> {
    let mut found = variables.iter().filter(|variable| variable.key == key);
    let value = found.next().map(|variable| variable.value.as_str());
    assert_eq!(found.next(), None, "{key} is there twice");
    value
}

fn pre(change: impl FnOnce(&mut Facts)) -> Vec<Variable> {
    let mut facts = facts();
    change(&mut facts);
    predefined::pre(&facts)
}

#[test]
fn nothing_that_only_a_job_knows_is_known_before() {
    let facts = facts();
    let all: Vec<_> = predefined::pre(&facts).into_iter().chain(predefined::pipe(&facts)).collect();
    for key in ["CI_JOB_ID", "CI_JOB_TOKEN", "CI_JOB_NAME", "CI_PIPELINE_ID", "CI_REPOSITORY_URL"] {
        assert_eq!(value(&all, key), None, "{key}");
    }
    assert_eq!(value(&all, "CI_PIPELINE_IID"), Some("3"));
    assert_eq!(value(&all, "GITLAB_USER_EMAIL"), Some("ada@example.org"));
    assert_eq!(value(&predefined::pre(&facts), "CI_PIPELINE_IID"), None);
}

#[test]
fn ssh_remote() {
    let all = pre(|facts| facts.remote = Remote::parse("ssh://git@git.example.org:2222/Top/mid/My.App.git"));
    for (key, expected) in [
        ("CI_SERVER_URL", "https://git.example.org"),
        ("CI_SERVER_PORT", "443"),
        ("CI_SERVER_SHELL_SSH_HOST", "git.example.org"),
        ("CI_SERVER_SHELL_SSH_PORT", "2222"),
        ("CI_PROJECT_PATH", "Top/mid/My.App"),
        ("CI_PROJECT_PATH_SLUG", "top-mid-my-app"),
        ("CI_PROJECT_NAME", "My.App"),
        ("CI_PROJECT_NAMESPACE", "Top/mid"),
        ("CI_PROJECT_NAMESPACE_SLUG", "top-mid"),
        ("CI_PROJECT_ROOT_NAMESPACE", "Top"),
        ("CI_PROJECT_URL", "https://git.example.org/Top/mid/My.App"),
        ("CI_API_V4_URL", "https://git.example.org/api/v4"),
    ] {
        assert_eq!(value(&all, key), Some(expected), "{key}");
    }
    assert_eq!(value(&all, "CI_REGISTRY"), None);
}

#[test]
fn http_remote_with_a_port_and_a_registry() {
    let all = pre(|facts| {
        facts.remote = Remote::parse("http://git.local:8080/A/b.git");
        facts.registry = Some("registry.local:5000".to_owned());
    });
    assert_eq!(value(&all, "CI_SERVER_FQDN"), Some("git.local:8080"));
    assert_eq!(value(&all, "CI_SERVER_HOST"), Some("git.local"));
    assert_eq!(value(&all, "CI_SERVER_PROTOCOL"), Some("http"));
    assert_eq!(value(&all, "CI_REGISTRY_IMAGE"), Some("registry.local:5000/a/b"));
}

#[test]
fn no_remote() {
    let all = pre(|facts| facts.remote = None);
    assert_eq!(value(&all, "CI_SERVER_URL"), Some("http://localhost:4000"));
    assert_eq!(value(&all, "CI_PROJECT_PATH"), Some("local/project"));
}

#[test]
fn same_path_same_id() {
    let id = |path: &str| Remote::parse(&format!("https://git.example.org/{path}")).unwrap().project_id();
    assert_eq!(id("a/b"), id("a/b"));
    assert_ne!(id("a/b"), id("a/c"));
}

#[test]
fn merge_request() {
    let all = pre(|facts| {
        facts.source = "merge_request_event".to_owned();
        facts.git_ref = GitRef::MergeRequest(MergeRequest {
            source_branch: "fix".to_owned(),
            target_branch: "main".to_owned(),
            source_sha: "1".repeat(40),
            target_sha: "2".repeat(40),
            base_sha: "3".repeat(40),
            title: "Fix it".to_owned(),
        });
    });
    for (key, expected) in [
        ("CI_COMMIT_REF_NAME", "fix"),
        ("CI_MERGE_REQUEST_IID", "1"),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "fix"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "3333333333333333333333333333333333333333"),
        ("CI_MERGE_REQUEST_EVENT_TYPE", "detached"),
        ("CI_MERGE_REQUEST_PROJECT_PATH", "group/project"),
        ("CI_MERGE_REQUEST_TITLE", "Fix it"),
        ("CI_PIPELINE_SOURCE", "merge_request_event"),
    ] {
        assert_eq!(value(&all, key), Some(expected), "{key}");
    }
    assert_eq!(value(&all, "CI_COMMIT_BRANCH"), None);
    assert_eq!(value(&all, "CI_COMMIT_TAG"), None);
}

#[test]
fn commit_messages() {
    let long = "x".repeat(100);
    let long_message = format!("{long}\n\nrest");
    for (message, title, description) in [
        ("one line", "one line", ""),
        ("one line\n", "one line", ""),
        ("title\n\nbody\n\nmore", "title", "body\n\nmore"),
        ("title\nbody", "title", "body"),
        ("title\r\n\r\nbody", "title", "body"),
        ("", "", ""),
        (&long_message, &long, &long_message),
    ] {
        let all = pre(|facts| facts.message = message.to_owned());
        assert_eq!(value(&all, "CI_COMMIT_MESSAGE"), Some(message));
        assert_eq!(value(&all, "CI_COMMIT_TITLE"), Some(title));
        assert_eq!(value(&all, "CI_COMMIT_DESCRIPTION"), Some(description));
        assert_eq!(value(&all, "CI_COMMIT_MESSAGE_IS_TRUNCATED"), Some("false"));
    }
    // The limit falls into the middle of a character.
    let all = pre(|facts| facts.message = format!("x{}", "ü".repeat(60_000)));
    assert_eq!(value(&all, "CI_COMMIT_MESSAGE").unwrap().len(), 99_999);
    assert_eq!(value(&all, "CI_COMMIT_MESSAGE_IS_TRUNCATED"), Some("true"));
}

#[test]
fn jobs() {
    let facts = JobFacts { name: "rspec 2/3", stage: "test", manual: false, node: None, environment: None };
    let all = predefined::of_job(&facts);
    assert_eq!(value(&all, "CI_JOB_GROUP_NAME"), Some("rspec"));
    assert_eq!(value(&all, "CI_JOB_NAME_SLUG"), Some("rspec-2-3"));
    assert_eq!(value(&all, "CI_JOB_MANUAL"), None);
    let node = Some(Node { index: 2, total: 3 });
    let all = predefined::of_job(&JobFacts { manual: true, node, ..facts });
    assert_eq!(value(&all, "CI_JOB_MANUAL"), Some("true"));
    assert_eq!((value(&all, "CI_NODE_INDEX"), value(&all, "CI_NODE_TOTAL")), (Some("2"), Some("3")));

    for (name, group) in [
        ("plain", "plain"),
        ("x 1 3", "x"),
        ("x: [a, b]", "x"),
        ("x: [a] 1/2", "x"),
        ("v1.2", "v1.2"),
        ("a:b", "a:b"),
    ] {
        let all = predefined::of_job(&JobFacts { name, ..facts });
        assert_eq!(value(&all, "CI_JOB_GROUP_NAME"), Some(group), "{name}");
    }
}

#[test]
fn tiers() {
    for (name, tier, expected) in [
        ("production", None, "production"),
        ("PRD-eu", None, "production"),
        ("review/x", None, "development"),
        ("qa", None, "testing"),
        ("preprod", None, "staging"),
        ("somewhere", None, "other"),
        ("somewhere", Some("staging"), "staging"),
    ] {
        let environment = Some(EnvironmentFacts { name, action: "start", tier });
        let all =
            predefined::of_job(&JobFacts { name: "a", stage: "b", manual: false, node: None, environment });
        assert_eq!(value(&all, "CI_ENVIRONMENT_TIER"), Some(expected), "{name}");
        assert_eq!(value(&all, "CI_ENVIRONMENT_NAME"), Some(name));
    }
}
