//! What the tests share.

mod disk;
mod fake;
mod gitlab;
mod payload;
mod rig;
mod shell;

pub(crate) use disk::{Disk, FullJournal};
pub(crate) use fake::{Act, Fake};
pub(crate) use gitlab::GitLab;
pub(crate) use payload::Payload;
pub(crate) use rig::{Mortal, Rig, Running};
pub(crate) use shell::PlainShell;
