//! Which stages a job has and what they do, as data.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod script_support;

use runner_core::executor::Location;
use runner_core::plan::{Command, Condition, Op, Plan, PlanError, Runs, StageKind, StagePlan};
use runner_core::script::{ScriptError, StageContext, render};
use runner_core::variables::{JobStatus, TlsFiles};
use script_support::{Fixture, JOB_TOKEN, variable};
use serde_json::{Value, json};

fn with(variables: &[(&str, &str)]) -> Fixture {
    let list: Vec<_> = variables.iter().map(|(key, value)| variable(key, value)).collect();
    Fixture::new(&json!({ "variables": list }))
}

/// All commands of a stage as lines, also those that only run in some cases.
fn commands(stage: &StagePlan) -> Vec<String> {
    fn collect(ops: &[Op], lines: &mut Vec<String>) {
        let line = |command: &Command| command.argv.join(" ");
        for op in ops {
            match op {
                Op::Run(command) => lines.push(line(command)),
                Op::If { condition, then, otherwise } => {
                    if let Condition::Succeeds(command) = condition {
                        lines.push(line(command));
                    }
                    collect(then, lines);
                    collect(otherwise, lines);
                }
                _ => {}
            }
        }
    }
    let mut lines = Vec::new();
    if let runner_core::plan::Body::Ops(ops) = &stage.body {
        collect(ops, &mut lines);
    }
    lines
}

#[track_caller]
fn assert_runs(fixture: &Fixture, kind: StageKind, command: &str) {
    let lines = commands(&fixture.stage(kind));
    assert!(lines.iter().any(|line| line == command), "{lines:#?}");
}

/// A job that uses everything.
fn full() -> Fixture {
    let mut fixture = Fixture::new(&json!({
        "steps": [
            {"name": "script", "script": ["make", "make test\nmake lint"], "when": "on_failure", "allow_failure": true},
            {"name": "Release", "script": []},
            {"name": "release", "script": ["release-cli create --name $CI_JOB_NAME"]},
            {"name": "after_script", "script": ["make clean"]},
        ],
        "hooks": [{"name": "pre_get_sources_script", "script": ["echo pre"]}],
        "variables": [
            variable("GIT_SUBMODULE_STRATEGY", "recursive"), variable("GET_SOURCES_ATTEMPTS", "3"),
            variable("RESTORE_CACHE_ATTEMPTS", "2"), variable("ARTIFACT_DOWNLOAD_ATTEMPTS", "4"),
            variable("CI_JOB_NAME", "test"), {"key": "PASSWORD", "value": "hidden-password", "masked": true},
        ],
        "cache": [{"key": "$CI_JOB_NAME", "paths": ["vendor"], "fallback_keys": ["main"], "when": "always"}],
        "artifacts": [{"name": "out", "paths": ["out"], "when": "always", "artifact_type": "archive", "artifact_format": "zip"}],
        "dependencies": [{"id": 7, "token": "dependency-token", "name": "build", "artifacts_file": {"filename": "a.zip"}}],
    }));
    fixture.tls = TlsFiles { ca: Some("CA".to_owned()), ..TlsFiles::default() };
    fixture.place.hostname = Some("runner-1".to_owned());
    fixture
}

#[test]
fn the_plan_of_a_full_job() {
    let plan = serde_json::to_string_pretty(full().plan().stages()).unwrap();
    insta::assert_snapshot!("full_plan", plan);
}

#[test]
fn the_scripts_of_a_full_job() {
    let fixture = full();
    for (name, kind) in [("get_sources", StageKind::GetSources), ("step_script", StageKind::Step)] {
        let input = fixture.script(kind);
        // Between the quotes of `eval`, for readers.
        insta::assert_snapshot!(format!("script_{name}"), input.script.replace(r"'\''", "'"));
    }
}

