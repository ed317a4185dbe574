//! What a person sees of a running pipeline: whole lines with the job's name in front, then a table.

mod clean;
mod lines;
mod row;
mod screen;
mod style;
mod summary;
mod verdict;

pub(crate) use clean::{Marker, clean, markers};
pub(crate) use lines::Lines;
pub(crate) use row::{Row, seconds, status};
pub(crate) use screen::Screen;
pub(crate) use style::Styles;
pub(crate) use summary::summary;
pub(crate) use verdict::verdict;
