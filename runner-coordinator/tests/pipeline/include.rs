//! `include`, inputs, and what they have to do with variables.

use runner_coordinator::pipeline::{ChildInclude, Context, Span, Work, compile_child};

use crate::support::{ROOT, files, job, names, script, try_files, variable, variables};

#[test]
fn rules_decide_about_an_include() {
    let with = |rules: &str| {
        let root = format!("include: {{local: t.yml, rules: [{rules}]}}\na: {{script: x}}");
        names(&try_files(&[(ROOT, &root), ("t.yml", "b: {script: x}"), ("Dockerfile", "")]).unwrap())
    };
    let both = ["b(test)", "a(test)"];
    let one = ["a(test)"];
    assert_eq!(with("{if: '$CI_COMMIT_BRANCH == \"main\"'}"), both);
    assert_eq!(with("{if: '$CI_COMMIT_BRANCH == \"main\"', when: never}"), one);
    assert_eq!(with("{if: $NOTHING}"), one);
    assert_eq!(with("{if: $NOTHING}, {when: always}"), both);
    assert_eq!(with("{exists: [Dockerfile]}"), both);
    assert_eq!(with("{exists: [Makefile]}"), one);
    // Nothing to compare with.
    assert_eq!(with("{changes: ['*.md']}"), both);
}

#[test]
fn an_include_that_is_left_out_may_be_of_any_kind() {
    let config =
        try_files(&[(ROOT, "include: {project: g/p, file: f.yml, rules: [{if: $NO}]}\na: {script: x}")]);
    assert_eq!(names(&config.unwrap()), ["a(test)"]);
}

#[test]
fn variables_in_paths() {
    let config = try_files(&[
        (ROOT, "include: [$DIR/t.yml, './${DIR}/u.yml']\na: {script: x}"),
        ("ci/t.yml", "b: {script: x}"),
        ("ci/u.yml", "c: {script: x}"),
    ]);
    assert_eq!(names(&config.unwrap()), ["b(test)", "c(test)", "a(test)"]);
    // Variables of the file are not known yet.
    let found = try_files(&[
        (ROOT, "variables: {D: ci}\ninclude: $D/t.yml\na: {script: x}"),
        ("ci/t.yml", "b: {script: x}"),
    ]);
    assert_eq!(found.unwrap_err(), [".gitlab-ci.yml:2:10: Local file `$D/t.yml` does not exist!"]);
}

#[test]
fn nested_includes_go_depth_first() {
    let config = try_files(&[
        (ROOT, "include: [a.yml, c.yml]\nvariables: {R: root}\nj: {script: x}"),
        ("a.yml", "include: b.yml\nvariables: {A: a, B: a, C: a, R: a}"),
        ("b.yml", "variables: {A: b, B: b, Z: b}"),
        ("c.yml", "variables: {C: c}"),
    ])
    .unwrap();
    assert_eq!(variables(job(&config, "j")), ["A=a", "B=a", "Z=b", "C=c", "R=root"]);
}

#[test]
fn an_included_job_can_be_amended() {
    let config =
        try_files(&[(ROOT, "include: t.yml\na: {needs: []}"), ("t.yml", "a: {script: from t}")]).unwrap();
    assert_eq!(script(job(&config, "a")), ["from t"]);
    assert_eq!(job(&config, "a").needs.as_deref(), Some(&[][..]));
}

#[test]
fn wildcards_without_a_match_are_noted() {
    let config = try_files(&[(ROOT, "include: none/*.yml\na: {script: x}")]).unwrap();
    assert_eq!(config.notes(), [".gitlab-ci.yml:1:10: include:local none/*.yml matches no file"]);
}

#[test]
fn inputs_keep_their_types() {
    let template = "\
spec:
  inputs:
    name: {default: job}
    count: {type: number, default: 2}
    manual: {type: boolean, default: false}
    tags: {type: array, default: [a, b]}
    level: {options: [low, high], default: low}
    version: {regex: '^v\\d', default: v1}
---
$[[ inputs.name ]]:
  script: echo $[[ inputs.level ]] $[[ inputs.version ]] $[[inputs.count]]
  parallel: $[[ inputs.count ]]
  allow_failure: $[[ inputs.manual ]]
  tags: $[[ inputs.tags ]]
";
    let with = |inputs: &str| {
        try_files(&[(ROOT, &format!("include: {{local: t.yml, inputs: {inputs}}}")), ("t.yml", template)])
    };
    let config = with("{name: build, level: high}").unwrap();
    assert_eq!(names(&config), ["build 1/2(test)", "build 2/2(test)"]);
    assert_eq!(script(job(&config, "build 1/2")), ["echo high v1 2"]);
    assert_eq!(job(&config, "build 1/2").tags, ["a", "b"]);
    let wrong = |inputs: &str| with(inputs).unwrap_err().join("\n");
    assert!(wrong("{count: many}").contains("`count` input: provided value is not a number"));
    assert!(wrong("{manual: 1}").contains("`manual` input: provided value is not a boolean"));
    assert!(
        wrong("{level: middle}")
            .contains("`middle` cannot be used because it is not in the list of allowed options")
    );
    assert!(
        wrong("{version: 1x}")
            .contains("`version` input: provided value does not match required RegEx pattern")
    );
    assert!(wrong("{other: 1}").ends_with("unknown input arguments: other"));
}

