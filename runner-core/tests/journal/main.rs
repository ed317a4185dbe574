//! The journal on a real disk, and samples of every format that was ever released.
//!
//! The samples in `tests/fixtures/journal` are never changed: a new format gets a new folder.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runner_api::{FailureReason, Job};
use runner_core::executor::{Handle, JobKey, Place, Shell, Slots, StageEnd, StageKey};
use runner_core::journal::{
    Assignment, CancelState, Entry, FORMAT_VERSION, Failure, FileJournal, JobOutcome, Journal, Limit,
    Limited, Pause, Progress, ScriptLimits, StageOutcome, StageRecord, StopReason, Verdict,
};
use serde_json::{Value, json};

fn assignment(runner: &str, job: u64) -> Assignment {
    Assignment {
        version: FORMAT_VERSION,
        key: JobKey { runner: runner.into(), job },
        url: "https://gitlab.example.com/".into(),
        runner_name: "builder".into(),
        system_id: "s_0123456789ab".into(),
        job: Job::from_json(format!(r#"{{"id": {job}, "token": "glcbt-x", "new": [1, null]}}"#)).unwrap(),
        slots: Slots { runner: 0, project: 0 },
        accepted_at: SystemTime::UNIX_EPOCH,
        terms: None,
        tls_chain: None,
        tls_client: None,
    }
}

fn open(folder: &Path) -> FileJournal {
    FileJournal::open(folder.join("state")).unwrap()
}

/// The jobs in a journal, and whether their entries can be read.
fn names(journal: &FileJournal) -> Vec<(String, bool)> {
    let entries = journal.entries().unwrap().into_iter();
    entries
        .map(|entry| match entry {
            Entry::Job(assignment, _) => (assignment.key.to_string(), true),
            Entry::Unreadable { location, .. } => {
                (location.file_name().unwrap().to_str().unwrap().to_owned(), false)
            }
        })
        .collect()
}

fn only(journal: &FileJournal) -> (Assignment, Progress) {
    let mut entries = journal.entries().unwrap();
    let (Some(Entry::Job(assignment, progress)), []) = (entries.pop(), &entries[..]) else {
        panic!("{entries:?}")
    };
    (*assignment, *progress)
}

/// Copies a sample into a journal's folder.
fn copy_sample(version: &str, folder: &Path) -> PathBuf {
    let name = "runner-2mn-ncv-x-job-42";
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal").join(version).join(name);
    let entry = folder.join("state").join(name);
    fs::create_dir_all(&entry).unwrap();
    for file in fs::read_dir(sample).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), entry.join(file.file_name())).unwrap();
    }
    entry
}

#[test]
fn a_folder_that_was_removed_is_made_again_and_is_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let state = folder.path().join("state");
    fs::remove_dir_all(&state).unwrap();
    journal.check().unwrap();
    assert!(FileJournal::open(&state).is_err());
    journal.begin(&assignment("abc", 1)).unwrap();
    let files = fs::read_dir(&state).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|name| !name.starts_with("runner-")).collect::<Vec<_>>(), ["lock"]);

    // Another process was faster: the folder is its own.
    fs::remove_dir_all(&state).unwrap();
    let other = open(folder.path());
    let error = journal.check().unwrap_err();
    assert!(error.source.to_string().contains("another runner process"), "{error:?}");
    drop(other);
    journal.check().unwrap();
}

#[test]
fn what_keeps_a_folder_from_being_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let state = folder.path().join("state");
    // Not even for root: something else has the name of what is to be written.
    fs::create_dir(state.join("trial")).unwrap();
    let error = journal.check().unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write {}", state.join("trial").display()));
    fs::remove_dir(state.join("trial")).unwrap();
    journal.check().unwrap();

    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "").unwrap();
    assert_eq!(
        journal.check().unwrap_err().to_string(),
        format!("cannot make the folder {}", state.display())
    );
    drop(journal);
    assert!(FileJournal::open(&state).is_err());
}

