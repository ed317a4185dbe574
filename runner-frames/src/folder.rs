//! The folder of a stage: what its files are called and what the supervisor's exit codes mean.
//!
//! | File | Written by | When |
//! | --- | --- | --- |
//! | [`SCRIPT`], [`SPEC`] | executor | before the start |
//! | [`LOCK`] | supervisor | held by an exclusive `flock` while it lives |
//! | [`CONTROL`] | supervisor (made), manager (written) | a FIFO, open for reading while the supervisor lives: opening it for writing without blocking fails with `ENXIO` when it does not |
//! | [`OUTPUT`] | supervisor | grows while the stage runs |
//! | [`STATUS`] | supervisor | appears by rename, once, when the stage and all its processes are over |
//! | [`LOG`] | supervisor | what it has to say about itself |
//!
//! The folder has mode 0700, every file 0600. The supervisor removes [`SPEC`] as soon as the shell runs and [`SCRIPT`] when
//! the stage is over, since both may hold secrets.

/// What the shell runs.
pub const SCRIPT: &str = "script";
/// How the shell is started (`Spec`, with the feature `spec`).
pub const SPEC: &str = "spec.json";
/// Held while a supervisor lives.
pub const LOCK: &str = "lock";
/// Takes [requests](crate::Request), one a line.
pub const CONTROL: &str = "control";
/// Everything that the stage printed: a header and frames.
pub const OUTPUT: &str = "output";
/// How the stage [ended](crate::Status).
pub const STATUS: &str = "status";
/// Where the status is prepared. Made at the start with room for the record, so that a full disk cannot keep the end of a
/// stage from being told.
pub const STATUS_NEW: &str = "status.new";
/// Lines of the supervisor about itself. Nothing that the job prints goes there.
pub const LOG: &str = "supervisor.log";

/// The line that a supervisor prints on its standard output once the shell runs; then it lets go of its standard streams.
/// When it ends without that line, the exit code says why.
pub const STARTED: &str = "started";

/// Exit code of the supervisor: the stage is over and its status is written.
pub const EXIT_ENDED: u8 = 0;
/// Exit code of the supervisor: it could not supervise, or could not write the status. Its log says why.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of the supervisor: another one is running in this folder.
pub const EXIT_ALREADY_RUNNING: u8 = 10;
/// Exit code of the supervisor: the stage is over already.
pub const EXIT_ALREADY_ENDED: u8 = 11;
/// Exit code of the supervisor: an earlier one began in this folder and died without a status. Nothing is run a second time.
pub const EXIT_LOST: u8 = 12;
