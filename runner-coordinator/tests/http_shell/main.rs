//! The coordinator on a socket.

mod artifacts;
mod faults;
mod jobs;
mod support;
