//! [`Signals`]: signals as things that `poll` waits for.

use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::{flag, low_level};

/// The signals that a supervisor reacts to. Handlers, unlike ignored signals, are not inherited by the shell.
#[derive(Debug)]
pub(super) struct Signals {
    child: UnixStream,
    terminate: UnixStream,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        // A terminal or a login that goes away is no reason to end a job; a file size limit is an error of the write.
        for signal in [SIGHUP, SIGINT, SIGXFSZ] {
            flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        Ok(Self { child: pipe_for(SIGCHLD)?, terminate: pipe_for(SIGTERM)? })
    }

    /// Readable when a child ended.
    pub(super) fn child(&self) -> impl AsFd + '_ {
        &self.child
    }

    /// Readable when somebody asked this process to end.
    pub(super) fn terminate(&self) -> impl AsFd + '_ {
        &self.terminate
    }

    /// Whether a child ended since the last call.
    pub(super) fn take_child(&self) -> bool {
        drain(&self.child)
    }

    /// Whether somebody asked this process to end since the last call.
    pub(super) fn take_terminate(&self) -> bool {
        drain(&self.terminate)
    }
}

fn pipe_for(signal: i32) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    low_level::pipe::register(signal, write)?;
    Ok(read)
}

fn drain(mut pipe: &UnixStream) -> bool {
    let mut any = false;
    let mut bytes = [0; 64];
    while matches!(pipe.read(&mut bytes), Ok(n) if n > 0) {
        any = true;
    }
    any
}