#[test]
fn format_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    copy_sample("v1", folder.path());
    let journal = open(folder.path());
    let (assignment, progress) = only(&journal);

    assert_eq!(assignment.key, JobKey { runner: "2mn-ncv-x".into(), job: 42 });
    assert_eq!(assignment.url, "https://gitlab.example.com/");
    assert_eq!((&*assignment.runner_name, &*assignment.system_id), ("builder", "s_0123456789ab"));
    assert_eq!(assignment.job.job_info.name, "build");
    assert_eq!(assignment.job.token.expose(), "glcbt-64_sample");
    assert_eq!(assignment.job.correlation_id(), Some("01HZX"));
    assert!(assignment.job.raw().contains(r#""something_new":{"a":[1,null]}"#), "{}", assignment.job.raw());
    assert_eq!(assignment.slots, Slots { runner: 3, project: 1 });
    let accepted = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_250);
    assert_eq!(assignment.accepted_at, accepted);
    assert!(assignment.tls_chain.unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(assignment.tls_client.is_none());
    assert!(assignment.terms.is_none());

    let expected = Progress {
        version: 1,
        handle: Some(Handle::new("shell", json!({ "folder": "runner-2mn-ncv-x-job-42" }))),
        place: Some(Place {
            builds_dir: "/builds".into(),
            cache_dir: "/cache".into(),
            shared: true,
            shell: Shell::Bash,
            helper: vec!["/usr/bin/runner".into()],
            os: "linux".into(),
            hostname: Some("host".into()),
        }),
        deadline: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_003_600)),
        stage: Some(StageKey::new(5, "step_script", 1)),
        script: Some(Verdict { failure: Some(FailureReason::ScriptFailure), exit_code: Some(7) }),
        cancel: Some(CancelState::Graceful),
        verdict: Some(Verdict::SUCCESS),
        ..Progress::default()
    };
    assert_eq!(progress, expected);
}

#[test]
fn format_2_is_read() {
    reads_all_that_goes_on(2);
}

/// Another line is in front of the one that counts.
#[test]
fn format_3_is_read() {
    reads_all_that_goes_on(3);
}

fn reads_all_that_goes_on(version: u32) {
    let folder = tempfile::tempdir().unwrap();
    copy_sample(&format!("v{version}"), folder.path());
    let (assignment, progress) = only(&open(folder.path()));
    let terms = assignment.terms.as_ref().unwrap();
    assert_eq!(terms.program.version, "1.0.0");
    assert_eq!(terms.settings.environment, [("DEPLOY_TOKEN".to_owned(), "glpat-of-the-operator".to_owned())]);
    assert_eq!(terms.settings.feature_flags, [("FF_TIMESTAMPS".to_owned(), false)].into());
    assert_eq!(terms.settings.prepare_timeout, Some(Duration::from_secs(600)));
    let shown = format!("{assignment:?}");
    assert!(!shown.contains("glpat-of-the-operator") && !shown.contains("sample-key"), "{shown}");
    assert_eq!(assignment.tls_client.unwrap().certificate, "sample-certificate");

    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds);
    let sources = |attempt| StageKey::new(1, "get_sources", attempt);
    let limit = |what, seconds| Limit { what, length: Duration::from_secs(seconds) };
    let failure = |reason, text: &str| Failure { reason, exit_code: None, text: text.into() };
    let record = |ordinal, name: &str, outcome| StageRecord { key: StageKey::new(ordinal, name, 1), outcome };
    let expected = Progress {
        version,
        handle: Some(Handle::new("shell", json!({ "folder": "runner-2mn-ncv-x-job-42" }))),
        place: Some(Place {
            builds_dir: "/builds".into(),
            cache_dir: "/cache".into(),
            shared: true,
            shell: Shell::Bash,
            helper: vec!["/usr/bin/runner".into()],
            os: "linux".into(),
            hostname: None,
        }),
        deadline: Some(at(3600)),
        limits: [
            (Limited::Preparing, at(600)),
            (Limited::Sources, at(700)),
            (Limited::Script, at(1800)),
            (Limited::AfterScript, at(2100)),
        ]
        .into(),
        script_limits: Some(ScriptLimits {
            script: Some(Duration::from_secs(1000)),
            after_script: Duration::from_secs(300),
        }),
        stages: vec![
            record(0, "prepare_script", StageOutcome::Ended(StageEnd::Exit(0))),
            record(1, "get_sources", StageOutcome::Ended(StageEnd::Signal(9))),
            record(3, "restore_cache", StageOutcome::Refused("no such key".into())),
            record(
                4,
                "download_artifacts",
                StageOutcome::Stopped(StopReason::JobTimeout(limit(Limited::Job, 3600))),
            ),
            record(5, "step_a", StageOutcome::Stopped(StopReason::Canceled)),
            record(6, "step_b", StageOutcome::Stuck(StopReason::Aborted)),
            record(
                7,
                "step_c",
                StageOutcome::Lost(failure(FailureReason::RunnerSystemFailure, "the machine is gone")),
            ),
        ],
        stage: Some(StageKey::new(8, "after_script", 1)),
        stopping: Some(StopReason::StageTimeout(limit(Limited::AfterScript, 300))),
        pause: Some(Pause { before: sources(2), until: at(65) }),
        script: Some(Verdict { failure: Some(FailureReason::ScriptFailure), exit_code: Some(7) }),
        cancel: Some(CancelState::Graceful),
        outcome: Some(JobOutcome { failure: Some(failure(FailureReason::JobCanceled, "canceled")) }),
        verdict: Some(Verdict::SUCCESS),
    };
    assert_eq!(progress, expected);
}

