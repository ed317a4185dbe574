//! Examples of the runner's libraries, one story per file: see `examples/`.

#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/client.md")]
struct ClientGuide;
