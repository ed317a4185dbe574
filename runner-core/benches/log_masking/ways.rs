//! The ways of going through the bytes.

use std::hint::black_box;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::SystemTime;

use aho_corasick::{AhoCorasick, MatchKind};
use async_trait::async_trait;
use bytes::Bytes;
use runner_core::executor::{OutputFrame, OutputStream, StageKey};
use runner_core::log::{
    Filter, FilterSettings, JobLog, LogStorage, MaskRules, Masker, MemoryCheckpoints, Spool,
};
use runner_core::time::SystemClock;
use runner_frames::{Decoder, Encoder, FILE_HEADER, Stream};
use tempfile::TempDir;

use crate::text::LINE;

/// Bytes of a frame when a stage prints faster than its output is taken.
const FRAME: usize = 16 << 10;

/// Bytes that the shell executor reads at once.
const READ: usize = 256 << 10;

pub(crate) struct Way<'a> {
    pub(crate) name: &'static str,
    pub(crate) is_reference: bool,
    /// Goes through all bytes once; what it returns is dropped after the measurement.
    pub(crate) run: Box<dyn Fn() -> Option<TempDir> + 'a>,
}

fn way<'a>(name: &'static str, run: impl Fn() -> Option<TempDir> + 'a) -> Way<'a> {
    Way { name, is_reference: false, run: Box::new(run) }
}

pub(crate) fn all<'a>(secrets: &'a [String], text: &'a [u8]) -> Vec<Way<'a>> {
    let leftmost = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(secrets).unwrap();
    let automaton = AhoCorasick::new(secrets).unwrap();
    let rules = MaskRules::new(secrets.iter().map(String::as_str), [], true);
    let without_values = MaskRules::new([], [], true);
    let raw =
        FilterSettings { rules: rules.clone(), output_limit: u64::MAX, timestamps: false, sections: true };
    let stamped = FilterSettings { timestamps: true, ..raw.clone() };
    let bytes = Bytes::copy_from_slice(text);
    let mut ways = vec![
        Way { is_reference: true, ..way("aho-corasick, vector search", move || scan(&leftmost, text)) },
        Way { is_reference: true, ..way("aho-corasick, automaton", move || scan(&automaton, text)) },
        way("bare copy", move || copy(text)),
        way("bare UTF-8 check", move || utf8(text)),
        way("bare CRC32", move || crc32(text)),
        way("bare write to a new file", move || write(text)),
    ];
    for (name, size) in
        [("frames out of the stage's file", FRAME), ("frames out of the stage's file, one per line", LINE)]
    {
        let file = encode(text, size);
        ways.push(way(name, move || decode(&file)));
    }
    ways.push(way("masker without values", move || mask(&without_values, text)));
    let many: Vec<String> = (0..50).map(crate::text::secret).collect();
    let many = MaskRules::new(many.iter().map(String::as_str), [], true);
    ways.push(way("masker, 50 values", move || mask(&many, text)));
    ways.push(way("masker", move || mask(&rules, text)));
    for (name, settings, size) in [
        ("filter", &raw, FRAME),
        ("filter, timestamps", &stamped, FRAME),
        ("filter, a frame per line", &raw, LINE),
        ("filter, timestamps, a frame per line", &stamped, LINE),
    ] {
        let settings = settings.clone();
        ways.push(way(name, move || filter(&settings, text, size)));
    }
    for (name, settings, size, file) in [
        ("log path up to the disk", &raw, FRAME, false),
        ("log path up to the disk, timestamps", &stamped, FRAME, false),
        ("log path up to the disk, a frame per line", &raw, LINE, false),
        ("log path into a file", &raw, FRAME, true),
        ("log path into a file, timestamps", &stamped, FRAME, true),
        ("log path into a file, a frame per line", &raw, LINE, true),
    ] {
        let (settings, bytes) = (settings.clone(), bytes.clone());
        ways.push(way(name, move || job_log(&settings, &bytes, size, file)));
    }
    ways
}