#[test]
fn stages_in_order() {
    let plan = full().plan();
    let list: Vec<_> = plan
        .stages()
        .iter()
        .map(|stage| (stage.name.as_str(), stage.attempts, stage.location, stage.runs, stage.is_empty()))
        .collect();
    let (helper, job) = (Location::Helper, Location::Job);
    assert_eq!(
        list,
        [
            ("prepare_script", 1, helper, Runs::WhileGood, false),
            ("get_sources", 3, helper, Runs::WhileGood, false),
            ("clear_worktree", 1, helper, Runs::BeforeSecondAttempt, false),
            ("restore_cache", 2, helper, Runs::WhileGood, false),
            ("download_artifacts", 4, helper, Runs::WhileGood, false),
            ("step_script", 1, job, Runs::WhileGood, false),
            ("step_release", 1, job, Runs::WhileGood, true),
            ("step_release", 1, job, Runs::WhileGood, false),
            ("after_script", 1, job, Runs::AfterSteps, false),
            ("archive_cache", 1, helper, Runs::OnSuccess, false),
            ("archive_cache_on_failure", 1, helper, Runs::OnFailure, false),
            ("upload_artifacts_on_success", 1, helper, Runs::OnSuccess, false),
            ("upload_artifacts_on_failure", 1, helper, Runs::OnFailure, false),
            ("cleanup_file_variables", 1, helper, Runs::Last, false),
        ]
    );
    let keys: Vec<_> = plan.stages().iter().map(|stage| stage.key(1).slug()).collect();
    assert_eq!((keys[0].as_str(), keys[13].as_str()), ("00-prepare_script-1", "13-cleanup_file_variables-1"));
    assert_eq!(plan.stages()[5].headline, "Executing \"step_script\" stage of the job script");
}

#[test]
fn a_small_job_skips_most_stages() {
    let plan = Fixture::new(&json!({"artifacts": [{"paths": ["x"], "when": "on_failure"}]})).plan();
    let names: Vec<_> =
        plan.stages().iter().filter(|stage| !stage.is_empty()).map(|stage| stage.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "prepare_script",
            "get_sources",
            "clear_worktree",
            "step_script",
            "upload_artifacts_on_failure",
            "cleanup_file_variables"
        ]
    );
}

