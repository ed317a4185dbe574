//! Which jobs take part, and how.

use std::time::Duration;

use runner_coordinator::pipeline::{AllowFailure, EvaluateError, Facts, RefKind, When};

use crate::support::{config, pipeline, present, push, variable, variables};

fn facts(source: &str, kind: RefKind, name: &str) -> Facts {
    let mut facts = push();
    facts.source = source.to_owned();
    facts.ref_kind = kind;
    facts.ref_name = name.to_owned();
    facts
}

/// Whether a job with these keywords takes part.
fn takes_part(keywords: &str, facts: &Facts) -> bool {
    present(&format!("j: {{script: x, {keywords}}}\nother: {{script: x, rules: [{{when: always}}]}}"), facts)
        .contains(&"j".to_owned())
}

#[test]
fn only_and_except_by_ref() {
    let main = facts("push", RefKind::Branch, "main");
    let release = facts("push", RefKind::Branch, "release/1.2");
    let tag = facts("push", RefKind::Tag, "v1");
    let request = facts("merge_request_event", RefKind::MergeRequest, "feature");
    let schedule = facts("schedule", RefKind::Branch, "main");
    let web = facts("web", RefKind::Branch, "main");
    for (keywords, expected) in [
        ("", [true, true, true, false, true, true]),
        ("only: [main]", [true, false, false, false, true, true]),
        ("only: [branches]", [true, true, false, false, true, true]),
        ("only: [tags]", [false, false, true, false, false, false]),
        ("only: [/^release/]", [false, true, false, false, false, false]),
        ("only: [/^RELEASE/i]", [false, true, false, false, false, false]),
        ("only: [merge_requests]", [false, false, false, true, false, false]),
        ("only: [main, merge_requests]", [true, false, false, true, true, true]),
        ("only: [pushes]", [true, true, true, false, false, false]),
        ("only: [schedules]", [false, false, false, false, true, false]),
        ("only: [web]", [false, false, false, false, false, true]),
        ("except: [main]", [false, true, true, false, false, false]),
        ("except: [tags, schedules]", [true, true, false, false, false, true]),
        ("only: [branches], except: [/^release\\/.*$/]", [true, false, false, false, true, true]),
        ("only: [main@group/project]", [true, false, false, false, true, true]),
        ("only: [main@fork/project]", [false, false, false, false, false, false]),
        // No regular expression of RE2: GitLab notices only when nothing follows the slash.
        ("only: ['/^main\\Z/@group/project', '/(/i']", [false, false, false, false, false, false]),
        ("except: ['/^main\\Z/@group/project']", [true, true, true, false, true, true]),
        ("only: {refs: [main]}", [true, false, false, false, true, true]),
        ("only: {kubernetes: active}", [false, false, false, false, false, false]),
        ("rules: [{when: always}]", [true, true, true, true, true, true]),
    ] {
        let found =
            [&main, &release, &tag, &request, &schedule, &web].map(|facts| takes_part(keywords, facts));
        assert_eq!(found, expected, "{keywords}");
    }
}

#[test]
fn only_by_variables_and_changes() {
    let mut facts = facts("push", RefKind::Branch, "main");
    facts.changed_files = Some(vec!["docs/a.md".to_owned()]);
    assert!(takes_part("only: {variables: [$NO, '$CI == \"true\"']}", &facts));
    assert!(!takes_part("only: {variables: [$NO]}", &facts));
    assert!(takes_part("only: {changes: ['docs/*']}", &facts));
    assert!(!takes_part("only: {changes: ['src/*']}", &facts));
    assert!(!takes_part("except: {changes: ['docs/*']}", &facts));
    // Children of a push compare what the push changed.
    facts.source = "parent_pipeline".to_owned();
    assert!(!takes_part("only: {changes: ['src/*']}", &facts));
    facts.source = "push".to_owned();
    // All keys of `only` must hold.
    assert!(!takes_part("only: {changes: ['docs/*'], refs: [tags]}", &facts));
    // The default refs are merged in.
    facts.ref_kind = RefKind::MergeRequest;
    facts.source = "merge_request_event".to_owned();
    assert!(!takes_part("only: {changes: ['docs/*']}", &facts));
    facts.ref_kind = RefKind::Branch;
    facts.source = "schedule".to_owned();
    assert!(takes_part("only: {changes: ['src/*']}", &facts));
    assert!(!takes_part("except: {changes: ['src/*']}", &facts));
}

