//! Artifacts and caches: how scripts call the helper program. A small script stands for it and writes down its calls.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod script_support;

use std::fs;

use runner_core::plan::StageKind;
use script_support::{Fixture, JOB_TOKEN, Ran, variable};
use serde_json::{Value, json};

/// A job with a helper that fails calls that contain a word of `FAIL`.
fn fixture(changes: &Value) -> Fixture {
    let mut fixture = Fixture::in_folders(changes);
    fixture.program(
        "helper",
        "log=\"$HOME/calls\"; printf '%s' \"$CI_JOB_TOKEN:\" >> \"$log\"; printf ' <%s>' \"$@\" >> \"$log\"; echo >> \"$log\"\n\
         for word in $FAIL; do case \"$*\" in *\"$word\"*) exit 1 ;; esac; done; exit 0",
    );
    fixture.place.helper = vec![fixture.root().join("bin/helper").display().to_string()];
    fs::create_dir_all(fixture.project()).unwrap();
    fixture
}

fn calls(fixture: &Fixture) -> Vec<String> {
    let text = fs::read_to_string(fixture.root().join("calls")).unwrap_or_default();
    text.replace(&fixture.root().display().to_string(), "ROOT").lines().map(str::to_owned).collect()
}

#[track_caller]
fn run(fixture: &Fixture, kind: StageKind) -> Ran {
    let input = fixture.script(kind);
    assert!(!input.script.contains(JOB_TOKEN));
    fixture.run_with(&["bash"], &input)
}

fn artifacts() -> Value {
    json!({"artifacts": [
        {"name": "$CI_JOB_NAME x", "paths": ["out/*", "it's"], "exclude": ["out/tmp/**"], "untracked": true,
         "expire_in": "1 week", "artifact_type": "archive", "artifact_format": "zip", "when": "always"},
        {"paths": ["junit.xml"], "artifact_type": "junit", "artifact_format": "gzip", "when": "on_failure"},
        {"paths": ["later"]},
        {"paths": []},
    ]})
}

#[test]
fn uploads() {
    let fixture = fixture(&artifacts());
    let ran = run(&fixture, StageKind::UploadArtifactsOnSuccess).success();
    assert_eq!(ran.lines(), ["Uploading artifacts...", "Uploading artifacts..."]);
    let common = "<--url> <https://gitlab.example.com> <--id> <123> <--timeout> <1h0m0s> <--response-header-timeout> <10m0s>";
    let archive = format!(
        "{JOB_TOKEN}: <artifacts-uploader> {common} <--path> <out/*> <--path> <it's> <--exclude> <out/tmp/**> <--untracked> \
         <--name> <$CI_JOB_NAME x> <--expire-in> <1 week> <--artifact-format> <zip> <--artifact-type> <archive>"
    );
    let later = format!("{JOB_TOKEN}: <artifacts-uploader> {common} <--path> <later>");
    assert_eq!(calls(&fixture), [archive.as_str(), later.as_str()]);
    run(&fixture, StageKind::UploadArtifactsOnFailure).success();
    assert_eq!(calls(&fixture)[2], archive);
    assert!(
        calls(&fixture)[3].contains("<junit.xml>")
            && calls(&fixture)[3].contains("<--artifact-format> <gzip>")
    );
}

#[test]
fn a_failing_upload_ends_the_stage() {
    let mut changes = artifacts();
    changes["variables"] = json!([variable("FAIL", "it's")]);
    let fixture = fixture(&changes);
    assert_eq!(run(&fixture, StageKind::UploadArtifactsOnSuccess).code, 1);
    assert_eq!(calls(&fixture).len(), 1);
}

#[test]
fn downloads_use_the_tokens_of_the_other_jobs() {
    let fixture = fixture(&json!({"dependencies": [
            {"id": 7, "token": "token-of-7", "name": "build: a", "artifacts_file": {"filename": "a.zip"}},
            {"id": 8, "token": "token-of-8", "name": "nothing"},
            {"id": 9, "token": "token-of-9", "name": "build: b", "artifacts_file": {"filename": "b.zip"}},
        ], "variables": [{"key": "CI_JOB_TOKEN", "value": JOB_TOKEN}]}));
    let input = fixture.script(StageKind::DownloadArtifacts);
    assert!(!input.script.contains("token-of"));
    let ran = fixture.run_with(&["dash"], &input).success();
    assert_eq!(
        ran.lines(),
        ["Downloading artifacts for build: a (7)...", "Downloading artifacts for build: b (9)..."]
    );
    assert_eq!(
        calls(&fixture),
        [
            "token-of-7: <artifacts-downloader> <--url> <https://gitlab.example.com> <--id> <7>",
            "token-of-9: <artifacts-downloader> <--url> <https://gitlab.example.com> <--id> <9>",
        ]
    );
}

