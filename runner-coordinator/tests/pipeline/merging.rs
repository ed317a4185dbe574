//! `extends`, `!reference`, `default`, `inherit`, stages.

use runner_coordinator::pipeline::Work;

use crate::support::{config, error, job, names, script, variables};

#[test]
fn extends_merges_hashes_and_replaces_the_rest() {
    let config = config(
        ".a: {variables: {A: a, B: a}, artifacts: {paths: [a], expire_in: 1 day}, script: [a], retry: 1}\n\
         b: {extends: .a, script: [b], variables: {B: b, C: b}, retry: null, artifacts: {paths: [b]}}",
    );
    let b = job(&config, "b");
    assert_eq!(variables(b), ["A=a", "B=b", "C=b"]);
    assert_eq!(script(b), ["b"]);
    assert_eq!(b.retry.max, 0);
    let artifacts = b.artifacts.as_ref().unwrap();
    assert_eq!((artifacts.paths.join(","), artifacts.expire_in.as_deref()), ("b".to_owned(), Some("1 day")));
}

#[test]
fn a_visible_parent_stays_a_job() {
    let config = config("a: {script: x, parallel: 2, stage: build}\nb: {extends: a, when: manual}");
    assert_eq!(names(&config), ["a 1/2(build)", "a 2/2(build)", "b 1/2(build)", "b 2/2(build)"]);
}

#[test]
fn extends_of_something_else_than_names() {
    assert!(
        error("a: {extends: {b: c}, script: x}")
            .ends_with("jobs:a extends should be an array of strings or a string")
    );
}

#[test]
fn references_are_looked_up_after_extends() {
    let config = config(
        ".one: {script: [one]}\n\
         .two: {extends: .one, before_script: [two]}\n\
         .vars: {variables: {URL: u}}\n\
         a:\n  variables: {U: !reference [.vars, variables, URL]}\n  before_script: !reference [.two, before_script]\n  script: [first, !reference [.two, script], [!reference [.one, script]]]\n",
    );
    let a = job(&config, "a");
    assert_eq!(script(a), ["first", "one", "one"]);
    assert_eq!(variables(a), ["U=u"]);
    assert!(matches!(&a.work, Work::Script { before_script, .. } if before_script == &["two"]));
}

#[test]
fn references_to_references() {
    let config = config(
        "a: {script: !reference [.b, script]}\n.b: {script: [!reference [.c, script], b]}\n.c: {script: c}",
    );
    assert_eq!(script(job(&config, "a")), ["c", "b"]);
}

#[test]
fn chains_of_references_are_limited() {
    let chain = |length: usize, wrap: &str| {
        let mut text = "a: {script: !reference [.r0, s]}\n".to_owned();
        for level in 0..length {
            let reference = wrap.replace('@', &format!("!reference [.r{}, s]", level + 1));
            text.push_str(&format!(".r{level}: {{s: {reference}}}\n"));
        }
        text + &format!(".r{length}: {{s: [x]}}\n")
    };
    assert_eq!(script(job(&config(&chain(50, "@")), "a")), ["x"]);
    assert!(error(&chain(5000, "@")).ends_with("!reference is nested too deep"));
    assert!(error(&chain(5000, "[@]")).ends_with("!reference is nested too deep"));
    // Written the other way round nothing is followed deeply, yet the result is nested.
    let mut text = "a: {script: x}\n.r0: {s: [x]}\n".to_owned();
    for level in 1..5000 {
        text.push_str(&format!(".r{level}: {{s: [!reference [.r{}, s]]}}\n", level - 1));
    }
    assert!(error(&text).ends_with("!reference is nested too deep"));
}

#[test]
fn references_cannot_explode() {
    let mut text = "a: {script: !reference [.r0, s]}\n".to_owned();
    for level in 0..40 {
        let next = format!("!reference [.r{}, s]", level + 1);
        text.push_str(&format!(".r{level}: {{s: [{next}, {next}, {next}]}}\n"));
    }
    text.push_str(".r40: {s: x}\n");
    assert!(error(&text).contains("the configuration is too big after merging"));
}

#[test]
fn default_is_inherited_as_a_whole_or_not_at_all() {
    let config = config(
        "default: {image: d, tags: [d], before_script: [d], cache: {paths: [d]}, retry: 2, interruptible: true}\n\
         a: {script: x}\n\
         b: {script: x, image: {name: b}, tags: [], before_script: [], cache: [], retry: 0, interruptible: false}\n\
         c: {script: x, tags: null, inherit: {default: [tags, retry]}}\n\
         d: {script: x, inherit: {default: false}}\n\
         e: {trigger: g/p}",
    );
    let summary = |name: &str| {
        let job = job(&config, name);
        let before = matches!(&job.work, Work::Script { before_script, .. } if !before_script.is_empty());
        (
            job.image.as_ref().map(|image| image.name.clone()),
            job.tags.len(),
            before,
            job.cache.len(),
            job.retry.max,
            job.interruptible,
        )
    };
    assert_eq!(summary("a"), (Some("d".to_owned()), 1, true, 1, 2, true));
    assert_eq!(summary("b"), (Some("b".to_owned()), 0, false, 0, 0, false));
    assert_eq!(summary("c"), (None, 1, false, 0, 2, false));
    assert_eq!(summary("d"), (None, 0, false, 0, 0, false));
    // A trigger inherits nothing but this.
    assert_eq!(summary("e"), (None, 0, false, 0, 0, true));
}

