//! What a person sees of a running pipeline: whole lines with the job's name in front, then a table.

mod clean;
mod lines;
mod screen;
mod style;
mod summary;
mod verdict;

pub(crate) use clean::clean;
pub(crate) use lines::Lines;
pub(crate) use screen::Screen;
pub(crate) use style::Styles;
pub(crate) use summary::{Row, seconds, status, summary};
pub(crate) use verdict::verdict;
