//! Fetching sources with real git from local repositories.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod git_support;
mod script_support;

use std::fs;
use std::path::{Path, PathBuf};

use git_support::{Repository, git};
use runner_core::plan::StageKind;
use runner_core::variables::{JobStatus, TlsFiles};
use script_support::{Fixture, Ran, any_file_contains, shells, variable};
use serde_json::{Value, json};

/// A job on the repository's newest commit, in a shared place as the shell executor's.
fn job(repository: &Repository, depth: u64, variables: &[(&str, &str)]) -> Fixture {
    job_with(repository, depth, variables, &json!({}))
}

fn job_with(repository: &Repository, depth: u64, variables: &[(&str, &str)], more: &Value) -> Fixture {
    let variables: Vec<_> = variables.iter().map(|(key, value)| variable(key, value)).collect();
    let mut payload = json!({"git_info": repository.git_info(depth), "variables": variables});
    for (key, value) in more.as_object().unwrap() {
        payload[key] = value.clone();
    }
    let mut fixture = Fixture::in_folders(&payload);
    fixture.place.shared = true;
    fixture
}

fn get_sources(fixture: &Fixture) -> Ran {
    fixture.run(StageKind::GetSources)
}

/// Another job in the folders of the first.
fn next(fixture: &mut Fixture, other: Fixture) {
    fixture.job = other.job;
}

#[test]
fn a_fresh_fetch() {
    let repository = Repository::new();
    for shell in shells() {
        let fixture = job(&repository, 20, &[]);
        let ran = fixture.run_with(&shell, &fixture.script(StageKind::GetSources)).success();
        let sha = repository.head();
        assert_eq!(
            ran.lines().into_iter().filter(|line| !line.starts_with("Initialized")).collect::<Vec<_>>(),
            [
                "Fetching changes with git depth set to 20...",
                "Created fresh repository.",
                &format!("Checking out {} as detached HEAD (ref is main)...", &sha[..8]),
                "Skipping Git submodules setup",
            ]
        );
        let project = fixture.project();
        assert!(project.ends_with("abcdefghi/0/project-1"), "{project:?}");
        assert_eq!(read(project.join("README")), "first\n");
        assert_eq!(git(&project, &["rev-parse", "HEAD"]), sha);
        assert_eq!(git(&project, &["config", "remote.origin.url"]), repository.url());
    }
}

#[test]
fn a_second_fetch_uses_what_is_there() {
    let repository = Repository::new();
    let mut fixture = job(&repository, 0, &[]);
    get_sources(&fixture).success();
    let project = fixture.project();
    fs::write(project.join("untracked"), "").unwrap();
    fs::write(project.join("README"), "changed").unwrap();
    fs::write(project.join(".git/mark"), "").unwrap();
    let sha = repository.commit("second", "2");
    next(&mut fixture, job(&repository, 0, &[]));
    let text = get_sources(&fixture).success().text();
    assert!(!text.contains("Created fresh repository."), "{text}");
    assert!(text.contains("Fetching changes...\n"));
    assert_eq!(git(&project, &["rev-parse", "HEAD"]), sha);
    assert_eq!(names(&project), [".git", "README", "second"]);
    assert_eq!(read(project.join("README")), "first\n");
    assert!(project.join(".git/mark").exists());
    let includes = git(&project, &["config", "--local", "--get-all", "include.path"]);
    assert_eq!(includes, fixture.temp().join(".gitlab-runner.ext.conf").display().to_string());
}

