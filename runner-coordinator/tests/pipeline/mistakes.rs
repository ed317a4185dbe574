//! What people get wrong: where the caret stands, and what they are told to do.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use rstest::rstest;
use runner_coordinator::pipeline::{CompileErrors, Context, compile};

use crate::support::{ROOT, files};

fn mistakes(pairs: &[(&str, &str)]) -> CompileErrors {
    compile(ROOT, &files(pairs), &Context::new(Vec::new())).unwrap_err()
}

/// The first mistake: its line, what the caret marks, and a part of the help.
#[rstest]
// No YAML.
#[case::tab("a:\n\tscript: x\n", 2, "script", "spaces, never with tabs")]
#[case::colon_in_a_value("a:\n  script: echo a: b\n", 2, "", "put the whole value in quotes: 'echo a: b'")]
#[case::quotes_around_a_part("a:\n  script:\n    - \"x\" && y\n", 3, "&& y", "quotes of the other kind")]
#[case::quoted_variable(
    "a:\n  script: x\n  rules:\n    - if: \"$A\" == \"b\"\n",
    4,
    "== \"b\"",
    "quotes of the other kind"
)]
#[case::open_quote("a:\n  script:\n    - 'x\n    - y\n", 3, "'x", "not closed")]
#[case::open_bracket(
    "a:\n  script: x\n  tags: [a, b\nb:\n  script: y\n",
    4,
    "",
    "the `[` of line 3 is not closed"
)]
#[case::test_in_brackets("a:\n  script:\n    - [ -f x ] && y\n", 3, "&& y", "begins with `[` is a list")]
#[case::indentation("a:\n  script:\n    - x\n   tags: [t]\n", 4, "tags", "look at the indentation")]
#[case::at_sign("a:\n  script:\n    - @echo\n", 3, "@echo", "cannot begin with `@`")]
#[case::percent("a:\n  script: x\n  artifacts: {paths: [%T%]}\n", 3, "%T%", "")]
#[case::glob(
    "a:\n  script: x\n  artifacts:\n    paths:\n      - *.log\n",
    5,
    "*.log",
    "in quotes: \"*.log\""
)]
#[case::anchor(".base: &base {script: x}\na:\n  <<: *bsae\n", 3, "*bsae", "did you mean `*base`?")]
#[case::anchor_of_another_file("a:\n  <<: *shared\n", 2, "*shared", "only in the file that holds it")]
#[case::negation("a:\n  script: x\n  rules:\n    - if: !$A\n", 4, "!$A", "must be in quotes")]
#[case::merge_of_a_name(".b: {script: x}\na:\n  <<: .b\n", 3, "<<", "write `extends: .b`")]
#[case::date(
    "a: {script: x, variables: {D: 2024-01-31}}",
    1,
    "2024-01-31",
    "put it in quotes: \"2024-01-31\""
)]
// Conditions.
#[case::braces("a:\n  script: x\n  rules:\n    - if: ${A} == \"b\"\n", 4, "${A} == \"b\"", "write $A")]
#[case::assignment("a:\n  script: x\n  rules:\n    - if: $A = \"b\"\n", 4, "$A = \"b\"", "compare with `==`")]
#[case::word(
    "a:\n  script: x\n  rules:\n    - if: $A == main\n",
    4,
    "$A == main",
    "texts stand in quotes: \"main\""
)]
#[case::and(
    "a:\n  script: x\n  rules:\n    - if: $A == \"b\" and $B\n",
    4,
    "$A == \"b\" and $B",
    "write `&&`"
)]
#[case::not("a:\n  script: x\n  rules:\n    - if: '!$A'\n", 4, "'!$A'", "there is no negation")]
#[case::no_slashes(
    "a:\n  script: x\n  rules:\n    - if: $A =~ ^rel\n",
    4,
    "$A =~ ^rel",
    "between slashes: /^…/"
)]
#[case::typographic("a:\n  script: x\n  rules:\n    - if: $A == “b”\n", 4, "$A == “b”", "use plain quotes")]
#[case::lookahead(
    "a:\n  script: x\n  rules:\n    - if: $A =~ /(?=x)y/\n",
    4,
    "$A =~ /(?=x)y/",
    "not RE2: look-around"
)]
#[case::rule_without_if("a:\n  script: x\n  rules:\n    - $A\n", 4, "$A", "begins with `if: `")]
#[case::rules_without_dash("a:\n  script: x\n  rules:\n    if: $A\n", 4, "if", "begin each rule with a dash")]
#[case::when_of_a_rule(
    "a:\n  script: x\n  rules:\n    - when: on-success\n",
    4,
    "on-success",
    "did you mean `on_success`?"
)]
// Jobs.
#[case::misspelt_script("a:\n  scirpt: x\n", 1, "a", "did you mean `script` where it says `scirpt`?")]
#[case::not_indented("a:\nscript:\n  - x\n", 1, "a", "indented below its name")]
#[case::glued("a:\n  script:x\n", 1, "a", "a blank is missing after `script:`")]
#[case::template("base: {tags: [x]}\na: {script: x}", 1, "base", "a name that begins with a dot")]
#[case::tags_of_all("tags: [docker]\na: {script: x}", 1, "tags", "belongs into `default`")]
#[case::includes("includes: [x.yml]\na: {script: x}", 1, "includes", "did you mean `include`?")]
#[case::stage_of_all("default: {stage: x}\na: {script: x}", 1, "stage", "`stage` has no default")]
#[case::trigger_with_image("a:\n  trigger: g/p\n  image: x\n", 3, "image", "runs nothing itself")]
#[case::stage("stages: [build, tests]\na: {stage: test, script: x}", 2, "test", "did you mean `tests`?")]
#[case::extends(
    "a:\n  extends: .bsae\n  script: x\n.base: {tags: [x]}\n",
    2,
    ".bsae",
    "did you mean `.base`?"
)]
#[case::reference(
    ".s: {script: [x]}\na: {script: !reference [.s, scirpt]}",
    2,
    "!reference [.s, scirpt]",
    "did you mean `script`"
)]
#[case::never("a:\n  script: x\n  when: never\n", 3, "never", "belongs to `rules`")]
// Types.
#[case::command("a:\n  script:\n    - echo one: two\n", 3, "echo one", "put quotes around the whole command")]
#[case::script_as_hash("a:\n  script:\n    run: x\n", 3, "run", "write a list of commands")]
#[case::braces_in_a_command("a:\n  script:\n    - {echo a}\n", 3, "{echo a}", "`{` begins a hash")]
#[case::number_as_tag("a: {script: x, tags: [a, 1]}", 1, "1", "put it in quotes: \"1\"")]
#[case::hash_as_path(
    "a:\n  script: x\n  artifacts:\n    paths:\n      - a: b\n",
    5,
    "a",
    "makes a hash of this item"
)]
#[case::tags("a: {script: x, tags: docker}", 1, "docker", "write a list: [docker]")]
#[case::needs("b: {script: x}\na: {script: x, needs: b}", 2, "b", "write a list: [b]")]
#[case::needs_as_hash(
    "b: {script: x}\na:\n  script: x\n  needs:\n    job: b\n",
    5,
    "job",
    "begin the entry with a dash"
)]
#[case::later(
    "a: {stage: build, script: x, needs: [b]}\nb: {script: x}",
    1,
    "b",
    "`b` is in stage test, which comes after stage build"
)]
#[case::artifacts("a: {script: x, artifacts: build/}", 1, "build/", "write {paths: [build/]}")]
#[case::artifact_path("a: {script: x, artifacts: {path: [x]}}", 1, "path", "did you mean `paths`?")]
#[case::reports("a: {script: x, artifacts: {reports: j.xml}}", 1, "j.xml", "{junit: report.xml}")]
#[case::coverage_report(
    "a: {script: x, artifacts: {reports: {coverage_report: c.xml}}}",
    1,
    "c.xml",
    "{coverage_format: cobertura, path: c.xml}"
)]
#[case::cache("a: {script: x, cache: modules}", 1, "modules", "{paths: [modules]}")]
#[case::cache_key("a: {script: x, cache: {key: a/b}}", 1, "a/b", "write - instead")]
#[case::timeout("a: {script: x, timeout: 3600}", 1, "3600", "3600 seconds")]
#[case::variables("variables:\n  - A: 1\na: {script: x}", 2, "- A", "without dashes")]
#[case::parallel("a: {script: x, parallel: '3'}", 1, "'3'", "without quotes")]
#[case::matrix(
    "a:\n  script: x\n  parallel:\n    matrix:\n      A: [1]\n",
    5,
    "A",
    "begin each combination with a dash"
)]
#[case::flag("a: {script: x, interruptible: 'yes'}", 1, "'yes'", "write true or false")]
#[case::tier(
    "a: {script: x, environment: {name: p, deployment_tier: prod}}",
    1,
    "prod",
    "did you mean `production`?"
)]
#[case::only("a: {script: x, only: main}", 1, "main", "write a list: [main]")]
#[case::workflow("workflow:\n  - if: $A\na: {script: x}", 2, "- if", "write `rules:` above")]
#[case::service("a: {script: x, services: [[s]]}", 1, "[s]", "")]
fn first_mistake(#[case] text: &str, #[case] line: u32, #[case] marked: &str, #[case] help: &str) {
    let errors = mistakes(&[(ROOT, text)]);
    let first = errors.iter().next().unwrap();
    assert_eq!(first.span.line, line, "{first:#}");
    let excerpt = first.excerpt.as_ref().unwrap();
    let found: String = excerpt.text.chars().skip(excerpt.before).take(excerpt.length).collect();
    assert!(found.starts_with(marked), "{first:#}");
    assert!(first.help.as_deref().unwrap_or_default().contains(help), "{first:#}");
}