fn scan(finder: &AhoCorasick, text: &[u8]) -> Option<TempDir> {
    black_box(text.chunks(FRAME).map(|frame| finder.find_iter(frame).count()).sum::<usize>());
    None
}

fn copy(text: &[u8]) -> Option<TempDir> {
    let mut log = Vec::with_capacity(FRAME);
    for frame in text.chunks(FRAME) {
        log.clear();
        log.extend_from_slice(frame);
        black_box(&log);
    }
    None
}

fn utf8(text: &[u8]) -> Option<TempDir> {
    black_box(text.chunks(FRAME).filter(|frame| std::str::from_utf8(frame).is_ok()).count());
    None
}

fn crc32(text: &[u8]) -> Option<TempDir> {
    let mut hasher = crc32fast::Hasher::new();
    text.chunks(FRAME).for_each(|frame| hasher.update(frame));
    black_box(hasher.finalize());
    None
}

fn write(text: &[u8]) -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut at = 0;
    for piece in text.chunks(READ) {
        file.write_all_at(piece, at).unwrap();
        at += piece.len() as u64;
    }
    Some(folder)
}

/// The file in which a supervisor keeps the text, in frames of this size.
fn encode(text: &[u8], size: usize) -> Vec<u8> {
    let mut file = FILE_HEADER.to_vec();
    let mut encoder = Encoder::new();
    for frame in text.chunks(size) {
        encoder.encode(Stream::Stdout, SystemTime::UNIX_EPOCH, frame, &mut file);
    }
    file
}

fn decode(file: &[u8]) -> Option<TempDir> {
    let mut decoder = Decoder::new(0);
    for piece in file.chunks(READ) {
        decoder.push(piece);
        while let Some(frame) = decoder.next_frame().unwrap() {
            black_box(frame.payload);
        }
    }
    None
}

fn mask(rules: &MaskRules, text: &[u8]) -> Option<TempDir> {
    let mut masker = Masker::new(rules);
    let mut len = 0;
    for frame in text.chunks(FRAME) {
        masker.push(frame, &mut |bytes| len += bytes.len());
    }
    black_box(len);
    None
}

fn filter(settings: &FilterSettings, text: &[u8], size: usize) -> Option<TempDir> {
    let mut filter = Filter::new(settings.clone());
    let mut log = Vec::with_capacity(FRAME * 4);
    for frame in text.chunks(size) {
        filter.push(OutputStream::Stdout, SystemTime::UNIX_EPOCH, frame, &mut log);
        filter.end_frame(OutputStream::Stdout, &mut log);
        if log.len() >= FRAME {
            black_box(&log);
            log.clear();
        }
    }
    None
}

fn job_log(settings: &FilterSettings, text: &Bytes, size: usize, file: bool) -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = if file {
            LogStorage::files(folder.path()).await.unwrap()
        } else {
            LogStorage { spool: Arc::new(Nowhere), checkpoints: Arc::new(MemoryCheckpoints::default()) }
        };
        let (log, task) = JobLog::open(storage, settings.clone(), Arc::new(SystemClock)).await.unwrap();
        tokio::spawn(task.run());
        let stage = StageKey::new(0, "step_script", 1);
        let (time, stream) = (SystemTime::UNIX_EPOCH, OutputStream::Stdout);
        for offset in (0..text.len()).step_by(size) {
            let end = text.len().min(offset + size);
            let bytes = text.slice(offset..end);
            let frame = OutputFrame { offset: offset as u64, end: end as u64, time, stream, bytes };
            log.append(&stage, frame).await.unwrap();
        }
        log.finish().await.unwrap();
    });
    Some(folder)
}

/// A spool that keeps nothing: what is left is the work of the log path itself.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Spool for Nowhere {
    async fn append(&self, bytes: Bytes) -> io::Result<()> {
        black_box(bytes);
        Ok(())
    }
    async fn read(&self, _range: Range<u64>) -> io::Result<Bytes> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
    async fn truncate(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }
    async fn length(&self) -> io::Result<u64> {
        Ok(0)
    }
    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    async fn remove(&self) -> io::Result<()> {
        Ok(())
    }
}