#[test]
fn inputs_that_must_be_given() {
    let with = |root: &str, text: &str| try_files(&[(ROOT, root), ("t.yml", text)]).unwrap_err().join("\n");
    let text = "spec: {inputs: {must: }}\n---\na: {script: '$[[ inputs.must ]]'}";
    assert_eq!(
        with("include: [t.yml]", text),
        ".gitlab-ci.yml:1:11: `must` input: required value has not been provided"
    );
    let text = "spec: {inputs: {n: {default: y}}}\n---\na: {script: '$[[ inputs.m ]]'}";
    assert!(with("include: t.yml", text).ends_with("t.yml:3:13: unknown interpolation key: `m`"));
    let text = "spec: {inputs: {n: {rules: [{if: x}]}}}\n---\na: {script: x}";
    assert!(
        with("include: t.yml", text).ends_with("header:spec:inputs:n:rules if invalid expression syntax")
    );
    let text = "a: {script: x}\n---\nb: {script: x}";
    assert!(with("include: t.yml", text).contains("header config contains unknown keys: a"));
    assert!(
        with("include: {local: t.yml, inputs: {n: 1}}", "a: {script: x}")
            .contains("unknown input arguments: n")
    );
}

/// Components write `default: null` for what need not be given, whatever its type.
#[test]
fn an_input_may_be_nothing_by_default() {
    let text = "spec: {inputs: {flags: {default: null}, before: {default: }, list: {type: array, default: null}}}\n---\n\
                a: {before_script: '$[[ inputs.before ]]', script: 'make $[[ inputs.flags ]]all', tags: '$[[ inputs.list ]]'}";
    let given = |inputs: &str| {
        try_files(&[(ROOT, &format!("include: {{local: t.yml, inputs: {inputs}}}")), ("t.yml", text)])
    };
    let config = given("{}").unwrap();
    assert_eq!(script(job(&config, "a")), ["make all"]);
    let config = given("{before: make clean, flags: '-s '}").unwrap();
    assert_eq!(script(job(&config, "a")), ["make -s all"]);
    let work = &job(&config, "a").work;
    assert!(
        matches!(work, Work::Script { before_script, .. } if before_script == &["make clean"]),
        "{work:?}"
    );
    assert_eq!(script(job(&given("{flags: null}").unwrap(), "a")), ["make all"]);
}

#[test]
fn functions_of_inputs() {
    let text = "spec: {inputs: {n: {default: 'a $CI_COMMIT_BRANCH; b'}}}\n---\na: {script: 'x $[[ inputs.n | expand_vars | posix_escape ]]'}";
    let config = try_files(&[(ROOT, "include: t.yml"), ("t.yml", text)]).unwrap();
    assert_eq!(script(job(&config, "a")), ["x a\\ main\\;\\ b"]);
}

#[test]
fn without_a_header_nothing_is_interpolated() {
    let config = try_files(&[(ROOT, "a: {script: 'echo $[[ inputs.n ]]'}")]).unwrap();
    assert_eq!(script(job(&config, "a")), ["echo $[[ inputs.n ]]"]);
}

#[test]
fn this_project_is_known_under_its_own_name() {
    let compile = |include: &str| {
        let root = format!("include: {include}\na: {{script: x}}");
        let project = files(&[
            (ROOT, &root),
            ("templates/c.yml", "c: {script: x}"),
            ("templates/d/template.yml", "d: {script: x}"),
        ]);
        let known = [
            ("CI_SERVER_FQDN", "git.example.org"),
            ("CI_PROJECT_PATH", "group/project"),
            ("CI_COMMIT_SHA", "abc"),
            ("CI_COMMIT_REF_NAME", "main"),
        ];
        let context = Context::new(known.map(|(key, value)| variable(key, value)).into());
        runner_coordinator::pipeline::compile(ROOT, &project, &context)
            .map(|config| names(&config).join(" "))
            .map_err(|errors| errors.to_string())
    };
    let own = "$CI_SERVER_FQDN/$CI_PROJECT_PATH";
    assert_eq!(compile(&format!("{{component: {own}/c@$CI_COMMIT_SHA}}")).unwrap(), "c(test) a(test)");
    assert_eq!(compile(&format!("{{component: {own}/d@main}}")).unwrap(), "d(test) a(test)");
    assert_eq!(compile("{project: group/project, file: [/templates/c.yml]}").unwrap(), "c(test) a(test)");
    assert!(compile(&format!("{{component: {own}/e@main}}")).unwrap_err().ends_with("content not found"));
    for other in [
        format!("{{component: {own}/c@1.0}}"),
        "{component: git.example.org/group/other/c@main}".to_owned(),
        "{project: group/project, file: templates/c.yml, ref: v1}".to_owned(),
    ] {
        assert!(compile(&other).unwrap_err().ends_with("not available without a server"), "{other}");
    }
}

#[test]
fn child_pipelines_merge_their_files() {
    let place = Span { file: ROOT.into(), line: 3, column: 1 };
    let project = files(&[("a.yml", "a: {script: x}\nb: {script: old}"), ("b.yml", "b: {script: new}")]);
    let context = Context::new(vec![variable("N", "b")]);
    let paths = |list: &[&str]| list.iter().map(|path| ChildInclude::from(*path)).collect::<Vec<_>>();
    let config = compile_child(&paths(&["a.yml", "$N.yml"]), &place, &project, &context).unwrap();
    assert_eq!(script(job(&config, "b")), ["new"]);
    let errors = compile_child(&paths(&["c.yml"]), &place, &project, &context).unwrap_err();
    assert_eq!(errors.to_string(), ".gitlab-ci.yml:3:1: Local file `c.yml` does not exist!");
}
