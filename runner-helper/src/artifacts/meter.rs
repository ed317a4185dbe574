//! The progress of a transfer.

use std::fmt::Write as _;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use runner_api::transport::{BodySource, BodyStream};
use tokio::time::Instant;

/// Counts bytes, and shows them from time to time.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    what: &'static str,
    bytes: Arc<AtomicU64>,
    frequency: Duration,
}

/// How wide a line was drawn, to be drawn over.
const WIDTH: usize = 60;

impl Meter {
    /// A frequency of zero shows nothing.
    pub(super) fn new(what: &'static str, frequency: Duration) -> Self {
        Self { what, bytes: Arc::default(), frequency }
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// `source` with its pieces counted as they are sent.
    pub(super) fn count(&self, source: Arc<dyn BodySource>) -> Arc<dyn BodySource> {
        Arc::new(Counted { source, meter: self.clone() })
    }

    /// Waits for `transfer` and shows how it gets on.
    pub(super) async fn watch<F: Future>(&self, transfer: F, out: &mut dyn Write) -> F::Output {
        if self.frequency.is_zero() {
            return transfer.await;
        }
        let started = Instant::now();
        let mut transfer = std::pin::pin!(transfer);
        let mut ticks = tokio::time::interval(self.frequency);
        ticks.tick().await;
        let done = loop {
            tokio::select! {
                done = &mut transfer => break done,
                _ = ticks.tick() => self.show(started, out),
            }
        };
        self.show(started, out);
        let _ = writeln!(out);
        done
    }

    fn show(&self, started: Instant, out: &mut dyn Write) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = bytes.saturating_mul(1000) / millis;
        let line = format!("{} {} ({}/s)", self.what, size(bytes), size(rate));
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(out, "\r{line:<WIDTH$}");
        let _ = out.flush();
    }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    let mut text = String::new();
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scale = 1_u64;
    while unit + 1 < units.len() && bytes / scale >= 1024 {
        scale *= 1024;
        unit += 1;
    }
    let whole = bytes / scale;
    let tenth = bytes % scale * 10 / scale;
    let name = units.get(unit).copied().unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = if unit == 0 { write!(text, "{whole} {name}") } else { write!(text, "{whole}.{tenth} {name}") };
    text
}

struct Counted {
    source: Arc<dyn BodySource>,
    meter: Meter,
}

impl BodySource for Counted {
    fn open(&self) -> BodyStream {
        // A new try begins from the beginning.
        self.meter.bytes.store(0, Ordering::Relaxed);
        let meter = self.meter.clone();
        Box::pin(self.source.open().inspect(move |piece| {
            if let Ok(piece) = piece {
                meter.add(piece.len());
            }
        }))
    }

    fn length(&self) -> Option<u64> {
        self.source.length()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use runner_api::transport::Body;

    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_shown_and_ends_with_a_line() {
        let meter = Meter::new("Uploading artifacts", Duration::from_secs(1));
        let body = Body::source(meter.count(Arc::new(Bytes::from_static(&[0; 2048]))));
        let mut out = Vec::new();
        let transfer = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let all = body.collect(4096).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            all.len()
        };
        assert_eq!(meter.watch(transfer, &mut out).await, 2048);
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.starts_with("\rUploading artifacts 0 B (0 B/s) "), "{shown:?}");
        assert!(shown.trim_end().ends_with("\rUploading artifacts 2.0 KiB (1.0 KiB/s)"), "{shown:?}");
        assert!(shown.ends_with('\n'));
    }
}
