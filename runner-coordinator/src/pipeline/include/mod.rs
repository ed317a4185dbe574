//! `include`: one configuration out of several files. <https://docs.gitlab.com/ci/yaml/includes/>

mod entry;
mod load;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use load::load;