#[test]
fn a_failing_download_ends_the_stage() {
    let dependency =
        |id| json!({"id": id, "token": "t", "name": "n", "artifacts_file": {"filename": "a.zip"}});
    let fixture = fixture(
        &json!({"dependencies": [dependency(7), dependency(8)], "variables": [variable("FAIL", "7")]}),
    );
    assert_eq!(run(&fixture, StageKind::DownloadArtifacts).code, 1);
    assert_eq!(calls(&fixture).len(), 1);
}

fn cache(changes: &Value, variables: &Value) -> Value {
    let mut cache = json!({"key": "main-protected", "paths": ["vendor"]});
    for (key, value) in changes.as_object().unwrap() {
        cache[key] = value.clone();
    }
    json!({ "cache": [cache], "variables": variables })
}

#[test]
fn caches_are_restored_and_saved() {
    let fixture =
        fixture(&cache(&json!({"untracked": true}), &json!([variable("CACHE_REQUEST_TIMEOUT", "3")])));
    let ran = run(&fixture, StageKind::RestoreCache).success();
    assert_eq!(ran.lines(), ["Checking cache for main-protected...", "Successfully extracted cache"]);
    let ran = run(&fixture, StageKind::ArchiveCache).success();
    assert_eq!(ran.lines(), ["Creating cache main-protected...", "Created cache"]);
    let calls = calls(&fixture);
    assert_eq!(
        calls[0],
        ": <cache-extractor> <--file> <ROOT/cache/group/project/main-protected/cache.zip> <--timeout> <3>"
    );
    let (before, after) = calls[1].split_once("<--alternate-file> <ROOT/cache/group/project/").unwrap();
    assert_eq!(before, ": <cache-archiver> <--file> <ROOT/cache/group/project/main-protected/cache.zip> ");
    assert_eq!(
        after.split_once('/').unwrap().1,
        "cache.zip> <--timeout> <3> <--path> <vendor> <--untracked> <--metadata> <{\"cachekey\":\"main-protected\"}>"
    );
    assert!(fixture.script_when(StageKind::ArchiveCache, Default::default()).script.len() > 100);
}

#[test]
fn keys_are_tried_in_their_order_until_one_works() {
    let changes = json!({"fallback_keys": ["k2-$X", ".."], "key": "a%2f..%2fb"});
    let variables = json!([
        variable("X", "x"),
        variable("CACHE_FALLBACK_KEY", "k3"),
        variable("FAIL", "/b/ k2-x"),
        variable("FF_CLEAN_UP_FAILED_CACHE_EXTRACT", "true"),
    ]);
    let fixture = fixture(&cache(&changes, &variables));
    fs::create_dir_all(fixture.project().join("vendor/deep")).unwrap();
    let ran = run(&fixture, StageKind::RestoreCache).success();
    assert_eq!(
        ran.lines(),
        [
            "cache key \"a%2f..%2fb\" sanitized to \"b\"",
            "Skipping cache extraction due to cache key \"..\" could not be sanitized",
            "Checking cache for b...",
            "Failed to extract cache",
            "Removing vendor",
            "Checking cache for k2-x...",
            "Failed to extract cache",
            "Removing vendor",
            "Checking cache for k3...",
            "Successfully extracted cache",
        ]
    );
    assert!(!fixture.project().join("vendor").exists());
    assert_eq!(calls(&fixture).len(), 3);
}

#[test]
fn scenario_109_that_no_cache_is_found_or_saved_is_no_failure() {
    let fixture = fixture(&cache(&json!({}), &json!([variable("FAIL", "cache")])));
    assert!(run(&fixture, StageKind::RestoreCache).success().text().ends_with("Failed to extract cache\n"));
    assert!(run(&fixture, StageKind::ArchiveCache).success().text().ends_with("Failed to create cache\n"));
}

