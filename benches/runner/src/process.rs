//! Other processes, as the kernel counts them.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;

/// CPU time of a process since it began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    pub own: Duration,
    /// Of its children that have ended and were waited for, with theirs.
    pub children: Duration,
}

impl Cpu {
    pub fn since(self, before: Self) -> Self {
        Self { own: self.own - before.own, children: self.children - before.children }
    }
}

/// In steps of the kernel's clock, usually 10 ms.
pub fn cpu(pid: u32) -> Result<Cpu, Error> {
    cpu_of(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
}

/// The same from the text of such a file.
pub fn cpu_of(stat: &str) -> Result<Cpu, Error> {
    let (_, fields) = stat.rsplit_once(')').ok_or("no stat of a process")?;
    let fields: Vec<u64> = fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
    let tick = Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second())?;
    let time = |from: usize| -> Result<Duration, Error> {
        let ticks: u64 = fields.get(from..from + 2).ok_or("no stat of a process")?.iter().sum();
        Ok(tick * u32::try_from(ticks)?)
    };
    // utime and stime are the 14th and 15th of all, the 12th and 13th behind the name.
    Ok(Cpu { own: time(11)?, children: time(13)? })
}

/// CPU time of the threads that live, exactly.
pub fn cpu_of_threads(pid: u32) -> Result<Duration, Error> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // It may have ended since.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let nanoseconds = text.split(' ').next().unwrap_or_default().parse().unwrap_or_default();
        total += Duration::from_nanos(nanoseconds);
    }
    Ok(total)
}

/// Memory in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: f64,
    pub anonymous: f64,
    /// The largest resident memory since it began.
    pub peak: f64,
    pub threads: f64,
}

pub fn memory(pid: u32) -> Result<Memory, Error> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64, Error> {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in a status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    let mib = |name| field(name).map(|kib| kib / 1024.0);
    Ok(Memory {
        resident: mib("VmRSS:")?,
        anonymous: mib("RssAnon:")?,
        peak: mib("VmHWM:")?,
        threads: field("Threads:")?,
    })
}

/// Resident memory, and the share of it that is counted when what is shared is divided, in MiB. `None`: it has ended.
pub fn shares(pid: u32) -> Option<(f64, f64)> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| -> Option<f64> {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
    };
    Some((field("Rss:")?, field("Pss:")?))
}

/// The children of a process.
pub fn children(parent: u32) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let above = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if above == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Asks one process.
pub fn signal(pid: u32, signal: Signal) -> Result<(), Error> {
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no process has this number")?;
    Ok(kill_process(pid, signal)?)
}