#[test]
fn a_secret_that_is_a_part_of_everything_stays_out_of_scripts_all_the_same() {
    let repository = Repository::new();
    let masked: Vec<_> = ["project-1", "echo", "main"]
        .iter()
        .map(|value| json!({"key": "M", "value": value, "masked": true}))
        .collect();
    let steps = json!([{"name": "script", "script": ["X=echoes\necho \"$X\" in project-1 > out", "cat out", "echo \"$X\""]}]);
    let fixture = job_with(&repository, 0, &[], &json!({"variables": masked, "steps": steps}));
    for shell in shells() {
        for kind in [
            StageKind::PrepareScript,
            StageKind::GetSources,
            StageKind::Step,
            StageKind::CleanupFileVariables,
        ] {
            let input = fixture.script(kind);
            assert!(
                !input.script.contains("project-1") && !input.script.contains("echo"),
                "{}",
                input.script
            );
            let ran = fixture.run_with(&shell, &input).success();
            if kind == StageKind::Step {
                assert!(
                    ran.text().ends_with("echoes in project-1\n$ echo \"$X\"\nechoes\n"),
                    "{}",
                    ran.text()
                );
            }
        }
    }
}

#[test]
fn plain_paths_are_fetched_too() {
    let repository = Repository::new();
    let mut info = repository.git_info(0);
    info["repo_url"] = json!(repository.path().display().to_string());
    let fixture = job_with(&repository, 0, &[], &json!({ "git_info": info }));
    get_sources(&fixture).success();
    assert_eq!(read(fixture.project().join("README")), "first\n");
}

#[test]
fn a_clone_begins_with_nothing() {
    let repository = Repository::new();
    let fixture = job(&repository, 0, &[("GIT_STRATEGY", "clone"), ("GIT_CLEAN_FLAGS", "none")]);
    fs::create_dir_all(fixture.project().join(".git/locked")).unwrap();
    fs::write(fixture.project().join(".git/locked/mark"), "").unwrap();
    fs::write(fixture.project().join("untracked"), "").unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(fixture.project().join(".git/locked"), mode(0o555)).unwrap();
    let text = get_sources(&fixture).success().text();
    assert!(text.contains("Created fresh repository.\n"), "{text}");
    assert_eq!(names(&fixture.project()), [".git", "README"]);
    assert!(!fixture.project().join(".git/locked").exists());
}

#[test]
fn strategy_none_leaves_everything_as_it_is() {
    let repository = Repository::new();
    let hooks = json!({"hooks": [{"name": "pre_get_sources_script", "script": ["touch hooked"]}]});
    let mut fixture =
        job_with(&repository, 0, &[("GIT_STRATEGY", "none"), ("GIT_SUBMODULE_STRATEGY", "normal")], &hooks);
    fixture.settings.post_get_sources_script = Some("touch hooked".to_owned());
    fs::create_dir_all(fixture.project().join(".git")).unwrap();
    fs::write(fixture.project().join(".git/index.lock"), "").unwrap();
    let ran = get_sources(&fixture).success();
    assert_eq!(
        ran.lines(),
        ["Skipping Git repository setup", "Skipping Git checkout", "Skipping Git submodules setup"]
    );
    assert!(fixture.project().join(".git/index.lock").exists());
    assert!(!fixture.root().join("hooked").exists());
}

#[test]
fn strategy_empty_gives_an_empty_folder_of_its_own() {
    let repository = Repository::new();
    let fixture = job(&repository, 0, &[("GIT_STRATEGY", "empty")]);
    assert!(fixture.dirs().project_dir.ends_with("/project-1-empty"));
    assert!(fixture.dirs().cache_dir.ends_with("/project-1-empty"));
    fs::create_dir_all(fixture.project().join("old")).unwrap();
    let text = get_sources(&fixture).success().text();
    assert!(
        text.starts_with("Skipping Git repository setup and creating an empty build directory\n"),
        "{text}"
    );
    assert!(names(&fixture.project()).is_empty());
}

#[test]
fn leftovers_of_a_killed_git_are_removed() {
    let repository = Repository::new();
    let fixture = job(&repository, 0, &[]);
    get_sources(&fixture).success();
    let git_dir = fixture.project().join(".git");
    fs::create_dir_all(git_dir.join("hooks")).unwrap();
    let leftovers = [
        "index.lock",
        "shallow.lock",
        "HEAD.lock",
        "config.lock",
        "refs/heads/x.lock",
        "refs/remotes/origin/main.lock",
    ];
    for name in leftovers {
        fs::write(git_dir.join(name), "").unwrap();
    }
    fixture_program(&git_dir.join("hooks/post-checkout"), "touch ../hooked");
    get_sources(&fixture).success();
    for name in leftovers {
        assert!(!git_dir.join(name).exists(), "{name}");
    }
    assert!(!git_dir.join("hooks/post-checkout").exists());
    assert!(!fixture.project().join("../hooked").exists());
}