#[test]
fn protected_caches_cannot_be_named_as_a_fallback() {
    for key in ["x-protected", "x-protected. . ", "y/../x-protected/"] {
        let fixture = fixture(&cache(
            &json!({}),
            &json!([variable("CACHE_FALLBACK_KEY", key), variable("FAIL", "cache")]),
        ));
        let ran = run(&fixture, StageKind::RestoreCache).success();
        assert_eq!(
            ran.lines()[0],
            format!("CACHE_FALLBACK_KEY \"{key}\" not allowed to end in \"-protected\"")
        );
        assert_eq!(calls(&fixture).len(), 1);
    }
}

#[test]
fn policies() {
    for (policy, pulls, pushes) in [
        ("", true, true),
        ("pull-push", true, true),
        ("pull", true, false),
        ("push", false, true),
        ("$P", true, false),
    ] {
        let fixture = fixture(&cache(&json!({ "policy": policy }), &json!([variable("P", "pull")])));
        let restored = run(&fixture, StageKind::RestoreCache).success().lines();
        assert_eq!(restored[0] == "Not downloading cache main-protected due to policy", !pulls, "{policy}");
        let saved = run(&fixture, StageKind::ArchiveCache).success().lines();
        assert_eq!(saved[0] == "Not uploading cache main-protected due to policy", !pushes, "{policy}");
        assert_eq!(calls(&fixture).len(), usize::from(pulls) + usize::from(pushes));
    }
}

#[test]
fn hashed_keys_show_the_human_one() {
    let flag = json!([variable("FF_HASH_CACHE_KEYS", "true")]);
    let fixture = fixture(&cache(&json!({"key": "some/user/key"}), &flag));
    let ran = run(&fixture, StageKind::RestoreCache).success();
    assert_eq!(ran.lines()[0], "Checking cache for some/user/key...");
    let hash = "7f6da050858a8c8767cddbfdf331cbe3a0269abba1fc11fd3fa381b8851b7917";
    assert!(calls(&fixture)[0].contains(&format!("/group/project/{hash}/cache.zip>")));
}

/// A job that needs the helper for everything.
fn everything() -> Value {
    let mut changes = artifacts();
    changes["cache"] = json!([{"key": "k", "paths": ["vendor"]}]);
    changes["dependencies"] =
        json!([{"id": 7, "token": "t", "name": "n", "artifacts_file": {"filename": "a.zip"}}]);
    changes
}

const KINDS: [StageKind; 4] = [
    StageKind::RestoreCache,
    StageKind::ArchiveCache,
    StageKind::DownloadArtifacts,
    StageKind::UploadArtifactsOnSuccess,
];

/// The helper is started for what it has to do, and never to see whether it is there.
#[test]
fn weak_point_one_program_per_artifact_command() {
    let fixture = fixture(&everything());
    for kind in KINDS {
        run(&fixture, kind).success();
    }
    let calls = calls(&fixture);
    let names: Vec<_> = calls.iter().map(|call| call.split(['<', '>']).nth(1).unwrap()).collect();
    // There are two artifacts to upload.
    assert_eq!(
        names,
        [
            "cache-extractor",
            "cache-archiver",
            "artifacts-downloader",
            "artifacts-uploader",
            "artifacts-uploader"
        ]
    );
}

#[test]
fn that_there_is_no_helper_is_a_warning() {
    let mut fixture = fixture(&everything());
    for (helper, name) in [
        (vec!["/no/such/program", "helper"], "/no/such/program helper"),
        (vec!["no-such-program"], "no-such-program"),
    ] {
        fixture.place.helper = helper.into_iter().map(str::to_owned).collect();
        for (kind, what) in KINDS.into_iter().zip([
            "Extracting cache",
            "Creating cache",
            "Artifacts downloading",
            "Uploading artifacts",
        ]) {
            let line = format!("Missing {name}. {what} is disabled.");
            assert_eq!(run(&fixture, kind).success().lines()[0], line);
        }
    }
    // By name, where programs are looked for.
    fixture.place.helper = vec!["helper".to_owned()];
    assert_eq!(
        run(&fixture, StageKind::UploadArtifactsOnSuccess).success().lines()[0],
        "Uploading artifacts..."
    );
    fixture.place.helper = Vec::new();
    let ran = run(&fixture, StageKind::RestoreCache).success();
    assert_eq!(ran.lines(), ["Extracting cache is not supported by this executor."]);
}
