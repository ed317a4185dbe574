//! Why a job is in or out.

use runner_coordinator::pipeline::{Explanation, Facts, RuleTrace, Verdict, When};

use crate::support::{config, push, variable};

fn explained(text: &str, facts: &Facts, job: &str) -> Explanation {
    config(text).explain(facts, job).remove(0)
}

/// `text=holds [NAME=value …] (reason)` of each clause, rules apart by ` | `.
fn shown(rules: &[RuleTrace]) -> String {
    let clause = |rule: &RuleTrace| {
        let clauses = rule.clauses.iter().map(|clause| {
            let variables: Vec<String> = clause
                .variables
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("(none)")))
                .collect();
            let reason = clause.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
            format!("{}={} [{}]{reason}", clause.text, clause.holds, variables.join(" "))
        });
        let when = rule.when.as_ref().map_or(String::new(), |when| format!(" -> {when}"));
        format!("{}{when}: {}", clauses.collect::<Vec<_>>().join(" and "), rule.matches)
    };
    rules.iter().map(clause).collect::<Vec<_>>().join(" | ")
}

#[test]
fn rules_with_the_values_that_decide() {
    let text = "variables: {A: $CI_COMMIT_BRANCH}\n\
                a:\n  script: x\n  rules:\n    - if: $NONE && $A\n    - {if: '$A == \"main\"', changes: [docs/*], when: never}\n    - {exists: [Makefile], when: manual}\n    - when: always";
    let mut facts = push();
    facts.changed_files = Some(vec!["src/a.rs".to_owned()]);
    let why = explained(text, &facts, "a");
    assert_eq!(
        shown(&why.rules),
        "if $NONE && $A=false [NONE=(none) A=main]: false | \
         if $A == \"main\"=true [A=main] and changes docs/*=false [] (none of 1 changed files matches) -> never: false | \
         exists Makefile=false [] (none of 1 files matches) -> manual: false |  -> always: true"
    );
    assert_eq!(why.verdict, Verdict::In { when: When::Always });
    assert_eq!(why.rules[1].span.to_string(), ".gitlab-ci.yml:6:7");
    facts.changed_files = Some(vec!["docs/b.md".to_owned(), "docs/a.md".to_owned()]);
    let why = explained(text, &facts, "a");
    assert_eq!((why.rules.len(), &why.verdict), (2, &Verdict::Out));
    assert_eq!(why.rules[1].clauses[1].reason.as_deref(), Some("docs/b.md matches"));
}

#[test]
fn each_instance_has_reasons_of_its_own() {
    let text = "a: {script: x, parallel: {matrix: [{A: [1, 2]}]}, rules: [{if: '$A == \"2\"'}]}";
    let verdicts: Vec<(String, bool)> = config(text)
        .explain(&push(), "a")
        .into_iter()
        .map(|why| (why.job, matches!(why.verdict, Verdict::In { .. })))
        .collect();
    assert_eq!(verdicts, [("a: [1]".to_owned(), false), ("a: [2]".to_owned(), true)]);
    assert_eq!(config(text).explain(&push(), "a: [2]").len(), 1);
    assert!(config(text).explain(&push(), "b").is_empty());
}

#[test]
fn the_workflow_comes_first() {
    let text = "workflow: {rules: [{if: $NONE}, {if: '$CI == \"true\"', variables: {V: 1}}]}\na: {script: x, rules: [{if: $V}]}";
    let why = explained(text, &push(), "a");
    assert_eq!(
        shown(&why.workflow),
        "if $NONE=false [NONE=(none)]: false | if $CI == \"true\"=true [CI=true]: true"
    );
    assert_eq!(shown(&why.rules), "if $V=true [V=1]: true");
    let why = explained("workflow: {rules: [{if: $NONE}]}\na: {script: x}", &push(), "a");
    assert_eq!((why.verdict, why.rules.len()), (Verdict::NoPipeline, 0));
}

#[test]
fn only_and_except_and_nothing_at_all() {
    let text = "a: {script: x, only: {refs: [tags, /^v/], variables: [$X]}, except: [schedules, other@g/p]}\nb: {script: x}";
    let mut facts = push();
    facts.pipeline_variables.push(variable("X", "1"));
    let why = explained(text, &facts, "a");
    assert_eq!(
        shown(&why.rules),
        "only refs tags, /^v/=false []: false | only variables $X=true [X=1]: true | except refs schedules, other@g/p=false []: true"
    );
    assert_eq!(why.verdict, Verdict::Out);
    let why = explained(text, &facts, "b");
    assert_eq!(shown(&why.rules), "only refs branches, tags=true []: true");
    assert_eq!(why.verdict, Verdict::In { when: When::OnSuccess });
}

#[test]
fn what_cannot_be_decided_says_why() {
    let text = "a: {script: x, variables: {A: $B, B: $A}, rules: [{if: $A}]}";
    let Verdict::Invalid(why) = explained(text, &push(), "a").verdict else { panic!("it was decided") };
    assert!(why.contains("circular variable reference detected"), "{why}");
}
