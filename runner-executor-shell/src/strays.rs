//! Processes of a stage whose supervisor is gone.
//!
//! Usually a supervisor ends everything that its stage started. When it was killed itself, its stage's processes are nobody's
//! children any more; they are recognised by a variable in their environment.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Variable that every process of a stage has, with the path of the stage's folder.
pub(crate) const STAGE_VARIABLE: &str = "RUNNER_STAGE_FOLDER";

/// Kills all processes of the stage until none is left. Blocking; returns how many are left when the time is over.
pub(crate) fn kill_strays(stage: &Path, within: Duration) -> usize {
    let deadline = Instant::now() + within;
    let marker = format!("{STAGE_VARIABLE}={}", stage.display());
    loop {
        let strays = find(marker.as_bytes());
        for stray in &strays {
            // It may have ended by itself, or belong to another user by now.
            let _ = pidfd_send_signal(stray, Signal::KILL);
        }
        if strays.is_empty() || Instant::now() >= deadline {
            return strays.len();
        }
        wait_for_one(&strays);
    }
}

/// Descriptors, unlike numbers, cannot go to another process between looking and killing.
fn find(marker: &[u8]) -> Vec<OwnedFd> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|number: i32| {
            if !has_variable(number, marker) {
                return None;
            }
            let fd = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
            has_variable(number, marker).then_some(fd)
        })
        .collect()
}

fn has_variable(number: i32, marker: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|variable| variable == marker)
}

fn wait_for_one(strays: &[OwnedFd]) {
    let mut fds: Vec<PollFd<'_>> = strays.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }));
}