fn fixture_program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn configuration_of_a_repository_is_cleaned_where_nobody_else_needs_it() {
    let repository = Repository::new();
    let mut fixture = job(&repository, 0, &[]);
    fixture.place.shared = false;
    get_sources(&fixture).success();
    let git_dir = fixture.project().join(".git");
    fs::create_dir_all(git_dir.join("hooks")).unwrap();
    fs::write(git_dir.join("hooks/pre-commit"), "").unwrap();
    git(&fixture.project(), &["config", "core.fsmonitor", "touch hooked"]);
    let text = get_sources(&fixture).success().text();
    assert!(text.contains("Created fresh repository.\n"), "{text}");
    assert!(!git_dir.join("hooks").exists());
    assert!(!read(git_dir.join("config")).contains("fsmonitor"));
    assert_eq!(git(&fixture.project(), &["config", "gc.autoDetach"]), "false");
    let safe = read(fixture.root().join(".gitconfig"));
    assert!(safe.contains(&format!("directory = {}", fixture.project().display())), "{safe}");

    fixture.settings.clean_git_config = Some(false);
    git(&fixture.project(), &["config", "core.mark", "kept"]);
    get_sources(&fixture).success();
    assert!(read(git_dir.join("config")).contains("mark = kept"));
}

#[test]
fn shallow_and_back() {
    let repository = Repository::new();
    repository.commit("second", "2");
    repository.commit("third", "3");
    let mut fixture = job(&repository, 1, &[]);
    get_sources(&fixture).success();
    let count = || git(&fixture.project(), &["rev-list", "--count", "HEAD"]);
    assert_eq!(count(), "1");
    assert!(fixture.project().join(".git/shallow").exists());
    let all = job(&repository, 0, &[]);
    fixture.job = all.job;
    get_sources(&fixture).success();
    assert_eq!(git(&fixture.project(), &["rev-list", "--count", "HEAD"]), "3");
    assert!(!fixture.project().join(".git/shallow").exists());
    get_sources(&fixture).success();
}

#[test]
fn what_stays_at_the_server_is_fetched_once() {
    let repository = Repository::new();
    repository.commit("second", "2");
    let mut fixture = job(&repository, 20, &[]);
    fixture.settings.sources_stay = true;
    let log = fixture.project().parent().unwrap().join("fetches");
    fixture.program(
        "git",
        &format!("case \" $* \" in *' fetch '*) echo >> {} ;; esac; exec /usr/bin/git \"$@\"", log.display()),
    );
    let fetches = |fixture: &Fixture| {
        let before = fs::read_to_string(&log).unwrap_or_default().len();
        get_sources(fixture).success();
        assert_eq!(git(&fixture.project(), &["rev-parse", "HEAD"]), repository.head());
        assert_eq!(names(&fixture.project()), [".git", "README", "second"]);
        fs::read_to_string(&log).unwrap_or_default().len() - before
    };
    let project = fixture.project();
    assert_eq!((fetches(&fixture), fetches(&fixture)), (1, 0));
    fs::write(project.join("README"), "changed").unwrap();
    fs::write(project.join("untracked"), "").unwrap();
    assert_eq!(fetches(&fixture), 0);
    assert_eq!(read(project.join("README")), "first\n");
    // Another depth, a job that has changed what was fetched, and one that wants more.
    next(&mut fixture, job(&repository, 1, &[]));
    assert_eq!((fetches(&fixture), fetches(&fixture)), (1, 0));
    assert_eq!(git(&project, &["rev-list", "--count", "HEAD"]), "1");
    git(&project, &["update-ref", "-d", "refs/remotes/origin/main"]);
    assert_eq!((fetches(&fixture), fetches(&fixture)), (1, 0));
    next(&mut fixture, job(&repository, 1, &[("GIT_FETCH_EXTRA_FLAGS", "--prune")]));
    assert_eq!((fetches(&fixture), fetches(&fixture)), (1, 1));
    // Elsewhere the server may have more at any time.
    next(&mut fixture, job(&repository, 1, &[]));
    fixture.settings.sources_stay = false;
    assert_eq!((fetches(&fixture), fetches(&fixture)), (1, 1));
}

