//! What a person sees of a running pipeline: whole lines with the job's name in front, on a terminal what runs below them, then a
//! table.

mod board;
mod clean;
mod lines;
mod live;
#[cfg(test)]
mod paper;
mod row;
mod screen;
mod style;
mod summary;
mod text;
mod verdict;

pub(crate) use board::Progress;
pub(crate) use clean::{Marker, clean, markers};
pub(crate) use lines::Lines;
pub(crate) use live::{Live, Size};
pub(crate) use row::{Row, seconds, status};
pub(crate) use screen::Screen;
pub(crate) use style::Styles;
pub(crate) use summary::summary;
pub(crate) use verdict::verdict;
