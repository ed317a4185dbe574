//! `exec`: local pipelines, and `lint`.

mod beyond;
mod changes;
mod children;
mod cleaning;
mod includes;
mod lint;
mod listing;
mod looking;
mod pipelines;
mod scenarios;
mod sources;
mod stopping;
mod terminal;
mod watching;