#[test]
fn a_checkout_can_be_left_out() {
    let repository = Repository::new();
    let fixture = job(&repository, 0, &[("GIT_CHECKOUT", "false")]);
    let text = get_sources(&fixture).success().text();
    assert!(text.contains("Skipping Git checkout\n"), "{text}");
    assert_eq!(names(&fixture.project()), [".git"]);
}

#[test]
fn clean_flags() {
    let repository = Repository::new();
    for (flags, expected) in [
        ("-ffdx -e cache/", vec![".git", "README", "cache"]),
        ("none", vec![".git", "README", "cache", "untracked"]),
    ] {
        let fixture = job(&repository, 0, &[("GIT_CLEAN_FLAGS", flags)]);
        get_sources(&fixture).success();
        fs::create_dir_all(fixture.project().join("cache")).unwrap();
        fs::write(fixture.project().join("cache/file"), "").unwrap();
        fs::write(fixture.project().join("untracked"), "").unwrap();
        get_sources(&fixture).success();
        assert_eq!(names(&fixture.project()), expected, "{flags}");
    }
}

#[test]
fn other_hash_functions() {
    let repository = Repository::with_format("sha256");
    let mut info = repository.git_info(0);
    info["repo_object_format"] = json!("sha256");
    let fixture = job_with(&repository, 0, &[], &json!({ "git_info": info }));
    get_sources(&fixture).success();
    assert_eq!(git(&fixture.project(), &["rev-parse", "HEAD"]).len(), 64);
}

#[test]
fn scenario_113_hooks_run_in_their_order_and_fail_the_stage() {
    let repository = Repository::new();
    let hooks = json!({"hooks": [
        {"name": "post_get_sources_script", "script": ["echo job post; test -e README"]},
        {"name": "pre_get_sources_script", "script": ["echo job pre", "X=shared"]},
    ]});
    let mut fixture = job_with(&repository, 0, &[], &hooks);
    fixture.settings.pre_get_sources_script = Some("echo config pre".to_owned());
    fixture.settings.post_get_sources_script = Some("echo config post $X".to_owned());
    let lines = get_sources(&fixture).success().lines();
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("config") || line.starts_with("job") || line.contains("Checking out"))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(told, ["config pre", "job pre", "Checking out", "job post", "config post"]);
    assert!(lines.contains(&"config post shared".to_owned()));
    fixture.settings.pre_get_sources_script = Some("exit 5".to_owned());
    assert_eq!(get_sources(&fixture).code, 5);
}

#[test]
fn a_failing_fetch_ends_the_stage_with_gits_status() {
    let repository = Repository::new();
    let mut info = repository.git_info(0);
    info["refspecs"] = json!(["+refs/heads/nope:refs/remotes/origin/nope"]);
    let fixture = job_with(&repository, 0, &[], &json!({ "git_info": info }));
    let ran = get_sources(&fixture);
    assert_eq!(ran.code, 128);
    assert!(ran.stderr.contains("refs/heads/nope"), "{}", ran.stderr);
    assert!(!ran.text().contains("Checking out"));
}

#[test]
fn clearing_the_work_tree() {
    let repository = Repository::new();
    let fixture = job(&repository, 0, &[]);
    let before = fixture.run(StageKind::ClearWorktree).success();
    assert_eq!(before.lines(), ["Deleting tracked and untracked files..."]);
    get_sources(&fixture).success();
    fs::write(fixture.project().join("untracked"), "").unwrap();
    fixture.run(StageKind::ClearWorktree).success();
    assert_eq!(names(&fixture.project()), [".git"]);
    get_sources(&fixture).success();
    assert_eq!(names(&fixture.project()), [".git", "README"]);
}

