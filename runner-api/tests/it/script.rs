//! An in-process transport that answers from a list and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use runner_api::transport::{Body, Transport, TransportError, TransportErrorKind};
use runner_api::{Client, ClientBuilder};

/// One request as the server would see it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: tokio::time::Instant,
}

impl Asked {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// One prepared answer.
pub(crate) enum Reply {
    Answer(Response<Body>),
    Fail(TransportErrorKind),
    /// Never answers.
    Hang,
}

/// Answers in order; what it was asked can be read afterwards.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().replies.extend(replies);
        script
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        ClientBuilder::new("https://gitlab.example.com").unwrap().transport(self.clone())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    pub(crate) fn one(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

#[async_trait::async_trait]
impl Transport for Script {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (head, body) = request.into_parts();
        let body = body
            .collect(1 << 24)
            .await
            .map_err(|error| TransportError::new(TransportErrorKind::RequestBody, error))?;
        let asked = Asked {
            method: head.method,
            url: head.uri.to_string(),
            headers: head.headers,
            body,
            at: tokio::time::Instant::now(),
        };
        let reply = {
            let mut inner = self.0.lock().unwrap();
            inner.asked.push(asked);
            inner.replies.pop_front()
        };
        match reply {
            Some(Reply::Answer(answer)) => Ok(answer),
            Some(Reply::Fail(kind)) => Err(TransportError::new(kind, "as told")),
            Some(Reply::Hang) => std::future::pending().await,
            None => panic!("one request too many"),
        }
    }
}

/// An answer without a body.
pub(crate) fn status(code: u16) -> Reply {
    with(code, &[], "")
}

/// An answer with a JSON body.
pub(crate) fn json(code: u16, body: &'static str) -> Reply {
    with(code, &[("content-type", "application/json")], body)
}

/// An answer with headers and a body.
pub(crate) fn with(code: u16, headers: &[(&'static str, &str)], body: &'static str) -> Reply {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    Reply::Answer(answer)
}
