//! What `changes` compares with, in real repositories.

use crate::support::{Checkout, Surroundings};

const PIPELINE: &str = r#"
always: {script: x}
one: {script: x, rules: [{changes: [one]}]}
two: {script: x, rules: [{changes: [two]}]}
three: {script: x, rules: [{changes: [three]}]}
"#;

/// Jobs beside `always` that take part.
fn taking_part(checkout: &Checkout<'_>, flags: &[&str]) -> String {
    let answer = checkout.exec(&[&["--list", "--format", "json"], flags].concat()).expect(0);
    let list: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let jobs = list["jobs"].as_array().unwrap().iter().filter(|job| job["in_pipeline"] == true);
    let names: Vec<&str> = jobs.map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], "always");
    names[1..].join(" ")
}

/// A repository on `main`, whose last commit adds `one`.
fn repository(surroundings: &Surroundings) -> Checkout<'_> {
    let checkout = Checkout::new(surroundings, PIPELINE);
    add(&checkout, "one");
    checkout
}

fn add(checkout: &Checkout<'_>, file: &str) {
    checkout.write(file, "");
    checkout.commit(file);
}

/// Makes what is checked out the upstream branch of the branch.
fn push(checkout: &Checkout<'_>) {
    checkout.git(&["config", "remote.origin.url", "https://git.example.org/group/project.git"]);
    checkout.git(&["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
    let branch = checkout.git(&["rev-parse", "--abbrev-ref", "HEAD"]);
    let branch = branch.trim();
    checkout.git(&["update-ref", &format!("refs/remotes/origin/{branch}"), "HEAD"]);
    checkout.git(&["branch", "--quiet", "--set-upstream-to", &format!("origin/{branch}")]);
}

#[test]
fn the_first_commit_has_nothing_before_it() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, PIPELINE);
    assert_eq!(taking_part(&checkout, &[]), "one two three");
}

#[test]
fn the_commit_before_and_what_is_not_committed() {
    let surroundings = Surroundings::new();
    let checkout = repository(&surroundings);
    assert_eq!(taking_part(&checkout, &[]), "one");
    add(&checkout, "two");
    assert_eq!(taking_part(&checkout, &[]), "two");
    checkout.write("three", "");
    assert_eq!(taking_part(&checkout, &[]), "three", "the commit before what is not committed is HEAD");
    assert_eq!(taking_part(&checkout, &["--committed"]), "two");
    checkout.git(&["rm", "--quiet", "--cached", "one"]);
    std::fs::remove_file(checkout.root.join("one")).unwrap();
    assert_eq!(taking_part(&checkout, &[]), "one three", "what is deleted has changed");
}

#[test]
fn the_upstream_branch_while_we_are_ahead_of_it() {
    let surroundings = Surroundings::new();
    let checkout = repository(&surroundings);
    push(&checkout);
    assert_eq!(taking_part(&checkout, &[]), "one", "not ahead: the commit before");
    add(&checkout, "two");
    add(&checkout, "three");
    assert_eq!(taking_part(&checkout, &[]), "two three");
    // What others pushed meanwhile does not count.
    let ours = checkout.git(&["rev-parse", "HEAD"]);
    checkout.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    checkout.git(&["rm", "--quiet", "one"]);
    checkout.commit("of others");
    push(&checkout);
    checkout.git(&["reset", "--quiet", "--hard", ours.trim()]);
    assert_eq!(taking_part(&checkout, &[]), "two three");
}

#[test]
fn the_default_branch_from_another_one() {
    let surroundings = Surroundings::new();
    let checkout = repository(&surroundings);
    checkout.git(&["checkout", "--quiet", "-b", "topic"]);
    assert_eq!(taking_part(&checkout, &[]), "one", "no commit of its own yet: the commit before");
    add(&checkout, "two");
    add(&checkout, "three");
    assert_eq!(taking_part(&checkout, &[]), "two three");
    assert_eq!(taking_part(&checkout, &["--changes-since", "HEAD^"]), "three");
    assert_eq!(taking_part(&checkout, &["--changes-since", "HEAD"]), "", "known, and nothing has changed");
    let answer = checkout.exec(&["--list", "--changes-since", "nowhere"]).expect(2);
    assert!(answer.err.contains("--changes-since nowhere does not name a commit"), "{}", answer.err);
}

#[test]
fn a_merge_request_compares_with_its_target() {
    let surroundings = Surroundings::new();
    let checkout = repository(&surroundings);
    checkout
        .write(".gitlab-ci.yml", &PIPELINE.replace("{script: x}", "{script: x, rules: [{when: always}]}"));
    checkout.commit("for merge requests, too");
    checkout.git(&["branch", "base"]);
    checkout.git(&["checkout", "--quiet", "-b", "topic"]);
    add(&checkout, "two");
    add(&checkout, "three");
    assert_eq!(taking_part(&checkout, &["--merge-request", "base"]), "two three");
    // The target has gone on since.
    checkout.git(&["checkout", "--quiet", "base"]);
    checkout.git(&["rm", "--quiet", "one"]);
    checkout.commit("meanwhile");
    checkout.git(&["checkout", "--quiet", "topic"]);
    assert_eq!(taking_part(&checkout, &["--merge-request", "base"]), "two three");
}

#[test]
fn tags_and_other_sources_have_nothing_to_compare_with() {
    let surroundings = Surroundings::new();
    let checkout = repository(&surroundings);
    for flags in [&["--tag", "v1"][..], &["--source", "schedule"], &["--source", "web"]] {
        assert_eq!(taking_part(&checkout, flags), "one two three", "{flags:?}");
        let since = [flags, &["--changes-since", "HEAD^"]].concat();
        assert_eq!(taking_part(&checkout, &since), "one", "{since:?}");
    }
    let answer = checkout.exec(&["--job-payload", "always", "--source", "schedule"]).expect(0);
    let payload: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(payload["git_info"]["before_sha"], "0".repeat(40));
    checkout.git(&["tag", "v2"]);
    checkout.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(taking_part(&checkout, &[]), "one two three", "a detached tag");
}

#[test]
fn compare_to_names_a_ref() {
    let surroundings = Surroundings::new();
    let checkout = repository(&surroundings);
    checkout.git(&["branch", "base"]);
    add(&checkout, "two");
    checkout.git(&["tag", "v1"]);
    add(&checkout, "three");
    let with = |reference: &str| {
        let mut text = "variables: {BASE: base}\nalways: {script: x}\n".to_owned();
        for name in ["one", "two", "three"] {
            text.push_str(&format!(
                "{name}: {{script: x, rules: [{{changes: {{paths: [{name}], compare_to: '{reference}'}}}}]}}\n"
            ));
        }
        checkout.write(".gitlab-ci.yml", &text);
    };
    for (reference, expected) in [
        ("base", "two three"),
        ("$BASE", "two three"),
        ("refs/heads/base", "two three"),
        ("v1", "three"),
        ("HEAD^", "three"),
    ] {
        with(reference);
        assert_eq!(taking_part(&checkout, &[]), expected, "{reference}");
    }
    // Also where a push would have nothing to compare with.
    with("base");
    assert_eq!(taking_part(&checkout, &["--tag", "v1"]), "two three");
    with("nowhere");
    let answer = checkout.exec(&[]).expect(2);
    assert!(
        answer.err.contains("Failed to parse rule for one: rules:changes:compare_to is not a valid ref"),
        "{}",
        answer.err
    );
}