#[test]
fn a_plan_is_data_without_secrets() {
    let fixture = full();
    let plan = fixture.plan();
    let text = serde_json::to_string(&plan).unwrap();
    for secret in [JOB_TOKEN, "dependency-token", "hidden-password", "abcdefghijkl"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    let variables = fixture.variables();
    let context = StageContext { job: &fixture.job, variables: &variables, job_status: JobStatus::Running };
    for stage in plan.stages() {
        let input = render(&plan, stage, &context).unwrap();
        for secret in [JOB_TOKEN, "dependency-token", "hidden-password"] {
            assert!(!input.script.contains(secret), "{} {secret}", stage.name);
        }
        assert_eq!(input.location, stage.location);
        assert_eq!(input.script, render(&plan, stage, &context).unwrap().script);
    }
}

#[test]
fn what_does_not_exist_fails_its_stage_alone() {
    let fixture = Fixture::new(&json!({
        "variables": [variable("GIT_SUBMODULE_STRATEGY", "all")],
        "cache": [{"key": "main-protected", "paths": ["vendor"], "policy": "both"}],
    }));
    let plan = fixture.plan();
    let refusals: Vec<_> =
        plan.stages().iter().filter_map(|stage| Some((stage.name.as_str(), stage.refusal()?))).collect();
    assert_eq!(
        refusals,
        [
            ("get_sources", "unknown GIT_SUBMODULE_STRATEGY"),
            ("restore_cache", "unknown cache policy both for main-protected"),
            ("archive_cache", "unknown cache policy both for main-protected"),
        ]
    );
    let variables = fixture.variables();
    let context = StageContext { job: &fixture.job, variables: &variables, job_status: JobStatus::Running };
    let error = render(&plan, plan.stage(StageKind::GetSources).unwrap(), &context).unwrap_err();
    assert_eq!(error, ScriptError::Refused("unknown GIT_SUBMODULE_STRATEGY".to_owned()));
    let excluded = with(&[("GIT_SUBMODULE_STRATEGY", "normal"), ("GIT_SUBMODULE_PATHS", ":(exclude) a")]);
    assert!(excluded.stage(StageKind::GetSources).refusal().unwrap().starts_with("GIT_SUBMODULE_PATHS"));
}

#[test]
fn jobs_that_are_not_for_us() {
    let native = Fixture::new(&json!({"run": "[]", "steps": null}));
    assert_eq!(native.try_plan().unwrap_err(), PlanError::NativeSteps);
    let inputs =
        Fixture::new(&json!({"inputs": [{"key": "a", "value": {"type": "string", "content": "b"}}]}));
    assert_eq!(
        inputs.try_plan().unwrap_err().to_string(),
        "not supported: inputs (the interpolation of job inputs)"
    );
}

#[test]
fn fetches() {
    assert_runs(
        &Fixture::new(&json!({})),
        StageKind::GetSources,
        "git -c http.userAgent=gitlab-runner 0.1.0 linux/amd64 fetch origin --no-recurse-submodules \
         +refs/pipelines/9:refs/pipelines/9 +refs/heads/main:refs/remotes/origin/main --depth 20 --prune --quiet",
    );
    let all = Fixture::new(
        &json!({"git_info": {"depth": 0}, "variables": [variable("GIT_FETCH_EXTRA_FLAGS", "none")]}),
    );
    let fetches: Vec<_> = commands(&all.stage(StageKind::GetSources))
        .into_iter()
        .filter(|line| line.contains(" fetch "))
        .collect();
    assert_eq!(fetches.len(), 2);
    assert_eq!(fetches[0], format!("{} --unshallow", fetches[1]));
    assert_runs(
        &with(&[("FF_USE_GIT_PROACTIVE_AUTH", "true")]),
        StageKind::GetSources,
        "git -c http.https://gitlab.example.com.proactiveAuth=basic -c submodule.recurse=false checkout -f -q \
         1ecfd275763eff1d6b4844ea3168962458c9f27a",
    );
}

#[test]
fn native_clones() {
    let clone = |name: &str| {
        let list = [
            ("GIT_STRATEGY", "clone"),
            ("FF_USE_GIT_NATIVE_CLONE", "1"),
            ("GIT_CLONE_EXTRA_FLAGS", "--no-tags"),
        ];
        let list: Vec<_> = list.iter().map(|(key, value)| variable(key, value)).collect();
        let fixture = Fixture::new(&json!({"variables": list, "git_info": {"ref": name}}));
        let lines = commands(&fixture.stage(StageKind::GetSources));
        lines.into_iter().find(|line| line.contains(" clone ")).unwrap()
    };
    assert!(clone("main").ends_with(
        "clone --no-checkout https://gitlab.example.com/group/project.git /builds/group/project \
         --template /builds/group/project.tmp/git-template --depth 20 --branch main --no-tags"
    ));
    assert!(clone("refs/merge-requests/1/head").ends_with("--revision refs/merge-requests/1/head --no-tags"));
    let unused = with(&[("GIT_CLONE_EXTRA_FLAGS", "--no-tags")]);
    assert_eq!(
        unused.plan().warnings(),
        ["GIT_CLONE_EXTRA_FLAGS: used only together with FF_USE_GIT_NATIVE_CLONE"]
    );
}

#[test]
fn submodules() {
    let fixture = with(&[
        ("GIT_SUBMODULE_STRATEGY", "recursive"),
        ("GIT_SUBMODULE_DEPTH", "1"),
        ("GIT_SUBMODULE_UPDATE_FLAGS", "--jobs 4"),
        ("GIT_SUBMODULE_PATHS", "a b"),
        ("GIT_CLEAN_FLAGS", "none"),
    ]);
    assert_runs(
        &fixture,
        StageKind::GetSources,
        "git -c include.path=/builds/group/project.tmp/.gitlab-runner.ext.conf submodule update --init --recursive \
         --depth 1 --jobs 4 -- a b",
    );
    assert_runs(&fixture, StageKind::GetSources, "git submodule sync --recursive -- a b");
    assert_runs(&fixture, StageKind::GetSources, "git submodule foreach --recursive git clean -ffdx");
    assert!(
        !commands(&fixture.stage(StageKind::GetSources)).iter().any(|line| line.starts_with("git clean"))
    );
    let text = serde_json::to_string(&fixture.stage(StageKind::GetSources)).unwrap();
    assert!(text.contains("Updating/initializing submodules recursively with git depth set to 1..."));
}

#[test]
fn object_formats() {
    for (format, suffix) in
        [(json!("sha256"), " --object-format sha256"), (json!("sha1"), ""), (json!(""), "")]
    {
        let fixture = Fixture::new(&json!({"git_info": {"repo_object_format": format}}));
        let init = format!(
            "git init /builds/group/project --template /builds/group/project.tmp/git-template{suffix}"
        );
        assert_runs(&fixture, StageKind::GetSources, &init);
    }
}

#[test]
fn certificates() {
    let mut fixture = Fixture::new(&json!({}));
    fixture.tls = TlsFiles { ca: Some("CA".to_owned()), ..TlsFiles::default() };
    let path = "/builds/group/project.tmp/CI_SERVER_TLS_CA_FILE";
    let command = format!("git config --global http.https://gitlab.example.com.sslCAInfo {path}");
    assert_runs(&fixture, StageKind::GetSources, &command);
    fixture.place.shared = true;
    let stage = fixture.stage(StageKind::GetSources);
    assert!(!commands(&stage).iter().any(|line| line.contains("--global")));
    let external: Vec<Value> = entries(&stage);
    let path = "/builds/abcdefghi/0/group/project.tmp/CI_SERVER_TLS_CA_FILE";
    assert!(external.contains(&json!({"value": {
        "section": "http", "subsection": "https://gitlab.example.com", "key": "sslCAInfo", "value": path,
    }})));
}

/// The entries of the external configuration of git.
fn entries(stage: &StagePlan) -> Vec<Value> {
    let stage = serde_json::to_value(stage).unwrap();
    let ops = stage["body"]["ops"].as_array().unwrap();
    let config = ops.iter().filter_map(|op| op.get("write_git_config"));
    let mut external =
        config.filter(|config| config["path"].as_str().unwrap().ends_with(".gitlab-runner.ext.conf"));
    external.next_back().unwrap()["entries"].as_array().unwrap().clone()
}

fn rewrites(fixture: &Fixture) -> Vec<(String, String)> {
    entries(&fixture.stage(StageKind::GetSources))
        .iter()
        .filter_map(|entry| entry.get("rewrite"))
        .map(|entry| {
            let part = |key: &str| entry[key].as_str().unwrap().to_owned();
            (part("instead_of"), format!("{}<{}>{}", part("scheme"), part("user"), part("rest")))
        })
        .collect()
}

#[test]
fn rewrites_of_urls() {
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let mut fixture = with(&[("CI_PROJECT_PATH", "group/project")]);
    let repository = pair(
        "https://gitlab.example.com/group/project.git",
        "https://<repository>gitlab.example.com/group/project.git",
    );
    let base = pair("https://gitlab.example.com/", "https://<job_token>gitlab.example.com/");
    assert_eq!(rewrites(&fixture), [repository, base.clone()]);

    fixture.settings.clone_url = Some("https://inside.example.com/git/".parse().unwrap());
    let expected = [
        pair(
            "https://inside.example.com/git/group/project.git",
            "https://<job_token>inside.example.com/git/group/project.git",
        ),
        pair("https://inside.example.com/git/", "https://<job_token>inside.example.com/git/"),
        pair("https://inside.example.com/", "https://<job_token>inside.example.com/"),
    ];
    assert_eq!(rewrites(&fixture), expected);

    fixture.settings.clone_url = Some("ssh://inside.example.com:2222".parse().unwrap());
    let expected = [pair(
        "ssh://inside.example.com:2222/group/project.git",
        "ssh://<git>inside.example.com:2222/group/project.git",
    )];
    assert_eq!(rewrites(&fixture), expected);
}

#[test]
fn rewrites_of_ssh_urls() {
    let ssh = |port: &str, flag: &str| {
        let fixture = with(&[
            ("GIT_SUBMODULE_FORCE_HTTPS", "true"),
            ("CI_SERVER_HOST", "web.example.com"),
            ("CI_SERVER_SHELL_SSH_HOST", "ssh.example.com"),
            ("CI_SERVER_SHELL_SSH_PORT", port),
            ("FF_GIT_URLS_WITHOUT_TOKENS", flag),
        ]);
        let list = rewrites(&fixture).into_iter().filter(|(from, _)| from.contains("git@"));
        list.map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>()
    };
    let to = "https://<job_token>gitlab.example.com/";
    let plain = [format!("git@ssh.example.com: -> {to}"), format!("ssh://git@ssh.example.com/ -> {to}")];
    assert_eq!(ssh("", "false"), plain);
    assert_eq!(ssh("22", "false"), plain);
    assert_eq!(ssh("2222", "false"), [format!("ssh://git@ssh.example.com:2222/ -> {to}")]);
    assert_eq!(ssh("2222", "true"), ["ssh://git@ssh.example.com:2222/ -> https://<none>gitlab.example.com/"]);
}

#[test]
fn what_is_not_supported_is_named() {
    let fixture = with(&[
        ("RUNNER_GENERATE_ARTIFACTS_METADATA", "TRUE"),
        ("EXECUTOR_JOB_SECTION_ATTEMPTS", "2"),
        ("FF_NETWORK_PER_BUILD", "true"),
    ]);
    assert_eq!(
        fixture.plan().warnings(),
        [
            "FF_NETWORK_PER_BUILD: true is not supported by this runner",
            "RUNNER_GENERATE_ARTIFACTS_METADATA: not supported by this runner",
            "EXECUTOR_JOB_SECTION_ATTEMPTS: not supported by this runner",
        ]
    );
    assert!(Fixture::new(&json!({})).plan().warnings().is_empty());
}