/// `only` and `except` once more: each entry of `refs` against what is known, and how the keys go together.
#[test]
fn only_and_except_against_the_table() {
    const ENTRIES: [&str; 16] = [
        "branches",
        "tags",
        "merge_requests",
        "pushes",
        "schedules",
        "web",
        "api",
        "triggers",
        "pipelines",
        "push",
        "main",
        "v1.0",
        "/^v\\\\d/",
        "/MAIN|EAT/i",
        "main@group/project",
        "/./@other/project",
    ];
    let is_listed = |entry: &str, facts: &Facts| match entry {
        "branches" => facts.ref_kind == RefKind::Branch,
        "tags" => facts.ref_kind == RefKind::Tag,
        "merge_requests" => facts.source == "merge_request_event",
        "pushes" | "push" => facts.source == "push",
        "schedules" | "web" | "api" | "triggers" | "pipelines" => {
            facts.source == entry || facts.source == entry.trim_end_matches('s')
        }
        _ if facts.ref_kind == RefKind::MergeRequest => false,
        "main" | "main@group/project" => facts.ref_name == "main",
        "v1.0" => facts.ref_name == "v1.0",
        "/./@other/project" => false,
        pattern if pattern.contains("EAT") => {
            facts.ref_name.contains("main") || facts.ref_name.contains("eat")
        }
        _ => facts.ref_name == "v1.0",
    };
    let mut all = Vec::new();
    for (kind, source, name) in [
        (RefKind::Branch, "push", "main"),
        (RefKind::Branch, "push", "feature"),
        (RefKind::Branch, "schedule", "main"),
        (RefKind::Branch, "web", "v1.0"),
        (RefKind::Branch, "trigger", "main"),
        (RefKind::Branch, "pipeline", "feature"),
        (RefKind::Branch, "parent_pipeline", "main"),
        (RefKind::Tag, "push", "v1.0"),
        (RefKind::Tag, "api", "main"),
        (RefKind::MergeRequest, "merge_request_event", "main"),
    ] {
        all.push(facts(source, kind, name));
    }
    let lists = |entry: &str, other: &str| format!("['{entry}', '{other}']").replace("\\\\", "\\");
    for facts in &all {
        let default = is_listed("branches", facts) || is_listed("tags", facts);
        for entry in ENTRIES {
            let listed = is_listed(entry, facts) || is_listed("tags", facts);
            let list = lists(entry, "tags");
            for (keywords, expected) in [
                (format!("only: {list}"), listed),
                (format!("only: {{refs: {list}}}"), listed),
                (format!("except: {list}"), default && !listed),
                (
                    format!("only: [branches, merge_requests], except: {{refs: {list}}}"),
                    facts.ref_kind != RefKind::Tag && !listed,
                ),
                (format!("only: {{refs: {list}, variables: [$CI]}}"), listed),
                (format!("only: {{refs: {list}, variables: [$NOTHING]}}"), false),
                (format!("except: {{refs: {list}, variables: [$NOTHING]}}"), default && !listed),
                (format!("except: {{refs: {list}, variables: [$NOTHING, $CI]}}"), false),
                ("only: {variables: [$CI]}".to_owned(), default),
                ("only: {kubernetes: active}".to_owned(), false),
                ("except: {kubernetes: active}".to_owned(), default),
            ] {
                let seen = format!("{keywords} {} {:?} {}", facts.source, facts.ref_kind, facts.ref_name);
                assert_eq!(takes_part(&keywords, facts), expected, "{seen}");
            }
        }
    }
}

