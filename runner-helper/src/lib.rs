//! The small program beside the job: stage supervisor, artifacts, cache.
