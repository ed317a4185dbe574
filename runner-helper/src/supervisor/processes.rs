//! The processes of a stage: everything that descends from the supervisor.
//!
//! The supervisor is a child subreaper, so a process that leaves its group or session, or whose parent dies, still has the
//! supervisor among its ancestors. Whether any is left is told by `wait`, which cannot be wrong; the list in `/proc` is only
//! read to reach them.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, pidfd_open,
    pidfd_send_signal, wait,
};

/// A process, also after another one got its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pid: i32,
    /// Clock ticks between the machine's start and the process's.
    start: u64,
}

/// What a round of signals met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Processes that are there.
    pub(super) present: u32,
    /// Those of them that we may not signal: they run as another user.
    pub(super) denied: u32,
}

/// What has been reaped.
#[derive(Debug, Default)]
pub(super) struct Reaped {
    /// How the main process ended, if it was among them.
    pub(super) main: Option<WaitStatus>,
    /// Whether any child is left.
    pub(super) children_left: bool,
}

/// Reaps all children that have ended, ours and adopted ones.
pub(super) fn reap(main: Pid) -> Reaped {
    let mut reaped = Reaped::default();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == main => reaped.main = Some(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => {
                reaped.children_left = true;
                return reaped;
            }
            Err(_) => return reaped,
        }
    }
}

/// Asks every process of the stage that has not been asked yet to end. Stopped ones are woken, so that they can.
///
/// `group` is the main process's group while that process is not reaped. It gets the signal in one step, so that no child
/// that is born in this moment is left out; and what is born later in it, such as a command of the script's own cleanup,
/// is left alone. Others get it parents before children: a shell that is told first knows why its child died.
pub(super) fn ask_to_end(group: Option<Pid>, asked: &mut HashSet<Process>) -> Round {
    if let Some(group) = group {
        // Its leader is not reaped, so the number is still the group's. An empty group is fine.
        let _ = kill_process_group(group, Signal::TERM);
        let _ = kill_process_group(group, Signal::CONT);
    }
    let group = group.map(|group| group.as_raw_nonzero().get());
    signal_each(|stat, send| {
        if asked.insert(stat.process) && Some(stat.group) != group {
            send(Signal::TERM)?;
            let _ = send(Signal::CONT);
        }
        Ok(())
    })
}

/// Kills every process of the stage that can be seen now. One that was born meanwhile is met in the next round.
pub(super) fn kill() -> Round {
    signal_each(|_, send| send(Signal::KILL))
}

fn signal_each(
    mut act: impl FnMut(Stat, &dyn Fn(Signal) -> Result<(), Errno>) -> Result<(), Errno>,
) -> Round {
    let mut round = Round::default();
    for seen in descendants() {
        let Some(pid) = Pid::from_raw(seen.process.pid) else { continue };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The number may have gone to somebody else between the list and the descriptor; now it cannot any more.
        let Some(stat) = read_stat(seen.process.pid) else { continue };
        if stat.process != seen.process || stat.dead {
            continue;
        }
        round.present += 1;
        if act(stat, &|signal| pidfd_send_signal(&fd, signal)) == Err(Errno::PERM) {
            round.denied += 1;
        }
    }
    round
}

/// Living descendants of this process, parents before children.
fn descendants() -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(stat) = pid.and_then(read_stat) {
            children.entry(stat.parent).or_default().push(stat);
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = parents.pop() {
        for stat in children.remove(&parent).unwrap_or_default() {
            parents.push(stat.process.pid);
            if !stat.dead {
                found.push(stat);
            }
        }
    }
    found
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    process: Process,
    parent: i32,
    group: i32,
    /// Ended, but not reaped.
    dead: bool,
}

fn read_stat(pid: i32) -> Option<Stat> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name in parentheses and may hold anything, parentheses and line ends too.
fn parse_stat(pid: i32, bytes: &[u8]) -> Option<Stat> {
    let after_name = bytes.iter().rposition(|&byte| byte == b')')? + 1;
    let rest = std::str::from_utf8(bytes.get(after_name..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // Field 22 of the file; 16 lie between it and the group.
    let start = fields.nth(16)?.parse().ok()?;
    Some(Stat { process: Process { pid, start }, parent, group, dead: matches!(state, "Z" | "X" | "x") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_program_is_called() {
        let line = b"4711 (a) Z 1 (\n) S 17 4710 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 998877 1 2 3\n";
        let stat =
            Stat { process: Process { pid: 4711, start: 998_877 }, parent: 17, group: 4710, dead: false };
        assert_eq!(parse_stat(4711, line), Some(stat));
        let zombie = b"12 (sh) Z 1 12 12 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0\n";
        assert!(parse_stat(12, zombie).unwrap().dead);
        assert_eq!(parse_stat(12, b"12 (sh) S 1"), None);
        assert_eq!(parse_stat(12, b""), None);
    }

    #[test]
    fn our_own_stat_can_be_read() {
        let pid = getpid().as_raw_nonzero().get();
        let stat = read_stat(pid).unwrap();
        assert!(!stat.dead && stat.process.start > 0);
    }
}
