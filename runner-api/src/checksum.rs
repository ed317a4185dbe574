//! The size and checksum of a trace, as the server wants to hear them.

use std::fmt;

/// The size and CRC32 (IEEE) of a whole trace, as a value: whoever writes the trace computes it.
///
/// ```
/// use runner_api::TraceOutput;
///
/// let output = TraceOutput::new(0x0000_beef, 1024);
/// assert_eq!(output.checksum(), "crc32:0000beef");
/// assert_eq!(output.bytesize(), 1024);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceOutput {
    crc32: u32,
    bytesize: u64,
}

impl TraceOutput {
    /// The checksum and the size, in bytes, of everything that was written so far.
    ///
    /// ```
    /// let nothing_written = runner_api::TraceOutput::new(0, 0);
    /// assert_eq!(nothing_written.to_string(), "0 bytes, crc32:00000000");
    /// ```
    #[must_use]
    pub fn new(crc32: u32, bytesize: u64) -> Self {
        Self { crc32, bytesize }
    }

    /// The checksum as it travels: `crc32:` and eight lower-case hexadecimal digits.
    ///
    /// ```
    /// assert_eq!(runner_api::TraceOutput::new(0xbeef, 1024).checksum(), "crc32:0000beef");
    /// ```
    #[must_use]
    pub fn checksum(&self) -> String {
        format!("crc32:{:08x}", self.crc32)
    }

    /// The size in bytes.
    ///
    /// ```
    /// assert_eq!(runner_api::TraceOutput::new(0xbeef, 1024).bytesize(), 1024);
    /// ```
    #[must_use]
    pub fn bytesize(&self) -> u64 {
        self.bytesize
    }
}

impl fmt::Display for TraceOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, crc32:{:08x}", self.bytesize, self.crc32)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceOutput;

    #[test]
    fn an_empty_trace() {
        assert_eq!(TraceOutput::new(0, 0).checksum(), "crc32:00000000");
    }
}
