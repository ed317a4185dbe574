//! What `exec` tells without running anything, and what the summary tells afterwards.

use crate::support::{Checkout, Surroundings};

#[test]
fn explains_why_a_job_is_left_out() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "variables: {KIND: $TOKEN}\ndeploy:\n  script: x\n  rules:\n    - {if: '$CI_COMMIT_TAG && $KIND', when: manual}\n    - {if: '$CI_COMMIT_BRANCH == \"main\"', changes: [none/*], when: never}\nother: {script: x}\n",
    );
    let answer = checkout.exec(&["--explain", "deploy", "--masked-variable", "TOKEN=hidden-value"]).expect(0);
    assert_eq!(
        answer.out,
        "deploy (.gitlab-ci.yml:2:1)\n  \
           .gitlab-ci.yml:5:7: rule does not match, when: manual\n    \
             false if $CI_COMMIT_TAG && $KIND\n            \
                     $CI_COMMIT_TAG is not defined\n            \
                     $KIND = \"[MASKED]\"\n  \
           .gitlab-ci.yml:6:7: rule matches, when: never\n    \
             true  if $CI_COMMIT_BRANCH == \"main\"\n            \
                     $CI_COMMIT_BRANCH = \"main\"\n    \
             true  changes none/*  (there is nothing to compare with)\n  \
           => is left out: the rule that matches says never\n"
    );
    let answer = checkout.exec(&["--explain", "deploy", "--tag", "v1", "--variable", "TOKEN=1"]).expect(0);
    assert!(answer.out.ends_with("=> takes part, when: manual\n"), "{}", answer.out);
    let answer = checkout.exec(&["--explain", "none"]).expect(2);
    assert!(
        answer.err.contains("no job \"none\" in the configuration; it has: deploy, other"),
        "{}",
        answer.err
    );
}

#[test]
fn prints_what_a_runner_would_receive() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "job: {script: [one, two], when: manual, image: $IMAGE, needs: [], variables: {A: $SECRET}}\n",
    );
    let answer = checkout
        .exec(&[
            "--job-payload",
            "job",
            "--variable",
            "IMAGE=alpine",
            "--masked-variable",
            "SECRET=hidden-value",
        ])
        .expect(0);
    let payload: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(payload["steps"][0]["script"], serde_json::json!(["one", "two"]));
    assert_eq!(payload["image"]["name"], "$IMAGE");
    assert_eq!((&payload["job_info"]["name"], &payload["token"]), (&"job".into(), &"[MASKED]".into()));
    let value = |key: &str| {
        let all = payload["variables"].as_array().unwrap();
        all.iter().rev().find(|variable| variable["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(
        (value("IMAGE"), value("A"), value("SECRET")),
        ("alpine".into(), "[MASKED]".into(), "[MASKED]".into())
    );
    assert!(!answer.out.contains("hidden-value"), "{}", answer.out);
    let answer = checkout.exec(&["--job-payload", "none"]).expect(2);
    assert!(answer.err.contains("no job \"none\" in the pipeline"), "{}", answer.err);
}

#[test]
fn merge_requests_have_rules_and_variables_of_their_own() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "branch: {script: 'echo branch'}\nrequest: {script: 'echo $CI_MERGE_REQUEST_SOURCE_BRANCH_NAME into $CI_MERGE_REQUEST_TARGET_BRANCH_NAME, branch ${CI_COMMIT_BRANCH:-none}', rules: [{if: '$CI_PIPELINE_SOURCE == \"merge_request_event\"'}]}\ndocs: {script: echo docs, rules: [{changes: [docs/*]}]}\ncode: {script: echo code, rules: [{changes: [src/*]}]}\n",
    );
    checkout.git(&["switch", "--quiet", "--create", "topic"]);
    checkout.write("docs/a.md", "");
    checkout.commit("write docs");
    checkout.write("other.md", "");
    checkout.commit("write more");
    let answer = checkout.exec(&["--merge-request", "main"]).expect(0);
    assert!(answer.out.contains("| topic into main, branch none\n"), "{}", answer.out);
    assert!(answer.out.contains("| docs\n") && !answer.out.contains("| code\n"), "{}", answer.out);
    assert!(!answer.out.contains("| branch\n"), "{}", answer.out);
    let answer = checkout.exec(&["--merge-request", "none"]).expect(2);
    assert!(answer.err.contains("--merge-request none: there is no such branch"), "{}", answer.err);
}

