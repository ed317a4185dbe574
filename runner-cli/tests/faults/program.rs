//! What a job's script does, and the exact bytes that come out of it.

use std::fmt::Write as _;
use std::path::Path;

/// One thing after the other.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Prints this with a single write.
    Out(Vec<u8>),
    /// The same on standard error.
    Err(Vec<u8>),
    /// Prints the file of this name with large writes.
    File(String, Vec<u8>),
    /// Prints the lines of this file one by one.
    Lines(String, Vec<u8>),
    /// Does nothing for so many milliseconds, so that what comes before and after is read apart.
    Pause(u64),
    /// Anything that prints nothing.
    Do(String),
    /// Prints `tick 1`, `tick 2`, … for ever, three a second.
    Ticks,
}

/// A program in the language of `sh`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) acts: Vec<Act>,
    pub(crate) exit: Option<i32>,
}

impl Program {
    pub(crate) fn then(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    pub(crate) fn out(self, text: impl AsRef<[u8]>) -> Self {
        self.then(Act::Out(text.as_ref().to_vec()))
    }

    /// Writes the program and the files that it prints.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        let mut text = String::new();
        for act in &self.acts {
            match act {
                Act::Out(bytes) => writeln!(text, "printf %b '{}'", escaped(bytes)),
                Act::Err(bytes) => writeln!(text, "printf %b '{}' >&2", escaped(bytes)),
                Act::File(name, bytes) => {
                    std::fs::write(folder.join(name), bytes).unwrap();
                    writeln!(text, "cat \"$FILES/{name}\"")
                }
                Act::Lines(name, bytes) => {
                    std::fs::write(folder.join(name), bytes).unwrap();
                    writeln!(
                        text,
                        "while IFS= read -r line; do printf '%s\\n' \"$line\"; done < \"$FILES/{name}\""
                    )
                }
                Act::Pause(millis) => writeln!(text, "sleep 0.{millis:03}"),
                Act::Do(command) => writeln!(text, "{command}"),
                Act::Ticks => {
                    writeln!(text, "n=0\nwhile :; do n=$((n + 1)); echo \"tick $n\"; sleep 0.3; done")
                }
            }
            .unwrap();
        }
        if let Some(code) = self.exit {
            writeln!(text, "exit {code}").unwrap();
        }
        std::fs::write(folder.join(name), text).unwrap();
    }

    /// Everything that it prints to standard output.
    pub(crate) fn output(&self) -> Vec<u8> {
        let printed = self.acts.iter().filter_map(|act| match act {
            Act::Out(bytes) | Act::File(_, bytes) | Act::Lines(_, bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        printed.collect::<Vec<_>>().concat()
    }

    /// Everything that it prints to standard error.
    pub(crate) fn errors(&self) -> Vec<u8> {
        let printed = self.acts.iter().filter_map(|act| match act {
            Act::Err(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        printed.collect::<Vec<_>>().concat()
    }

    /// Whether what is printed goes on and on after [`output`](Self::output).
    pub(crate) fn ticks(&self) -> bool {
        matches!(self.acts.last(), Some(Act::Ticks))
    }
}

/// Bytes for `printf %b`.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\0{byte:03o}").unwrap();
        text
    })
}
