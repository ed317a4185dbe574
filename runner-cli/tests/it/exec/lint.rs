//! `lint`.

use serde_json::{Value, json};

use crate::support::{Answer, Checkout, Surroundings};

fn lint(checkout: &Checkout<'_>, arguments: &[&str]) -> Answer {
    let mut command = checkout.surroundings.command();
    command.arg("lint").args(arguments).current_dir(&checkout.root);
    Answer::of(&mut command)
}

#[test]
fn all_mistakes_with_their_place_and_the_way_to_them() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "include: base.yml\na:\n  extends: .base\n  scirpt: x\nb: {script: x, stage: tset}\n",
    );
    checkout.write("base.yml", ".base:\n  script: x\n  retry: 9\n");
    let answer = lint(&checkout, &["--format", "json"]).expect(1);
    let found: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(
        found[0],
        json!({
            "file": ".gitlab-ci.yml", "line": 4, "column": 3, "end_line": 4, "end_column": 9,
            "severity": "error", "code": "unknown-key",
            "message": "jobs:a config contains unknown keys: scirpt", "help": "did you mean `script`?", "trail": [],
        })
    );
    assert_eq!(
        found[1],
        json!({
            "file": "base.yml", "line": 3, "column": 10, "end_line": 3, "end_column": 11,
            "severity": "error", "code": "keyword",
            "message": "jobs:a:retry max must be less than or equal to 2", "help": null,
            "trail": [
                {"file": ".gitlab-ci.yml", "line": 3, "column": 3, "message": "`a` extends `.base` here"},
                {"file": ".gitlab-ci.yml", "line": 1, "column": 10, "message": "`base.yml` is included here"},
            ],
        })
    );
    assert_eq!((&found[2]["code"], &found[2]["help"]), (&"graph".into(), &"did you mean `test`?".into()));
    assert_eq!(found.as_array().unwrap().len(), 3);
    let answer = lint(&checkout, &[]).expect(1);
    assert!(
        answer.out.contains(
            "base.yml:3:10: jobs:a:retry max must be less than or equal to 2\n  3 |   retry: 9\n    |          ^\n    = .gitlab-ci.yml:3:3: `a` extends `.base` here\n"
        ),
        "{}",
        answer.out
    );
    assert!(answer.out.ends_with("3 mistakes\n"), "{}", answer.out);
}

#[test]
fn warnings_are_no_mistakes() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: x}\nb: {script: x}\na: {script: y}\n");
    let answer = lint(&checkout, &[".gitlab-ci.yml", "--format", "json"]).expect(0);
    let found: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!((&found[0]["severity"], &found[0]["line"]), (&"warning".into(), &3.into()));
    let answer = lint(&checkout, &[]).expect(0);
    assert!(
        answer.out.contains("warning: key `a` is written twice")
            && answer.out.ends_with("no mistakes (2 jobs)\n"),
        "{}",
        answer.out
    );
    checkout.write("type.yml", "a:\n  script: x\n  type: build\n");
    let answer = lint(&checkout, &["type.yml"]).expect(0);
    assert_eq!(
        answer.out,
        "type.yml:3:3: warning: jobs:a `type` is the old name of `stage`\n  3 |   type: build\n    |   ^^^^\nno mistakes (1 job)\n"
    );
    lint(&checkout, &["none.yml"]).expect(2);
}

#[test]
fn a_server_may_allow_more_needs() {
    let surroundings = Surroundings::new();
    let names: Vec<String> = (0..51).map(|number| format!("b{number}")).collect();
    let jobs: String = names.iter().map(|name| format!("{name}: {{script: x}}\n")).collect();
    let pipeline = format!("a: {{script: x, needs: [{}]}}\n{jobs}", names.join(", "));
    let checkout = Checkout::new(&surroundings, &pipeline);
    let refused = lint(&checkout, &[]).expect(1);
    assert!(refused.out.contains("say so with --needs-limit"), "{}", refused.out);
    lint(&checkout, &["--needs-limit", "51"]).expect(0);
}
