//! Payloads, field by field: a job that uses every keyword against a payload written by hand, and what deviates.

use std::time::Duration;

use runner_coordinator::pipeline::{
    Artifacts, Cache, CacheKey, Image, Job, KeepWhen, Node, Report, Service, Variable, Work,
};
use runner_coordinator::run::{ArchiveInfo, Finished, GitRef, JobVariable, MergeRequest, Settings};
use serde_json::{Value, json};

use crate::support::{Driver, job, need, settings, value, variable, with};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn rich_job() -> Job {
    with(job("test: [linux, stable]", "test"), |job| {
        job.base = "test".to_owned();
        job.work = Work::Script {
            before_script: words(&["prepare"]),
            script: words(&["cargo test", "if x; then\n  y\nfi"]),
            after_script: words(&["clean up"]),
        };
        job.needs = Some(vec![need("build")]);
        job.variables = vec![
            variable("TARGET", "$HOST-$CHANNEL"),
            variable("HOST", "linux"),
            Variable { raw: true, ..variable("LITERAL", "$HOST") },
            variable("GIT_DEPTH", "5"),
        ];
        job.node = Some(Node { index: 1, total: 2 });
        job.image = Some(Image {
            name: "rust:$CHANNEL".to_owned(),
            entrypoint: Some(words(&[""])),
            pull_policy: words(&["if-not-present"]),
            docker_platform: Some("linux/amd64".to_owned()),
            docker_user: None,
            kubernetes_user: Some("1000".to_owned()),
        });
        job.services = vec![
            Service {
                image: Image { name: "postgres:17".to_owned(), ..Image::default() },
                alias: Some("db".to_owned()),
                command: Some(words(&["postgres", "-N", "9"])),
                variables: vec![variable("POSTGRES_DB", "test")],
            },
            Service { image: Image { name: "redis".to_owned(), ..Image::default() }, ..Service::default() },
        ];
        job.artifacts = Some(Artifacts {
            name: Some("$CI_JOB_NAME".to_owned()),
            paths: words(&["target/report"]),
            exclude: words(&["**/*.tmp"]),
            untracked: false,
            when: KeepWhen::Always,
            expire_in: Some("1 week".to_owned()),
            reports: vec![Report { kind: "junit".to_owned(), paths: words(&["junit.xml"]) }],
        });
        job.cache = vec![Cache {
            key: CacheKey::Text("$CI_COMMIT_REF_SLUG".to_owned()),
            paths: words(&["target"]),
            untracked: false,
            policy: "pull-push".to_owned(),
            when: KeepWhen::OnSuccess,
            fallback_keys: words(&["main"]),
            unprotect: false,
        }];
        job.timeout = Some(Duration::from_secs(600));
        job.tags = words(&["linux"]);
        job.pre_get_sources_script = words(&["git config --global x y"]);
    })
}

fn rich_settings() -> Settings {
    let mut settings = settings();
    settings.project_variables = vec![JobVariable::masked("DEPLOY_KEY", "hush-hush")];
    settings.pipeline_variables = vec![JobVariable::new("CHANNEL", "stable")];
    settings.runner.tags = words(&["linux"]);
    settings.runner.uuid = "r_abcdef123456".to_owned();
    settings
}

#[test]
fn a_rich_job() {
    let mut driver = Driver::with_settings(vec![job("build", "build"), rich_job()], rich_settings());
    let archive = Some(ArchiveInfo { filename: "artifacts.zip".to_owned(), size: 34 });
    let dotenv = vec![("VERSION".to_owned(), "1.2".to_owned())];
    driver.finish("build", Finished { archive, dotenv, ..Finished::success() });

    // Made up by the coordinator; everything else is known in advance.
    let id = driver.id("test: [linux, stable]").0.to_string();
    let build_id = driver.id("build").0.to_string();
    let payload = driver.payload("test: [linux, stable]");
    let token = payload["token"].as_str().unwrap();
    assert!(token.starts_with("glcbt-"), "{token}");

    let expected = include_str!("payload.json")
        .replace("\"<ID>\"", &id)
        .replace("\"<BUILD_ID>\"", &build_id)
        .replace("{ID}", &id)
        .replace("{TOKEN}", token);
    let expected: Value = serde_json::from_str(&expected).unwrap();
    for (key, expected) in expected.as_object().unwrap() {
        assert_eq!(&payload[key], expected, "{key}: {:#}", payload[key]);
    }
    assert_eq!(payload.as_object().unwrap().len(), expected.as_object().unwrap().len());
}

#[test]
fn a_plain_job_has_defaults() {
    let driver = Driver::new(vec![job("a", "test")]);
    let payload = driver.payload("a");
    assert_eq!(payload["image"], Value::Null);
    assert_eq!(payload["artifacts"], Value::Null);
    for empty in ["services", "cache", "credentials", "dependencies", "inputs", "hooks"] {
        assert_eq!(payload[empty], json!([]), "{empty}");
    }
    assert_eq!(payload["git_info"]["depth"], 20);
    assert_eq!(payload["runner_info"]["timeout"], 3600);
    assert_eq!(
        payload["steps"],
        json!([{
            "name": "script",
            "script": ["true"],
            "timeout": 3600,
            "when": "on_success",
            "allow_failure": false,
        }])
    );
}

