//! The gallery of the guide to `exec` shows what the program prints.
//!
//! A `yaml` block of the gallery is the project's `.gitlab-ci.yml`, or the file that its first line names. A `console` block
//! holds commands and what they print: `…` stands for lines left out, `^C` for Ctrl-C, and `$ echo $?` for the exit code.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Checkout, Surroundings};

const GUIDE: &str = include_str!("../../../docs/guide/exec.md");

#[test]
fn what_the_gallery_shows_is_what_the_program_prints() {
    let (_, gallery) = GUIDE.split_once("\n## Gallery\n").unwrap();
    let gallery = gallery.split("\n## ").next().unwrap();
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "");
    let mut shown = 0;
    for (language, text) in blocks(gallery) {
        match language {
            "yaml" => checkout.write(file_name(text), text),
            "console" => {
                checkout.commit("Change the pipeline");
                for command in text.split("$ runner ").skip(1) {
                    Scene::parse(command).play(&checkout);
                    shown += 1;
                }
            }
            _ => {}
        }
    }
    assert!(shown >= 5, "the gallery shows {shown} commands");
}

/// Fenced blocks with their language.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

fn file_name(text: &str) -> &str {
    text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or(".gitlab-ci.yml")
}

/// One command and what it prints.
struct Scene<'t> {
    arguments: Vec<&'t str>,
    expected: Vec<&'t str>,
    code: i32,
}

impl<'t> Scene<'t> {
    fn parse(text: &'t str) -> Self {
        let mut lines = text.lines();
        let arguments = lines.next().unwrap().split(' ').collect();
        let mut expected = Vec::new();
        let mut code = 0;
        while let Some(line) = lines.next() {
            if line == "$ echo $?" {
                code = lines.next().unwrap().parse().unwrap();
            } else {
                expected.push(line);
            }
        }
        Self { arguments, expected, code }
    }

    fn play(&self, checkout: &Checkout<'_>) {
        let mut command = checkout.surroundings.command();
        command.arg(self.arguments[0]);
        if self.arguments[0] == "exec" {
            command.arg("--state-dir").arg(checkout.surroundings.path("state"));
        }
        command.args(&self.arguments[1..]).current_dir(&checkout.root);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut interrupt = self.before_interrupt();
        let mut printed = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            printed.push(normal(&line.unwrap()));
            if interrupt.is_some_and(|before| normal(before) == *printed.last().unwrap()) {
                kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT)
                    .unwrap();
                interrupt = None;
            }
        }
        // Errors come alone, or after everything else.
        let errors = BufReader::new(child.stderr.take().unwrap()).lines();
        printed.extend(errors.map(|line| normal(&line.unwrap())));
        let code = child.wait().unwrap().code();
        self.compare(&printed);
        assert_eq!(code, Some(self.code), "{:?}: {printed:#?}", self.arguments);
    }

    /// The line after which Ctrl-C is pressed.
    fn before_interrupt(&self) -> Option<&'t str> {
        let at = self.expected.iter().position(|line| *line == "^C")?;
        at.checked_sub(1).map(|before| self.expected[before])
    }

    /// Finds the lines between those left out, one group after the other.
    #[track_caller]
    fn compare(&self, printed: &[String]) {
        let expected: Vec<&str> = self.expected.iter().copied().filter(|line| *line != "^C").collect();
        let groups: Vec<Vec<String>> = expected
            .split(|line| *line == "…")
            .map(|group| group.iter().map(|line| normal(line)).collect())
            .collect();
        let mut from = 0;
        for (place, group) in groups.iter().enumerate() {
            let first = place == 0;
            let last = place + 1 == groups.len();
            let at = (from..=printed.len().saturating_sub(group.len()))
                .find(|at| printed[*at..].starts_with(group) && (!first || *at == 0))
                .unwrap_or_else(|| {
                    panic!("{:?} does not print\n{group:#?}\nbut\n{printed:#?}", self.arguments)
                });
            from = at + group.len();
            assert!(!last || group.is_empty() || from == printed.len(), "more is printed:\n{printed:#?}");
        }
    }
}

/// A line without what differs from run to run: times, the bars that show them, and the columns that both take.
fn normal(line: &str) -> String {
    let times = Regex::new(r"\d+(\.\d+)? (s|ms|min)\b").unwrap();
    let bars = Regex::new(r"[█▏▎▍▌▋▊▉·]+").unwrap();
    let gaps = Regex::new(r"  +").unwrap();
    if !times.is_match(line) {
        return line.to_owned();
    }
    let line = times.replace_all(line, "N s");
    let line = bars.replace_all(&line, "");
    gaps.replace_all(line.trim_end(), "  ").into_owned()
}
