//! `exec`: whole pipelines in temporary repositories.

mod listing;
mod pipelines;
mod sources;
mod stopping;
