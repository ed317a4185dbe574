//! Examples: one story per file.