#[test]
fn coverage_tokens_files_and_images_in_one_run() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
unit:
  image: alpine
  coverage: '/TOTAL: (\d+\.\d+)%/'
  script: ['echo "TOTAL: 12.5%"', 'echo "TOTAL: 87.25%"']
token:
  id_tokens: {ID: {aud: me}}
  secrets: {KEY: {vault: some/path}}
  script:
    - 'echo "parts $(echo "$ID" | tr -cd . | wc -c)"'
    - 'echo "key $(cat "$KEY")"'
"#,
    );
    surroundings.write("given/key.txt", "from a file\n");
    surroundings.write("given/variables", "KEY=@key.txt\n");
    let answer = checkout.exec(&["--variables-file", "../given/variables"]).expect(0);
    let out = &answer.out;
    assert!(out.contains("unit  | success, coverage 87.25%\n"), "{out}");
    assert!(out.contains("success (coverage 87.25%)"), "{out}");
    assert!(out.contains("token | parts 2\n") && out.contains("token | key from a file\n"), "{out}");
    assert!(out.contains("note: id token ID is signed with a key of this run alone"), "{out}");
    assert!(out.contains("note: ignored: image and services (1 job): scripts run on this machine"), "{out}");
    let answer = checkout.exec(&["--strict-image"]).expect(2);
    assert!(answer.err.contains("1 job with an image or services (unit for one)"), "{}", answer.err);
    // Only the image of a job that is run is in the way.
    let answer = checkout.exec(&["token", "--strict-image"]).expect(1);
    assert!(!answer.out.contains("image and services"), "{}", answer.out);
    assert!(
        answer.out.contains("failed (unmet_prerequisites)") && answer.out.contains("give KEY with"),
        "{}",
        answer.out
    );
}

#[test]
fn retries_by_reason_and_exit_code_and_the_first_failure() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
by-code: {script: exit 7, retry: {max: 2, exit_codes: [7]}, allow_failure: true}
by-reason: {script: exit 7, retry: {max: 2, when: [runner_system_failure]}, allow_failure: true}
delayed: {script: echo late, when: delayed, start_in: 1 week}
"#,
    );
    let answer = checkout.exec(&["--no-delay"]).expect(0);
    assert!(answer.out.contains("failed (script_failure, exit code 7, allowed, 3 tries)"), "{}", answer.out);
    assert_eq!(
        answer.out.matches("by-reason | failed: script_failure, exit code 7\n").count(),
        1,
        "{}",
        answer.out
    );
    assert!(answer.out.contains("| late\n"), "{}", answer.out);

    checkout.write(
        ".gitlab-ci.yml",
        "workflow: {auto_cancel: {on_job_failure: all}}\nbad: {script: exit 1}\nlong: {script: sleep 1000}\n",
    );
    let answer = checkout.exec(&["--jobs", "2", "--grace", "1s"]).expect(1);
    assert!(answer.out.contains("\nlong  test   canceled"), "{}", answer.out);
}

#[test]
fn tells_where_variables_come_from() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "variables: {A: file, B: $A-$T}\njob: {script: x}\n");
    surroundings.write("variables", "A=project\n");
    let answer = checkout
        .exec(&[
            "--explain-variables",
            "job",
            "--variables-file",
            "../variables",
            "--variable",
            "A=line",
            "--masked-variable",
            "T=hidden-value",
        ])
        .expect(0);
    assert!(answer.out.starts_with("job\n"), "{}", answer.out);
    for lines in [
        "  A = \"line\"  (--variable)\n    over \"project\"  (--variables-file)\n    over \"file\"  (the pipeline's file)\n",
        "  B = \"line-[MASKED]\"  (the pipeline's file)\n",
        "  T = [MASKED]  (--variable)\n",
        "  CI_COMMIT_BRANCH = \"main\"  (predefined)\n",
    ] {
        assert!(answer.out.contains(lines), "{lines}\n{}", answer.out);
    }
    assert!(!answer.out.contains("hidden-value"), "{}", answer.out);
}
