//! `include`: one configuration out of several files. <https://docs.gitlab.com/ci/yaml/includes/>

mod entry;
mod inputs;
mod interpolate;
mod load;
mod project;
mod rules;

pub(crate) use entry::Include;
pub(crate) use load::{Loaded, Sources, load, load_all};
