//! `exec` at a terminal: a real pseudo-terminal, and what can be seen on it.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::support::{Checkout, Surroundings};

/// A terminal of this many columns and rows, whose program is `exec`.
struct Terminal {
    master: std::fs::File,
    child: Child,
    screen: vt100::Parser,
    raw: Vec<u8>,
    /// How the terminal was set at first.
    modes: String,
}

impl Terminal {
    fn start(checkout: &Checkout<'_>, (rows, columns): (u16, u16), arguments: &[&str]) -> Self {
        Self::start_with(checkout, (rows, columns), arguments, &[("TERM", "xterm-256color")])
    }

    fn start_with(
        checkout: &Checkout<'_>,
        (rows, columns): (u16, u16),
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = std::fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&slave, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let side = || Stdio::from(slave.try_clone().unwrap());
        let mut command = checkout.exec_command(arguments);
        command.envs(environment.iter().copied()).stdin(side()).stdout(side()).stderr(side());
        let child = command.spawn().unwrap();
        // Nobody but the program has this side open from now on, so that reading the other one ends with it.
        drop((command, slave));
        let master = std::fs::File::from(master);
        let modes = modes(&master);
        Self { master, child, screen: vt100::Parser::new(rows, columns, 0), raw: Vec::new(), modes }
    }

    /// Takes in what comes until that can be seen.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        while !self.screen.screen().contents().contains(text) {
            assert!(self.take_in(), "{text:?} was not shown: {}", self.screen.screen().contents());
        }
    }

    fn take_in(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let count = self.master.read(&mut buffer).unwrap_or_default();
        self.screen.process(&buffer[..count]);
        self.raw.extend_from_slice(&buffer[..count]);
        count > 0
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    fn interrupt(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    /// Takes in everything until the program has ended; its exit code, and what is on the terminal then.
    fn end(&mut self) -> (Option<i32>, String, String) {
        while self.take_in() {}
        let code = self.child.wait().unwrap().code();
        assert_eq!(modes(&self.master), self.modes);
        (code, self.screen.screen().contents(), String::from_utf8_lossy(&self.raw).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.interrupt();
            self.interrupt();
            while self.take_in() {}
            self.child.wait().unwrap();
        }
    }
}

fn modes(terminal: &std::fs::File) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

/// What the terminal shows, without spaces at the ends of lines and empty lines at the end.
fn last_line(shown: &str) -> &str {
    shown.trim_end().lines().last().unwrap_or_default().trim_end()
}

#[test]
fn what_runs_is_shown_below_the_log() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
stages: [one, two]
build:
  stage: one
  script: ['echo "first word"', 'until [ -e "$MARK" ]; do sleep 0.1; done', 'printf "10%%\r\033[32m100%%\033[0m\n"']
other: {stage: two, script: 'echo second word'}
"#,
    );
    let mark = surroundings.path("mark");
    let argument = format!("MARK={}", mark.display());
    let mut terminal = Terminal::start(&checkout, (70, 80), &["--variable", &argument]);
    terminal.wait_for("build  step_script  ");
    terminal.wait_for("build | first word");
    terminal.wait_for("0 of 2 done, 1 running, 1 waiting");
    let shown = terminal.screen.screen().contents();
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text:?} is missing: {shown}"));
    assert!(place("| first word") < place("build  step_script"), "{shown}");
    assert!(last_line(&shown).starts_with("pipeline 1  "), "{shown}");
    std::fs::write(mark, "").unwrap();
    let (code, shown, raw) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("build | 100%\n") && !shown.contains("10%\r"), "{shown}");
    assert!(shown.contains("other | second word\n") && !shown.contains("section_"), "{shown}");
    assert!(!shown.contains("running") && !shown.contains("step_script  "), "{shown}");
    assert!(last_line(&shown).starts_with("pipeline 1: success (2 jobs in "), "{shown}");
    // Neither the cursor nor the screen are switched.
    assert!(!raw.contains("\u{1b}[?"), "{raw}");
}

#[test]
fn a_small_terminal_shows_no_more_than_it_can() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
many:
  parallel: 8
  script: ['until [ -e "$MARK" ]; do sleep 0.1; done', 'echo end of $CI_JOB_NAME']
