//! A project folder, and the commands run in it as the program would run them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use runner_helper::artifacts::{DownloaderArgs, Surroundings, UploaderArgs, download, upload};

/// A project folder that is removed with everything in it.
pub(crate) struct Project {
    outer: tempfile::TempDir,
    pub(crate) environment: BTreeMap<String, String>,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: u8,
    pub(crate) log: String,
    pub(crate) out: String,
}

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let outer = tempfile::tempdir().unwrap();
        let project = Self { outer, environment: BTreeMap::new() };
        fs::create_dir(project.folder()).unwrap();
        fs::create_dir(project.staging()).unwrap();
        for (path, content) in files {
            let path = project.folder().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        project
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.outer.path().join("project")
    }

    /// Where temporary files go.
    pub(crate) fn staging(&self) -> PathBuf {
        self.outer.path().join("staging")
    }

    pub(crate) fn upload(&self, url: &str, arguments: &[&str]) -> Ended {
        let args: UploaderArgs = parse(url, arguments);
        self.run(|surroundings| upload(&args, surroundings))
    }

    /// Only with these arguments: nothing about the server is given first.
    pub(crate) fn upload_with(&self, arguments: &[&str]) -> Ended {
        let args: UploaderArgs = parse_all(&[&["test"], arguments].concat());
        self.run(|surroundings| upload(&args, surroundings))
    }

    pub(crate) fn download(&self, url: &str, arguments: &[&str]) -> Ended {
        let staging = self.staging().display().to_string();
        let arguments = [&["--archiver-staging-dir", staging.as_str()], arguments].concat();
        let args: DownloaderArgs = parse(url, &arguments);
        self.run(|surroundings| download(&args, surroundings))
    }

    fn run(&self, command: impl FnOnce(&mut Surroundings<'_>) -> u8) -> Ended {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let code = command(&mut Surroundings {
            folder: self.folder(),
            environment: self.environment.clone(),
            upload_wait: Duration::from_millis(1),
            out: &mut out,
            log: &mut log,
        });
        Ended { code, log: String::from_utf8(log).unwrap(), out: String::from_utf8(out).unwrap() }
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder().join(path)).unwrap()
    }
}

/// Parses arguments as the program would, with a job that is given first.
fn parse<T: Args + FromArgMatches>(url: &str, arguments: &[&str]) -> T {
    let given = ["test", "--url", url, "--token", "glcbt-64_secret-token", "--id", "42"];
    parse_all(&[&given, arguments].concat())
}

fn parse_all<T: Args + FromArgMatches>(arguments: &[&str]) -> T {
    // A later argument replaces an earlier one. The environment of whoever runs the tests, maybe a job, says nothing here.
    let matches = T::augment_args(Command::new("test").args_override_self(true))
        .mut_args(|argument| argument.env(None))
        .try_get_matches_from(arguments)
        .unwrap();
    T::from_arg_matches(&matches).unwrap()
}

/// Builds a zip archive: a name that ends with `/` is a folder, a content that begins with `->` is a symlink.
pub(crate) fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in entries {
        if name.ends_with('/') {
            archive.add_directory(*name, options).unwrap();
        } else if let Some(target) = content.strip_prefix("->") {
            archive.add_symlink(*name, target, options).unwrap();
        } else {
            archive.start_file(*name, options.unix_permissions(0o751)).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
    }
    archive.finish().unwrap().into_inner()
}
