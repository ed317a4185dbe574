//! What is said at the end of a run beside the table: why jobs failed, where their artifacts are, what was ignored.

mod failures;
mod ignored;
mod kept;

pub(super) use failures::failures;
pub(super) use ignored::joined;
pub(super) use kept::{Place, kept};