#[test]
fn submodules() {
    let (leaf, middle, repository) = (Repository::new(), Repository::new(), Repository::new());
    leaf.commit("leaf", "leaf");
    middle.add_submodule(&leaf, "leaf");
    repository.add_submodule(&middle, "a");
    repository.add_submodule(&leaf, "b c");
    for shared in [true, false] {
        let mut normal = job(&repository, 0, &[("GIT_SUBMODULE_STRATEGY", "normal")]);
        normal.place.shared = shared;
        let text = get_sources(&normal).success().text();
        assert!(text.contains("Updating/initializing submodules...\n"), "{text}");
        assert!(text.contains("Updated submodules\n"), "{text}");
        assert_eq!(names(&normal.project().join("a")), [".git", ".gitmodules", "README", "leaf"]);
        assert!(names(&normal.project().join("a/leaf")).is_empty());
        assert_eq!(read(normal.project().join("b c/leaf")), "leaf");

        let mut recursive = job(&repository, 0, &[("GIT_SUBMODULE_STRATEGY", "recursive")]);
        recursive.place.shared = shared;
        for _ in 0..2 {
            let text = get_sources(&recursive).success().text();
            assert!(text.contains("Updating/initializing submodules recursively...\n"), "{text}");
            assert!(!text.contains("Retrying"), "{text}");
            assert_eq!(read(recursive.project().join("a/leaf/leaf")), "leaf");
            let include = git(&recursive.project().join("a/leaf"), &["config", "--local", "include.path"]);
            assert_eq!(include, recursive.temp().join(".gitlab-runner.ext.conf").display().to_string());
            let lock = recursive.project().join(".git/modules/a/index.lock");
            fs::write(&lock, "").unwrap();
            fs::write(recursive.project().join("a/untracked"), "").unwrap();
        }
        get_sources(&recursive).success();
        assert!(!recursive.project().join("a/untracked").exists());
    }
}

#[test]
fn only_some_submodules() {
    let (leaf, repository) = (Repository::new(), Repository::new());
    repository.add_submodule(&leaf, "a");
    repository.add_submodule(&leaf, "b");
    let fixture = job(&repository, 0, &[("GIT_SUBMODULE_STRATEGY", "normal"), ("GIT_SUBMODULE_PATHS", "b")]);
    get_sources(&fixture).success();
    assert!(names(&fixture.project().join("a")).is_empty());
    assert_eq!(names(&fixture.project().join("b")), [".git", "README"]);
}

#[test]
fn an_update_of_submodules_is_tried_again() {
    let (leaf, repository) = (Repository::new(), Repository::new());
    repository.add_submodule(&leaf, "a");
    let fixture = job(
        &repository,
        0,
        &[
            ("GIT_SUBMODULE_STRATEGY", "normal"),
            ("GIT_SUBMODULE_UPDATE_FLAGS", "--remote"),
            ("REAL", "/usr/bin/git"),
        ],
    );
    fixture.program(
        "git",
        "case \"$*\" in *\"submodule update\"*) if [ ! -e ../failed ]; then touch ../failed; exit 1; fi ;; esac\nexec $REAL \"$@\"",
    );
    let newer = leaf.commit("newer", "");
    let text = get_sources(&fixture).success().text();
    assert!(text.contains("Updating submodules failed. Retrying...\n"), "{text}");
    assert_eq!(git(&fixture.project().join("a"), &["rev-parse", "HEAD"]), newer);
}

#[test]
fn large_files_are_fetched_after_the_checkout() {
    let repository = Repository::new();
    let log = "echo \"$GIT_LFS_SKIP_SMUDGE $*\" >> ../lfs.log";
    let fixture = job(&repository, 0, &[]);
    fixture.program("git-lfs", log);
    get_sources(&fixture).success();
    let told = read(fixture.project().join("../lfs.log"));
    assert_eq!(told, "1 version\n1 pull\n");
    let without = job(&repository, 0, &[("GIT_LFS_SKIP_SMUDGE", "true")]);
    without.program("git-lfs", log);
    get_sources(&without).success();
    assert!(!without.project().join("../lfs.log").exists());
}

