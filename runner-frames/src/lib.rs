//! The format in which a stage's output and end travel from the supervisor to the manager.
//!
//! A stage has a [folder]. In it, one file holds everything that the stage printed, as [frames](Frame) that carry
//! the time and the stream of printing; it only grows, so a manager can follow it, die, come back and go on from the offset
//! it remembers. Another file appears when the stage is over and tells how it [ended](Status). A pipe carries
//! [requests](Request) in the other direction.
//!
//! The crate is pure: bytes in, values out, no I/O. Decoders take any bytes without panicking, because a job may run as the
//! same user as its supervisor and could write into these files. `docs/design/frames.md` has the layout byte by byte and the
//! rules for changing it.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use runner_frames::{Decoder, Encoder, FILE_HEADER, Stream};
//!
//! let mut file = FILE_HEADER.to_vec();
//! let mut encoder = Encoder::new();
//! let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
//! encoder.encode(Stream::Stdout, time, b"hello\n", &mut file);
//!
//! let mut decoder = Decoder::new(0);
//! decoder.push(&file);
//! let frame = decoder.next_frame()?.expect("one whole frame");
//! assert_eq!((frame.offset, frame.end), (0, file.len() as u64));
//! assert_eq!(frame.payload, b"hello\n");
//! assert!(decoder.next_frame()?.is_none());
//! # Ok::<(), runner_frames::DecodeError>(())
//! ```

mod control;
mod decoder;
mod encoder;
pub mod folder;
mod layout;
#[cfg(feature = "spec")]
mod spec;
mod status;

pub use control::{InvalidRequest, Request};
pub use decoder::{DecodeError, Decoder, Frame};
pub use encoder::Encoder;
pub use layout::{FILE_HEADER, FRAME_HEADER_LEN, MAX_PAYLOAD, Stream, VERSION};
#[cfg(feature = "spec")]
pub use spec::{SPEC_VERSION, SecretFile, Spec, SpecError, Variable};
pub use status::{End, STATUS_VERSION, Status, StatusError, StopKind};
