//! What surrounds the body of every script.

use super::quote;
use crate::executor::Shell;

/// How a body is surrounded.
pub(super) struct Envelope {
    pub(super) shell: Shell,
    /// Commands are shown as the shell runs them.
    pub(super) trace: bool,
    /// The body's input is an empty pipe instead of an empty file, and its shell has no trap of its own.
    pub(super) piped: bool,
}

impl Envelope {
    /// The whole script.
    ///
    /// * The body is one word for `eval`, so that a shell that reads the script from its input has read all of it before the
    ///   first command runs, and so that nothing the body reads can be a part of it.
    /// * Bash knows `pipefail`; other shells are asked in a shell of their own, because not knowing it would end this one.
    /// * Ending at SIGTERM instead of dying of it keeps some versions of bash from printing the whole text.
    /// * The status of the script is the status of the sub-shell, by errexit; else 0, whatever the last `$?` is.
    pub(super) fn around(&self, body: &str) -> String {
        let body = quote(body);
        let trace = if self.trace { "set -o xtrace\n" } else { "" };
        let run = if self.piped {
            format!(": | eval {body}")
        } else {
            format!("(trap 'exit 1' TERM; eval {body}) < /dev/null")
        };
        format!(
            "#!/usr/bin/env {shell}\n\n\
             trap 'exit 1' TERM\n\
             {trace}\
             if [ -n \"${{BASH_VERSION-}}\" ] || (set -o pipefail) 2> /dev/null; then set -o pipefail; fi\n\
             set -o errexit\n\
             set +o noclobber\n\
             {run}\n\
             exit 0\n",
            shell = self.shell.program(),
        )
    }
}
