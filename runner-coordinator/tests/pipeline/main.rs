//! The pipeline compiler from outside: configurations in, jobs or mistakes out.

mod errors;
mod properties;
mod scenarios;
mod support;
