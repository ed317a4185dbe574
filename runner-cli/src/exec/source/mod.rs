//! Where the sources of a local pipeline come from: the checkout, facts about it, and what jobs get to fetch.
//!
//! Nothing is ever written to the user's repository: no object, no ref, not the index, not the stash. Jobs fetch from a bare
//! repository in the state folder that borrows the checkout's objects.

mod changes;
mod checkout;
mod commit;
mod error;
mod facts;
mod files;
mod serve;
mod settings;
mod snapshot;
mod submodules;

pub(crate) use changes::{Changes, compare, since};
pub(crate) use checkout::Checkout;
pub(crate) use error::SourceError;
pub(crate) use facts::{Choice, CommitFacts, gather};
pub(crate) use files::{Files, names, walk};
pub(crate) use serve::Served;
pub(crate) use snapshot::{Snapshot, take};
pub(crate) use submodules::redirection;
