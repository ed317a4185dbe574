//! What is said about mistakes, and where.

use rstest::rstest;
use runner_coordinator::pipeline::{Context, EvaluateError, compile};

use crate::support::{ROOT, config, error, errors, files, push, try_files};

/// One mistake, its place and its text.
#[rstest]
#[case::empty("", "1:1: Please provide content of .gitlab-ci.yml")]
#[case::comment("# nothing\n", "1:1: Please provide content of .gitlab-ci.yml")]
#[case::list("- a\n", "1:1: Invalid configuration format")]
#[case::no_script(
    "a: {stage: test}",
    "1:1: jobs:a config should implement the script:, run:, or trigger: keyword"
)]
#[case::scalar_job("a: x", "1:1: jobs:a config should implement the script:, run:, or trigger: keyword")]
#[case::null_script("a:\n  script:\n", "2:3: jobs:a script can't be blank")]
#[case::blank_script("a: {script: []}", "1:13: jobs:a script can't be blank")]
#[case::colon(
    "a:\n  script:\n    - echo one\n    - echo two: three\n",
    "4:7: jobs:a:script config should be a string or a nested array of strings up to 10 levels deep"
)]
#[case::number(
    "a:\n  script:\n    - 42\n",
    "3:7: jobs:a:script config should be a string or a nested array of strings up to 10 levels deep"
)]
#[case::both(
    "a: {script: x, trigger: g/p}",
    "1:1: jobs:a config these keys cannot be used together: script, trigger"
)]
#[case::stage(
    "a: {script: x, stage: lint}",
    "1:23: a job: chosen stage lint does not exist; available stages are .pre, build, test, deploy, .post"
)]
#[case::when(
    "a: {script: x, when: never}",
    "1:22: jobs:a when should be one of: on_success, on_failure, always, manual, delayed"
)]
#[case::start_in("a: {script: x, start_in: 1 h}", "1:16: jobs:a start in must be blank")]
#[case::no_start_in("a: {script: x, when: delayed}", "1:16: jobs:a start in should be a duration")]
#[case::long_start_in(
    "a: {script: x, when: delayed, start_in: 8 days}",
    "1:41: jobs:a start in should not exceed the limit"
)]
#[case::timeout("a: {script: x, timeout: 3600}", "1:25: jobs:a timeout should be a duration")]
#[case::timeout_variable("a: {script: x, timeout: $T}", "1:25: jobs:a timeout should be a duration")]
#[case::long_timeout("a: {script: x, timeout: 3 months}", "1:25: jobs:a timeout should not exceed the limit")]
#[case::retry("a: {script: x, retry: 3}", "1:23: jobs:a:retry max must be less than or equal to 2")]
#[case::retry_when(
    "a: {script: x, retry: {max: 1, when: [always, rain]}}",
    "1:38: jobs:a:retry when contains unknown values: rain"
)]
#[case::parallel(
    "a: {script: x, parallel: 201}",
    "1:26: jobs:a:parallel parallel must be less than or equal to 200"
)]
#[case::matrix(
    "a: {script: x, parallel: {matrix: [{A: []}]}}",
    "1:40: jobs:a:parallel:matrix:variables config should be a hash of key value pairs, value can be an array"
)]
#[case::tags("a: {script: x, tags: x}", "1:22: jobs:a:tags config should be an array of strings")]
#[case::variable(
    "a: {script: x, variables: {A: [1]}}",
    "1:31: jobs:a:variables:A config variable definition must be either a string or a hash"
)]
#[case::variable_keys(
    "a: {script: x, variables: {A: {value: x, description: y}}}",
    "1:31: jobs:a:variables:A config uses invalid data keys: description"
)]
#[case::options(
    "variables: {A: {value: x, options: [y]}}\na: {script: x}",
    "1:36: variables:A config value must be present in options"
)]
#[case::rules_and_only(
    "a: {script: x, only: [main], rules: [{when: always}]}",
    "1:16: jobs:a config key may not be used with `rules`: only"
)]
#[case::rule(
    "a: {script: x, rules: [{iff: x}]}",
    "1:25: jobs:a:rules:rule config contains unknown keys: iff"
)]
#[case::rules(
    "a: {script: x, rules: x}",
    "1:23: jobs:a:rules config should be an array containing hashes and arrays of hashes"
)]
#[case::blank_rules("a: {script: x, rules: []}", "1:23: jobs:a:rules config can't be blank")]
#[case::condition(
    "a: {script: x, rules: [{if: true}]}",
    "1:29: jobs:a:rules:rule if invalid expression syntax"
)]
#[case::only(
    "a: {script: x, only: 3}",
    "1:22: jobs:a:only has to be either an array of conditions or a hash"
)]
#[case::only_regex(
    "a: {script: x, only: [main, /(/]}",
    "1:29: jobs:a:only config should be an array of strings or regular expressions using re2 syntax"
)]
#[case::artifacts(
    "a: {script: x, artifacts: {paths: x}}",
    "1:35: jobs:a:artifacts paths should be an array of strings"
)]
#[case::artifacts_when(
    "a: {script: x, artifacts: {when: sometimes}}",
    "1:34: jobs:a:artifacts when should be one of: on_success, on_failure, always"
)]
#[case::expire_in(
    "a: {script: x, artifacts: {expire_in: soon}}",
    "1:39: jobs:a:artifacts expire in should be a duration"
)]
#[case::cache(
    "a: {script: x, cache: {policy: x}}",
    "1:32: jobs:a:cache policy should be a variable or one of: pull-push, push, pull"
)]
#[case::image("a: {script: x, image: {entrypoint: [x]}}", "1:23: jobs:a:image name can't be blank")]
#[case::services("a: {script: x, services: x}", "1:26: jobs:a:services config should be an array")]
#[case::need("a: {script: x, needs: [b]}", "1:24: a job: undefined need: b")]
#[case::later_need(
    "a: {script: x, stage: build, needs: [b]}\nb: {script: x}",
    "1:38: a job: need b is not defined in current or prior stages"
)]
#[case::duplicate_need(
    "b: {script: x}\na: {script: x, needs: [b, b]}",
    "2:27: a has the following needs duplicated: b."
)]
#[case::missing_instance(
    "b: {script: x, parallel: {matrix: [{A: [1]}]}}\na: {script: x, needs: [{job: b, parallel: {matrix: [{A: 2}]}}]}",
    "2:24: a job: undefined need: b: [2]"
)]
#[case::rule_need("a: {script: x, rules: [{needs: [b]}]}", "1:33: a job: undefined need: b")]
#[case::dependency("a: {script: x, dependencies: [b]}", "1:30: a job: undefined dependency: b")]
#[case::later_dependency(
    "a: {script: x, stage: build, dependencies: [b]}\nb: {script: x}",
    "1:44: a job: dependency b is not defined in current or prior stages"
)]
#[case::dependency_without_need(
    "b: {script: x, stage: build}\nc: {script: x, stage: build}\na: {script: x, needs: [b], dependencies: [c]}",
    "3:42: jobs:a dependencies the c should be part of needs"
)]
#[case::on_stop(
    "a: {script: x, environment: {name: e, on_stop: b}}",
    "1:1: a job: on_stop job b is not defined"
)]
#[case::environment("a: {script: x, environment: {url: e}}", "1:29: jobs:a:environment name can't be blank")]
#[case::changes_of_only(
    "a: {script: x, only: {changes: {paths: [x]}}}",
    "1:32: jobs:a:only changes should be an array of strings"
)]
#[case::coverage(
    "a: {script: x, coverage: 'x'}",
    "1:26: jobs:a:coverage config must be a regular expression with re2 syntax"
)]
#[case::inherit(
    "a: {script: x, inherit: {default: [imag]}}",
    "1:35: jobs:a:inherit:default config contains unknown values: imag"
)]
#[case::default("default: {only: [x]}\na: {script: x}", "1:11: default config contains unknown keys: only")]
#[case::stages(
    "stages: x\na: {script: x}",
    "1:9: stages config should be an array of strings or a nested array of strings up to 10 levels deep"
)]
#[case::workflow(
    "workflow: {rules: [{when: manual}]}\na: {script: x}",
    "1:27: workflow:rules:rule when should be one of: always, never"
)]
#[case::trigger(
    "a: {trigger: {strategy: depend}}",
    "1:14: jobs:a:trigger config must specify either project or include"
)]
#[case::trigger_keys("a: {trigger: g/p, image: x}", "1:19: jobs:a config contains unknown keys: image")]
#[case::reference(
    "a: {script: !reference [.x, script]}",
    "1:13: !reference [\".x\", \"script\"] could not be found"
)]
#[case::reference_value(
    "a: {script: !reference [.x, script]}\n.x: [1]",
    "1:13: !reference [\".x\", \"script\"] is not valid"
)]
#[case::reference_loop(
    "a: {script: !reference [.x, script]}\n.x: {script: !reference [a, script]}",
    "1:13: !reference [\".x\", \"script\"] is part of a circular chain"
)]
#[case::id_tokens(
    "a: {script: x, id_tokens: {T: {}}}",
    "1:28: jobs:a:id_tokens:T config missing required keys: aud"
)]
#[case::release("a: {script: x, release: {tag_name: x}}", "1:25: jobs:a:release description can't be blank")]
#[case::publish("a: {script: x, publish: x}", "1:16: jobs:a publish can only be used within a `pages` job")]
#[case::include_kind(
    "include: {yolo: x}",
    "1:10: `{\"yolo\":\"x\"}` does not have a valid subkey for include. Valid subkeys are: `local`, `project`, `remote`, `template`, `artifact`, `component`"
)]
#[case::include_kinds(
    "include: {local: a.yml, template: x}",
    "1:10: Each include must use only one of: `local`, `project`, `remote`, `template`, `artifact`, `component`"
)]
#[case::include_missing("include: ['x.yml']", "1:11: Local file `x.yml` does not exist!")]
#[case::include_extension("include: /x.txt", "1:10: Included file `/x.txt` does not have YAML extension!")]
#[case::include_outside("include: ../x.yml", "1:10: Local file `../x.yml` is outside of the repository")]
#[case::include_remote(
    "include: https://e.org/x.yml",
    "1:10: include:remote https://e.org/x.yml: not available without a server"
)]
#[case::include_template(
    "include: {template: A.gitlab-ci.yml}",
    "1:11: include:template A.gitlab-ci.yml: not available without a server"
)]
#[case::include_component(
    "include: {component: e.org/g/p@1}",
    "1:11: include:component e.org/g/p@1: not available without a server"
)]
#[case::input("spec: {inputs: {y: }}\n---\na: {script: x}", "1:1: unknown input arguments: x")]
fn mistake(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(error(text), format!("{ROOT}:{expected}"));
}

