//! Keywords and forms of newer servers.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use runner_coordinator::pipeline::{ChildInclude, Span, compile_child};

use crate::support::{ROOT, config, error, files, job, names, script, try_files, variable};

/// Compiles a file with a header that is included with inputs.
fn included(inputs: &str, text: &str) -> Result<runner_coordinator::pipeline::Config, Vec<String>> {
    try_files(&[(ROOT, &format!("include: {{local: t.yml, inputs: {inputs}}}")), ("t.yml", text)])
}

fn commands(inputs: &str, text: &str) -> Vec<String> {
    script(job(&included(inputs, text).unwrap(), "a")).to_vec()
}

#[test]
fn parts_of_arrays() {
    let header = "spec: {inputs: {v: {type: array}, a-b: {default: x}, c.d: {default: y}}}\n---\n";
    let text = |value: &str| format!("{header}a: {{script: ['{value}']}}");
    let inputs = "{v: [{host: one, ports: [80, 81]}, two]}";
    for (block, expected) in [
        ("$[[ inputs.v[1] ]]", "two"),
        ("<$[[ inputs.v[1] ]]>", "<two>"),
        ("<$[[inputs.v[1]]]>", "<two>"),
        ("<$[[ inputs.v[0].host ]]>", "<one>"),
        ("<$[[ inputs.v[0].ports[1] ]]>", "<81>"),
        ("$[[ inputs.v[0].host | truncate(0,2) ]]", "on"),
        ("$[[ inputs.a-b ]]$[[ inputs.c.d ]]", "xy"),
        ("[[ $A ]] $[[ ]] $[[", "[[ $A ]] $[[ ]] $[["),
    ] {
        assert_eq!(commands(inputs, &text(block)), [expected], "{block}");
    }
    for wrong in ["inputs.v[2]", "inputs.v[x]", "inputs.v[0].name", "inputs.a-b[0]", "inputs.w[0]"] {
        let found = included(inputs, &text(&format!("$[[ {wrong} ]]"))).unwrap_err().join("\n");
        assert!(found.contains("t.yml:3:14: unknown interpolation key"), "{wrong}: {found}");
    }
}

#[test]
fn functions_of_inputs() {
    let text = "spec: {inputs: {v: }}\n---\na:\n  script: x\n  tags: $[[ inputs.v | split(',') ]]\n";
    assert_eq!(job(&included("{v: ' a, b ,,c'}", text).unwrap(), "a").tags, ["a", "b", "c"]);
    let text = "spec: {inputs: {v: }}\n---\na: {script: 'echo $[[ inputs.v | posix_escape ]]'}";
    assert_eq!(commands("{v: \"ä 'b'=c\"}", text), ["echo \\ä\\ \\'b\\'\\=c"]);
    let wrong = |function: &str| {
        let text = format!("spec: {{inputs: {{v: }}}}\n---\na: {{script: '$[[ inputs.v | {function} ]]'}}");
        included("{v: x}", &text).unwrap_err().join("\n")
    };
    assert!(wrong("expand").contains("no function matching `expand`"));
    assert!(wrong("split(\",\") | truncate(0,1)").contains("invalid input type for `truncate(0,1)`"));
    assert!(
        wrong("truncate(0,1) | truncate(0,1) | truncate(0,1) | truncate(0,1)").contains("too many functions")
    );
}

#[test]
fn inputs_may_be_nothing() {
    let text = "spec: {inputs: {v: {default: }, o: {default: , options: [x]}}}\n---\na: {script: 'x$[[ inputs.v ]]$[[ inputs.o ]]', image: '$[[ inputs.v ]]'}";
    let config = included("{}", text).unwrap();
    assert_eq!((script(job(&config, "a")), &job(&config, "a").image), (&["x".to_owned()][..], &None));
}

#[test]
fn inputs_from_other_files() {
    let with = |header: &str, external: &str| {
        let text = format!("{header}\n---\na: {{script: '$[[ inputs.x ]] $[[ inputs.y ]]'}}");
        let found = try_files(&[
            (ROOT, "include: t.yml"),
            ("t.yml", &text),
            ("i.yml", external),
            ("j.yml", "inputs: {y: {default: j}}"),
        ]);
        found.map(|config| script(job(&config, "a")).join(" "))
    };
    let external = "inputs:\n  x: {default: external}\n  y: {default: external}\n";
    assert_eq!(with("spec: {include: [{local: i.yml}]}", external).unwrap(), "external external");
    assert_eq!(
        with("spec: {include: i.yml, inputs: {x: {default: own}}}", external).unwrap(),
        "own external"
    );
    assert_eq!(with("spec: {include: [i.yml, j.yml]}", external).unwrap(), "external j");
    let wrong = |header: &str, external: &str| with(header, external).unwrap_err().join("\n");
    assert!(
        wrong("spec: {include: i.yml}", "a: {script: x}")
            .contains("i.yml:1:1: header:spec:include config contains unknown keys: a")
    );
    assert!(
        wrong("spec: {include: none.yml}", external)
            .contains("t.yml:1:17: Local file `none.yml` does not exist!")
    );
    assert!(
        wrong("spec: {include: {template: A.gitlab-ci.yml}}", external)
            .contains("inputs come from local, project and remote files only")
    );
    assert!(
        wrong("spec: {includ: i.yml}", external)
            .contains("t.yml:1:8: header:spec config contains unknown keys: includ")
    );
}

