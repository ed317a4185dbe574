//! From jobs as written to jobs as they run: instances of `parallel`, names in `needs` and `dependencies`, and whether
//! the whole fits together.

mod cycles;
mod instances;
mod names;
mod validate;

pub(crate) use instances::{Instances, Planned, plan};
pub(crate) use names::{left_out, resolve_needs};
pub(crate) use validate::validate;
