//! The program under test.

use std::fs::File;
use std::process::{Child, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::folder::Folder;
use crate::params::Params;

/// A running runner.
#[derive(Debug)]
pub(crate) struct Runner {
    child: Child,
}

/// Writes its configuration.
pub(crate) fn configure(folder: &Folder, params: &Params, url: &str, token: &str) {
    let Params { slots, .. } = params;
    let text = format!(
        "concurrent = {slots}\ncheck_interval = 1\nlog_level = \"debug\"\n[[runners]]\nname = \"tested\"\nurl = \"{url}\"\n\
         token = \"{token}\"\nexecutor = \"shell\"\nrequest_concurrency = 4\noutput_limit = 16384\n\
         unhealthy_interval = \"1s\"\nstop_grace = \"2s\"\n"
    );
    std::fs::write(folder.path("config.toml"), text).unwrap();
}

impl Runner {
    /// Starts it; what it says goes to a file of the folder.
    pub(crate) fn start(folder: &Folder) -> Self {
        let said = File::options().create(true).append(true).open(folder.path("runner.log")).unwrap();
        let mut command = folder.command(env!("CARGO_BIN_EXE_runner"));
        command.arg("--config").arg(folder.path("config.toml")).args(["run", "--working-directory"]);
        let child = command.arg(folder.path("work")).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        Self { child }
    }

    /// It is gone from one moment to the next.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// It takes no more jobs and ends.
    pub(crate) fn drain(mut self) -> ExitStatus {
        self.signal(Signal::QUIT);
        self.child.wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Only after a failure it is still there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