#[test]
fn refspecs_follow_ref_and_depth() {
    let refspecs = |git_ref: GitRef, depth: &str| {
        let mut settings = settings();
        settings.facts.git_ref = git_ref;
        let a = with(job("a", "test"), |job| job.variables = vec![variable("GIT_DEPTH", depth)]);
        let driver = Driver::with_settings(vec![a], settings);
        serde_json::from_value::<Vec<String>>(driver.payload("a")["git_info"]["refspecs"].clone()).unwrap()
    };
    let own = "+refs/pipelines/7:refs/pipelines/7";
    let branch = || GitRef::Branch("fix".to_owned());
    assert_eq!(refspecs(branch(), "1"), [own, "+refs/heads/fix:refs/remotes/origin/fix"]);
    assert_eq!(refspecs(branch(), "x"), [own, "+refs/heads/fix:refs/remotes/origin/fix"]);
    assert_eq!(
        refspecs(branch(), "0"),
        [own, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
    );
    let request = MergeRequest {
        source_branch: "fix".to_owned(),
        target_branch: "main".to_owned(),
        source_sha: "1".repeat(40),
        target_sha: "2".repeat(40),
        base_sha: "3".repeat(40),
        title: "Fix it".to_owned(),
    };
    assert_eq!(refspecs(GitRef::MergeRequest(request), "1"), [own]);
}

#[test]
fn a_repository_that_takes_no_credentials_keeps_its_address() {
    let mut settings = settings();
    settings.facts.repository_url = "file:///srv/project".to_owned();
    let driver = Driver::with_settings(vec![job("a", "test")], settings);
    assert_eq!(driver.payload("a")["git_info"]["repo_url"], "file:///srv/project");
    assert_eq!(value(driver.payload("a"), "CI_REPOSITORY_URL"), Some("file:///srv/project"));
}

#[test]
fn scenario_57_reports_without_an_archive() {
    let a = with(job("a", "test"), |job| {
        let report = |kind: &str, path: &str| Report { kind: kind.to_owned(), paths: vec![path.to_owned()] };
        job.artifacts = Some(Artifacts {
            reports: vec![report("junit", "j.xml"), report("dotenv", "v.env"), report("cobertura", "c.xml")],
            ..Artifacts::default()
        });
    });
    let driver = Driver::new(vec![a]);
    let entry = |name: &str, kind: &str, path: &str| {
        json!({
            "name": name,
            "paths": [path],
            "when": "always",
            "expire_in": null,
            "artifact_type": kind,
            "artifact_format": "gzip",
        })
    };
    assert_eq!(
        driver.payload("a")["artifacts"],
        json!([
            entry("junit.xml", "junit", "j.xml"),
            entry(".env", "dotenv", "v.env"),
            entry("cobertura-coverage.xml", "cobertura", "c.xml"),
        ])
    );
}

#[test]
fn scenario_59_cache_keys() {
    let cache = |key: CacheKey, unprotect: bool| Cache {
        key,
        paths: words(&["x"]),
        untracked: false,
        policy: "pull".to_owned(),
        when: KeepWhen::Always,
        fallback_keys: words(&["f"]),
        unprotect,
    };
    let files = |files: &[&str], prefix: Option<&str>| CacheKey::Files {
        files: words(files),
        commits: false,
        prefix: prefix.map(str::to_owned),
    };
    let keys = |protected: bool, with_object: bool| {
        let a = with(job("a", "test"), |job| {
            job.cache = vec![
                cache(files(&["a.lock"], Some("p")), false),
                cache(files(&["a.lock"], None), false),
                Cache { paths: Vec::new(), ..cache(CacheKey::Text("nothing kept".to_owned()), false) },
                cache(files(&["package-lock.json", "a.lock"], None), true),
                cache(CacheKey::Text("default".to_owned()), false),
            ];
        });
        let mut settings = settings();
        settings.facts.protected = protected;
        let mut run =
            runner_coordinator::run::PipelineRun::new(crate::support::pipeline(vec![a]), settings).unwrap();
        let mut host = crate::support::TestHost::new();
        if with_object {
            host.objects.insert("a.lock".to_owned(), "1111111111111111111111111111111111111111".to_owned());
        }
        let actions = run.advance(crate::support::now(), &mut host);
        let [runner_coordinator::run::Action::Enqueue { new_job, .. }] = actions.as_slice() else { panic!() };
        let caches = new_job.payload["cache"].as_array().unwrap().clone();
        let fallback = caches[0]["fallback_keys"][0].as_str().unwrap().to_owned();
        let keys = caches.iter().map(|cache| cache["key"].as_str().unwrap().to_owned());
        (keys.collect::<Vec<_>>(), fallback)
    };
    // SHA-1 of forty times the digit 1.
    let hash = "0a05a9e69e5757ac71c75a50418622624f042c97";
    let (found, fallback) = keys(false, true);
    assert_eq!(
        found,
        [
            format!("p-{hash}-non_protected"),
            format!("1_a-{hash}-non_protected"),
            format!("3_package-lock_a-{hash}-non_protected"),
            "default-non_protected".to_owned(),
        ]
    );
    assert_eq!(fallback, "f-non_protected");
    let (found, fallback) = keys(true, false);
    assert_eq!(
        found,
        [
            "p-default-protected",
            "1_a-default-protected",
            "3_package-lock_a-default-non_protected",
            "default-protected"
        ]
    );
    assert_eq!(fallback, "f-protected");
}
