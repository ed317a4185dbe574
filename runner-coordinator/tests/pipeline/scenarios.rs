//! The compiler on small configurations, each a promise about what GitLab does with it.

use crate::support::{
    ROOT, config, error, errors, files, job, names, pipeline, present, push, script, try_files, variable,
    variables,
};
use runner_coordinator::pipeline::{AllowFailure, CacheKey, Context, EvaluateError, KeepWhen, compile};

#[test]
fn scenario_01_smallest_configuration() {
    let config = config("a: {script: x}");
    assert_eq!(names(&config), ["a(test)"]);
    assert_eq!(config.stages(), [".pre", "build", "test", "deploy", ".post"]);
    assert_eq!(script(job(&config, "a")), ["x"]);
}

#[test]
fn scenario_03_hidden_jobs_alone() {
    assert_eq!(
        error(".h: {script: x}"),
        ".gitlab-ci.yml:1:1: jobs config should contain at least one visible job"
    );
}

#[test]
fn scenario_05_unknown_keys() {
    assert_eq!(
        error("a:\n  script: x\n  foo: 1\n  bar: 2\n"),
        ".gitlab-ci.yml:3:3: jobs:a config contains unknown keys: foo, bar"
    );
}

#[test]
fn scenario_07_nested_script() {
    let nested = |levels: usize| format!("a: {{script: {}x{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(script(job(&config(&nested(10)), "a")), ["x"]);
    assert!(error(&nested(11)).ends_with(
        "jobs:a:script config should be a string or a nested array of strings up to 10 levels deep"
    ));
}

#[test]
fn scenario_09_line_ends_and_tabs_in_a_block() {
    let config = config(
        "a:\r\n  script:\r\n    - |\r\n      if x; then\r\n      \ty\t z  \r\n      fi\r\nb: {script: \"x\"}\r\n",
    );
    assert_eq!(script(job(&config, "a")), ["if x; then\n\ty\t z  \nfi\n"]);
    assert_eq!(script(job(&config, "b")), ["x"]);
}

#[test]
fn scenario_13_merge_keys_at_their_position() {
    let with = |body: &str| {
        let text = format!(
            ".p: &p {{stage: build, variables: {{P: 1}}}}\n.q: &q {{stage: deploy, tags: [q], variables: {{Q: 1}}}}\na:\n  script: x\n{body}"
        );
        let config = config(&text);
        let job = job(&config, "a");
        format!("{} {} {}", job.stage, job.tags.join(","), variables(job).join(","))
    };
    assert_eq!(with("  <<: [*p, *q]\n"), "build q P=1");
    assert_eq!(with("  <<: [*p, *q]\n  stage: test\n"), "test q P=1");
    assert_eq!(with("  stage: test\n  <<: [*p, *q]\n"), "build q P=1");
}

#[test]
fn scenario_11_scalars_as_variables() {
    let config = config("variables: {A: 010, B: 1.10, C: yes, D: , E: 0x10}\na: {script: x}");
    assert_eq!(variables(job(&config, "a")), ["A=8", "B=1.1", "C=true", "D=", "E=16"]);
}

#[test]
fn scenario_15_reference_is_opaque_to_extends() {
    let config = config(
        ".v: {variables: {V: 1}}\n.p: {variables: !reference [.v, variables]}\na: {extends: .p, variables: {X: 1}, script: x}",
    );
    assert_eq!(variables(job(&config, "a")), ["X=1"]);
}

#[test]
fn scenario_17_extends_a_list() {
    let config = config(
        ".a: {variables: {A: 1, B: 1}, tags: [a], script: [a, b]}\n\
         .b: {variables: {B: 2, C: 2}, tags: [b], script: [c]}\n\
         .c: {variables: {D: 4}}\n\
         j: {extends: [.a, .b, .c], variables: {C: 3}}\n\
         k: {extends: [.b, .a], tags: [k]}",
    );
    let (j, k) = (job(&config, "j"), job(&config, "k"));
    assert_eq!(variables(j), ["A=1", "B=2", "C=3", "D=4"]);
    assert_eq!((j.tags.join(","), script(j).join(",")), ("b".to_owned(), "c".to_owned()));
    assert_eq!(variables(k), ["B=1", "C=2", "A=1"]);
    assert_eq!((k.tags.join(","), script(k).join(",")), ("k".to_owned(), "a,b".to_owned()));
}

#[test]
fn scenario_19_limits_of_extends() {
    let chain = |ancestors: usize| {
        let mut text = "a: {extends: .p1, script: x}\n".to_owned();
        for level in 1..ancestors {
            text.push_str(&format!(".p{level}: {{extends: .p{}}}\n", level + 1));
        }
        text + &format!(".p{ancestors}: {{tags: [deep]}}\n")
    };
    assert_eq!(job(&config(&chain(10)), "a").tags, ["deep"]);
    assert!(error(&chain(11)).ends_with("nesting too deep in `extends`"), "{}", error(&chain(11)));
    assert!(error("a: {extends: a, script: x}").ends_with("a: circular dependency detected in `extends`"));
    assert!(error("a: {extends: .b, script: x}\n.b: {extends: a}").contains("circular dependency"));
    assert_eq!(
        error("a:\n  extends: .x\n  script: x"),
        ".gitlab-ci.yml:2:12: a: unknown keys in `extends` (.x)"
    );
    assert!(
        error("a: {extends: .l, script: x}\n.l: [1]").contains("a: invalid base hashes in `extends` (.l)")
    );
}

#[test]
fn scenario_21_top_level_and_default() {
    assert_eq!(
        error("image: x\ndefault: {image: y}\na: {script: x}"),
        ".gitlab-ci.yml:1:1: image is defined in top-level and `default:` entry"
    );
}

#[test]
fn scenario_23_includes_merge() {
    let config = try_files(&[
        (ROOT, "include: [one.yml, /two.yml]\na: {script: main}"),
        ("one.yml", "a: {script: one, variables: {X: one, Y: one}}"),
        ("two.yml", "a: {script: two, variables: {X: two}}"),
    ])
    .unwrap();
    let job = job(&config, "a");
    assert_eq!(script(job), ["main"]);
    assert_eq!(variables(job), ["X=two", "Y=one"]);
    // The text of the winner points at its own file.
    assert_eq!(job.span.to_string(), ".gitlab-ci.yml:2:1");
}

#[test]
fn scenario_25_wildcards() {
    // What is ignored is not listed.
    let config = try_files(&[
        (ROOT, "include: 'ci/**/*.yml'"),
        ("ci/b/2.yml", "two: {script: x}"),
        ("ci/a/1.yml", "one: {script: x}"),
        ("ci/c/d/3.yml", "three: {script: x}"),
        ("ci/c/d/4.yaml", "four: {script: x}"),
    ])
    .unwrap();
    assert_eq!(names(&config), ["one(test)", "two(test)", "three(test)"]);
}

#[test]
fn scenario_27_include_of_a_project() {
    let text = "include:\n  - project: g/p\n    file: f.yml\na: {script: x}";
    assert_eq!(
        error(text),
        ".gitlab-ci.yml:2:5: include:project g/p, file f.yml: not available without a server"
    );
    let mut context = Context::new(Vec::new());
    context.skip_missing_includes = true;
    let config = compile(ROOT, &files(&[(ROOT, text)]), &context).unwrap();
    assert_eq!(config.notes(), [".gitlab-ci.yml:2:5: include:project g/p, file f.yml: left out"]);
    let text = "include: {project: g/p, file: f.yml}\na: {extends: .x}";
    let errors = compile(ROOT, &files(&[(ROOT, text)]), &context).unwrap_err();
    assert!(errors.iter().next().unwrap().help.as_ref().unwrap().contains("include:project g/p"));
}

#[test]
fn scenario_29_inputs() {
    let with = |body: &str| try_files(&[(ROOT, &format!("spec: {{inputs: {{x: }}}}\n---\n{body}"))]);
    let config = with("a $[[ inputs.x ]]: {script: 'run $[[ inputs.x | truncate(0,1) ]]'}").unwrap();
    assert_eq!(names(&config), ["a b(test)"]);
    assert_eq!(script(job(&config, "a b")), ["run b"]);
    let longer = "include: {local: t.yml, inputs: {x: xyz}}";
    let config = try_files(&[
        (ROOT, longer),
        ("t.yml", "spec: {inputs: {x: }}\n---\na: {script: 'run $[[ inputs.x | truncate(0,1) ]] $[[ inputs.x | truncate(1,5) ]]'}"),
    ])
    .unwrap();
    assert_eq!(script(job(&config, "a")), ["run x yz"]);
    let errors = with("a: {script: '$[[ inputs.x | shout ]]'}").unwrap_err();
    assert!(errors[0].contains(".gitlab-ci.yml:3:13: no function matching `shout`"), "{errors:?}");
}

#[test]
fn scenario_33_raw_variables() {
    let config = config("a: {script: x, variables: {A: {value: '$B', expand: false}, C: $A}}");
    let variables = &job(&config, "a").variables;
    assert!(variables[0].raw && variables[0].value == "$B");
    assert!(!variables[1].raw && variables[1].value == "$A");
}

#[test]
fn scenario_35_user_variables_cannot_be_overridden_by_the_file() {
    let text = "variables: {GITLAB_USER_LOGIN: z}\na: {script: x, rules: [{if: '$GITLAB_USER_LOGIN == \"z\"'}]}\nb: {script: x}";
    assert_eq!(present(text, &push()), ["b"]);
    let mut facts = push();
    facts.pipeline_variables.push(variable("GITLAB_USER_LOGIN", "z"));
    assert_eq!(present(text, &facts), ["a", "b"]);
}

#[test]
fn scenario_39_null_and_empty() {
    let present_with = |condition: &str, value: Option<&str>| {
        let text = format!("a: {{script: x, rules: [{{if: '{condition}'}}]}}");
        let mut facts = push();
        facts.pipeline_variables.extend(value.map(|value| variable("U", value)));
        !present(&text, &facts).is_empty()
    };
    assert!(!present_with("$U == \"\"", None));
    assert!(present_with("$U == null", None));
    assert!(present_with("$U == \"\"", Some("")));
    assert!(!present_with("$U == null", Some("")));
    assert!(present_with("$U && $CI", Some("")));
}

#[test]
fn scenario_41_patterns_in_variables_and_braces() {
    let text = "variables: {A: abc, P: /^ab/}\na:\n  script: x\n  rules:\n    - if: '$A =~ $P'\n";
    assert_eq!(present(text, &push()), ["a"]);
    assert_eq!(
        error("a:\n  script: x\n  rules:\n    - if: '${A} == \"x\"'\n"),
        ".gitlab-ci.yml:4:11: jobs:a:rules:rule if invalid expression syntax"
    );
}

#[test]
fn scenario_43_allow_failure_of_a_rule() {
    let text = |rule: &str| format!("a: {{script: x, allow_failure: {{exit_codes: 3}}, rules: [{rule}]}}");
    assert_eq!(pipeline(&text("{allow_failure: true}")).jobs[0].allow_failure, AllowFailure::Yes);
    assert_eq!(pipeline(&text("{allow_failure: false}")).jobs[0].allow_failure, AllowFailure::No);
    assert_eq!(pipeline(&text("{when: always}")).jobs[0].allow_failure, AllowFailure::ExitCodes(vec![3]));
}

#[test]
fn scenario_45_needs_of_a_rule() {
    let text = "a: {stage: build, script: x}\nb: {script: x, needs: [a], rules: [{needs: []}]}";
    assert_eq!(pipeline(text).jobs[1].needs.as_deref(), Some(&[][..]));
}

#[test]
fn scenario_47_changes() {
    let present_with = |globs: &str, changed: Option<&[&str]>| {
        let text = format!("a: {{script: x, rules: [{{changes: [{globs}]}}]}}");
        let mut facts = push();
        facts.changed_files = changed.map(|files| files.iter().map(|file| (*file).to_owned()).collect());
        !present(&text, &facts).is_empty()
    };
    let changed = Some(&["docs/a.md"][..]);
    assert!(present_with("docs/*", changed));
    assert!(!present_with("'*.md'", changed));
    assert!(present_with("'**/*.md'", changed));
    assert!(present_with("'*.md'", None));
    assert!(!present_with("'**/*.md'", Some(&[])));
}

#[test]
fn scenario_49_exists() {
    let text = "a: {script: x, rules: [{exists: [Dockerfile]}]}\nb: {script: x}";
    let evaluate = |more: &[(&str, &str)]| {
        let mut pairs = vec![(ROOT, text)];
        pairs.extend(more);
        let pipeline = try_files(&pairs).unwrap().evaluate(&push()).unwrap();
        pipeline.jobs.into_iter().map(|job| job.name).collect::<Vec<_>>()
    };
    assert_eq!(evaluate(&[]), ["b"]);
    assert_eq!(evaluate(&[("Dockerfile", "")]), ["a", "b"]);
    assert_eq!(evaluate(&[("docker/Dockerfile", "")]), ["b"]);
}

#[test]
fn scenario_55_needs_of_parallel_jobs() {
    let needs = |parallel: &str, needs: &str| {
        let config =
            config(&format!("p: {{script: x, parallel: {parallel}}}\nc: {{script: x, needs: [{needs}]}}"));
        let needs = job(&config, "c").needs.clone().unwrap();
        needs.into_iter().map(|need| need.job).collect::<Vec<_>>()
    };
    assert_eq!(needs("2", "p"), ["p 1/2", "p 2/2"]);
    assert_eq!(needs("2", "'p 2/2'"), ["p 2/2"]);
    let matrix = "{matrix: [{A: [x, y], B: [1, 2]}]}";
    assert_eq!(needs(matrix, "p"), ["p: [x, 1]", "p: [x, 2]", "p: [y, 1]", "p: [y, 2]"]);
    assert_eq!(
        needs(matrix, "{job: p, parallel: {matrix: [{A: y, B: [1, 2]}]}}"),
        ["p: [y, 1]", "p: [y, 2]"]
    );

    let config = config(&format!("p: {{script: x, parallel: {matrix}, variables: {{A: job}}}}"));
    let jobs: Vec<_> = config.jobs().collect();
    let nodes: Vec<u32> = jobs.iter().map(|job| job.node.unwrap().index).collect();
    assert_eq!(nodes, [1, 2, 3, 4]);
    assert!(jobs.iter().all(|job| job.node.unwrap().total == 4 && job.base == "p"));
    assert_eq!(variables(jobs[2]), ["A=y", "B=1"]);
}

#[test]
fn scenario_57_reports_alone() {
    let config = config(
        "a: {script: x, artifacts: {reports: {junit: j.xml, dotenv: v.env, coverage_report: {coverage_format: cobertura, path: c.xml}}}}",
    );
    let artifacts = job(&config, "a").artifacts.clone().unwrap();
    assert!(artifacts.paths.is_empty());
    let reports: Vec<_> =
        artifacts.reports.iter().map(|report| (report.kind.as_str(), report.paths.join(","))).collect();
    assert_eq!(
        reports,
        [("junit", "j.xml".to_owned()), ("dotenv", "v.env".to_owned()), ("cobertura", "c.xml".to_owned())]
    );
    assert!(
        error("a: {script: x, artifacts: {reports: {junk: j.xml}}}")
            .contains("jobs:a:artifacts:reports config contains unknown keys: junk")
    );
}

#[test]
fn scenario_59_cache_keys() {
    let config =
        config("a: {script: x, cache: {key: {files: [a.lock], prefix: p}, paths: [x], when: always}}");
    let cache = &job(&config, "a").cache[0];
    let expected =
        CacheKey::Files { files: vec!["a.lock".to_owned()], commits: false, prefix: Some("p".to_owned()) };
    assert_eq!(cache.key, expected);
    assert_eq!((cache.policy.as_str(), cache.when), ("pull-push", KeepWhen::Always));
    assert!(
        error("a: {script: x, cache: {key: a/b}}")
            .ends_with("jobs:a:cache:key config cannot contain the \"/\" character")
    );
}

#[test]
fn workflow_decides_about_the_whole_pipeline() {
    let text = |when: &str| {
        format!(
            "workflow: {{name: 'of $WHO', rules: [{{if: '$CI == \"true\"', when: {when}, variables: {{WHO: rule, A: rule}}}}]}}\n\
             variables: {{WHO: top}}\n\
             a: {{script: x, variables: {{A: job}}}}"
        )
    };
    assert_eq!(config(&text("never")).evaluate(&push()), Err(EvaluateError::FilteredByWorkflow));
    let pipeline = pipeline(&text("always"));
    assert_eq!(pipeline.name.as_deref(), Some("of rule"));
    assert_eq!(variables(&pipeline.jobs[0]), ["WHO=rule", "A=job"]);
    let none = config("workflow: {rules: [{if: $NOTHING}]}\na: {script: x}").evaluate(&push());
    assert_eq!(none.unwrap_err().to_string(), "Pipeline filtered out by workflow rules.");
}

#[test]
fn a_pipeline_needs_a_job_between_pre_and_post() {
    let text = "a: {script: x, stage: .pre}\nb: {script: x, rules: [{if: $NOTHING}]}";
    assert_eq!(config(text).evaluate(&push()), Err(EvaluateError::NoJobs));
}

#[test]
fn several_mistakes_are_reported_at_once() {
    let found = errors("a: {script: 1}\nb: {script: x, when: soon}\nc: {stage: [x], script: x}\nd: 1");
    assert_eq!(found.len(), 4, "{found:#?}");
}
