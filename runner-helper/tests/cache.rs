//! The cache commands with real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the report")]

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Command};
use runner_helper::artifacts::Surroundings;
use runner_helper::cache::{ArchiverArgs, ExtractorArgs, InitArgs, archive, extract, init};

const LOCAL: &str =
    "No URL provided, cache will not be uploaded to shared cache server. Cache will be stored only locally.";

/// Projects and a cache beside them.
struct Fixture {
    outer: tempfile::TempDir,
}

impl Fixture {
    /// A project `one` with files that are an hour old, and an empty project `two`.
    fn new(files: &[&str]) -> Self {
        let fixture = Self { outer: tempfile::tempdir().unwrap() };
        fs::create_dir_all(fixture.path("two")).unwrap();
        fs::create_dir_all(fixture.path("one")).unwrap();
        for file in files {
            fixture.write(&format!("one/{file}"), file, Duration::from_secs(3600));
        }
        for folder in
            files.iter().filter_map(|file| Path::new(file).parent()).filter(|folder| *folder != Path::new(""))
        {
            set_age(&fixture.path("one").join(folder), Duration::from_secs(3600));
        }
        fixture
    }

    fn path(&self, path: &str) -> PathBuf {
        self.outer.path().join(path)
    }

    fn write(&self, path: &str, content: &str, age: Duration) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_age(&path, age);
    }

    fn archive(&self, project: &str, arguments: &[&str]) -> (u8, String) {
        let args: ArchiverArgs = parse(&[&["--file", "../cache/key/cache.zip"], arguments].concat());
        self.run(project, |surroundings| archive(&args, surroundings))
    }

    fn extract(&self, project: &str, arguments: &[&str]) -> (u8, String) {
        let args: ExtractorArgs = parse(&[&["--file", "../cache/key/cache.zip"], arguments].concat());
        self.run(project, |surroundings| extract(&args, surroundings))
    }

    fn run(&self, project: &str, command: impl FnOnce(&mut Surroundings<'_>) -> u8) -> (u8, String) {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let code = command(&mut Surroundings {
            folder: self.path(project),
            environment: BTreeMap::new(),
            upload_wait: Duration::ZERO,
            out: &mut out,
            log: &mut log,
        });
        assert!(out.is_empty());
        (code, String::from_utf8(log).unwrap())
    }

    /// Tells archives apart: one that is written anew is another file.
    fn archive_id(&self) -> u64 {
        fs::metadata(self.path("cache/key/cache.zip")).unwrap().ino()
    }
}