/// What is written today is what the newest sample shows: a change of the format does not go unnoticed.
#[test]
fn the_newest_format_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let entry = copy_sample(&format!("v{FORMAT_VERSION}"), folder.path());
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(entry.join(name)).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    let sample = (read("assignment.json"), read("progress.json"));
    let journal = open(folder.path());
    let (assignment, progress) = only(&journal);
    journal.begin(&assignment).unwrap();
    journal.save(&assignment.key, &progress).unwrap();
    assert_eq!((read("assignment.json"), read("progress.json")), sample);
}

#[test]
fn every_wish_has_its_word() {
    for (what, word) in [
        (Limited::Job, "job"),
        (Limited::Preparing, "preparing"),
        (Limited::Sources, "sources"),
        (Limited::Script, "script"),
        (Limited::AfterScript, "after_script"),
    ] {
        assert_eq!(serde_json::to_value(what).unwrap(), word);
    }
    for (reason, word) in [
        (StopReason::Canceled, "canceled"),
        (StopReason::Interrupted, "interrupted"),
        (StopReason::Aborted, "aborted"),
        (StopReason::InterruptedAtOnce, "interrupted_at_once"),
    ] {
        assert_eq!(serde_json::to_value(reason).unwrap(), word);
    }
    for (wish, word) in [
        (CancelState::Graceful, "graceful"),
        (CancelState::Abort, "abort"),
        (CancelState::Interrupted, "interrupted"),
        (CancelState::InterruptedAtOnce, "interrupted_at_once"),
    ] {
        assert_eq!(serde_json::to_value(wish).unwrap(), word);
        assert_eq!(serde_json::from_value::<CancelState>(word.into()).unwrap(), wish);
    }
}

#[test]
fn fields_that_are_missing_or_new_are_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let entry = copy_sample("v1", folder.path());
    fs::write(entry.join("progress.json"), r#"{ "version": 1, "of_tomorrow": true }"#).unwrap();
    assert_eq!(only(&open(folder.path())).1, Progress { version: 1, ..Progress::default() });
    fs::remove_file(entry.join("progress.json")).unwrap();
    assert_eq!(only(&open(folder.path())).1, Progress::default());
}

