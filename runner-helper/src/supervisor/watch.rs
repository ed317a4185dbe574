//! [`Watch`]: from the shell's start until nothing of the stage is left.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use runner_frames::{End, Request, Spec, Status, StopKind, folder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitStatus};

use super::control::{Control, Line};
use super::folder::StageFolder;
use super::log::Log;
use super::processes::{self, Process, Round};
use super::recorder::Recorder;
use super::signals::Signals;

/// How often processes that should be dead are killed again.
const KILL_AGAIN: Duration = Duration::from_millis(100);
/// How long a killed process may take to go (it may hang in the kernel) before the stage ends without it.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The stage while it runs.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    folder: &'a StageFolder,
    spec: &'a Spec,
    signals: &'a Signals,
    log: &'a Log,
    control: &'a mut Control,
    recorder: Recorder,
    main: Pid,
    /// How and when the main process ended.
    end: Option<(End, SystemTime)>,
    /// Why the stage has no result.
    fault: Option<String>,
    /// What the manager asked for before the main process ended.
    stop: Option<StopKind>,
    /// Who got SIGTERM.
    asked: HashSet<Process>,
    /// When what is left gets SIGKILL.
    deadline: Option<Instant>,
    killing: Option<Killing>,
    next_check: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Killing {
    since: Instant,
    again: Instant,
    last: Round,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        folder: &'a StageFolder,
        spec: &'a Spec,
        signals: &'a Signals,
        control: &'a mut Control,
        recorder: Recorder,
        main: Pid,
        log: &'a Log,
    ) -> Self {
        Self {
            folder,
            spec,
            signals,
            log,
            control,
            recorder,
            main,
            end: None,
            fault: None,
            stop: None,
            asked: HashSet::new(),
            deadline: None,
            killing: None,
            next_check: Instant::now() + spec.check_interval(),
        }
    }

    /// Returns when the main process has ended and no process of the stage is left, or none that can be killed.
    pub(super) fn run(mut self) -> Status {
        let left = loop {
            self.wait();
            let written = self.recorder.pump();
            self.note_write(written);
            self.take_requests();
            let child_ended = self.signals.take_child();
            let children_left = if child_ended { self.reap() } else { true };
            if !children_left {
                break 0;
            }
            self.look_at_folder();
            if let Some(left) = self.kill_what_is_due(child_ended) {
                break left;
            }
        };
        let written = self.recorder.drain();
        self.note_write(written);
        self.into_status(left)
    }

    fn wait(&self) {
        let timeout = self.next_wake().saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let (child, terminate, control) = (self.signals.child(), self.signals.terminate(), self.control.fd());
        let mut fds: Vec<PollFd<'_>> = [child.as_fd(), terminate.as_fd(), control.as_fd()]
            .into_iter()
            .chain(self.recorder.sources())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // Interrupted or not: everything is looked at afterwards anyway, without blocking.
        let _ = poll(&mut fds, Some(&timeout));
    }

    fn next_wake(&self) -> Instant {
        let next = match (&self.killing, self.deadline) {
            (Some(killing), _) => killing.again,
            (None, Some(deadline)) => deadline,
            (None, None) => return self.next_check,
        };
        next.min(self.next_check)
    }

    fn take_requests(&mut self) {
        for line in self.control.take() {
            match line {
                Line::Request(request) => {
                    self.log.line(format_args!("asked to {request}"));
                    self.stop_for_manager(request);
                }
                Line::Other(text) => self.log.line(text),
            }
        }
        if self.signals.take_terminate() {
            self.log.line("got SIGTERM");
            self.stop_for_manager(Request::Terminate { grace: self.spec.default_grace() });
        }
    }

    fn stop_for_manager(&mut self, request: Request) {
        if self.end.is_none() {
            let kind = match request {
                Request::Terminate { .. } => StopKind::Terminate,
                Request::Kill => StopKind::Kill,
            };
            self.stop = self.stop.max(Some(kind));
        }
        match request {
            Request::Terminate { grace } => self.ask_to_end(grace),
            Request::Kill => self.kill_within(Duration::ZERO),
        }
    }

    fn ask_to_end(&mut self, grace: Duration) {
        self.signal_not_asked();
        self.kill_within(grace);
    }

    fn signal_not_asked(&mut self) {
        let group = self.end.is_none().then_some(self.main);
        processes::ask_to_end(group, &mut self.asked);
    }

    /// Brings the moment of killing forward; it never moves back.
    fn kill_within(&mut self, grace: Duration) {
        let new = Instant::now().checked_add(grace);
        self.deadline = match (self.deadline, new) {
            (Some(old), Some(new)) => Some(old.min(new)),
            (old, new) => old.or(new),
        };
    }

    /// Whether children are left.
    fn reap(&mut self) -> bool {
        let reaped = processes::reap(self.main);
        if let Some(status) = reaped.main {
            let end = end_of(status);
            self.log.line(format_args!("main process ended: {}", describe(&end)));
            self.end = Some((end, SystemTime::now()));
            if reaped.children_left {
                self.end_leftovers();
            }
        }
        reaped.children_left
    }

    /// The main process is gone and left something running. Who stopped the stage has said how long that may take.
    fn end_leftovers(&mut self) {
        self.log.line("ends what the main process left running");
        if self.deadline.is_some() {
            self.signal_not_asked();
        } else {
            self.ask_to_end(self.spec.leftover_grace());
        }
    }

    /// Kills when it is time to. Returns how many processes stay when nothing can be done about them.
    fn kill_what_is_due(&mut self, child_ended: bool) -> Option<u32> {
        let now = Instant::now();
        match &mut self.killing {
            None => {
                if self.deadline.is_some_and(|deadline| deadline <= now) {
                    let last = processes::kill();
                    self.log.line(format_args!("killed {} processes", last.present));
                    self.killing = Some(Killing { since: now, again: now + KILL_AGAIN, last });
                }
            }
            // A death hands children to us that the round before may have missed.
            Some(killing) if child_ended || killing.again <= now => {
                killing.last = processes::kill();
                // One that hangs in the kernel may do so for hours.
                let patient = now.duration_since(killing.since) > GIVE_UP;
                killing.again = now + if patient { GIVE_UP } else { KILL_AGAIN };
            }
            Some(_) => {}
        }
        let Killing { since, last, .. } = self.killing?;
        let hopeless = last.present > 0 && last.present == last.denied;
        if self.end.is_none() || !(hopeless || now.duration_since(since) > GIVE_UP) {
            return None;
        }
        self.log.line(format_args!("{} processes cannot be killed", last.present));
        Some(last.present)
    }

    fn look_at_folder(&mut self) {
        let now = Instant::now();
        if now < self.next_check {
            return;
        }
        self.next_check = now + self.spec.check_interval();
        let there = self.folder.still_holds(folder::OUTPUT, self.recorder.file())
            && self.folder.still_holds(folder::CONTROL, self.control.file());
        if !there {
            self.fail("the stage's folder is not there any more".to_owned());
        }
    }

    fn note_write(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.fail(format!("cannot write the stage's output: {error}"));
        }
    }

    /// The stage has no result any more: what it prints is lost or nobody can read it.
    fn fail(&mut self, fault: String) {
        if self.fault.is_none() {
            self.log.line(&fault);
            self.fault = Some(fault);
            self.ask_to_end(self.spec.default_grace());
        }
    }

    fn into_status(self, left: u32) -> Status {
        let now = SystemTime::now();
        let (end, ended) =
            self.end.unwrap_or_else(|| (End::Fault("the main process vanished".to_owned()), now));
        let end = match self.fault {
            Some(fault) => End::Fault(format!("{fault}; the main process ended: {}", describe(&end))),
            None => end,
        };
        let mut status = Status::new(end, now, ended);
        status.stop = self.stop;
        status.output = self.recorder.written();
        status.left = left;
        status
    }
}

fn end_of(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exit(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::Fault(format!("the main process ended in an unknown way: {status:?}")),
    }
}

fn describe(end: &End) -> String {
    match end {
        End::Exit(code) => format!("exit code {code}"),
        End::Signal(signal) => format!("signal {signal}"),
        End::Fault(text) => text.clone(),
    }
}
