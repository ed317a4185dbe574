//! Whatever the text is: an answer, never a panic, and every mistake has its place.

use proptest::prelude::*;
use runner_coordinator::pipeline::{Context, compile};

use crate::support::{ROOT, files, push};

/// Compiles and evaluates; checks what holds for every text.
fn survive(text: &str) {
    let context = Context::new(Vec::new());
    match compile(ROOT, &files(&[(ROOT, text), ("a.yml", text)]), &context) {
        Ok(config) => {
            assert!(config.jobs().count() > 0);
            for job in config.jobs() {
                assert!(config.stages().contains(&job.stage));
            }
            if let Ok(pipeline) = config.evaluate(&push()) {
                assert!(!pipeline.jobs.is_empty() && pipeline.jobs.len() <= config.jobs().count());
            }
        }
        Err(errors) => {
            for error in errors.iter() {
                assert!(error.span.line >= 1 && error.span.column >= 1);
                assert!([ROOT, "a.yml"].contains(&&*error.span.file), "{error}");
                assert!(!error.message.is_empty());
            }
        }
    }
}

/// Pieces out of which configurations are made, good ones and bad ones.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "a:",
        "b:",
        ".t:",
        "\n",
        "\n  ",
        "\n    ",
        "script: x",
        "script:",
        "- x",
        "- ",
        "extends: .t",
        "extends: [.t, b]",
        "needs: [a]",
        "needs: [b, {job: a, optional: true}]",
        "stage: build",
        "stages: [build, test]",
        "rules:",
        "- if: $A == \"b\"",
        "- when: never",
        "parallel: 3",
        "parallel: {matrix: [{A: [x, y]}]}",
        "&x ",
        "*x",
        "<<: *x",
        "!reference [.t, script]",
        "!reference [a, needs]",
        "variables: {A: $B, B: $A}",
        "variables:",
        "A: 010",
        "include: a.yml",
        "default:",
        "image: x",
        "cache: [{key: k, paths: [p]}]",
        "only: [main, /^v/]",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "\"",
        "'",
        "|\n",
        "---\n",
        "spec: {inputs: {x: {default: y}}}\n---\n",
        "$[[ inputs.x ]]",
        "#",
        "\t",
        "trigger: {include: a.yml}",
        "when: manual",
        "retry: 2",
        "2024-01-31",
        "~",
        "workflow: {rules: [{when: always}]}",
        "environment: {name: e, on_stop: b}",
        "dependencies: [a]",
        "inherit: {default: false, variables: [A]}",
        "timeout: 1h",
        "artifacts: {paths: [x], reports: {junit: j}}",
        "services: [x]",
        "tags: [[x]]",
        "true:",
        "? x",
    ];
    prop_oneof![8 => proptest::sample::select(PIECES).prop_map(ToOwned::to_owned), 1 => ".{0,8}"]
}

proptest! {
    #[test]
    fn arbitrary_text(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn arbitrary_lines(text in "([ \t]{0,4}[-a-z?!&*{}\\[\\]:,'\"|>%@`#$]{0,6}[\n ]{0,2}){0,30}") {
        survive(&text);
    }

    #[test]
    fn almost_configurations(pieces in proptest::collection::vec(piece(), 0..40)) {
        survive(&pieces.concat());
    }

    #[test]
    fn jobs_with_arbitrary_keywords(jobs in proptest::collection::vec(proptest::collection::vec(piece(), 1..4), 1..5)) {
        let mut text = String::new();
        for (number, keywords) in jobs.iter().enumerate() {
            text.push_str(&format!("job{number}:\n  script: x\n"));
            for keyword in keywords {
                text.push_str(&format!("  {}\n", keyword.trim()));
            }
        }
        survive(&text);
    }
}
