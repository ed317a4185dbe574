//! Examples of the runner's libraries, one story per file: see `examples/`.