#[test]
fn circles_are_shown() {
    let found = error(
        "a: {script: x, needs: [c]}\nb: {script: x, needs: [a]}\nc: {script: x, needs: [b]}\nd: {script: x, needs: [a]}",
    );
    assert!(found.contains("The pipeline has circular dependencies: "), "{found}");
    assert!(
        ["a → c → b → a", "c → b → a → c", "b → a → c → b"].iter().any(|circle| found.ends_with(circle)),
        "{found}"
    );
    assert!(error("a: {script: x, needs: [a]}").ends_with("a → a"));
}

#[test]
fn mistakes_in_inherited_values_point_at_their_file() {
    let found =
        try_files(&[(ROOT, "include: t.yml\na: {extends: .t}"), ("t.yml", "\n.t:\n  script:\n    - 1\n")]);
    assert_eq!(
        found.unwrap_err(),
        [
            "t.yml:4:7: jobs:a:script config should be a string or a nested array of strings up to 10 levels deep"
        ]
    );
}

#[test]
fn mistakes_in_included_files() {
    let with =
        |text: &str| try_files(&[(ROOT, "include: t.yml\na: {script: x}"), ("t.yml", text)]).unwrap_err();
    assert_eq!(with(""), [".gitlab-ci.yml:1:10: Local file `t.yml` is empty!"]);
    assert_eq!(with("- x"), ["t.yml:1:1: Included file `t.yml` does not have valid YAML syntax!"]);
    assert!(with("a: [").first().unwrap().starts_with("t.yml:2:1: invalid YAML"), "{:?}", with("a: ["));
    assert_eq!(
        with("include: .gitlab-ci.yml"),
        ["t.yml:1:10: `.gitlab-ci.yml` includes itself: .gitlab-ci.yml → t.yml → .gitlab-ci.yml"]
    );
    assert!(with("include: t.yml")[0].contains("`t.yml` includes itself"));
}