fn set_age(path: &Path, age: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

fn parse<T: Args>(arguments: &[&str]) -> T {
    let command = T::augment_args(Command::new("test").no_binary_name(true));
    T::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

#[test]
fn a_cache_comes_back_as_it_was() {
    let fixture = Fixture::new(&["vendor/a", "vendor/deep/b", "other"]);
    fs::set_permissions(fixture.path("one/vendor/a"), Permissions::from_mode(0o751)).unwrap();
    symlink("deep/b", fixture.path("one/vendor/link")).unwrap();
    let (code, log) = fixture.archive("one", &["--path", "vendor", "--metadata", r#"{"CacheKey":"a key"}"#]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("vendor: found 5 matching artifact files and directories"), "{log}");
    assert!(log.contains(LOCAL), "{log}");
    assert_eq!(
        fs::read_to_string(fixture.path("cache/key/metadata.json")).unwrap(),
        r#"{"cachekey":"a key"}"#
    );
    assert_eq!(fs::read_dir(fixture.path("cache/key")).unwrap().count(), 2, "a temporary file is left");

    let (code, log) = fixture.extract("two", &[]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("Instead a local version of cache will be extracted."), "{log}");
    assert_eq!(fs::read_to_string(fixture.path("two/vendor/deep/b")).unwrap(), "vendor/deep/b");
    assert_eq!(fs::read_link(fixture.path("two/vendor/link")).unwrap(), Path::new("deep/b"));
    let [before, after] =
        ["one", "two"].map(|project| fs::metadata(fixture.path(project).join("vendor/a")).unwrap());
    assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
    assert!(!fixture.path("two/other").exists());
}

#[test]
fn an_archive_is_written_anew_only_when_something_has_changed() {
    let fixture = Fixture::new(&["vendor/a", "vendor/b"]);
    let archive = |what: &str, anew: bool| {
        let before = fixture.archive_id();
        let (code, log) = fixture.archive("one", &["--path", "vendor/*"]);
        assert_eq!((code, fixture.archive_id() != before), (0, anew), "{what}: {log}");
        assert_eq!(log.contains("Archive is up to date!"), !anew, "{what}: {log}");
    };
    assert_eq!(fixture.archive("one", &["--path", "vendor/*"]).0, 0);
    archive("nothing", false);
    fixture.write("one/vendor/a", "other content", Duration::ZERO);
    archive("content", true);
    set_age(&fixture.path("one/vendor/a"), Duration::from_secs(60));
    archive("nothing, afterwards", false);
    fs::remove_file(fixture.path("one/vendor/b")).unwrap();
    archive("one file less", true);
    fixture.write("one/vendor/c", "an old file", Duration::from_secs(7200));
    archive("one old file more", true);
    archive("nothing, at last", false);
    fs::write(fixture.path("cache/key/cache.zip"), "broken").unwrap();
    archive("the archive itself", true);
    assert_eq!(fixture.extract("two", &[]).0, 0);
    assert_eq!(fs::read_to_string(fixture.path("two/vendor/a")).unwrap(), "other content");
}

#[test]
fn an_archive_under_its_other_name_is_taken() {
    let fixture = Fixture::new(&["vendor/a"]);
    assert_eq!(fixture.archive("one", &["--path", "vendor"]).0, 0);
    let id = fixture.archive_id();
    fs::create_dir_all(fixture.path("cache/hash")).unwrap();
    fs::rename(fixture.path("cache/key/cache.zip"), fixture.path("cache/hash/cache.zip")).unwrap();
    let (code, log) =
        fixture.archive("one", &["--alternate-file", "../cache/hash/cache.zip", "--path", "vendor"]);
    assert_eq!((code, fixture.archive_id()), (0, id), "{log}");
    assert!(!fixture.path("cache/hash/cache.zip").exists());
}

#[test]
fn a_cache_that_is_not_there_is_said() {
    let fixture = Fixture::new(&[]);
    let (code, log) = fixture.extract("two", &[]);
    assert_eq!(code, 1);
    assert!(log.contains("WARNING: Cache file does not exist"), "{log}");
}

#[test]
fn nothing_to_cache_is_no_failure_and_leaves_the_archive() {
    let fixture = Fixture::new(&["vendor/a"]);
    let (code, log) = fixture.archive("one", &["--path", "none"]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("WARNING: No files to cache."), "{log}");
    assert!(!fixture.path("cache").exists());
}

#[test]
fn a_broken_archive_is_named() {
    let fixture = Fixture::new(&["vendor/a"]);
    assert_eq!(fixture.archive("one", &["--path", "vendor"]).0, 0);
    let file = fixture.path("cache/key/cache.zip");
    let content = fs::read(&file).unwrap();
    for broken in [&content[..content.len() / 2], b"", b"\x1f\x8b gzip", b"\x28\xb5\x2f\xfd zstd"] {
        fs::write(&file, broken).unwrap();
        let (code, log) = fixture.extract("two", &[]);
        assert_eq!(code, 1, "{log}");
        assert!(log.contains("FATAL: "), "{log}");
    }
}

#[test]
fn an_archive_cannot_write_outside_of_the_project() {
    let fixture = Fixture::new(&[]);
    fs::create_dir_all(fixture.path("cache/key")).unwrap();
    let mut archive = zip::ZipWriter::new(File::create(fixture.path("cache/key/cache.zip")).unwrap());
    archive.start_file("../escaped", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(b"x").unwrap();
    archive.finish().unwrap();
    let (code, log) = fixture.extract("two", &[]);
    assert_eq!(code, 1);
    assert!(log.contains("../escaped"), "{log}");
    assert!(!fixture.path("escaped").exists());
}

#[test]
fn an_archive_that_cannot_be_written_is_a_failure_and_keeps_the_old_one() {
    let fixture = Fixture::new(&["vendor/a"]);
    fixture.write("cache", "a file where the folder should be", Duration::ZERO);
    let (code, log) = fixture.archive("one", &["--path", "vendor"]);
    assert_eq!(code, 1);
    assert!(log.contains("FATAL: cannot write ") && log.contains("cache.zip: "), "{log}");
    assert_eq!(fs::read_to_string(fixture.path("cache")).unwrap(), "a file where the folder should be");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let fixture = Fixture::new(&["vendor/a"]);
    for flag in ["--url", "--check-url", "--gocloud-url", "--env-file", "--header"] {
        let (code, log) = fixture.archive("one", &["--path", "vendor", flag, "x"]);
        assert_eq!(code, 1);
        assert!(log.contains("not supported: ") && log.contains(flag), "{log}");
    }
    for flag in ["--url", "--head-url", "--alternate-url", "--alternate-gocloud-url"] {
        let (code, log) = fixture.extract("two", &[flag, "x"]);
        assert_eq!(code, 1);
        assert!(log.contains("not supported: "), "{log}");
    }
    let (code, log) = fixture.archive("one", &["--path", "vendor", "--compression-format", "tarzstd"]);
    assert_eq!(code, 1);
    assert!(log.contains("not supported: --compression-format tarzstd"), "{log}");
    assert!(!fixture.path("cache").exists());
}

#[test]
fn odd_metadata_is_refused() {
    let fixture = Fixture::new(&["vendor/a"]);
    let (code, log) = fixture.archive("one", &["--path", "vendor", "--metadata", "[1]"]);
    assert_eq!(code, 1);
    assert!(log.contains("--metadata is no JSON object of texts"), "{log}");
}

#[test]
fn cache_init_lets_everybody_write() {
    let fixture = Fixture::new(&["folder/a"]);
    let args: InitArgs = parse(&["folder", "missing"]);
    let (code, log) = fixture.run("one", |surroundings| init(&args, surroundings));
    assert_eq!(code, 0);
    assert!(log.contains("ERROR: cannot let everybody write to ") && log.contains("missing"), "{log}");
    assert_eq!(fs::metadata(fixture.path("one/folder")).unwrap().mode() & 0o777, 0o777);
}
