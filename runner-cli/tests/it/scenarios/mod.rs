//! Numbered scenarios of the protocol (`scenario_NN_…`) and of scripts (`script_scenario_NN_…`) as a user sees them: the program
//! with its shell executor and its helper, GitLab's side over HTTP.

mod artifacts;
mod build;
mod house;
mod scripts;
mod stopping;
mod variables;
