//! Where it is measured.

use std::fmt;
use std::fs;

use crate::{Context, Error};

/// Facts about this machine and the program.
#[derive(Debug)]
pub struct Machine {
    cores: usize,
    memory_mib: u64,
    system: String,
    kernel: String,
    load: String,
    program_bytes: u64,
}

impl Machine {
    pub fn look(context: &Context) -> Result<Self, Error> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let memory = fs::read_to_string("/proc/meminfo")?;
        let total =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: total.unwrap_or_default().parse::<u64>().unwrap_or_default() / 1024,
            system: name.unwrap_or("Linux").trim_matches('"').to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load: fs::read_to_string("/proc/loadavg")?.split(' ').take(3).collect::<Vec<_>>().join(" "),
            program_bytes: fs::metadata(&context.program)?.len(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores, {} MiB of memory, {}, Linux {}; load before: {}; program: {:.1} MB",
            self.cores,
            self.memory_mib,
            self.system,
            self.kernel,
            self.load,
            self.program_bytes as f64 / 1e6
        )
    }
}
