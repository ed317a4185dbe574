//! The job's log on its way to GitLab.
//!
//! ```text
//! frames ─► mask ─► UTF-8 ─► limit ─► timestamps ─► spool ─► checkpoint ─► sender ─► GitLab
//!           └──────────── Filter: pure ──────────┘  └─ LogTask ─────────┘  └ SenderTask ┘
//! ```
//!
//! Three offsets, one owner each: *source* (where a stage's output is followed from: [`JobLog`]), *spool* (the masked
//! bytes on the manager's disk: [`LogTask`]), *acknowledged* (what the server has: [`SenderTask`]).
//!
//! Promises:
//!
//! * Nothing of a masked value is let out while it may still be completed, wherever the output is cut.
//! * A checkpoint is written before the sender may see the bytes it covers. A log that is opened again is cut to its
//!   checkpoint and goes on there: no byte twice, none lost.
//! * Memory per job is bounded; a slow disk slows the job's output down. A disk that fails ends the log: what it did not take
//!   any more, and the last line, are sent from memory.
//! * The sender never holds up the run, and a request that hangs never holds up the keep-alive.

mod checkpoint;
mod error;
mod filter;
mod joblog;
mod joint;
mod limit;
mod masker;
mod offsets;
mod reader;
mod sender;
mod spool;
mod storage;
mod style;
mod tail;
mod task;
mod timestamp;
mod utf8;

pub use checkpoint::{CheckpointStore, FileCheckpoints, MemoryCheckpoints};
pub use error::LogError;
pub use filter::{Filter, FilterSettings, FilterState};
pub use joblog::{Entry, JobLog, Published};
pub use masker::{MASK, MaskRules, Masker, MaskerState};
pub use reader::LogReader;
pub use sender::{
    Acknowledgement, Delivery, Directive, FinalState, Problem, Reply, SenderSettings, SenderTask, TraceApi,
    TraceSender,
};
pub use spool::{FileSpool, MemorySpool, Spool};
pub use storage::LogStorage;
pub use style::LineKind;
pub use task::LogTask;
