//! Which bytes of what an answer holds (RFC 9110, sections 8.8.3, 13.1.5 and 14.4).

use http::{HeaderMap, HeaderValue, header};

/// `Content-Range: bytes <first>-<last>/<total>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) total: u64,
}

impl ContentRange {
    /// The range of a 206 answer; `None` when it is not told or makes no sense.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
        let (unit, range) = text.trim().split_once(' ')?;
        let (range, total) = range.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let found = Self { first: first.parse().ok()?, last: last.parse().ok()?, total: total.parse().ok()? };
        let sound = found.first <= found.last && found.last < found.total;
        (unit.eq_ignore_ascii_case("bytes") && sound).then_some(found)
    }
}

/// The answer's strong entity tag: equal tags mean equal bytes.
pub(super) fn strong_tag(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""))
}

/// Whether an answer is about the same bytes as an earlier one with this tag. An answer may leave the tag out.
pub(super) fn same_tag(earlier: Option<&HeaderValue>, headers: &HeaderMap) -> bool {
    match (earlier, headers.get(header::ETAG)) {
        (Some(earlier), Some(now)) => earlier == now,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (text, expected) in [
            ("bytes 0-0/100", Some((0, 0, 100))),
            ("Bytes 5-99/100", Some((5, 99, 100))),
            ("bytes 0-0/*", None),
            ("bytes */100", None),
            ("bytes 5-4/100", None),
            ("bytes 0-100/100", None),
            ("bytes 0-0/0", None),
            ("bytes=0-0/100", None),
            ("items 0-0/100", None),
            ("bytes -1-0/100", None),
            ("bytes 0-0/99999999999999999999", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_RANGE, text.parse().unwrap())]);
            let expected = expected.map(|(first, last, total)| ContentRange { first, last, total });
            assert_eq!(ContentRange::of(&headers), expected, "{text}");
        }
        assert_eq!(ContentRange::of(&HeaderMap::new()), None);
    }

    #[test]
    fn tags() {
        let headers = |tag: &str| HeaderMap::from_iter([(header::ETAG, tag.parse().unwrap())]);
        assert!(strong_tag(&headers("\"a\"")).is_some());
        assert!(strong_tag(&headers("W/\"a\"")).is_none());
        let earlier = HeaderValue::from_static("\"a\"");
        assert!(same_tag(Some(&earlier), &headers("\"a\"")) && !same_tag(Some(&earlier), &headers("\"b\"")));
        assert!(same_tag(Some(&earlier), &HeaderMap::new()) && same_tag(None, &headers("\"b\"")));
    }
}