#[test]
fn nobody_else_can_read_anything() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let assignment = assignment("abc", 7);
    journal.begin(&assignment).unwrap();
    journal.save(&assignment.key, &Progress::default()).unwrap();

    let mut seen = Vec::new();
    let mut folders = vec![folder.path().join("state")];
    while let Some(path) = folders.pop() {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
        for item in fs::read_dir(&path).unwrap() {
            let item = item.unwrap();
            let mode = item.metadata().unwrap().permissions().mode() & 0o777;
            if item.file_type().unwrap().is_dir() {
                folders.push(item.path());
            } else {
                assert_eq!(mode, 0o600, "{}", item.path().display());
                seen.push(item.file_name().to_str().unwrap().to_owned());
            }
        }
    }
    seen.sort();
    assert_eq!(seen, ["assignment.json", "lock", "progress.json"]);
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let error = FileJournal::open(folder.path().join("state")).unwrap_err();
    assert!(error.to_string().starts_with("cannot lock "), "{error}");
    let below = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(below, "another runner process uses this state folder");
    journal.begin(&assignment("abc", 7)).unwrap();
    drop(journal);
    assert_eq!(names(&open(folder.path())), [("runner-abc-job-7".into(), true)]);
}

#[test]
fn a_file_that_cannot_be_replaced_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let assignment = assignment("abc", 7);
    journal.begin(&assignment).unwrap();
    let first = Progress { cancel: Some(CancelState::Graceful), ..Progress::default() };
    journal.save(&assignment.key, &first).unwrap();
    // Another process begins the file anew, and where the new one would be written is a folder.
    drop(journal);
    let journal = open(folder.path());
    let obstacle = folder.path().join("state/runner-abc-job-7/progress.new");
    fs::create_dir(&obstacle).unwrap();
    let error = journal.save(&assignment.key, &Progress::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert_eq!(only(&journal).1, first);
    fs::remove_dir(obstacle).unwrap();
    journal.save(&assignment.key, &Progress::default()).unwrap();
    assert_eq!(only(&journal).1, Progress::default());
}

#[test]
fn whoever_looks_sees_the_old_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let assignment = assignment("abc", 7);
    journal.begin(&assignment).unwrap();
    let long = StageKey::new(1, "x".repeat(100_000), 1);
    let versions = [Progress::default(), Progress { stage: Some(long), ..Progress::default() }];
    journal.save(&assignment.key, &versions[0]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..200 {
                journal.save(&assignment.key, &versions[number % 2]).unwrap();
            }
        });
        while !writer.is_finished() {
            let seen = only(&journal).1;
            assert!(versions.contains(&seen));
        }
    });
    // The file does not grow for ever.
    let file = folder.path().join("state/runner-abc-job-7/progress.json");
    assert!(fs::metadata(&file).unwrap().len() < 1_000_000);
    // What a dead process left half-written, line or file, is in nobody's way.
    drop(journal);
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{ \"vers").unwrap();
    fs::write(folder.path().join("state/runner-abc-job-7/progress.new"), "{ \"vers").unwrap();
    let journal = open(folder.path());
    assert_eq!(only(&journal).1, versions[1]);
    journal.save(&assignment.key, &versions[0]).unwrap();
    assert_eq!(only(&journal).1, versions[0]);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
}

