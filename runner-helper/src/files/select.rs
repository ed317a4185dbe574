//! Which files are meant: paths, patterns, exclusions, and what git does not track.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use walkdir::WalkDir;

use super::expand::expand;
use super::glob::Glob;
use super::report::Report;
use super::surroundings::Surroundings;

/// What to look for.
pub(crate) struct Wanted<'a> {
    pub(crate) paths: &'a [String],
    pub(crate) exclude: &'a [String],
    pub(crate) untracked: bool,
}

/// The project folder, and the other names it is known by.
pub(crate) struct Project {
    folder: PathBuf,
    aliases: Vec<PathBuf>,
    environment: Environment,
}

type Environment = std::collections::BTreeMap<String, String>;

impl Project {
    /// The project in the folder of `surroundings`. Absolute paths of jobs may use another name of it, through symlinks:
    /// `PWD` and `CI_PROJECT_DIR` are tried.
    pub(crate) fn of(surroundings: &Surroundings<'_>) -> Self {
        let folder = surroundings.folder.clone();
        let same = |path: &PathBuf| match (fs::canonicalize(path), fs::canonicalize(&folder)) {
            (Ok(path), Ok(folder)) => path == folder,
            _ => false,
        };
        let names = ["PWD", "CI_PROJECT_DIR"].into_iter().filter_map(|name| surroundings.variable(name));
        let aliases = names.map(PathBuf::from).filter(|path| path.is_absolute() && same(path)).collect();
        Self { folder, aliases, environment: surroundings.environment.clone() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Expands the variables in a text; what cannot be expanded stays as it is, with a warning.
    pub(crate) fn expanded(&self, what: &str, text: &str, report: &mut Report<'_>) -> String {
        let lookup = |name: &str| self.environment.get(name).filter(|value| !value.is_empty()).cloned();
        expand(text, &lookup).unwrap_or_else(|refused| {
            report.warning(format_args!("invalid {what} {text}: {refused}"));
            text.to_owned()
        })
    }

    /// All wanted files and folders, relative to the project folder, sorted.
    pub(crate) fn select(&self, wanted: &Wanted<'_>, report: &mut Report<'_>) -> BTreeSet<PathBuf> {
        let mut selection = Selection { files: BTreeSet::new(), exclusions: Vec::new() };
        for pattern in wanted.exclude {
            self.exclusion(pattern, &mut selection, report);
        }
        for path in wanted.paths {
            self.path(path, &mut selection, report);
        }
        if wanted.untracked {
            self.untracked(&mut selection, report);
        }
        for exclusion in &selection.exclusions {
            if exclusion.excluded > 0 {
                report.info(format_args!("{}: excluded {} files", exclusion.pattern, exclusion.excluded));
            }
        }
        selection.files
    }

    fn exclusion(&self, pattern: &str, selection: &mut Selection, report: &mut Report<'_>) {
        let expanded = self.expanded("path", pattern, report);
        let Some(relative) = self.relative(&expanded) else {
            report.warning(format_args!(
                "isExcluded: artifact path is not a subpath of project directory: {expanded}"
            ));
            return;
        };
        match Glob::parse(&relative) {
            Ok(glob) => selection.exclusions.push(Exclusion { pattern: expanded, glob, excluded: 0 }),
            Err(error) => report.warning(format_args!("invalid pattern {expanded}: {error}")),
        }
    }

    fn path(&self, path: &str, selection: &mut Selection, report: &mut Report<'_>) {
        let expanded = self.expanded("path", path, report);
        if expanded.is_empty() {
            report.warning("No matching files. Path is empty.");
            return;
        }
        let Some(relative) = self.relative(&expanded) else {
            report.warning(format_args!(
                "processPath: artifact path is not a subpath of project directory: {expanded}"
            ));
            return;
        };
        let mut found = 0_usize;
        for base in self.matches(&relative, report) {
            // Symlinks are entries, never followed. What vanishes or cannot be read while walking is passed over.
            for entry in WalkDir::new(self.folder.join(&base)).follow_root_links(false).into_iter().flatten()
            {
                let below = entry.path().strip_prefix(&self.folder).unwrap_or(&base);
                if selection.add(below) {
                    found += 1;
                }
            }
        }
        if found == 0 {
            report.warning(format_args!(
                "{expanded}: no matching files. Ensure that the artifact path is relative to the working directory ({})",
                self.folder.display()
            ));
        } else {
            report.info(format_args!("{expanded}: found {found} matching artifact files and directories"));
        }
    }

    /// The paths that exist for a path or pattern.
    fn matches(&self, relative: &str, report: &mut Report<'_>) -> BTreeSet<PathBuf> {
        if relative.is_empty() {
            return BTreeSet::from([PathBuf::new()]);
        }
        if Glob::is_pattern(relative) {
            return match Glob::parse(relative) {
                Ok(glob) => glob.find(&self.folder, &|folder| self.is_inside(&self.folder.join(folder))),
                Err(error) => {
                    report.warning(format_args!("invalid pattern {relative}: {error}"));
                    BTreeSet::new()
                }
            };
        }
        let path = self.folder.join(relative);
        let exists =
            fs::symlink_metadata(&path).is_ok() && path.parent().is_some_and(|parent| self.is_inside(parent));
        if exists { BTreeSet::from([PathBuf::from(relative)]) } else { BTreeSet::new() }
    }

    /// Whether a folder, with all symlinks followed, lies in the project.
    fn is_inside(&self, path: &Path) -> bool {
        match (fs::canonicalize(path), fs::canonicalize(&self.folder)) {
            (Ok(path), Ok(folder)) => path.is_dir() && path.starts_with(folder),
            _ => false,
        }
    }

    fn untracked(&self, selection: &mut Selection, report: &mut Report<'_>) {
        let mut git = Command::new("git");
        git.args(["ls-files", "-o", "-z"]).current_dir(&self.folder).env_clear().envs(&self.environment);
        let output = match git.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) => {
                report.warning(format_args!("untracked: cannot run git: {error}"));
                return;
            }
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            report.warning(format_args!(
                "untracked: git ls-files ended with {}: {}",
                output.status,
                said.trim()
            ));
            return;
        }
        let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let found = names
            .map(|name| Path::new(std::ffi::OsStr::from_bytes(name)))
            .filter(|path| fs::symlink_metadata(self.folder.join(path)).is_ok())
            .filter(|path| selection.add(path))
            .count();
        if found == 0 {
            report.warning("untracked: no files");
        } else {
            report.info(format_args!("untracked: found {found} files"));
        }
    }