#[test]
fn old_forms_at_the_top_level_are_defaults() {
    let config =
        config("image: i\nbefore_script: b\na: {script: x}\nb: {script: x, inherit: {default: [image]}}");
    let before = |name: &str| match &job(&config, name).work {
        Work::Script { before_script, .. } => before_script.clone(),
        Work::Trigger(_) => Vec::new(),
    };
    assert_eq!(before("a"), ["b"]);
    assert!(before("b").is_empty());
    assert_eq!(job(&config, "b").image.as_ref().unwrap().name, "i");
}

#[test]
fn variables_of_the_top_level_are_inherited_by_name() {
    let config = config(
        "variables: {A: top, B: top}\n\
         a: {script: x, variables: {B: job, C: job}}\n\
         b: {script: x, inherit: {variables: false}, variables: {C: job}}\n\
         c: {script: x, inherit: {variables: [B]}}",
    );
    assert_eq!(variables(job(&config, "a")), ["A=top", "B=job", "C=job"]);
    assert_eq!(variables(job(&config, "b")), ["C=job"]);
    assert_eq!(variables(job(&config, "c")), ["B=top"]);
}

#[test]
fn jobs_are_ordered_by_stage_and_then_as_written() {
    let config = config(
        "stages: [[one], two, .pre, one]\n\
         c: {script: x, stage: two}\na: {script: x, stage: one}\nd: {script: x, stage: .post}\nb: {script: x, stage: one}\ne: {script: x, stage: .pre}",
    );
    assert_eq!(config.stages(), [".pre", "one", "two", ".post"]);
    assert_eq!(names(&config), ["e(.pre)", "a(one)", "b(one)", "c(two)", "d(.post)"]);
}

#[test]
fn scripts_keep_their_texts() {
    let config = config(
        "a:\n  script:\n    - |\n      if x; then\n        y\n      fi\n    - >\n      one\n      two\n    - 'echo \"a: b\"'\n",
    );
    assert_eq!(script(job(&config, "a")), ["if x; then\n  y\nfi\n", "one two\n", "echo \"a: b\""]);
}

#[test]
fn nulls_and_nested_lists_in_lists() {
    let config = config(
        ".c: {cache: [{key: a, paths: [a]}], services: [s], needs: [b]}\n\
         b: {script: x}\n\
         a:\n  script: x\n  cache: !reference [.c, cache]\n  services: !reference [.c, services]\n  needs: [!reference [.c, needs], null]\n",
    );
    let a = job(&config, "a");
    assert_eq!(a.cache.len(), 1);
    assert_eq!(a.services.iter().map(|service| service.image.name.as_str()).collect::<Vec<_>>(), ["s"]);
    assert_eq!(a.needs.as_ref().unwrap().len(), 1);
    // Caches are composed of lists of them, services are not.
    let composed = self::config(
        ".c: {cache: [{key: a, paths: [a]}]}\n.d: {cache: [{key: b, paths: [b]}, {key: c, paths: [c]}]}\n\
         a: {script: x, cache: [!reference [.c, cache], !reference [.d, cache]]}",
    );
    let paths: Vec<_> = job(&composed, "a").cache.iter().flat_map(|cache| &cache.paths).collect();
    assert_eq!(paths, ["a", "b", "c"]);
    let text = ".c: {services: [x]}\na: {script: x, services: [!reference [.c, services]]}";
    let message = "jobs:a:services:service config should be a hash or a string";
    assert!(error(text).ends_with(message), "{}", error(text));
    let nested = self::config("a: {script: x, tags: [a, [b]]}");
    assert_eq!(job(&nested, "a").tags, ["a", "b"]);
    assert_eq!(nested.warnings().count(), 1);
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    let text = "a: {scirpt: x, script: y}";
    let errors = runner_coordinator::pipeline::compile(
        crate::support::ROOT,
        &crate::support::files(&[(crate::support::ROOT, text)]),
        &runner_coordinator::pipeline::Context::default(),
    )
    .unwrap_err();
    assert_eq!(errors.iter().next().unwrap().help.as_deref(), Some("did you mean `script`?"));
}