#[test]
fn native_clones_where_git_is_new_enough() {
    let repository = Repository::new();
    repository.commit("second", "2");
    let flags = [
        ("GIT_STRATEGY", "clone"),
        ("FF_USE_GIT_NATIVE_CLONE", "true"),
        ("GIT_CLONE_EXTRA_FLAGS", "--no-tags"),
    ];
    for (version, native) in [("2.49.0", true), ("3.0.1", true), ("2.48.1.windows.1", false), ("odd", false)]
    {
        let fixture = job(&repository, 1, &flags);
        fixture.program(
            "git",
            &format!(
                "if [ \"$1\" = version ]; then echo git version {version}; else exec /usr/bin/git \"$@\"; fi"
            ),
        );
        let text = get_sources(&fixture).success().text();
        assert_eq!(
            text.contains("Cloning repository for main with git depth set to 1...\n"),
            native,
            "{version}: {text}"
        );
        assert_eq!(text.contains("Fetching changes with git depth set to 1...\n"), !native);
        assert_eq!(names(&fixture.project()), [".git", "README", "second"]);
        assert_eq!(git(&fixture.project(), &["rev-list", "--count", "HEAD"]), "1");
        assert_eq!(git(&fixture.project(), &["config", "gc.autoDetach"]), "false");
    }
}

#[test]
fn certificates_are_told_to_git() {
    let repository = Repository::new();
    let mut info = repository.git_info(0);
    info["repo_url"] = json!("https://gitlab.example.com/group/project.git");
    let mut fixture = job_with(&repository, 0, &[("GIT_STRATEGY", "none")], &json!({ "git_info": info }));
    fixture.tls = TlsFiles { ca: Some("CA".to_owned()), ..TlsFiles::default() };
    fixture.place.shared = false;
    get_sources(&fixture).success();
    let told = git(&fixture.root(), &["config", "--global", "http.https://gitlab.example.com.sslCAInfo"]);
    assert_eq!(told, fixture.temp().join("CI_SERVER_TLS_CA_FILE").display().to_string());
    assert_eq!(read(told.into()), "CA");
}

#[test]
fn script_scenario_121_nothing_of_a_job_stays_after_cleanup() {
    let repository = Repository::new();
    let secret = json!([{"key": "S", "value": "very-secret", "file": true, "masked": true}]);
    let fixture = job_with(&repository, 0, &[], &json!({ "variables": secret }));
    get_sources(&fixture).success();
    assert!(any_file_contains(&fixture.temp(), "very-secret").is_some());
    fs::write(fixture.project().join(".git/index.lock"), "").unwrap();
    let input = fixture.script_when(StageKind::CleanupFileVariables, JobStatus::Success);
    for shell in shells() {
        fixture.run_with(&shell, &input).success();
        assert!(!fixture.temp().exists());
    }
    assert!(!fixture.project().join(".git/index.lock").exists());
    assert!(fixture.project().join("README").exists());
}

#[test]
fn cleaning_up_the_project_too() {
    let repository = Repository::new();
    for (strategy, left) in
        [("fetch", Some(vec![".git", "README"])), ("clone", None), ("none", Some(vec!["kept"]))]
    {
        let fixture = job(&repository, 0, &[("FF_ENABLE_JOB_CLEANUP", "true"), ("GIT_STRATEGY", strategy)]);
        get_sources(&fixture).success();
        if strategy == "none" {
            fs::write(fixture.project().join("kept"), "").unwrap();
        } else {
            fs::write(fixture.project().join("README"), "changed").unwrap();
            fs::write(fixture.project().join("untracked"), "").unwrap();
        }
        fixture.run(StageKind::CleanupFileVariables).success();
        assert_eq!(
            fixture.project().exists().then(|| names(&fixture.project())),
            left.map(|names| names.iter().map(ToString::to_string).collect())
        );
    }
}

/// Names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}
