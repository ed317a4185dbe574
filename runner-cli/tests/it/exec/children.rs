//! Child pipelines: their jobs are run like those of any other.

use crate::support::{Checkout, Surroundings};

#[test]
fn a_child_runs_its_own_jobs_and_its_status_counts() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
stages: [build, child, after]
variables: {TOP: top}
generate:
  stage: build
  script: ['printf "made: {script: [echo made by \$CI_PIPELINE_SOURCE with \$OWN and \$TOP]}\n" > made.yml']
  artifacts: {paths: [made.yml]}
made-child:
  stage: child
  variables: {OWN: own}
  trigger: {include: [{artifact: made.yml, job: generate}], strategy: depend}
local-child:
  stage: child
  trigger: {include: {local: child.yml, inputs: {word: told}}, strategy: depend}
after: {stage: after, script: echo after}
"#,
    );
    checkout.write(
        "child.yml",
        "spec: {inputs: {word: }}\n---\nstages: [one, two]\none: {stage: one, script: 'mkdir o; echo $[[ inputs.word ]] > o/f', artifacts: {paths: [o]}}\ntwo: {stage: two, script: [cat o/f, 'echo pipeline $CI_PIPELINE_ID of $CI_COMMIT_BRANCH']}\n",
    );
    let answer = checkout.exec(&[]).expect(0);
    let out = &answer.out;
    let line = |job: &str, text: &str| {
        let found = out.lines().any(|line| {
            line.split_once(" | ").is_some_and(|(name, said)| name.trim() == job && said == text)
        });
        assert!(found, "{job} | {text}\n{out}");
    };
    line("made-child/made", "made by parent_pipeline with own and top");
    line("local-child/two", "told");
    // The child has a number of its own, and the sources can be fetched under it.
    assert!(["2", "3"].iter().any(|id| out.contains(&format!("| pipeline {id} of main\n"))), "{out}");
    line("after", "after");
    let table: Vec<&str> = out.lines().skip_while(|line| !line.starts_with("job ")).collect();
    let place = |name: &str| table.iter().position(|line| line.starts_with(name)).unwrap();
    assert!(
        place("local-child ") < place("local-child/one")
            && place("local-child/one") < place("local-child/two")
    );
    assert!(out.lines().last().unwrap().starts_with("pipeline 1: success ("), "{out}");
}

#[test]
fn a_child_that_fails_fails_its_job_if_that_waits_for_it() {
    let surroundings = Surroundings::new();
    let pipeline = |strategy: &str| {
        format!(
            "child: {{stage: build, trigger: {{include: child.yml{strategy}}}}}\nlater: {{stage: test, script: echo later}}\n"
        )
    };
    let checkout = Checkout::new(&surroundings, &pipeline(", strategy: depend"));
    checkout.write("child.yml", "bad: {script: exit 4}\n");
    let answer = checkout.exec(&[]).expect(1);
    assert!(answer.out.contains("child/bad | failed: script_failure, exit code 4"), "{}", answer.out);
    assert!(!answer.out.contains("| later\n"), "{}", answer.out);
    let last = answer.out.lines().last().unwrap();
    assert!(last.contains("failed: child, child/bad"), "{last}");

    checkout.write(".gitlab-ci.yml", &pipeline(""));
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("| later\n") && answer.out.contains("exit code 4"), "{}", answer.out);
}

#[test]
fn a_child_that_cannot_be_made_says_why() {
    let surroundings = Surroundings::new();
    let checkout =
        Checkout::new(&surroundings, "child: {trigger: {include: child.yml}}\nother: {script: echo other}\n");
    checkout.write("child.yml", "a:\n  script: x\n  need: []\n");
    let answer = checkout.exec(&[]).expect(1);
    assert!(
        answer.out.contains("child.yml:3:3: jobs:a config contains unknown keys: need"),
        "{}",
        answer.out
    );
    assert!(answer.out.contains("failed (downstream_pipeline_creation_failed)"), "{}", answer.out);
    checkout.write("child.yml", "child: {trigger: {include: child.yml, strategy: depend}}\n");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("child pipelines are nested at most 2 levels deep"), "{}", answer.out);
}

#[test]
fn manual_jobs_of_a_child_are_played_by_their_whole_name() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "child: {trigger: {include: child.yml, strategy: depend}}\n");
    checkout.write("child.yml", "go: {script: echo gone, rules: [{when: manual}]}\n");
    let answer = checkout.exec(&[]).expect(0);
    let last = answer.out.lines().last().unwrap();
    assert!(last.contains("waits for manual jobs") && last.contains("--manual 'child/go'"), "{last}");
    checkout.exec(&["--fail-on-manual"]).expect(1);
    let answer = checkout.exec(&["--manual", "child/go"]).expect(0);
    assert!(answer.out.contains("child/go | gone\n"), "{}", answer.out);
    assert!(answer.out.lines().last().unwrap().contains(": success ("), "{}", answer.out);
}