#[test]
fn a_path_that_was_misspelt() {
    let help = |include: &str| {
        let errors =
            mistakes(&[(ROOT, &format!("include: {include}\na: {{script: x}}")), ("ci/build.yml", "")]);
        errors.iter().next().unwrap().help.clone().unwrap()
    };
    assert!(help("ci/biuld.yml").starts_with("did you mean `ci/build.yml`?"), "{}", help("ci/biuld.yml"));
    assert!(help("build.yml").starts_with("did you mean `ci/build.yml`?"), "{}", help("build.yml"));
    assert!(help("x.yml").starts_with("the path starts at the root"), "{}", help("x.yml"));
}

#[test]
fn a_job_that_cannot_be_read_hides_no_other_mistake() {
    let text = "a:\n  script: 1\n  stage: nope\n  needs: [q, b, 'b 1/2']\n  dependencies: [b]\nb: 3\n";
    let found: Vec<String> = mistakes(&[(ROOT, text)]).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 4, "{found:#?}");
    for part in
        ["2:11: jobs:a:script", "6:1: jobs:b config", "3:10: a job: chosen stage nope", "undefined need: q"]
    {
        assert!(found.iter().any(|mistake| mistake.contains(part)), "{part}: {found:#?}");
    }
}

#[test]
fn a_mistake_as_it_is_shown() {
    let shown = mistakes(&[
        (ROOT, "include: base.yml\na:\n  extends: .base\n"),
        ("base.yml", ".base:\n  script:\n    - echo one: two\n"),
    ]);
    assert_eq!(
        format!("{shown:#}"),
        "\
base.yml:3:7: jobs:a:script config should be a string or a nested array of strings up to 10 levels deep
  3 |     - echo one: two
    |       ^^^^^^^^
    = help: `echo one: ` makes a hash of this line; put quotes around the whole command, or write it as a block with |
    = .gitlab-ci.yml:3:3: `a` extends `.base` here
    = .gitlab-ci.yml:1:10: `base.yml` is included here"
    );
}