#[test]
fn a_cluster_is_missed_aloud() {
    let pipeline =
        pipeline("j: {script: x, except: {kubernetes: active}}\nk: {script: x, only: {kubernetes: active}}");
    assert_eq!(pipeline.jobs.len(), 1);
    assert_eq!(pipeline.notes, ["`kubernetes: active` is taken as false: no cluster is connected here"]);
}

#[test]
fn workflow_rules_switch_the_default_off() {
    let request = facts("merge_request_event", RefKind::MergeRequest, "feature");
    assert_eq!(present("workflow: {rules: [{when: always}]}\nj: {script: x}", &request), ["j"]);
    assert_eq!(config("j: {script: x}").evaluate(&request), Err(EvaluateError::NoJobs));
}

#[test]
fn the_first_matching_rule_decides() {
    let pipeline = pipeline(
        "j:\n  script: x\n  when: on_failure\n  variables: {A: job, B: job}\n  rules:\n    - if: $NOTHING\n      when: never\n    - [{if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH', variables: {B: rule, C: rule}, interruptible: true}]\n    - when: manual\n",
    );
    let job = &pipeline.jobs[0];
    assert_eq!(job.when, When::OnFailure);
    assert_eq!(variables(job), ["A=job", "B=rule", "C=rule"]);
    assert!(job.interruptible);
}

#[test]
fn manual_jobs_block_only_by_rules() {
    let pipeline = pipeline(
        "a: {script: x, when: manual}\nb: {script: x, rules: [{when: manual}]}\nc: {script: x, rules: [{when: manual, allow_failure: true}]}\n\
         d: {script: x, when: manual, rules: [{if: $CI}]}\ne: {script: x, rules: [{when: delayed, start_in: 2 hours}]}",
    );
    let summary: Vec<_> = pipeline.jobs.iter().map(|job| (job.when, job.allow_failure.clone())).collect();
    assert_eq!(
        summary,
        [
            (When::Manual, AllowFailure::Yes),
            (When::Manual, AllowFailure::No),
            (When::Manual, AllowFailure::Yes),
            (When::Manual, AllowFailure::Yes),
            (When::Delayed, AllowFailure::No),
        ]
    );
    assert_eq!(pipeline.jobs[4].start_in, Some(Duration::from_secs(7200)));
}

#[test]
fn rules_see_the_job_and_its_instance() {
    let text = "j: {script: x, stage: build, parallel: {matrix: [{OS: [linux, mac]}]}, rules: [{if: '$OS == \"mac\" && $CI_NODE_INDEX == \"2\" && $CI_JOB_NAME == \"j: [mac]\" && $CI_JOB_STAGE == \"build\"'}]}";
    assert_eq!(present(text, &push()), ["j: [mac]"]);
    let text = "j: {script: x, environment: {name: review/$CI_COMMIT_BRANCH}, rules: [{if: '$CI_ENVIRONMENT_NAME == \"review/main\" && $CI_NODE_TOTAL == \"1\"'}]}";
    assert_eq!(present(text, &push()), ["j"]);
}

#[test]
fn rules_see_expanded_values() {
    let text = "variables: {A: '$B-c', B: b}\nj: {script: x, rules: [{if: '$A == \"b-c\"'}]}\nk: {script: x, variables: {B: x}, rules: [{if: '$A == \"x-c\"'}]}";
    assert_eq!(present(text, &push()), ["j", "k"]);
    let mut facts = push();
    facts.pipeline_variables.push(variable("B", "other"));
    assert!(present(text, &facts).is_empty());
}

#[test]
fn project_variables_stand_between_file_and_command_line() {
    let text = "j: {script: x, variables: {A: file}, rules: [{if: '$A == \"project\"'}]}";
    let mut facts = push();
    facts.project_variables.push(variable("A", "project"));
    assert_eq!(present(text, &facts), ["j"]);
    facts.pipeline_variables.push(variable("A", "command line"));
    assert!(present(text, &facts).is_empty());
}

