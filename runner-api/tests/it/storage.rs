//! An instance that redirects downloads to an object storage, in process: ranges, entity tags, and trouble on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use runner_api::transport::{Body, Transport, TransportError};
use runner_api::{ClientBuilder, JobClient, JobToken};

/// Size of the pieces in which bodies arrive.
const PIECE: usize = 7;

/// How long each answer takes, by tokio's clock.
pub(crate) const ANSWER_TIME: Duration = Duration::from_millis(100);

/// What goes wrong with one answer of the storage.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    None,
    /// The connection breaks after so many bytes of the body.
    Break(usize),
    /// This status instead.
    Status(u16),
    /// `Range` is ignored.
    Whole,
    /// The answer says that this is the artifact's size.
    Total(u64),
    /// The answer's entity tag.
    Tag(&'static str),
    /// The body ends early, without an error, after so many bytes.
    End(usize),
    /// So many bytes more than there should be.
    Extra(usize),
}

/// One request as the server would see it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) url: String,
    pub(crate) range: Option<String>,
    pub(crate) if_range: Option<String>,
    pub(crate) token: Option<String>,
}

/// `gitlab.example.com` redirects to `storage.example.com` unless told otherwise.
#[derive(Clone)]
pub(crate) struct Site(Arc<Mutex<State>>);

struct State {
    content: Bytes,
    tag: Option<&'static str>,
    redirects: bool,
    announces_length: bool,
    /// For the answers with content that come next, in order.
    troubles: VecDeque<Trouble>,
    seen: Vec<Seen>,
    in_flight: usize,
    most_in_flight: usize,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}

impl Site {
    pub(crate) fn new(size: usize) -> Self {
        let content = (0..size).map(|index| (index * 31 % 251) as u8).collect::<Vec<_>>().into();
        Self(Arc::new(Mutex::new(State {
            content,
            tag: None,
            redirects: true,
            announces_length: true,
            troubles: VecDeque::new(),
            seen: Vec::new(),
            in_flight: 0,
            most_in_flight: 0,
        })))
    }

    pub(crate) fn with_tag(self, tag: &'static str) -> Self {
        self.0.lock().unwrap().tag = Some(tag);
        self
    }

    /// Sends the content itself.
    pub(crate) fn without_redirect(self) -> Self {
        self.0.lock().unwrap().redirects = false;
        self
    }

    pub(crate) fn without_length(self) -> Self {
        self.0.lock().unwrap().announces_length = false;
        self
    }

    pub(crate) fn troubles(self, troubles: impl IntoIterator<Item = Trouble>) -> Self {
        self.0.lock().unwrap().troubles.extend(troubles);
        self
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        ClientBuilder::new("https://gitlab.example.com").unwrap().transport(self.clone())
    }

    pub(crate) fn job(&self) -> JobClient {
        self.builder().build().unwrap().job(42, JobToken::new("glcbt-secret"))
    }

    pub(crate) fn content(&self) -> Bytes {
        self.0.lock().unwrap().content.clone()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// Hosts and ranges of the requests, in order: `storage 0-9`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let short = |seen: Seen| {
            let host = seen.host.trim_end_matches(".example.com").to_owned();
            let range =
                seen.range.as_deref().and_then(|range| range.strip_prefix("bytes=")).map(str::to_owned);
            range.map_or(host.clone(), |range| format!("{host} {range}"))
        };
        self.seen().into_iter().map(short).collect()
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.0.lock().unwrap().most_in_flight
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        let mut state = self.0.lock().unwrap();
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("accept-encoding").as_deref(), Some("identity"));
        let host = request.uri().host().unwrap().to_owned();
        let range = header("range");
        state.seen.push(Seen {
            host: host.clone(),
            url: request.uri().to_string(),
            range: range.clone(),
            if_range: header("if-range"),
            token: header("job-token"),
        });
        let builder = Response::builder().header("x-request-id", "0123456789abcdef0123456789abcdef");
        if host == "gitlab.example.com" && state.redirects {
            let location = "https://storage.example.com/b/42.zip?signature=s";
            return builder.status(302).header("location", location).body(Body::empty()).unwrap();
        }
        let trouble = state.troubles.pop_front().unwrap_or(Trouble::None);
        if let Trouble::Status(status) = trouble {
            return builder.status(status).body(Body::empty()).unwrap();
        }
        let size = state.content.len();
        let wanted = range.as_deref().and_then(|range| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            let first: usize = first.parse().ok()?;
            Some(first..last.parse().map_or(size, |last: usize| (last + 1).min(size)))
        });
        let other_tag = header("if-range").is_some_and(|tag| Some(tag.as_str()) != state.tag);
        let wanted = wanted.filter(|_| !other_tag && !matches!(trouble, Trouble::Whole));
        let mut builder = builder.header("content-type", "application/zip").header("accept-ranges", "bytes");
        if let Trouble::Tag(tag) = trouble {
            builder = builder.header("etag", tag);
        } else if let Some(tag) = state.tag {
            builder = builder.header("etag", tag);
        }
        let total = if let Trouble::Total(total) = trouble { total } else { size as u64 };
        let (status, mut content) = match wanted {
            Some(range) => {
                let told = format!("bytes {}-{}/{total}", range.start, range.end - 1);
                builder = builder.header("content-range", told);
                (StatusCode::PARTIAL_CONTENT, state.content.slice(range))
            }
            None => (StatusCode::OK, state.content.clone()),
        };
        if state.announces_length {
            builder = builder.header("content-length", content.len());
        }
        if let Trouble::Extra(more) = trouble {
            content = [&content[..], &vec![0; more]].concat().into();
        }
        let mut pieces: Vec<_> =
            content.chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if let Trouble::Break(at) | Trouble::End(at) = trouble {
            let left = content.slice(..at.min(content.len()));
            pieces = left.chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            if let Trouble::Break(_) = trouble {
                pieces.push(Err("reset".into()));
            }
        }
        builder.status(status).body(Body::stream(futures_util::stream::iter(pieces), None)).unwrap()
    }
}

#[async_trait::async_trait]
impl Transport for Site {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        {
            let mut state = self.0.lock().unwrap();
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
        }
        tokio::time::sleep(ANSWER_TIME).await;
        self.0.lock().unwrap().in_flight -= 1;
        Ok(self.answer(&request))
    }
}