#[test]
fn what_cannot_be_understood_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, files) in [
        ("runner-abc-job-1", [("assignment.json", r#"{ "version": 4, "key": "another form" }"#)].as_slice()),
        ("runner-abc-job-2", &[("assignment.json", r#"{ "version": 1, "key": "#)]),
        ("runner-abc-job-3", &[("assignment.json", "")]),
        ("runner-abc-job-4", &[("assignment.json", r#"{ "version": 1 }"#)]),
    ] {
        let entry = folder.path().join("state").join(name);
        fs::create_dir_all(&entry).unwrap();
        for (file, text) in files {
            fs::write(entry.join(file), text).unwrap();
        }
    }
    // Progress of another version, a copy under another name, and somebody else's folder.
    let entry = copy_sample("v1", folder.path());
    fs::write(entry.join("progress.json"), r#"{ "version": 9 }"#).unwrap();
    let copy = folder.path().join("state/runner-2mn-ncv-x-job-43");
    fs::create_dir(&copy).unwrap();
    fs::copy(entry.join("assignment.json"), copy.join("assignment.json")).unwrap();
    fs::create_dir(folder.path().join("state/lost+found")).unwrap();

    let journal = open(folder.path());
    let mut told = Vec::new();
    for entry in journal.entries().unwrap() {
        let Entry::Unreadable { location, key, why } = entry else { panic!("{entry:?}") };
        assert_eq!(location, journal.log_folder(&key.clone().unwrap()).parent().unwrap());
        told.push((key.unwrap().job, why));
    }
    let words = [
        (42, "has format version 9, this program knows 1 to 3"),
        (43, "it is the entry of runner-2mn-ncv-x-job-42, and not in its folder"),
        (1, "has format version 4, this program knows 1 to 3"),
        (2, "is damaged: "),
        (3, "is damaged: "),
        (4, "is damaged: missing field `key`"),
    ];
    assert_eq!(told.len(), words.len(), "{told:?}");
    for ((job, why), (expected, words)) in told.iter().zip(words) {
        assert!(*job == expected && why.contains(words), "{job}: {why}");
    }
    drop(journal);
    assert_eq!(
        fs::read_to_string(folder.path().join("state/runner-abc-job-2/assignment.json")).unwrap(),
        r#"{ "version": 1, "key": "#
    );
    assert!(folder.path().join("state/lost+found").is_dir());
}

#[test]
fn halves_of_entries_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // Begun and never written down; and one whose removal was cut off.
    for (name, file) in [("runner-abc-job-1", "assignment.new"), ("runner-abc-job-2", "log/log.spool")] {
        let path = state.join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "something").unwrap();
    }
    fs::create_dir_all(state.join("notes")).unwrap();
    let journal = open(folder.path());
    assert_eq!(names(&journal), []);
    let mut left: Vec<_> = fs::read_dir(&state).unwrap().map(|item| item.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["lock", "notes"]);
}

#[test]
fn entries_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let (one, two) = (assignment("abc", 1), assignment("abc", 2));
    journal.begin(&two).unwrap();
    journal.begin(&one).unwrap();
    fs::create_dir(journal.log_folder(&one.key)).unwrap();
    fs::write(journal.log_folder(&one.key).join("log.spool"), "words").unwrap();
    assert_eq!(names(&journal), [("runner-abc-job-1".into(), true), ("runner-abc-job-2".into(), true)]);
    journal.remove(&one.key).unwrap();
    journal.remove(&one.key).unwrap();
    assert_eq!(names(&journal), [("runner-abc-job-2".into(), true)]);
    assert!(!folder.path().join("state/runner-abc-job-1").exists());
    assert!(journal.save(&one.key, &Progress::default()).is_err());
}

#[test]
fn odd_names_stay_in_the_folder_and_apart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let runners = ["../../etc", "a/b", "a_b", "a.b", "", "äöü", "a\nb"];
    for runner in runners {
        journal.begin(&assignment(runner, 1)).unwrap();
        assert_eq!(
            journal.log_folder(&assignment(runner, 1).key).components().count(),
            folder.path().components().count() + 3
        );
    }
    drop(journal);
    let journal = open(folder.path());
    let mut found: Vec<String> = journal
        .entries()
        .unwrap()
        .into_iter()
        .map(|entry| match entry {
            Entry::Job(assignment, _) => assignment.key.runner,
            Entry::Unreadable { .. } => panic!("{entry:?}"),
        })
        .collect();
    let mut expected = runners.map(str::to_owned);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    for runner in runners {
        journal.remove(&assignment(runner, 1).key).unwrap();
    }
    assert_eq!(names(&journal), []);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