#[test]
fn includes_are_counted() {
    let many: Vec<&str> = vec!["t.yml"; 151];
    let text = format!("include: [{}]\na: {{script: x}}", many.join(", "));
    let found = try_files(&[(ROOT, &text), ("t.yml", "b: {script: x}")]).unwrap_err();
    assert!(found[0].ends_with("Maximum of 150 nested includes are allowed!"), "{found:?}");
}

#[test]
fn fifty_needs_are_enough() {
    let jobs = |count: usize| {
        let needs: Vec<String> = (0..count).map(|number| format!("b{number}")).collect();
        let mut text = format!("a: {{script: x, needs: [{}]}}\n", needs.join(", "));
        for name in needs {
            text.push_str(&format!("{name}: {{script: x}}\n"));
        }
        text
    };
    assert!(config(&jobs(50)).jobs().count() == 51);
    assert!(error(&jobs(51)).contains("a: one job can only need 50 others, but you have listed 51."));

    // As the administrator of a server has it.
    let mut context = Context::default();
    context.needs_limit = Some(60);
    let compiled = |count: usize| compile(ROOT, &files(&[(ROOT, &jobs(count))]), &context);
    assert_eq!(compiled(60).unwrap().jobs().count(), 61);
    let refused = format!("{:#}", compiled(61).unwrap_err());
    assert!(refused.contains("can only need 60 others, but you have listed 61."), "{refused}");
    assert!(refused.contains("--needs-limit"), "{refused}");
}

