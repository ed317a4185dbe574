#![doc = include_str!("../README.md")]

pub mod core;
pub mod http;
pub mod pipeline;
pub mod run;

pub use crate::core::fault;