    /// A path or pattern of the job relative to the project folder; `None` when it leads outside. Only the text counts.
    fn relative(&self, text: &str) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        let mut add = |path: &str| {
            for name in path.split('/') {
                match name {
                    "" | "." => {}
                    ".." => {
                        names.pop();
                    }
                    name => names.push(name.to_owned()),
                }
            }
        };
        if !text.starts_with('/') {
            add(&self.folder.to_string_lossy());
        }
        add(text);
        let roots = std::iter::once(&self.folder).chain(&self.aliases);
        roots.into_iter().find_map(|root| {
            let root: Vec<_> = root
                .components()
                .filter_map(|component| match component {
                    Component::Normal(name) => Some(name.to_string_lossy()),
                    _ => None,
                })
                .collect();
            let (head, below) = names.split_at_checked(root.len())?;
            head.iter().zip(&root).all(|(name, root)| name == root).then(|| below.join("/"))
        })
    }
}

struct Selection {
    files: BTreeSet<PathBuf>,
    exclusions: Vec<Exclusion>,
}

struct Exclusion {
    pattern: String,
    glob: Glob,
    excluded: usize,
}

impl Selection {
    /// Adds a path unless it is excluded; tells whether it counts as found.
    fn add(&mut self, path: &Path) -> bool {
        if let Some(exclusion) = self.exclusions.iter_mut().find(|exclusion| exclusion.glob.matches(path)) {
            exclusion.excluded += 1;
            return false;
        }
        // The project folder itself needs no entry.
        if !path.as_os_str().is_empty() {
            self.files.insert(path.to_owned());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Fixture {
        outer: tempfile::TempDir,
        environment: Environment,
    }

    impl Fixture {
        fn new(files: &[&str]) -> Self {
            let outer = tempfile::tempdir().unwrap();
            let fixture = Self { outer, environment: Environment::new() };
            fs::create_dir(fixture.folder()).unwrap();
            for file in files {
                fixture.write(file);
            }
            fixture
        }

        fn folder(&self) -> PathBuf {
            self.outer.path().join("project")
        }

        fn write(&self, file: &str) {
            let path = self.folder().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }

        fn select(&self, paths: &[&str], exclude: &[&str], untracked: bool) -> (String, String) {
            let mut log = Vec::new();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let surroundings = Surroundings {
                folder: self.folder(),
                environment: self.environment.clone(),
                upload_wait: std::time::Duration::ZERO,
                out: &mut out,
                log: &mut err,
            };
            let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            let (paths, exclude) = (owned(paths), owned(exclude));
            let wanted = Wanted { paths: &paths, exclude: &exclude, untracked };
            let files = Project::of(&surroundings).select(&wanted, &mut Report::new(&mut log));
            let files: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
            (files.join(" "), String::from_utf8(log).unwrap())
        }
    }

    #[test]
    fn paths_and_patterns() {
        let mut fixture = Fixture::new(&["out/a.txt", "out/sub/b.txt", ".env", "x.log", "sub/y.log"]);
        fixture.environment.insert("DIR".into(), "out".into());
        let folder = fixture.folder().display().to_string();
        for (path, expected) in [
            ("out/", "out out/a.txt out/sub out/sub/b.txt"),
            ("./out/../out/a.txt", "out/a.txt"),
            ("$DIR/a.txt", "out/a.txt"),
            ("${MISSING:-out}/a.txt", "out/a.txt"),
            ("**/*.log", "sub/y.log x.log"),
            ("out/**", "out out/a.txt out/sub out/sub/b.txt"),
            ("*.{log,txt}", "x.log"),
            ("[.x]*", ".env x.log"),
            ("../project/x.log", "x.log"),
            (&format!("{folder}/x.log"), "x.log"),
            (&format!("{folder}/out/*.txt"), "out/a.txt"),
            (".", ".env out out/a.txt out/sub out/sub/b.txt sub sub/y.log x.log"),
        ] {
            let (files, log) = fixture.select(&[path], &[], false);
            assert_eq!(files, expected, "{path}");
            assert!(log.contains("matching artifact files and directories"), "{log}");
        }
    }

    #[test]
    fn what_is_not_there_or_outside_is_a_warning() {
        let fixture = Fixture::new(&["a"]);
        fs::write(fixture.outer.path().join("x"), "").unwrap();
        for (path, part) in [
            ("/etc/passwd", "processPath: artifact path is not a subpath of project directory: /etc/passwd"),
            ("../x", "processPath: artifact path is not a subpath of project directory: ../x"),
            ("../project2/x", "is not a subpath"),
            ("missing", "missing: no matching files. Ensure that the artifact path is relative to"),
            ("*.none", "*.none: no matching files."),
            ("", "No matching files. Path is empty."),
            ("$MISSING", "No matching files. Path is empty."),
            ("$(id)", "invalid path $(id): command substitution is not allowed"),
            ("[a", "invalid pattern [a: "),
        ] {
            let (files, log) = fixture.select(&[path], &[], false);
            assert_eq!(files, "", "{path}");
            assert!(log.contains("WARNING: ") && log.contains(part), "{log}");
        }
    }

    #[test]
    fn exclusions_do_not_reach_below_a_folder_and_a_bad_one_stops_no_other() {
        let fixture = Fixture::new(&["out/a.txt", "out/sub/b.txt", "out/sub/c.log"]);
        let (files, log) = fixture.select(&["out/"], &["out/sub"], false);
        assert_eq!(files, "out out/a.txt out/sub/b.txt out/sub/c.log");
        assert!(log.contains("out/sub: excluded 1 files"), "{log}");
        let (files, log) = fixture.select(&["out/"], &["../x", "**/*.log", "out/sub/**"], false);
        assert_eq!(files, "out out/a.txt");
        assert!(
            log.contains("isExcluded: artifact path is not a subpath of project directory: ../x"),
            "{log}"
        );
    }

    #[test]
    fn symlinks_are_entries_and_lead_nowhere_outside() {
        let fixture = Fixture::new(&["in/a"]);
        let folder = fixture.folder();
        fs::create_dir(fixture.outer.path().join("secret")).unwrap();
        fs::write(fixture.outer.path().join("secret/key"), "").unwrap();
        symlink("../secret", folder.join("out")).unwrap();
        symlink("in", folder.join("alias")).unwrap();
        symlink("nowhere", folder.join("dangling")).unwrap();
        assert_eq!(fixture.select(&["*"], &[], false).0, "alias dangling in in/a out");
        assert_eq!(fixture.select(&["alias/*"], &[], false).0, "alias/a");
        assert_eq!(fixture.select(&["alias/a"], &[], false).0, "alias/a");
        for path in ["out/key", "out/*", "*/key", "out/**"] {
            let (files, _) = fixture.select(&[path], &[], false);
            assert!(!files.contains("key"), "{path}: {files}");
        }
    }

    #[test]
    fn another_name_of_the_project_is_understood() {
        let mut fixture = Fixture::new(&["a"]);
        let other = fixture.outer.path().join("other");
        symlink("project", &other).unwrap();
        let path = format!("{}/a", other.display());
        assert_eq!(fixture.select(&[&path], &[], false).0, "");
        fixture.environment.insert("CI_PROJECT_DIR".into(), other.display().to_string());
        assert_eq!(fixture.select(&[&path], &[], false).0, "a");
        fixture.environment.insert("CI_PROJECT_DIR".into(), fixture.outer.path().display().to_string());
        assert_eq!(fixture.select(&["../x"], &[], false).0, "");
    }

    #[test]
    fn untracked_files_include_ignored_ones() {
        let mut fixture = Fixture::new(&["tracked", "new file", "ignored.o", "dir/ü"]);
        let (files, log) = fixture.select(&[], &[], true);
        assert_eq!(files, "");
        assert!(log.contains("WARNING: untracked: "), "{log}");

        fixture.environment.insert("PATH".into(), env!("PATH").into());
        fs::write(fixture.folder().join(".gitignore"), "*.o\n").unwrap();
        for arguments in [&["init", "-q"][..], &["add", "tracked", ".gitignore"]] {
            let done = Command::new("git").args(arguments).current_dir(fixture.folder()).status().unwrap();
            assert!(done.success());
        }
        let (files, log) = fixture.select(&["tracked"], &["dir/*"], true);
        assert_eq!(files, "ignored.o new file tracked");
        assert!(log.contains("untracked: found 2 files"), "{log}");
    }
}