#[test]
fn variables_that_refer_to_each_other_are_an_error() {
    let error = config("j: {script: x, variables: {A: $B, B: $A}}").evaluate(&push()).unwrap_err();
    assert_eq!(
        error.to_string(),
        ".gitlab-ci.yml:1:1: j: circular variable reference detected: [\"A\", \"B\"]"
    );
}

#[test]
fn workflow_variables_obey_inherit() {
    let pipeline = pipeline(
        "workflow: {rules: [{variables: {W: w}}]}\nvariables: {T: t}\na: {script: x}\nb: {script: x, inherit: {variables: false}}",
    );
    assert_eq!(variables(&pipeline.jobs[0]), ["T=t", "W=w"]);
    assert!(variables(&pipeline.jobs[1]).is_empty());
}

#[test]
fn needs_that_were_left_out() {
    let text = |need: &str| {
        format!(
            "a: {{script: x, rules: [{{if: $NO}}]}}\nb: {{script: x}}\nc: {{script: x, needs: [b, {need}], dependencies: [b, a]}}"
        )
    };
    let error = config(&text("a")).evaluate(&push()).unwrap_err().to_string();
    assert!(
        error.starts_with(
            ".gitlab-ci.yml:3:1: 'c' job needs 'a' job, but 'a' does not exist in the pipeline."
        ),
        "{error}"
    );
    let pipeline = pipeline(&text("{job: a, optional: true}"));
    let c = &pipeline.jobs[1];
    assert_eq!(c.needs.as_ref().unwrap().iter().map(|need| need.job.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(c.dependencies.as_deref(), Some(&["b".to_owned()][..]));
    // A name that nobody defines is fine as well.
    let pipeline = self::pipeline("c: {script: x, needs: [{job: gone, optional: true}]}");
    assert_eq!(pipeline.jobs[0].needs.as_deref(), Some(&[][..]));
}

#[test]
fn needs_of_the_own_instance() {
    let pipeline = pipeline(
        "b: {script: x, stage: build, parallel: {matrix: [{OS: [linux, mac]}]}}\n\
         t:\n  script: x\n  parallel: {matrix: [{OS: [linux, mac]}]}\n  needs: [{job: b, artifacts: false, parallel: {matrix: [{OS: ['$[[ matrix.OS ]]']}]}}]\n",
    );
    let needs: Vec<_> =
        pipeline.jobs[2..].iter().map(|job| job.needs.as_ref().unwrap()[0].job.as_str()).collect();
    assert_eq!(needs, ["b: [linux]", "b: [mac]"]);
    assert!(!pipeline.jobs[2].needs.as_ref().unwrap()[0].artifacts);
}

#[test]
fn compare_to_needs_a_known_ref() {
    let config =
        config("j: {script: x, rules: [{changes: {paths: ['*.md'], compare_to: $CI_DEFAULT_BRANCH}}]}");
    let mut facts = push();
    let error = config.evaluate(&facts).unwrap_err().to_string();
    assert!(
        error.contains("Failed to parse rule for j: rules:changes:compare_to is not a valid ref"),
        "{error}"
    );
    facts.changed_since.insert("main".to_owned(), vec!["a.md".to_owned()]);
    assert_eq!(config.evaluate(&facts).unwrap().jobs.len(), 1);
    facts.changed_since.insert("main".to_owned(), Vec::new());
    assert_eq!(config.evaluate(&facts), Err(EvaluateError::NoJobs));
    let config = self::config(
        "variables: {BASE: dev}\nj: {script: x, rules: [{changes: {paths: [a], compare_to: 'refs/$BASE'}}]}",
    );
    assert_eq!(config.compared_refs().collect::<Vec<_>>(), ["refs/dev"]);
}

#[test]
fn files_of_other_projects_are_noted() {
    let pipeline = pipeline("j: {script: x, rules: [{exists: {paths: [x], project: g/p}}, {when: manual}]}");
    assert_eq!(pipeline.jobs[0].when, When::Manual);
    assert!(
        pipeline.notes[0].contains("rules:exists:project g/p: not available here, taken as false"),
        "{:?}",
        pipeline.notes
    );
}