#[test]
fn parallel_is_limited() {
    let values = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let text = |left: usize, right: usize| {
        format!("a: {{script: x, parallel: {{matrix: [{{A: [{}], B: [{}]}}]}}}}", values(left), values(right))
    };
    assert_eq!(config(&text(10, 20)).jobs().count(), 200);
    assert!(
        error(&text(10, 21))
            .ends_with("jobs:a:parallel:matrix config generates too many jobs (maximum is 200)")
    );
}

#[test]
fn inheriting_cannot_fill_the_memory() {
    let mut text = format!("default: {{before_script: [{}]}}\n", "x".repeat(100_000));
    for number in 0..5_000 {
        text.push_str(&format!("a{number}: {{script: x}}\n"));
    }
    assert!(errors(&text)[0].ends_with("the jobs of the configuration are too big"));
}

#[test]
fn a_hundred_mistakes_are_enough() {
    let jobs: String = (0..150).map(|number| format!("j{number}: {{script: 1}}\n")).collect();
    assert_eq!(errors(&jobs).len(), 100);
    let left_out = config("a: {script: x, rules: [{if: $NO}]}\nb: {script: x, parallel: 200, needs: [a]}");
    let Err(EvaluateError::Invalid(errors)) = left_out.evaluate(&push()) else { panic!("b needs a") };
    assert_eq!(errors.count(), 100);
}
