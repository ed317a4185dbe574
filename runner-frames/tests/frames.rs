//! Encoder and decoder against each other, at every split, and the decoder against damage.

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use runner_frames::{DecodeError, Decoder, Encoder, FILE_HEADER, FRAME_HEADER_LEN, MAX_PAYLOAD, Stream};

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    offset: u64,
    end: u64,
    stream: Stream,
    time: SystemTime,
    payload: Vec<u8>,
}

fn take_all(decoder: &mut Decoder, into: &mut Vec<Owned>) -> Result<(), DecodeError> {
    while let Some(frame) = decoder.next_frame()? {
        into.push(Owned {
            offset: frame.offset,
            end: frame.end,
            stream: frame.stream,
            time: frame.time,
            payload: frame.payload.to_vec(),
        });
    }
    Ok(())
}

fn decode(from: u64, bytes: &[u8]) -> Result<Vec<Owned>, DecodeError> {
    let mut decoder = Decoder::new(from);
    decoder.push(bytes);
    let mut frames = Vec::new();
    take_all(&mut decoder, &mut frames)?;
    Ok(frames)
}

fn at(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

fn place(error: &DecodeError) -> Option<u64> {
    match error {
        DecodeError::Corrupt { offset, .. } => Some(*offset),
        _ => None,
    }
}

fn encode(frames: &[(Stream, u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = FILE_HEADER.to_vec();
    let mut encoder = Encoder::new();
    for (stream, time, payload) in frames {
        encoder.encode(*stream, at(*time), payload, &mut file);
    }
    assert_eq!(encoder.end(), if frames.is_empty() { 0 } else { file.len() as u64 });
    file
}

fn some_frames() -> impl Strategy<Value = Vec<(Stream, u64, Vec<u8>)>> {
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
    vec((stream, any::<u64>(), vec(any::<u8>(), 1..80)), 0..12)
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(frames in some_frames(), cuts in vec(any::<prop::sample::Index>(), 0..20)) {
        let file = encode(&frames);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(file.len() + 1)).collect();
        cuts.extend([0, file.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::new(0);
        let mut seen = Vec::new();
        for pair in cuts.windows(2) {
            prop_assert_eq!(decoder.read_offset(), pair[0] as u64);
            decoder.push(&file[pair[0]..pair[1]]);
            take_all(&mut decoder, &mut seen)?;
        }
        prop_assert_eq!(seen.len(), frames.len());
        let mut offset = 0;
        for (frame, (stream, time, payload)) in seen.iter().zip(&frames) {
            prop_assert_eq!(frame.offset, offset);
            prop_assert_eq!((frame.stream, frame.time), (*stream, at(*time)));
            prop_assert_eq!(&frame.payload, payload);
            offset = frame.end;
        }
        prop_assert_eq!(offset, if frames.is_empty() { 0 } else { file.len() as u64 });
        prop_assert_eq!(decoder.pending(), if frames.is_empty() { FILE_HEADER.len() } else { 0 });
    }

    #[test]
    fn reading_can_begin_at_every_border(frames in some_frames()) {
        let file = encode(&frames);
        let all = decode(0, &file).unwrap();
        for (index, frame) in all.iter().enumerate() {
            let rest = decode(frame.end, &file[frame.end as usize..]).unwrap();
            prop_assert_eq!(&rest[..], &all[index + 1..]);
        }
    }

    #[test]
    fn reading_can_begin_nowhere_else(frames in some_frames()) {
        let file = encode(&frames);
        let borders: Vec<u64> = decode(0, &file).unwrap().iter().map(|frame| frame.end).collect();
        for from in 1..file.len() {
            let rest = &file[from..];
            if borders.contains(&(from as u64)) || (from >= 25 && rest.len() < FRAME_HEADER_LEN) {
                continue; // The second: too short to tell; it stays "not there yet".
            }
            let error = decode(from as u64, rest).unwrap_err();
            prop_assert_eq!(place(&error), Some(from as u64));
        }
    }

    #[test]
    fn a_cut_file_gives_the_whole_frames_and_no_error(frames in some_frames(), cut in any::<prop::sample::Index>()) {
        let file = encode(&frames);
        let all = decode(0, &file).unwrap();
        let cut = cut.index(file.len() + 1);
        let whole: Vec<_> = all.iter().filter(|frame| frame.end <= cut as u64).cloned().collect();
        prop_assert_eq!(decode(0, &file[..cut]).unwrap(), whole);
    }

    #[test]
    fn any_bytes_are_taken_without_panicking(from in prop_oneof![Just(0), any::<u64>().prop_map(|x| x >> 1)],
                                             begin in any::<bool>(), pieces in vec(vec(any::<u8>(), 0..50), 0..10)) {
        let mut decoder = Decoder::new(from);
        if begin {
            decoder.push(&FILE_HEADER);
        }
        let mut seen = Vec::new();
        let mut first = None;
        for piece in pieces {
            decoder.push(&piece);
            match (take_all(&mut decoder, &mut seen), &first) {
                (Err(error), None) => first = Some(error),
                (result, Some(error)) => prop_assert_eq!(result, Err(error.clone())),
                (Ok(()), None) => {}
            }
        }
    }

    #[test]
    fn a_flipped_bit_in_a_header_is_seen(frames in some_frames(), which in any::<prop::sample::Index>(), bit in 0..128usize) {
        prop_assume!(!frames.is_empty());
        let mut file = encode(&frames);
        let all = decode(0, &file).unwrap();
        let index = which.index(all.len());
        let header = if index == 0 { FILE_HEADER.len() } else { all[index].offset as usize };
        file[header + bit / 8] ^= 1 << (bit % 8);
        let error = decode(0, &file).unwrap_err();
        prop_assert_eq!(place(&error), Some(header as u64));
    }
}

#[test]
fn long_output_becomes_several_frames() {
    let payload: Vec<u8> = (0..3 * MAX_PAYLOAD + 1).map(|i| (i % 251) as u8).collect();
    let file = encode(&[(Stream::Stdout, 7, payload.clone())]);
    let frames = decode(0, &file).unwrap();
    assert_eq!(
        frames.iter().map(|f| f.payload.len()).collect::<Vec<_>>(),
        [MAX_PAYLOAD, MAX_PAYLOAD, MAX_PAYLOAD, 1]
    );
    assert_eq!(frames.iter().flat_map(|f| f.payload.clone()).collect::<Vec<_>>(), payload);
}

#[test]
fn an_encoder_refuses_impossible_lengths_and_counts_nothing() {
    let mut encoder = Encoder::new();
    assert_eq!(encoder.header(Stream::Stdout, at(1), 0), None);
    assert_eq!(encoder.header(Stream::Stdout, at(1), MAX_PAYLOAD + 1), None);
    let mut out = Vec::new();
    encoder.encode(Stream::Stdout, at(1), b"", &mut out);
    assert!(out.is_empty());
    assert_eq!(encoder, Encoder::new());
    assert_eq!(encoder.end(), 0);
}

#[test]
fn other_files_and_other_versions_are_told_apart() {
    assert_eq!(decode(0, b"2026-11-25 hello"), Err(DecodeError::NotFrames));
    let mut next = FILE_HEADER;
    next[7] = 2;
    assert_eq!(decode(0, &next), Err(DecodeError::UnsupportedVersion { version: 2 }));
    assert_eq!(
        DecodeError::UnsupportedVersion { version: 2 }.to_string(),
        "output file of version 2; this program reads version 1"
    );
    assert_eq!(decode(0, b""), Ok(Vec::new()));
    assert_eq!(decode(0, &FILE_HEADER[..5]), Ok(Vec::new()));
}

#[test]
fn an_error_stays() {
    let mut decoder = Decoder::new(0);
    decoder.push(b"not what it should be");
    assert_eq!(decoder.next_frame(), Err(DecodeError::NotFrames));
    decoder.push(&FILE_HEADER);
    assert_eq!(decoder.next_frame(), Err(DecodeError::NotFrames));
    assert_eq!(decoder.pending(), 0);
}

#[test]
fn a_time_before_the_epoch_is_clipped() {
    let mut file = FILE_HEADER.to_vec();
    Encoder::new().encode(Stream::Stderr, SystemTime::UNIX_EPOCH - Duration::from_secs(9), b"x", &mut file);
    assert_eq!(decode(0, &file).unwrap()[0].time, SystemTime::UNIX_EPOCH);
}
