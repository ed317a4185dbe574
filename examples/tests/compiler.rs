//! The program of the compiler's guide prints what the guide shows.

#[path = "../examples/what_runs_when.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod what_runs_when;

use std::path::Path;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/release.gitlab-ci.yml");

#[test]
fn the_guide_shows_the_table() {
    let table = what_runs_when::table(Path::new(FILE)).unwrap();
    assert!(
        include_str!("../../docs/guide/compiler.md").contains(&table),
        "copy to docs/guide/compiler.md:\n{table}"
    );
}

#[test]
fn reasons_name_the_rule_that_decides() {
    let reasons = what_runs_when::reasons(Path::new(FILE), "publish").unwrap();
    let (_, nightly) = reasons.split_once("nightly: publish\n").unwrap();
    let last = nightly.lines().last().unwrap();
    assert_eq!(last, "  line 29: if $CI_PIPELINE_SOURCE == \"schedule\" is true: matches");
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ci.yml");
    std::fs::write(&file, "test:\n  scirpt: make\n").unwrap();
    let mistakes = what_runs_when::table(&file).unwrap_err();
    assert!(mistakes.contains("ci.yml:2:3"), "{mistakes}");
    assert!(mistakes.contains("script"), "{mistakes}");
}