"#,
    );
    let mark = surroundings.path("mark");
    let argument = format!("MARK={}", mark.display());
    let mut terminal = Terminal::start(&checkout, (10, 40), &["--jobs", "8", "--variable", &argument]);
    terminal.wait_for("0 of 8 done, 8 running");
    terminal.wait_for("… and 5 more");
    let shown = terminal.screen.screen().contents();
    let status: Vec<&str> =
        shown.lines().skip_while(|line| line.contains(" | ") || !line.contains("many")).collect();
    assert!(status.len() <= 5, "{shown}");
    std::fs::write(mark, "").unwrap();
    let (code, shown, raw) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    for number in 1..=8 {
        assert!(raw.contains(&format!("end of many {number}/8\r\n")), "{number}: {raw}");
    }
}

#[test]
fn a_terminal_that_is_to_stay_plain_gets_lines() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: echo word}\n");
    let xterm = ("TERM", "xterm-256color");
    let plain = ["--progress", "never", "--color", "never"];
    let cases = [
        (&plain[..0], vec![xterm, ("NO_COLOR", "1")]),
        (&plain[..0], vec![("TERM", "dumb")]),
        (&plain[..], vec![xterm]),
    ];
    for (arguments, environment) in &cases {
        let (code, shown, raw) = Terminal::start_with(&checkout, (40, 120), arguments, environment).end();
        assert_eq!(code, Some(0), "{shown}");
        assert!(raw.contains("a | word\r\n") && !raw.contains('\u{1b}'), "{environment:?}: {raw}");
    }
}

#[test]
fn an_interrupt_leaves_a_clean_terminal() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: [echo ready, sleep 1000]}\n");
    let mut terminal = Terminal::start(&checkout, (24, 80), &[]);
    terminal.wait_for("a | ready");
    terminal.wait_for("1 running");
    terminal.interrupt();
    let (code, shown, _) = terminal.end();
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("canceling; once more") && !shown.contains("1 running"), "{shown}");
    assert!(last_line(&shown).starts_with("pipeline 1: canceled"), "{shown}");
}

const MANUAL: &str = r#"
stages: [build, deploy, after]
build: {stage: build, script: echo built}
deploy: {stage: deploy, script: echo deployed, when: manual, allow_failure: false, manual_confirmation: "Really, now?"}
other: {stage: deploy, script: echo other, when: manual, allow_failure: true}
after: {stage: after, script: echo afterwards}
"#;

#[test]
fn manual_jobs_are_offered() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, MANUAL);
    let mut terminal = Terminal::start(&checkout, (50, 100), &[]);
    terminal.wait_for("Enter for none)?");
    let shown = terminal.screen.screen().contents();
    for text in ["   1  deploy  deploy\n", "      Really, now?\n", "   2  other  deploy\n"] {
        assert!(shown.contains(text), "{text} is missing: {shown}");
    }
    terminal.type_in("9\n");
    terminal.wait_for(
        "there is no manual job 9 in the list\nplay which (numbers or names, all; Enter for none)?",
    );
    terminal.type_in("deploy\n");
    terminal.wait_for("deploy | deployed");
    terminal.wait_for("after  | afterwards");
    // The rest is offered again.
    terminal.wait_for("   1  other  deploy\nplay which (numbers or names, all; Enter for none)?");
    terminal.type_in("\n");
    let (code, shown, _) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("| other\n"), "{shown}");
    assert!(last_line(&shown).starts_with("pipeline 1: success (3 jobs"), "{shown}");
}

#[test]
fn no_answer_means_none() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, MANUAL);
    for end in ["\u{4}", "interrupt"] {
        let mut terminal = Terminal::start(&checkout, (50, 100), &[]);
        terminal.wait_for("Enter for none)?");
        if end == "interrupt" {
            terminal.interrupt();
        } else {
            terminal.type_in(end);
        }
        let (code, shown, _) = terminal.end();
        assert_eq!(code, Some(0), "{shown}");
        assert!(last_line(&shown).contains("--manual 'deploy'"), "{shown}");
    }
    for arguments in [["--no-input", "--no-delay"], ["--manual", "other"]] {
        let (code, shown, _) = Terminal::start(&checkout, (50, 100), &arguments).end();
        assert_eq!(code, Some(0), "{shown}");
        assert!(!shown.contains("play which") && shown.contains("waits for manual jobs"), "{shown}");
    }
}
