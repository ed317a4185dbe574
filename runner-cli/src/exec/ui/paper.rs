//! Where tests let the screen write.

use std::io::Write;
use std::sync::{Arc, Mutex};

/// Keeps what is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paper(Arc<Mutex<(Vec<u8>, usize)>>);

impl Paper {
    /// What was written since the last time.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap().0)).unwrap()
    }

    /// How often something was written.
    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut kept = self.0.lock().unwrap();
        kept.1 += 1;
        kept.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
