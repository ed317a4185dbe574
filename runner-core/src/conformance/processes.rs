//! Processes of this machine, as `/proc` shows them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    environ: Vec<u8>,
    cmdline: Vec<u8>,
}

impl Process {
    /// Whether its environment has `NAME=VALUE`.
    pub(super) fn has_variable(&self, variable: &str) -> bool {
        self.environ.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes())
    }

    /// Whether a text can be seen in its environment.
    pub(super) fn environ_shows(&self, text: &str) -> bool {
        contains(&self.environ, text)
    }

    /// Whether a text can be seen in its arguments.
    pub(super) fn arguments_show(&self, text: &str) -> bool {
        contains(&self.cmdline, text)
    }

    /// Its number as it sees itself, in its own PID namespace.
    pub(super) fn own_pid(&self) -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_ascii_whitespace().last()?.parse().ok()
    }

    /// The process that started it, or that took it over.
    pub(super) fn parent(&self) -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    }

    /// What its descriptors refer to.
    pub(super) fn descriptors(&self) -> BTreeSet<PathBuf> {
        descriptors(&self.pid.to_string())
    }

    fn read(pid: i32) -> Option<Self> {
        let at = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
        Some(Self { pid, environ: at("environ")?, cmdline: at("cmdline")? })
    }
}

/// All processes that we may look at, and that have not ended.
pub(super) fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Those with a variable in their environment.
pub(super) fn with_variable(variable: &str) -> Vec<Process> {
    all().into_iter().filter(|process| process.has_variable(variable)).collect()
}

/// What descriptors of this process refer to.
pub(super) fn own_descriptors() -> BTreeSet<PathBuf> {
    descriptors("self")
}

/// Kills a process that has the variable.
pub(super) fn kill(process: &Process, variable: &str) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    // The descriptor stays with one process; the second look makes sure that it is the one that was meant.
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if Process::read(process.pid).is_some_and(|now| now.has_variable(variable)) {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&fd, Signal::KILL);
    }
}

/// Everything below a folder.
pub(super) fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

fn descriptors(process: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}