#[test]
fn rules_and_integrity_of_child_files() {
    let place = Span { file: ROOT.into(), line: 3, column: 1 };
    let project = files(&[("a.yml", "a: {script: x}"), ("b.yml", "b: {script: x}")]);
    let context = runner_coordinator::pipeline::Context::new(vec![variable("B", "1")]);
    let child = |path: &str, rule: serde_json::Value| ChildInclude {
        rules: Some(serde_json::json!([rule])),
        ..ChildInclude::from(path)
    };
    let compiled = |condition: &str| {
        let children = [ChildInclude::from("a.yml"), child("b.yml", serde_json::json!({"if": condition}))];
        names(&compile_child(&children, &place, &project, &context).unwrap()).join(" ")
    };
    assert_eq!(compiled("$B"), "a(test) b(test)");
    assert_eq!(compiled("$C"), "a(test)");
    assert!(
        error("a: {trigger: {include: [{local: x.yml, rules: [{when: manual}]}]}}")
            .ends_with("jobs:a:trigger:include:rules:rule when should be one of: always, never")
    );
}

#[test]
fn cache_of_an_include() {
    let with = |cache: &str| {
        let root = format!("include: [{{local: t.yml, cache: {cache}}}]\na: {{script: x}}");
        try_files(&[(ROOT, &root), ("t.yml", "b: {script: x}")]).map(|config| names(&config).len())
    };
    assert_eq!((with("true"), with("1 day"), with("30 minutes")), (Ok(2), Ok(2), Ok(2)));
    assert!(with("often").unwrap_err()[0].ends_with("include cache should be a boolean value or a duration"));
}

#[test]
fn places_of_secrets() {
    let with = |secret: &str| format!("a: {{script: x, secrets: {{S: {secret}}}}}");
    for place in [
        "{vault: a/b/c@d, file: false}",
        "{vault: {engine: {name: kv-v2, path: p}, path: x, field: y}}",
        "{gcp_secret_manager: {name: n, version: 1}, token: $T}",
        "{azure_key_vault: {name: n, version: v}}",
        "{aws_secrets_manager: {secret_id: s, region: r}}",
        "{akeyless: {name: n}}",
        "{gitlab_secrets_manager: {name: n}}",
    ] {
        assert_eq!(job(&config(&with(place)), "a").secrets.len(), 1, "{place}");
    }
    for wrong in ["{}", "{file: true}", "{vault: a, akeyless: {name: n}}"] {
        assert!(
            error(&with(wrong))
                .contains("1:26: jobs:a:secrets:S config must use exactly one of these keys: vault")
        );
    }
}

#[test]
fn coverage_with_flags() {
    let with = |coverage: &str| config(&format!("a: {{script: x, coverage: '{coverage}'}}"));
    let found = |coverage: &str| job(&with(coverage), "a").coverage.clone().unwrap();
    assert_eq!(found(r"/(?i)total: (\d+)\/5%/"), r"(?i)total: (\d+)\/5%");
    assert_eq!(with("/x y/").warnings().count(), 0);
    // As a server does: nothing is found with flags behind.
    assert_eq!(found("/total/i"), "/total/i");
    assert!(with("/total/i").warnings().next().unwrap().message.contains("coverage has flags"));
}

#[test]
fn reasons_of_failures_that_servers_know() {
    for reason in ["runner_provisioning_failure", "job_token_expired", "always", "trace_size_exceeded"] {
        let config = config(&format!("a: {{script: x, retry: {{max: 1, when: [{reason}]}}}}"));
        assert_eq!(job(&config, "a").retry.when, [reason]);
    }
}

#[test]
fn a_line_of_dashes_at_the_end_begins_nothing() {
    for text in ["a: {script: x}\n---\n", "---\na: {script: x}\n---\n# nothing\n", "a: {script: x}\n...\n"] {
        assert_eq!(names(&config(text)), ["a(test)"], "{text}");
    }
    let found =
        try_files(&[(ROOT, "include: t.yml\na: {script: x}"), ("t.yml", "spec: {inputs: {}}\n---\n")]);
    assert!(found.unwrap_err()[0].contains("is empty!"));
}

#[test]
fn exposed_artifacts_need_plain_paths() {
    let with = |paths: &str| format!("a: {{script: x, artifacts: {{expose_as: r, paths: [{paths}]}}}}");
    assert_eq!(names(&config(&with("out/"))).len(), 1);
    assert!(
        error(&with("'out/*'"))
            .ends_with("jobs:a:artifacts paths can't contain '*' when used with 'expose_as'")
    );
}

#[test]
fn names_of_every_kind() {
    let config = config(
        "1: {script: x}\n1.5: {script: x}\n'a b: c': {script: x}\n'ä/ö 1/2': {script: x}\n'x: [a]': {script: x}\n:sym: {script: x}",
    );
    let found: Vec<&str> = config.jobs().map(|job| job.name.as_str()).collect();
    assert_eq!(found, ["1", "1.5", "a b: c", "ä/ö 1/2", "x: [a]", "sym"]);
    for name in ["yes", "on", "true", "False", "nil"] {
        assert!(error(&format!("{name}: {{script: x}}")).contains("name is not allowed"), "{name}");
    }
}
