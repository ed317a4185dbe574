//! The headers with which a server asks to wait. The input is two values, separated by a line end.
#![no_main]

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use runner_api::retry::{SERVER_DELAY_CEILING, server_delay};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "ratelimit-resettime"] {
        if let Some(value) = parts.next().and_then(|part| HeaderValue::from_bytes(part).ok()) {
            headers.insert(name, value);
        }
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    if let Some(delay) = server_delay(&headers, now) {
        assert!(!delay.is_zero() && delay <= SERVER_DELAY_CEILING, "{delay:?}");
    }
});
