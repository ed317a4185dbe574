//! This process's memory, as the kernel counts it.

use std::fs;

use crate::Error;

/// Resident memory now, in KiB. From here on the peak is counted anew.
pub fn begin() -> Result<u64, Error> {
    fs::write("/proc/self/clear_refs", "5")?;
    field("VmRSS:")
}

/// The largest resident memory since [`begin`], in KiB.
pub fn peak() -> Result<u64, Error> {
    field("VmHWM:")
}

fn field(name: &str) -> Result<u64, Error> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number =
        line.and_then(|rest| rest.trim().strip_suffix("kB")).ok_or("/proc/self/status has no such line")?;
    Ok(number.trim().parse()?)
}
