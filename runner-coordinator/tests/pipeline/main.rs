//! The pipeline compiler from outside: configurations in, jobs or mistakes out.

mod errors;
mod explain;
mod foreign;
mod include;
mod keywords;
mod limits;
mod merging;
mod mistakes;
mod newer;
mod properties;
mod rules;
mod scenarios;
mod support;
