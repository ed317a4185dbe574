//! No value in any field loses the job.
