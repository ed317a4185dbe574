//! Files of a project, for artifacts and for caches: [selecting](select) them, [packing](pack) them, [extracting](extract) them
//! without ever leaving the folder, and the log lines that tell of it.
//!
//! Nothing here reads the process's environment, its current folder or its standard streams: all of that comes in through
//! [`Surroundings`].

mod expand;
pub(crate) mod extract;
pub(crate) mod fatal;
mod glob;
pub(crate) mod pack;
pub(crate) mod report;
pub(crate) mod select;
pub(crate) mod surroundings;
mod tree;

pub use surroundings::Surroundings;
